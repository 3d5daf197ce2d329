/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The commands of `hostbed template`: each is a row in cmd-template.c and a function in
 * one of cmd-template-store.c (list, rm, prune), cmd-template-archive.c (export, import)
 * and cmd-template-key.c.
 */
#pragma once

#include "cli.h"

int cmd_template_list(int argc, char **argv);
int cmd_template_rm(int argc, char **argv);
int cmd_template_prune(int argc, char **argv);
int cmd_template_key(int argc, char **argv);
int cmd_template_export(int argc, char **argv);
int cmd_template_import(int argc, char **argv);

/* The key of the one template that WORD is or begins, owned by the caller; NULL: *STATUS
 * is set, and the reason printed. */
char *template_find_key(const char *word, int *status);
