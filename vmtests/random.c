/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014):
 * every seed is as good as another, zero too.
 */
#include "random.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

uint64_t
random_seed(const char *command_line)
{
    static const char word[] = "hostbed.seed=";
    const char *text = getenv("HOSTBED_SEED");
    if (text && *text)
        return strtoull(text, NULL, 10);
    text = command_line ? strstr(command_line, word) : NULL;
    if (text)
        return strtoull(text + strlen(word), NULL, 10);
    uint32_t seed; /* short, as people type it again */
    if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) != sizeof seed)
        seed = (uint32_t)time(NULL);
    return seed;
}

uint64_t
random_next(Random *random)
{
    uint64_t value = random->state += 0x9e3779b97f4a7c15u;
    value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9u;
    value = (value ^ value >> 27) * 0x94d049bb133111ebu;
    return value ^ value >> 31;
}

uint64_t
random_within(Random *random, uint64_t first, uint64_t last)
{
    uint64_t count = last - first + 1; /* 0: all there are */
    uint64_t value = random_next(random);
    return first + (count == 0 ? value : value % count);
}

void
random_fill(Random *random, void *bytes, size_t size)
{
    unsigned char *at = bytes;
    while (size > 0) {
        uint64_t value = random_next(random);
        size_t part = size < sizeof value ? size : sizeof value;
        memcpy(at, &value, part);
        at += part;
        size -= part;
    }
}
