/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Who waits at a terminal for longer than two seconds is told what for, and for how long
 * by now, in one line that goes when the wait is over. It is written by a thread of its
 * own, so that it goes on whatever the other one does. Elsewhere nothing is written.
 */
#pragma once

#include <glib.h>

typedef struct CliWait CliWait;

/* From now on WHAT is waited for ("asking the emulator what it can do"). One that is
 * begun within another takes its place. */
CliWait *cli_wait_new(const char *what);
void cli_wait_free(CliWait *wait);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CliWait, cli_wait_free)

/* Before anything else is written to the terminal: the line goes, and comes again after
 * another two seconds. */
void cli_wait_clear(void);
