/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Suite vfio: drivers, groups, containers.
 */
#include "vfio-suite.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* ---- drivers
 * -------------------------------------------------------------------------------------------
 */

static void
has_mac(const char *interface, void *data)
{
    const char **asked = data;
    const char *mac = suite_read("/sys/class/net/%s/address", interface);
    if (*asked && mac && strcmp(mac, *asked) == 0)
        *asked = NULL;
}

void
function_is_bound_and_given_back(void **state)
{
    const char *address = nic();
    const Fact *driver = suite_fact("pci %s driver", address);
    const Fact *mac = suite_fact("pci %s mac", address);
    leave_to_the_host(address);
    take(*state, address);
    if (access(suite_path("/dev/vfio/%d", pci_group(address)), F_OK) < 0)
        fail_msg("vfio-pci has %s, and there is no file of its group", address);
    if (access(suite_path(DEVICES "/%s/net", address), F_OK) == 0)
        fail_msg("vfio-pci has %s, and it has a network interface", address);
    if (!suite_has_fault("function_is_bound_and_given_back"))
        must(pci_bind(address, NULL), "no driver of the host takes %s back", address);
    if (driver && strcmp(pci_driver(address), driver->word[3]) != 0)
        fail_msg("%s went from vfio-pci to %s, asked was %s", address,
                 pci_driver(address), driver->word[3]);
    const char *asked = mac ? mac->word[3] : NULL;
    suite_list(has_mac, &asked, DEVICES "/%s/net", address);
    if (asked)
        fail_msg("%s is back, and has no interface with %s", address, asked);
}

/* ---- groups
 * --------------------------------------------------------------------------------------------
 */

void
group_is_viable_beside_bridges(void **state)
{
    Bench *bench = *state;
    const char *address = nic();
    int number = pci_group(address);
    leave_to_the_host(address);
    must_refuse(vfio_group_open(number), ENOENT, "the group of %s, which e1000e has",
                address);
    take(bench, address);
    if (suite_has_fault("group_is_viable_beside_bridges"))
        pci_bind(address, NULL);
    must(vfio_container_open(&bench->container), "/dev/vfio/vfio cannot be opened");
    int group =
        keep(bench, vfio_group_open(number), "the group of the NIC cannot be opened");
    int flags = vfio_group_flags(group);
    must(flags, "the group does not tell its status");
    if (flags != VFIO_GROUP_FLAGS_VIABLE)
        fail_msg("the group of %s has the flags %#x; asked was only: viable", address,
                 (unsigned)flags);
    must(vfio_group_attach(group, &bench->container), "the group gets no container");
    flags = vfio_group_flags(group);
    if (flags != (VFIO_GROUP_FLAGS_VIABLE | VFIO_GROUP_FLAGS_CONTAINER_SET))
        fail_msg("the group of %s is in a container and has the flags %#x", address,
                 (unsigned)flags);
}

void
group_is_opened_once(void **state)
{
    Bench *bench = *state;
    const char *address = nic();
    take(bench, address);
    int group = vfio_group_open(pci_group(address));
    if (suite_has_fault("group_is_opened_once"))
        close(group);
    else
        keep(bench, group, "the group cannot be opened");
    must_refuse(vfio_group_open(pci_group(address)), EBUSY, "opening the group again");
}

/* One that is taken from its driver takes its virtual functions along. */
static bool
has_virtual_functions(const char *address)
{
    const char *count = suite_read("/sys/bus/pci/devices/%s/sriov_numvfs", address);
    return count && strcmp(count, "0") != 0;
}

int
shared_group(const char *members[MEMBERS_MAX])
{
    for (const Fact *fact = suite_facts(); fact->count > 0; fact++) {
        int found = 0;
        for (int i = 1; fact_is(fact, "group") && i < fact->count; i++) {
            const Fact *class = suite_fact("pci %s class", fact->word[i]);
            if (!class || strncmp(class->word[3], "02", 2) != 0 || found == MEMBERS_MAX)
                continue;
            if (has_virtual_functions(fact->word[i])) {
                found = 0;
                break;
            }
            members[found++] = fact->word[i];
        }
        if (found >= 2)
            return found;
    }
    return 0;
}

