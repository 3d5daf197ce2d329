/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * VFIO in hosts that remap no interrupts.
 */
#pragma once

/* VFIO refuses functions whose interrupts are not remapped (EPERM) unless it is told that
 * they are trusted, which it is here until the case ends, if the manifest has no
 * "iommu intremap". Fails the case where it cannot be told. After vfio_load(). */
void vfio_trust_interrupts(void);
