/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * How many hosts may run at the same time: as many as there are places, and as their
 * memory allows. It only counts; it starts nothing.
 */
#pragma once

#include <glib.h>

typedef struct {
    guint places;        /* hosts at the same time */
    gint64 memory_bytes; /* that all of them may use together */
    guint running;
    gint64 used_bytes;
} Schedule;

/* Whether the host NAME, which needs MEMORY_BYTES, could ever run; HB_INFRASTRUCTURE with
 * both numbers. */
gboolean schedule_admit(const Schedule *schedule, const char *lab, gint64 memory_bytes,
                        GError **error);
/* TRUE: it may start now and is counted in until schedule_leave(). */
gboolean schedule_enter(Schedule *schedule, gint64 memory_bytes);
void schedule_leave(Schedule *schedule, gint64 memory_bytes);
