/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Random numbers that can be had again: a suite prints its seed, and the same seed gives
 * the same addresses and payloads. Not for secrets. libc only.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint64_t state; /* the seed at first */
} Random;

/* The seed of this run: HOSTBED_SEED of the environment, else hostbed.seed= of the
 * kernel's command line COMMAND_LINE (or NULL), else one that no other run has. */
uint64_t random_seed(const char *command_line);

uint64_t random_next(Random *random);
/* FIRST ≤ result ≤ LAST. */
uint64_t random_within(Random *random, uint64_t first, uint64_t last);
void random_fill(Random *random, void *bytes, size_t size);
