/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Suite vfio: registers, configuration space, resets.
 */
#include "vfio-suite.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Any value: a register that only stores. */
#define SCRATCH E1000E_FCTTV
#define PATTERN 0x5aa5

/* ---- registers
 * -----------------------------------------------------------------------------------------
 */

/* "pci ADDRESS bar N KIND SIZE" */
static void
region_is_the_bar(const VfioDevice *device, const Fact *fact)
{
    unsigned index = (unsigned)atoi(fact->word[3]);
    bool is_memory = strncmp(fact->word[4], "mem", 3) == 0;
    uint64_t size = strtoull(fact->word[5], NULL, 10);
    struct vfio_region_info info;
    unsigned other = suite_has_fault("regions_are_the_bars") ? 1 : 0;
    must(vfio_region_info(device, index + other, &info), "region %u", index);
    if (info.size != size)
        differs_msg("region %u has %" PRIu64 " bytes, BAR %u was asked with %" PRIu64,
                    index, (uint64_t)info.size, index, size);
    uint32_t asked = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
    if (is_memory && size >= PAGE)
        asked |= VFIO_REGION_INFO_FLAG_MMAP;
    if ((info.flags & ~VFIO_REGION_INFO_FLAG_CAPS) != asked)
        fail_msg("region %u has the flags %#x, asked were %#x", index, info.flags, asked);
}

void
regions_are_the_bars(void **state)
{
    const VfioDevice *device = open_nic(*state);
    struct vfio_device_info info;
    must(vfio_device_info(device, &info), "the device does not tell what it is");
    if (!(info.flags & VFIO_DEVICE_FLAGS_PCI) ||
        info.num_regions < VFIO_PCI_NUM_REGIONS || info.num_irqs < VFIO_PCI_NUM_IRQS)
        fail_msg("%s is no whole PCI function: flags %#x, %u regions, %u interrupts",
                 device->address, info.flags, info.num_regions, info.num_irqs);
    int seen = 0;
    for (const Fact *fact = suite_facts(); fact->count > 0; fact++)
        if (fact->count == 6 && strcmp(fact->word[1], device->address) == 0 &&
            strcmp(fact->word[2], "bar") == 0) {
            region_is_the_bar(device, fact);
            seen++;
        }
    if (seen == 0)
        fail_msg("the manifest has no BAR of %s", device->address);
}

/* The same register in both ways. The link comes up by itself meanwhile, so that what is
 * read counts when the mapped register was the same before and after. */
static void
read_both_ways(const VfioDevice *device, volatile uint32_t *registers, uint32_t *mapped,
               uint32_t *read)
{
    for (int tries = 0; tries < 100; tries++) {
        *mapped = registers[E1000E_STATUS / 4];
        *read = read_register(device, E1000E_STATUS);
        if (registers[E1000E_STATUS / 4] == *mapped)
            return;
    }
    fail_msg("STATUS changes all the time, and was %08x", *mapped);
}

void
registers_are_mapped_and_read(void **state)
{
    const VfioDevice *device = open_nic(*state);
    volatile uint32_t *registers =
        map_region(*state, suite_has_fault("registers_are_mapped_and_read") ? 1 : 0);
    uint32_t mapped, read;
    read_both_ways(device, registers, &mapped, &read);
    if (mapped != read || mapped == UINT32_MAX || mapped == 0)
        fail_msg("STATUS is %08x when mapped and %08x when read", mapped, read);
    registers[SCRATCH / 4] = PATTERN;
    read = read_register(device, SCRATCH);
    if (read != PATTERN)
        fail_msg("%08x was stored and %08x is read", PATTERN, read);
    write_register(device, SCRATCH, PATTERN >> 1);
    mapped = registers[SCRATCH / 4];
    if (mapped != PATTERN >> 1)
        fail_msg("%08x was written and %08x is in the mapped register", PATTERN >> 1,
                 mapped);
}

/* ---- configuration space
 * ------------------------------------------------------------------------------- */

/* What the host sees, of the function itself. */
static uint16_t
host_config16(const char *address, off_t offset)
{
    uint16_t value = 0;
    int fd = open(suite_path(DEVICES "/%s/config", address), O_RDONLY | O_CLOEXEC);
    if (fd < 0 || pread(fd, &value, sizeof value, offset) != sizeof value)
        fail_msg("the configuration space of %s cannot be read", address);
    close(fd);
    return value;
}

static void
host_sees_master(const VfioDevice *device, bool asked)
{
    uint16_t command = host_config16(device->address, PCI_COMMAND);
    if (((command & PCI_COMMAND_MASTER) != 0) != asked)
        fail_msg("the bus master bit was %s through VFIO, and the host sees it %s",
                 asked ? "set" : "cleared", asked ? "cleared" : "set");
}

