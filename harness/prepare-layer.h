/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What --prepare does in a host, one layer for each: what comes of one is decided by
 * those before it, and by what is said here. Nothing is run.
 */
#pragma once

#include "session.h"

typedef struct {
    const Suite *suite; /* the command; the caller's */
    /* Its program, if that is named by a path and is a file of this machine: it comes
     * into the host only with its layer, so that one that is changed changes nothing
     * below. NULL: the host has it. */
    GBytes *program;
    char *step; /* all that decides what it does, one line */
} PrepareLayer;

/* PrepareLayer, of OPTIONS' `prepare`. HB_USAGE: a program cannot be read. */
GPtrArray *prepare_layers_new(const SessionOptions *options, GError **error);
/* Whether the program of SUITE comes with its layer into the host of PLAN. */
gboolean prepare_brings(const Plan *plan, const Suite *suite);
/* What LAYERS from number FIRST up to END do, NULL at the end; owned by the caller. */
GStrv prepare_layers_steps(const GPtrArray *layers, guint first, guint end);
