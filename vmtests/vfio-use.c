/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vfio-use.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "vfio-device.h"

#define TRUST "/sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts"
#define TRUST_IOMMUFD "/sys/module/iommufd/parameters/allow_unsafe_interrupts"

int
vfio_suite_main(const char *name, const struct CMUnitTest *tests, size_t count)
{
    if (suite_is_live() && vfio_load() < 0) {
        printf("1..0 # SKIP the kernel has no vfio-pci\n");
        return 77;
    }
    return suite_main(name, tests, count);
}

bool
vfio_trust(bool trust)
{
    const char *value = trust ? "Y" : "N";
    bool has_iommufd = access(TRUST_IOMMUFD, F_OK) == 0;
    return suite_write(value, TRUST) == 0 &&
           (!has_iommufd || suite_write(value, TRUST_IOMMUFD) == 0);
}

static void
trust_no_more(long unused)
{
    vfio_trust(false);
}

void
vfio_trust_interrupts(void)
{
    const char *trusted = suite_is_live() ? suite_read(TRUST) : "Y";
    if (suite_fact("iommu intremap") || (trusted && *trusted == 'Y'))
        return;
    suite_at_end(trust_no_more, 0);
    if (!vfio_trust(true))
        fail_msg("VFIO cannot be told to trust interrupts: %s", strerror(errno));
}

void
vfio_hold(VfioHeld *what, const char *address)
{
    *what = VFIO_HELD_NONE;
    vfio_trust_interrupts();
    int result = pci_bind(address, "vfio-pci");
    if (result == 0)
        result = vfio_container_open(&what->container);
    if (result == 0)
        result = vfio_device_open(&what->device, &what->container, address);
    if (result == 0)
        result = what->event = vfio_eventfd();
    if (result < 0)
        fail_msg("%s is not ours by VFIO: %s", address, strerror(-result));
}

void
vfio_release(VfioHeld *what)
{
    if (what->device.fd >= 0)
        vfio_device_close(&what->device);
    if (what->container.fd >= 0)
        vfio_container_close(&what->container);
    if (what->event >= 0)
        close(what->event);
    *what = VFIO_HELD_NONE;
}
