/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * How long one case of a suite may take, by a clock that follows the machine. A limit is
 * said in seconds of a reference machine, and is longer where the host's start took
 * longer than there. Time for which the host wanted to compute and had no processor, or
 * we had none, does not count: a case that gets on, however slowly, on a machine that was
 * quiet when the host was started and is busy now, is not ended.
 */
#pragma once

#include "session.h"

/* How many times slower than the reference machine the start of PLAN's host was, from its
 * spawn to the agent's first word; never below 1. */
double case_limit_slowness(const Plan *plan, Accel accel, gint64 boot_us);

typedef struct CaseLimit CaseLimit;

/* Begins with the first case of a suite on HOST, which is DRIVER's. When a case takes
 * longer than LIMIT_MS the driver's time_out() is called, once. */
CaseLimit *case_limit_new(const SessionDriver *driver, void *host, gint64 limit_ms);
void case_limit_free(CaseLimit *limit);
/* The next case begins, or this one is known to get on. */
void case_limit_restart(CaseLimit *limit);
/* It was too long; what comes now is no case any more. */
gboolean case_limit_passed(const CaseLimit *limit);
/* Of the present case: what did not count. */
gint64 case_limit_starved_us(const CaseLimit *limit);

/* For tests: WALL_US have gone by since the last time, of which the host had to do
 * without a processor for STARVED_US. */
void case_limit_pass(CaseLimit *limit, gint64 wall_us, gint64 starved_us);
