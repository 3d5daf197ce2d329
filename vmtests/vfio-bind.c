/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Which function to take, and who drives it.
 */
#include "vfio-device.h"

#include "modprobe.h"
#include "suite.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEVICES "/sys/bus/pci/devices"
#define DRIVERS "/sys/bus/pci/drivers"

/* ---- which function
 * ------------------------------------------------------------------------------------ */

static bool
is_bridge(const char *address)
{
    const Fact *class = suite_fact("pci %s class", address);
    return class && strncmp(class->word[3], "0604", 4) == 0;
}

static bool
is_alone(const char *address)
{
    const Fact *group = suite_group_of(address);
    if (!group)
        return false;
    for (int i = 1; i < group->count; i++)
        if (strcmp(group->word[i], address) != 0 && !is_bridge(group->word[i]))
            return false;
    return true;
}

const char *
vfio_choose(const char *id, unsigned which)
{
    for (const Fact *fact = suite_facts(); fact->count > 0; fact++)
        if (fact->count == 4 && strcmp(fact->word[0], "pci") == 0 &&
            strcmp(fact->word[2], "id") == 0 && strcmp(fact->word[3], id) == 0 &&
            is_alone(fact->word[1]) && which-- == 0)
            return fact->word[1];
    return NULL;
}

/* ---- drivers
 * -------------------------------------------------------------------------------------------
 */

int
vfio_load(void)
{
    static const char *const modules[] = {"vfio_iommu_type1", "vfio-pci"};
    for (size_t i = 0; i < sizeof modules / sizeof modules[0]; i++)
        modprobe(modules[i]);
    bool is_there =
        access("/dev/vfio/vfio", F_OK) == 0 && access(DRIVERS "/vfio-pci", F_OK) == 0;
    return is_there ? 0 : -ENOENT;
}

const char *
pci_driver(const char *address)
{
    return suite_link(DEVICES "/%s/driver", address);
}

int
pci_unbind(const char *address)
{
    int result = vfio_result(suite_write(address, DEVICES "/%s/driver/unbind", address));
    return result == -ENOENT ? 0 : result;
}

/* An empty override is written as a line without a word. */
static int
set_override(const char *address, const char *driver)
{
    return vfio_result(
        suite_write(driver ? driver : "\n", DEVICES "/%s/driver_override", address));
}

int
pci_bind(const char *address, const char *driver)
{
    int result = set_override(address, driver);
    if (result < 0)
        return result;
    const char *present = pci_driver(address);
    if (driver && present && strcmp(present, driver) == 0)
        return 0;
    result = pci_unbind(address);
    if (result < 0)
        return result;
    result = vfio_result(suite_write(address, "/sys/bus/pci/drivers_probe"));
    present = pci_driver(address);
    if (!present || (driver && strcmp(present, driver) != 0))
        return result < 0 ? result : -ENODEV;
    return 0;
}

int
pci_return(const char *address)
{
    const char *driver = pci_driver(address);
    return driver && strcmp(driver, "vfio-pci") == 0 ? pci_bind(address, NULL) : 0;
}

int
pci_group(const char *address)
{
    const char *group = suite_link(DEVICES "/%s/iommu_group", address);
    return group ? atoi(group) : -ENOENT;
}
