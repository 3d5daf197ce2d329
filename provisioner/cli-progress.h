/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What a servant tells of its work, on standard error: on a terminal one line that is
 * written anew, with a bar, and what is done stays above it with the time that it took;
 * elsewhere a line when something begins. Only cmd-*.c include it.
 */
#pragma once

#include "servant.h"

typedef struct CliProgress CliProgress;

CliProgress *cli_progress_new(void);
/* A ServantEvent; USER_DATA is the CliProgress. */
void cli_progress_event(JsonObject *event, gpointer user_data);
/* WHAT we do ourselves begins, which may be over at once: shown on a terminal, where it
 * stays if it took two seconds; nothing elsewhere. */
void cli_progress_step(CliProgress *progress, const char *what);
/* The last thing is done, or, if not WELL, has failed. */
void cli_progress_end(CliProgress *progress, gboolean well);
void cli_progress_free(CliProgress *progress);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CliProgress, cli_progress_free)
