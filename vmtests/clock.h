/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * How long something takes, wherever it is compiled into: suites, agent, guests.
 */
#pragma once

#include <stdint.h>
#include <time.h>

/* Milliseconds of a clock that nobody sets and that only goes forward. */
static inline int64_t
now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}
