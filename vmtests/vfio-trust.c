/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vfio-trust.h"

#include "suite.h"

#define TRUST "/sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts"

void
vfio_trust_interrupts(void)
{
    const char *trusted = suite_read(TRUST);
    if (!suite_fact("iommu intremap") && (!trusted || *trusted != 'Y'))
        suite_set("Y", TRUST);
}
