/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What suites that use VFIO need of the host before: that it is there, and that it takes
 * functions whose interrupts are not remapped. And a function that is held so.
 */
#pragma once

#include "suite.h"
#include "vfio-device.h"

/* As suite_run(), with VFIO loaded; without it a live host's suite is skipped whole. */
#define vfio_suite_run(name, tests)                                                      \
    vfio_suite_main(name, tests, sizeof(tests) / sizeof((tests)[0]))
int vfio_suite_main(const char *name, const struct CMUnitTest *tests, size_t count);

/* VFIO refuses functions whose interrupts are not remapped (EPERM) unless it is told that
 * they are trusted. FALSE: it cannot be told. After vfio_load(). */
bool vfio_trust(bool trust);
/* In a live host whose manifest has no "iommu intremap" they are trusted until the case
 * ends; fails the case where they cannot be. */
void vfio_trust_interrupts(void);

/* A function that is held through VFIO. */
typedef struct {
    VfioContainer container;
    VfioDevice device;
    int event; /* an eventfd for one of its interrupts */
} VfioHeld;

/* Nothing is open. */
#define VFIO_HELD_NOTHING                                                                \
    {                                                                                    \
        .container = {.fd = -1}, .device = {.fd = -1, .group = -1}, .event = -1          \
    }
#define VFIO_HELD_NONE ((VfioHeld)VFIO_HELD_NOTHING)

/* Gives the function to vfio-pci and opens it; fails the case where that cannot be.
 * WHAT is always to be released; who has the function afterwards is the caller's. */
void vfio_hold(VfioHeld *what, const char *address);
/* Closes what is open of it. */
void vfio_release(VfioHeld *what);
