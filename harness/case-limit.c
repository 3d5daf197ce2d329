/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "case-limit.h"

/* A start on the reference machine: two cores that do little else, plain emulation of
 * QEMU 7.2, Debian's kernel 6.1. Of what differs from lab to lab functions cost most.
 * With KVM all takes SUITE_TCG_FACTOR times less. */
#define START_US (4 * (gint64)G_USEC_PER_SEC)
#define START_FUNCTION_US ((gint64)G_USEC_PER_SEC / 5)

#define TICK_MS 500
/* Of a longer turn the rest was not the host's: we, or the whole machine, stood still. */
#define TURN_MAX_US (2 * TICK_MS * 1000)

struct CaseLimit {
    const SessionDriver *driver;
    void *host;
    gint64 limit_us;
    gint64 turn_us;              /* the last one, on the monotonic clock */
    gint64 taken_us, starved_us; /* by the present case */
    gboolean passed;
    guint source;
};

double
case_limit_slowness(const Plan *plan, Accel accel, gint64 boot_us)
{
    gint64 reference_us = START_US + plan->functions->len * START_FUNCTION_US;
    if (accel == ACCEL_KVM)
        reference_us /= SUITE_TCG_FACTOR;
    return MAX(1.0, (double)boot_us / (double)reference_us);
}

void
case_limit_pass(CaseLimit *limit, gint64 wall_us, gint64 starved_us)
{
    gint64 counted_us = MIN(wall_us, TURN_MAX_US) - starved_us;
    counted_us = MAX(counted_us, 0);
    limit->taken_us += counted_us;
    limit->starved_us += wall_us - counted_us;
    if (limit->passed || limit->taken_us < limit->limit_us)
        return;
    limit->passed = TRUE;
    limit->driver->time_out(limit->host);
}

static gboolean
on_tick(gpointer user_data)
{
    CaseLimit *limit = user_data;
    gint64 now_us = g_get_monotonic_time();
    gint64 starved_us =
        limit->driver->starved_us ? limit->driver->starved_us(limit->host) : 0;
    case_limit_pass(limit, now_us - limit->turn_us, starved_us);
    limit->turn_us = now_us;
    return G_SOURCE_CONTINUE;
}

CaseLimit *
case_limit_new(const SessionDriver *driver, void *host, gint64 limit_ms)
{
    CaseLimit *limit = g_new0(CaseLimit, 1);
    limit->driver = driver;
    limit->host = host;
    limit->limit_us = limit_ms * 1000;
    limit->turn_us = g_get_monotonic_time();
    if (driver->starved_us)
        driver->starved_us(host); /* what was before does not concern us */
    limit->source = g_timeout_add(TICK_MS, on_tick, limit);
    return limit;
}

void
case_limit_free(CaseLimit *limit)
{
    g_source_remove(limit->source);
    g_free(limit);
}

void
case_limit_restart(CaseLimit *limit)
{
    limit->taken_us = limit->starved_us = 0;
}

gboolean
case_limit_passed(const CaseLimit *limit)
{
    return limit->passed;
}

gint64
case_limit_starved_us(const CaseLimit *limit)
{
    return limit->starved_us;
}
