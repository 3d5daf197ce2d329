/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * --trace-qmp[=FILE], of the commands that start emulators.
 */
#pragma once

#include "cli.h"

typedef struct {
    gboolean on; /* without a FILE */
    char *file;  /* or NULL */
} CliTrace;

/* Two rows of GOptionEntry: GLib would take the next word for a value that need not be
 * there. */
#define CLI_TRACE_ENTRIES(trace)                                                         \
    {"trace-qmp",          0,   G_OPTION_FLAG_HIDDEN, G_OPTION_ARG_NONE, &(trace)->on,   \
     "On standard error.", NULL},                                                        \
    {                                                                                    \
        "trace-qmp", 0, 0, G_OPTION_ARG_FILENAME, &(trace)->file,                        \
            "Print each message of QMP as a line of JSON (without =FILE: on standard "   \
            "error)",                                                                    \
            "FILE"                                                                       \
    }

void cli_trace_clear(CliTrace *trace);
/* Whether it was asked for, in either way. */
gboolean cli_trace_is_asked(const CliTrace *trace);
/* The emulators that this process starts are traced from now on; a file is emptied if the
 * trace BEGINS here. FALSE: *STATUS, and a sentence. */
gboolean cli_trace_open(const CliTrace *trace, gboolean begin, int *status);
/* The option for another process, owned by the caller; NULL: it was not asked for. */
char *cli_trace_word(const CliTrace *trace);
/* Whether it is written where people look. */
gboolean cli_trace_is_on_terminal(const CliTrace *trace);
