/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pace.h"

/* Closer samples than this are one: the last 8 seconds count. */
#define APART_US (G_USEC_PER_SEC / 2)

void
pace_add(Pace *pace, gint64 now_us, gint64 done)
{
    guint last = (pace->count + PACE_SAMPLES - 1) % PACE_SAMPLES;
    guint before = (pace->count + PACE_SAMPLES - 2) % PACE_SAMPLES;
    if (pace->count < 2 || now_us - pace->at_us[before] >= APART_US)
        last = pace->count++ % PACE_SAMPLES;
    pace->at_us[last] = now_us;
    pace->done[last] = done;
}

double
pace_rate(const Pace *pace)
{
    if (pace->count < 2)
        return 0;
    guint last = (pace->count - 1) % PACE_SAMPLES;
    guint first = pace->count > PACE_SAMPLES ? pace->count % PACE_SAMPLES : 0;
    gint64 us = pace->at_us[last] - pace->at_us[first];
    return us > 0 ? (double)(pace->done[last] - pace->done[first]) * 1e6 / (double)us : 0;
}

gint64
pace_left_s(const Pace *pace, gint64 total)
{
    double rate = pace_rate(pace);
    gint64 done = pace->count ? pace->done[(pace->count - 1) % PACE_SAMPLES] : 0;
    if (rate < 1 || total < done)
        return -1;
    double left = (double)(total - done) / rate;
    return left < 1e9 ? (gint64)(left + 0.5) : -1;
}
