/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * How a suite in the host learns what frames there were on a network of the lab, as seen
 * from outside of the host, in the way of ask-wire.h:
 *
 *     # hostbed: count NETWORK
 *
 * NETWORK is one of COUNT_ENVIRONMENT. The answer has the number of frames since the last
 * such request about this network (or since the host was started), and in sixteen digits
 * the sum over all that was in them, in order, COUNT_SUM_START when there was none:
 *
 *     NETWORK counted FRAMES SUM
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "ask-wire.h"

#define COUNT_ENVIRONMENT "HOSTBED_COUNTED" /* networks, parted by blanks */

/* FNV-1a of 64 bits, over the length of each frame (two bytes, the low one first) and its
 * bytes. */
#define COUNT_SUM_START UINT64_C(0xcbf29ce484222325)

static inline uint64_t
count_sum_byte(uint64_t sum, unsigned char byte)
{
    return (sum ^ byte) * UINT64_C(0x100000001b3);
}

static inline uint64_t
count_sum(uint64_t sum, const unsigned char *frame, size_t length)
{
    sum = count_sum_byte(sum, length & 0xff);
    sum = count_sum_byte(sum, length >> 8 & 0xff);
    for (size_t i = 0; i < length; i++)
        sum = count_sum_byte(sum, frame[i]);
    return sum;
}
