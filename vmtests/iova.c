/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "iova.h"

/* How many addresses there are from *FIRST on, which is moved up to the first of them, so
 * that what begins there ends at LAST or before. */
static uint64_t
places(uint64_t *first, uint64_t last, uint64_t size, uint64_t alignment)
{
    uint64_t start = (*first + alignment - 1) & ~(alignment - 1);
    if (start < *first || start > last || last - start < size - 1)
        return 0;
    *first = start;
    return (last - start - (size - 1)) / alignment + 1;
}

bool
iova_pick(const VfioInfo *info, Random *random, uint64_t size, uint64_t alignment,
          uint64_t first, uint64_t last, uint64_t *iova)
{
    uint64_t start[VFIO_RANGES_MAX], count[VFIO_RANGES_MAX], total = 0;
    for (unsigned i = 0; i < info->range_count; i++) {
        uint64_t end = info->ranges[i].last < last ? info->ranges[i].last : last;
        start[i] = info->ranges[i].first > first ? info->ranges[i].first : first;
        count[i] = places(&start[i], end, size, alignment);
        total += count[i];
    }
    if (total == 0)
        return false;
    uint64_t choice = random_within(random, 0, total - 1);
    unsigned range = 0;
    while (choice >= count[range])
        choice -= count[range++];
    *iova = start[range] + choice * alignment;
    return true;
}