void
group_with_a_function_of_the_host_is_refused(void **state)
{
    Bench *bench = *state;
    const char *members[MEMBERS_MAX];
    suite_needs_live();
    int count = shared_group(members);
    if (count == 0) {
        print_message("no two NICs of the lab are in the same IOMMU group\n");
        skip();
    }
    take(bench, members[0]);
    if (suite_has_fault("group_with_a_function_of_the_host_is_refused"))
        take(bench, members[1]);
    must(vfio_container_open(&bench->container), "/dev/vfio/vfio cannot be opened");
    int group = keep(bench, vfio_group_open(pci_group(members[0])),
                     "the shared group cannot be opened");
    if (vfio_group_flags(group) & VFIO_GROUP_FLAGS_VIABLE)
        fail_msg("the group of %s is viable, and the host has %s", members[0],
                 members[1]);
    must_refuse(vfio_group_attach(group, &bench->container), EPERM,
                "a container for the group of %s, while the host has %s", members[0],
                members[1]);
    for (int i = 1; i < count; i++)
        take(bench, members[i]);
    must(vfio_group_attach(group, &bench->container),
         "the whole group gets no container");
    keep(bench, vfio_group_device(group, members[0]), "the first function");
    keep(bench, vfio_group_device(group, members[1]), "the second function");
}

/* The other cases work with trust on such hosts. */
void
interrupts_that_are_not_remapped_are_refused(void **state)
{
    Bench *bench = *state;
    const char *address = nic();
    if (suite_fact("iommu intremap")) {
        print_message("the lab's IOMMU remaps interrupts\n");
        skip();
    }
    take(bench, address);
    must(vfio_container_open(&bench->container), "/dev/vfio/vfio cannot be opened");
    int group = keep(bench, vfio_group_open(pci_group(address)), "the group");
    bool is_set =
        vfio_trust(suite_has_fault("interrupts_that_are_not_remapped_are_refused"));
    int result = vfio_group_attach(group, &bench->container);
    bool is_back = vfio_trust(true);
    if (!is_set || !is_back)
        fail_msg("whether interrupts are trusted cannot be set");
    must_refuse(result, EPERM, "a container for %s without remapping", address);
    must(vfio_group_attach(group, &bench->container), "a container with trust");
}

/* ---- containers
 * ----------------------------------------------------------------------------------------
 */

#define VFIO_NOIOMMU_IOMMU_TYPE 8

static void
put_a_group_in(Bench *bench, const char *address)
{
    take(bench, address);
    int group = keep(bench, vfio_group_open(pci_group(address)), "a group");
    must(ioctl(group, VFIO_GROUP_SET_CONTAINER, &bench->container.fd), "a container");
}

void
container_is_of_type1(void **state)
{
    Bench *bench = *state;
    const char *address = nic();
    must(vfio_container_open(&bench->container), "/dev/vfio/vfio cannot be opened");
    if (suite_has_fault("container_is_of_type1"))
        put_a_group_in(bench, address);
    int fd = bench->container.fd;
    int version = ioctl(fd, VFIO_GET_API_VERSION);
    if (version != VFIO_API_VERSION)
        fail_msg("the interface has the version %d, asked was %d", version,
                 VFIO_API_VERSION);
    static const int types[] = {VFIO_TYPE1_IOMMU, VFIO_TYPE1v2_IOMMU, VFIO_UNMAP_ALL};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (ioctl(fd, VFIO_CHECK_EXTENSION, types[i]) != 1)
            fail_msg("the container lacks the extension %d", types[i]);
    if (ioctl(fd, VFIO_CHECK_EXTENSION, VFIO_NOIOMMU_IOMMU_TYPE) != 0)
        fail_msg("the container offers to do without an IOMMU");
    if (ioctl(fd, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU) == 0)
        fail_msg("a container without a group takes a type");
}
