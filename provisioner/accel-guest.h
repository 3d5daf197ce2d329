/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The small guest that accel.c runs to its end, and the suite nested inside a host. libc
 * only.
 */
#pragma once

#include <stddef.h>

/* What it writes to port 0xf4 at its end; isa-debug-exit makes (2 × value + 1) of it. */
#define ACCEL_GUEST_DONE 0x2a
#define ACCEL_GUEST_WRONG 0x2b

/* The guest as a Multiboot kernel; NULL where it cannot be built. */
const void *accel_guest(size_t *length);
