/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What a user's program gets in a host, whether by hostbed run or as a --suite of hostbed
 * test: functions, files, variables, a folder to start in, and a way out for its results.
 */
#pragma once

#include <glib.h>

typedef struct {
    GStrv bind, with, copies, env; /* as given, or NULL */
    char *chdir;                   /* absolute once checked, or NULL */
    char *out;                     /* of the machine, or NULL */
} CliProgram;

void cli_program_clear(CliProgram *program);

/* OWN entries of a command, and behind them those of PROGRAM: for cli_parse(); the
 * caller's to free. */
GOptionEntry *cli_program_entries(const GOptionEntry *own, CliProgram *program);
/* FALSE, and *STATUS and a sentence: --env names no variable. */
gboolean cli_program_check(CliProgram *program, int *status);
/* Whether the command NAME can only be a program from here, and is not there: a path from
 * the present folder. What begins with "/", or where --chdir leads, may be the host's. */
gboolean cli_program_is_absent(const CliProgram *program, const char *name);
/* The first of the options that was given ("bind"), or NULL. */
const char *cli_program_given(const CliProgram *program);
/* The options as words of a command line ("--bind=nic"). */
GStrv cli_program_words(const CliProgram *program);
/* --env as "NAME=VALUE"; of a name alone the value that it has here, if any. */
GStrv cli_program_environment(const CliProgram *program);