void
configuration_is_read_and_written_through(void **state)
{
    const VfioDevice *device = open_nic(*state);
    static const unsigned same[] = {PCI_VENDOR_ID, PCI_DEVICE_ID, PCI_CLASS_DEVICE,
                                    PCI_SUBSYSTEM_ID};
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
        uint16_t ours = vfio_config16(device, same[i]);
        uint16_t hosts = host_config16(device->address, (off_t)same[i]);
        if (ours != hosts)
            fail_msg("at %#x VFIO reads %04x and the host %04x", same[i], ours, hosts);
    }
    host_sees_master(device, true);
    uint16_t command = vfio_config16(device, PCI_COMMAND);
    if (!suite_has_fault("configuration_is_read_and_written_through"))
        must(vfio_config16_write(device, PCI_COMMAND, command & ~PCI_COMMAND_MASTER),
             "the command register cannot be written");
    host_sees_master(device, false);
    must(vfio_config16_write(device, PCI_COMMAND, command),
         "the command register cannot be written");
    host_sees_master(device, true);
}

/* Who could move a BAR could reach another function's registers. */
void
base_addresses_are_not_the_users(void **state)
{
    const VfioDevice *device = open_nic(*state);
    uint16_t before = host_config16(device->address, PCI_BASE_ADDRESS_0 + 2);
    must(vfio_config16_write(device, PCI_BASE_ADDRESS_0 + 2, (uint16_t)~before),
         "the base address register cannot be written");
    bool is_moved = suite_has_fault("base_addresses_are_not_the_users");
    uint16_t after = host_config16(
        device->address, (is_moved ? PCI_BASE_ADDRESS_1 : PCI_BASE_ADDRESS_0) + 2);
    if (after != before)
        fail_msg("BAR 0 was moved from %04x0000 to %04x0000", before, after);
}

/* ---- resets
 * --------------------------------------------------------------------------------------------
 */

static void
set_scratch(const VfioDevice *device)
{
    write_register(device, SCRATCH, PATTERN);
    if (read_register(device, SCRATCH) != PATTERN)
        fail_msg("the register %05x does not keep what is written", SCRATCH);
}

static void
scratch_is(const VfioDevice *device, uint32_t asked, const char *after)
{
    uint32_t found = read_register(device, SCRATCH);
    if (found != asked)
        fail_msg("after %s the register %05x is %08x, asked was %08x", after, SCRATCH,
                 found, asked);
}

/* How the kernel resets the function: "bus" (its port's link), or as it likes. The
 * emulator takes a change of power state for one and resets nothing with it, which the
 * kernel would try first. */
static int
set_reset_method(const char *address, const char *method)
{
    return suite_write(method, DEVICES "/%s/reset_method", address);
}

/* A pcie-root-port of bus 0 has no hot-plug by itself, and tells no active link after a
 * reset, for which the kernel waits in vain. */
static void
needs_reset_by_bus(const char *address)
{
    const Fact *parent = suite_fact("pci %s parent", address);
    const Fact *id = parent ? suite_fact("pci %s id", parent->word[3]) : NULL;
    if (id && strcmp(id->word[3], "1b36:000c") == 0 && !is_behind_expander(address)) {
        print_message("the emulator's port above %s loses its link by a reset\n",
                      address);
        skip();
    }
}

static void
reset_restores(const VfioDevice *device, const char *fault)
{
    struct vfio_device_info info;
    must(vfio_device_info(device, &info), "the device does not tell what it is");
    if (!(info.flags & VFIO_DEVICE_FLAGS_RESET))
        fail_msg("%s cannot be reset", device->address);
    needs_reset_by_bus(device->address);
    if (set_reset_method(device->address, "bus") != 0)
        fail_msg("%s is not reset by its bus", device->address);
    set_scratch(device);
    int result = suite_has_fault(fault) ? 0 : vfio_device_reset(device);
    set_reset_method(device->address, "default");
    must(result, "%s is not reset", device->address);
    scratch_is(device, 0, "the reset");
}

void
function_reset_restores_registers(void **state)
{
    reset_restores(open_nic(*state), "function_reset_restores_registers");
}

typedef struct {
    const VfioDevice *device;
    const struct vfio_pci_dependent_device *functions;
    int count, seen;
} HotReset;

/* The function at ADDRESS among those that the reset names, or NULL. */
static const struct vfio_pci_dependent_device *
named(const HotReset *reset, const char *address)
{
    unsigned segment, bus, slot, function;
    if (sscanf(address, "%x:%x:%x.%u", &segment, &bus, &slot, &function) != 4)
        return NULL;
    for (int i = 0; i < reset->count; i++)
        if (reset->functions[i].segment == segment && reset->functions[i].bus == bus &&
            reset->functions[i].devfn == (slot << 3 | function))
            return &reset->functions[i];
    return NULL;
}

