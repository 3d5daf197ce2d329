/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * How quickly something gets done, as it was in the last seconds, and how long the rest
 * takes. The clock is the caller's.
 */
#pragma once

#include <glib.h>

#define PACE_SAMPLES 16

typedef struct {
    gint64 at_us[PACE_SAMPLES], done[PACE_SAMPLES];
    guint count; /* of all samples; the last ones are here */
} Pace;

/* DONE is what is done at NOW_US, never less than before. */
void pace_add(Pace *pace, gint64 now_us, gint64 done);
/* A second; 0: not known yet. */
double pace_rate(const Pace *pace);
/* Seconds until TOTAL is done, or -1: not known. */
gint64 pace_left_s(const Pace *pace, gint64 total);
