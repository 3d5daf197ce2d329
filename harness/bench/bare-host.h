/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The emulator alone, for what the benchmark compares hostbed with: started with the
 * arguments that hostbed left in the log directory of a run, and spoken to by the same
 * channels. No hostbed code is in the way. Whatever goes wrong ends the program, with the
 * end of the guest's console.
 */
#pragma once

#include <glib.h>

typedef struct BareHost BareHost;

G_NORETURN void bare_die(const char *what);
/* The emulator's words in LOG-DIR/command, as it got them. */
GStrv bare_command(const char *log_dir);
/* Files for the memory that COMMAND names, in its order: array of int. */
GArray *bare_memory(char *const *command);

/* MEMORY: for a command with such files; or NULL. */
BareHost *bare_host_new(char **command, const GArray *memory);
/* Ends it. */
void bare_host_free(BareHost *host);
/* Sends a line to the monitor, with the descriptor FD or -1. */
void bare_tell(BareHost *host, const char *line, int fd);
/* Until the monitor said WORDS, after what was waited for before. */
void bare_wait_monitor(BareHost *host, const char *words);
void bare_wait_hello(BareHost *host);
/* Says hello to an agent that is up, and waits for its answer. */
void bare_greet(BareHost *host);
/* Has the agent run SCRIPT by the shell, or `true` for NULL, and waits for its end. */
void bare_run(BareHost *host, const char *script);