static void
expect_named(const HotReset *reset, const char *address)
{
    const struct vfio_pci_dependent_device *found = named(reset, address);
    if (!found)
        fail_msg("a hot reset of %s does not name %s", reset->device->address, address);
    if ((int)found->group_id != pci_group(address))
        fail_msg("a hot reset says that %s is in group %u, it is in %d", address,
                 found->group_id, pci_group(address));
}

/* A function of the same bus: of a bus behind a port, all that a reset of the port hits.
 */
static void
is_in_hot_reset(const char *address, void *data)
{
    HotReset *reset = data;
    if (strncmp(address, reset->device->address, strlen("0000:00:")) != 0)
        return;
    reset->seen++;
    expect_named(reset, address);
}

void
hot_reset_names_the_functions_of_the_bus(void **state)
{
    struct vfio_pci_dependent_device functions[256];
    HotReset reset = {.device = open_nic(*state), .functions = functions};
    reset.count = vfio_hot_reset_info(reset.device, functions, 256);
    must(reset.count, "a hot reset does not name the functions");
    if (suite_has_fault("hot_reset_names_the_functions_of_the_bus"))
        reset.count--;
    suite_list(is_in_hot_reset, &reset, DEVICES);
    if (reset.seen != reset.count)
        fail_msg("a hot reset names %d functions, the bus has %d", reset.count,
                 reset.seen);
}

void
hot_reset_needs_all_groups(void **state)
{
    Bench *bench = *state;
    const VfioDevice *device = open_nic(bench);
    needs_reset_by_bus(device->address);
    unsigned none = suite_has_fault("hot_reset_needs_all_groups") ? 1 : 0;
    set_scratch(device);
    must_refuse(vfio_hot_reset(device, &device->group, none), EINVAL,
                "a hot reset without a group");
    scratch_is(device, PATTERN, "a reset that was refused");
    must(vfio_hot_reset(device, &device->group, 1), "a hot reset with the group");
    must(vfio_device_enable(device), "the command register cannot be written");
    scratch_is(device, 0, "the hot reset");
}

/* The first two functions of one device, which share a bus and a group; skips the case if
 * the lab has none, or their port cannot reset them. */
static void
two_of_a_device(const char *address[2])
{
    const char *members[MEMBERS_MAX];
    suite_needs_live();
    int count = shared_group(members);
    size_t device = strlen("0000:00:00.");
    if (count < 2 || strncmp(members[0], members[1], device) != 0) {
        print_message("no two NICs of the lab are functions of one device\n");
        skip();
    }
    needs_reset_by_bus(members[0]);
    for (int i = 0; i < 2; i++)
        address[i] = members[i];
}

/* Both, in one container; returns their group's file. */
static int
open_two(Bench *bench, VfioDevice device[2])
{
    const char *address[2];
    two_of_a_device(address);
    for (int i = 0; i < 2; i++)
        take(bench, address[i]);
    must(vfio_container_open(&bench->container), "/dev/vfio/vfio cannot be opened");
    int group = keep(bench, vfio_group_open(pci_group(address[0])), "the group");
    must(vfio_group_attach(group, &bench->container), "the group gets no container");
    for (int i = 0; i < 2; i++) {
        int fd = keep(bench, vfio_group_device(group, address[i]), "a function");
        vfio_device_adopt(&device[i], fd, address[i]);
        must(vfio_device_enable(&device[i]), "the command register cannot be written");
    }
    return group;
}

static void
each_names_both(const VfioDevice device[2])
{
    struct vfio_pci_dependent_device functions[256];
    for (int i = 0; i < 2; i++) {
        HotReset reset = {.device = &device[i], .functions = functions};
        reset.count = vfio_hot_reset_info(&device[i], functions, 256);
        must(reset.count, "a hot reset does not name the functions");
        for (int j = 0; j < 2; j++)
            expect_named(&reset, device[j].address);
    }
}

void
hot_reset_hits_each_function_of_a_device(void **state)
{
    VfioDevice device[2];
    int group = open_two(*state, device);
    each_names_both(device);
    for (int i = 0; i < 2; i++)
        set_scratch(&device[i]);
    must_refuse(vfio_hot_reset(&device[0], &group, 0), EINVAL,
                "a hot reset without the group");
    for (int i = 0; i < 2; i++)
        scratch_is(&device[i], PATTERN, "a reset that was refused");
    must(vfio_hot_reset(&device[0], &group, 1), "a hot reset with the group");
    for (int i = 0; i < 2; i++)
        must(vfio_device_enable(&device[i]), "the command register cannot be written");
    if (suite_has_fault("hot_reset_hits_each_function_of_a_device"))
        set_scratch(&device[1]);
    for (int i = 0; i < 2; i++)
        scratch_is(&device[i], 0, "the hot reset");
}

/* ---- the same by iommufd
 * ------------------------------------------------------------------------------- */

void
iommufd_resets_the_function(void **state)
{
    reset_restores(open_nic_by_iommufd(*state), "iommufd_resets_the_function");
}
