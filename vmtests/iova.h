/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * I/O addresses, chosen at random where an IOMMU takes mappings. Pure.
 */
#pragma once

#include "random.h"
#include "vfio-device.h"

/* An address for SIZE bytes, a multiple of ALIGNMENT (a power of two), so that all of
 * them are within FIRST..LAST and one of INFO's ranges. FALSE: there is none. */
bool iova_pick(const VfioInfo *info, Random *random, uint64_t size, uint64_t alignment,
               uint64_t first, uint64_t last, uint64_t *iova);
