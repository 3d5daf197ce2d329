/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What template.c, which freezes and clones, and template-keep.c, which writes down and
 * reads, share with those who do that for all hosts of a lab.
 */
#pragma once

#include "boot-private.h"
#include "template-store.h"
#include "template.h"

struct Template {
    BootRecipe *recipe;
    int state_fd;
    char *nonce; /* of the host: who has it was not booted again */
};

/* Which raw argument of PLAN's lab makes what a clone cannot have, one sentence; or NULL.
 * Owned by the caller. */
char *template_argument_obstacle(const Plan *plan);

/* Bytes of the file FD, and of those that are RECIPE's memory, that were ever used. */
gint64 template_file_bytes(int fd);
gint64 template_memory_bytes(const BootRecipe *recipe);

/* All of TEMPLATE goes into the entry that WRITER makes, as that of HOST: 0 is the one
 * that is meant, then its peers. */
gboolean template_write(const Template *template, TemplateWriter *writer, guint host,
                        GError **error);
/* Whether HOST in STORED is such a host as PLAN's. */
gboolean template_fits(const StoredTemplate *stored, guint host, const Plan *plan);
/* The template of RECIPE's host, which is HOST in STORED and fits, with its files. */
Template *template_from_store(BootRecipe *recipe, StoredTemplate *stored, guint host);
