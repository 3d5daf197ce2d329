/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "schedule.h"

#include "error.h"

#define MIB (1024 * 1024)

gboolean
schedule_admit(const Schedule *schedule, const char *name, gint64 memory_bytes,
               GError **error)
{
    if (memory_bytes <= schedule->memory_bytes)
        return TRUE;
    g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE,
                "%s needs %" G_GINT64_FORMAT " MiB of memory; %" G_GINT64_FORMAT
                " MiB may be used here (cgroup limits count)",
                name, (memory_bytes + MIB - 1) / MIB, schedule->memory_bytes / MIB);
    return FALSE;
}

gboolean
schedule_enter(Schedule *schedule, gint64 memory_bytes)
{
    if (schedule->running >= MAX(schedule->places, 1))
        return FALSE;
    /* The first one was admitted, so it may always go. */
    if (schedule->running > 0 &&
        memory_bytes > schedule->memory_bytes - schedule->used_bytes)
        return FALSE;
    schedule->running++;
    schedule->used_bytes += memory_bytes;
    return TRUE;
}

void
schedule_leave(Schedule *schedule, gint64 memory_bytes)
{
    schedule->running--;
    schedule->used_bytes -= memory_bytes;
}

void
schedule_deal(const Schedule *schedule, ScheduleShare *shares, gsize n, gboolean waits)
{
    gint64 places = (gint64)MAX(schedule->places, 1) - schedule->running;
    gint64 memory_bytes = schedule->memory_bytes - schedule->used_bytes;
    for (gsize i = 0; i < n; i++) {
        places += shares[i].held;
        memory_bytes += shares[i].held * shares[i].memory_bytes;
        shares[i].fair = 0;
    }
    for (gboolean gave = !waits; gave;) {
        gave = FALSE;
        for (gsize i = 0; i < n; i++) {
            ScheduleShare *share = &shares[i];
            if (share->fair + 1 >= share->could || places < 1 ||
                share->memory_bytes > memory_bytes)
                continue;
            share->fair++;
            places--;
            memory_bytes -= share->memory_bytes;
            gave = TRUE;
        }
    }
}
