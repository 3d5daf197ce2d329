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
