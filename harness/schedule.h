/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * How many hosts may run at the same time, clones of the same template counted: as many
 * as there are places, and as their memory allows. It only counts; it starts nothing.
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

/* A host that runs, in a place of its own, and could use more. */
typedef struct {
    guint could;         /* places, its own counted */
    gint64 memory_bytes; /* of each */
    guint held;          /* places that it has beside its own, counted in */
    guint fair;          /* places that it is to have beside its own */
} ScheduleShare;

/* Finds what is FAIR for each of the N SHARES: what the hosts leave is dealt one by one
 * in turn. WAITS: a host waits to be started, and goes before clones of others. */
void
schedule_deal(const Schedule *schedule, ScheduleShare *shares, gsize n, gboolean waits);
