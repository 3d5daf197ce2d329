/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * How many places each host has whose clones run at the same time. A place that was given
 * is ours again when the host's process has answered that it knows, and uses it no more.
 */
#include "cmd-test-run.h"

static gboolean
somebody_waits(const Run *run)
{
    for (guint i = 0; i < run->labs->len; i++) {
        const TestLab *lab = run->labs->pdata[i];
        for (guint j = 0; j < lab->hosts->len; j++) {
            const TestHost *host = lab->hosts->pdata[j];
            if (!host->done && !host->job)
                return TRUE;
        }
    }
    return FALSE;
}

/* TestHost, borrowed: those that run. */
static GPtrArray *
running_hosts(const Run *run)
{
    GPtrArray *list = g_ptr_array_new();
    for (guint i = 0; i < run->labs->len; i++) {
        const TestLab *lab = run->labs->pdata[i];
        for (guint j = 0; j < lab->hosts->len; j++) {
            TestHost *host = lab->hosts->pdata[j];
            if (host->job)
                g_ptr_array_add(list, host);
        }
    }
    return list;
}

/* Takes places back at once, gives those that are free. */
static void
allow(Run *run, TestHost *host, guint fair)
{
    guint places = MIN(host->allowed, fair + 1);
    while (places < fair + 1 &&
           (host->held >= places || schedule_enter(&run->schedule, host->memory_bytes))) {
        host->held = MAX(host->held, places);
        places++;
    }
    if (places == host->allowed)
        return;
    host->allowed = places;
    JsonObject *order = json_object_new();
    json_object_set_int_member(order, "places", places);
    job_order(host->job, order);
}

void
run_share_places(Run *run)
{
    g_autoptr(GPtrArray) hosts = running_hosts(run);
    g_autofree ScheduleShare *shares = g_new0(ScheduleShare, hosts->len);
    for (guint i = 0; i < hosts->len; i++) {
        const TestHost *host = hosts->pdata[i];
        shares[i] = (ScheduleShare){.could = host->places.could,
                                    .memory_bytes = host->memory_bytes,
                                    .held = host->held};
    }
    schedule_deal(&run->schedule, shares, hosts->len,
                  run->interrupts > 0 || somebody_waits(run));
    for (guint i = 0; i < hosts->len; i++)
        allow(run, hosts->pdata[i], shares[i].fair);
}

/* PLACES are what HOST's process says; all zero: it is gone. */
void
run_take_places(Run *run, TestHost *host, const JobPlaces *places)
{
    guint needed = MAX(places->runs, places->may);
    if (host->job)
        needed = MAX(needed, host->allowed);
    for (; host->held > 0 && host->held + 1 > needed; host->held--)
        schedule_leave(&run->schedule, host->memory_bytes);
    run->schedule.used_bytes += places->template_bytes - host->places.template_bytes;
    host->places = *places;
}
