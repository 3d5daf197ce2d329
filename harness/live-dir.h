/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Where labs that are up are found again: a folder of the user's that the machine forgets
 * when it restarts ($XDG_RUNTIME_DIR/hostbed, else the same below /run/user or the folder
 * for temporary files), and in it one for each lab, with the lock that says that its
 * supervisor lives, the socket that it answers on, and its state (live-state.h).
 *
 * Nobody else may have made these folders or write there.
 */
#pragma once

#include <glib.h>

#define LIVE_STATE "state.json"

/* The folder of all labs, owned by the caller. MAKE: it is made if need be. NULL without
 * ERROR: it is not there. */
char *live_dir(gboolean make, GError **error);

/* The folder of a lab, as its supervisor has it. */
typedef struct {
    char *dir, *path; /* of all labs, and its own */
    int lock;
    int listener; /* the socket that others connect with */
} LivePlace;

/* Takes the folder of LAB, which is made anew. HB_FAIL: another supervisor has it. */
LivePlace *live_place_take(const char *dir, const char *lab, GError **error);
/* The folder is gone when this returns, and another may take it. */
void live_place_leave(LivePlace *place);

/* Whether a supervisor has LAB. */
gboolean live_is_held(const char *dir, const char *lab);
/* The names of the labs that have a folder in DIR, in order. */
GStrv live_labs(const char *dir);
/* A connection to the supervisor of LAB, or -1. */
int live_connect(const char *dir, const char *lab, GError **error);
/* Removes what a supervisor has left that did not end as it should; one that lives keeps
 * all. FALSE: there was nothing to remove, or ERROR. */
gboolean live_clear(const char *dir, const char *lab, GError **error);
