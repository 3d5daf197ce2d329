/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What suites that use VFIO need of the host before: that it is there, and that it takes
 * functions whose interrupts are not remapped.
 */
#pragma once

#include "suite.h"

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
