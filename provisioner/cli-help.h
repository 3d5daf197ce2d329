/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What helps who does not know yet what to say: commands and topics. In cmd-help.c.
 */
#pragma once

#include <stdio.h>

#include "cli.h"

int cmd_help(int argc, char **argv);
/* All commands and topics, a line each. */
void cli_help_print(FILE *out);
/* A sentence with what is probably meant by NAME; the status. */
int cli_help_unknown_command(const char *name);
