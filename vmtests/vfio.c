/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Suite vfio: what a user of VFIO relies on: functions change drivers, groups are whole
 * or refused, mappings have their limits, registers are the device's, its interrupts
 * arrive, resets reset.
 */
#include "cases.h"
#include "e1000e.h"
#include "suite.h"
#include "vfio-device.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* An interrupt under emulation, on a busy machine. */
#define ARRIVAL_MS 5000

/* What a case has taken, for the teardown. */
typedef struct {
    const char *taken[8];
    unsigned taken_count;
    VfioContainer container;
    VfioDevice device;
} Bench;

static void
take(Bench *bench, const char *address)
{
    int result = pci_bind(address, "vfio-pci");
    bench->taken[bench->taken_count++] = address;
    if (result < 0)
        fail_msg("%s cannot be bound to vfio-pci: %s", address, strerror(-result));
}

static int
prepare(void **state)
{
    static Bench bench;
    bench = (Bench){.container.fd = -1, .device.fd = -1, .device.group = -1};
    *state = &bench;
    return 0;
}

static int
give_back(void **state)
{
    Bench *bench = *state;
    if (bench->device.fd >= 0)
        vfio_device_close(&bench->device);
    if (bench->container.fd >= 0)
        vfio_container_close(&bench->container);
    for (unsigned i = 0; i < bench->taken_count; i++)
        pci_bind(bench->taken[i], NULL);
    return 0;
}

static const char *
nic(void)
{
    const char *address = vfio_choose(E1000E_ID, 0);
    if (!address) {
        print_message("no e1000e of the lab is alone in its IOMMU group\n");
        skip();
    }
    return address;
}

static const VfioDevice *
open_nic(Bench *bench)
{
    const char *address = nic();
    take(bench, address);
    int result = vfio_container_open(&bench->container);
    if (result < 0)
        fail_msg("/dev/vfio/vfio cannot be opened: %s", strerror(-result));
    result = vfio_device_open(&bench->device, &bench->container, address);
    if (result < 0)
        fail_msg("%s cannot be opened: %s", address, strerror(-result));
    return &bench->device;
}

static void
function_is_bound_and_given_back(void **state)
{
    const char *address = nic();
    const Fact *fact = suite_fact("pci %s driver", address);
    take(*state, address);
    int result = pci_bind(address, NULL);
    if (result < 0)
        fail_msg("%s does not go back to the host: %s", address, strerror(-result));
    const char *driver = pci_driver(address);
    if (fact && strcmp(driver, fact->word[3]) != 0)
        fail_msg("%s came from vfio-pci to %s, asked was %s", address, driver,
                 fact->word[3]);
}

static void
registers_are_mapped_and_read(void **state)
{
    const VfioDevice *device = open_nic(*state);
    size_t size = 0;
    volatile uint32_t *registers = vfio_region_map(device, 0, &size);
    if (!registers)
        fail_msg("BAR 0 cannot be mapped");
    uint32_t mapped = registers[E1000E_STATUS / 4], read = 0;
    vfio_region_read(device, 0, E1000E_STATUS, &read, sizeof read);
    munmap((void *)registers, size);
    if (mapped != read || mapped == UINT32_MAX)
        fail_msg("STATUS is %08x when mapped and %08x when read", mapped, read);
}

static void
write_register(const VfioDevice *device, uint64_t offset, uint32_t value)
{
    int result = vfio_region_write(device, 0, offset, &value, sizeof value);
    if (result < 0)
        fail_msg("register %05x cannot be written: %s", (unsigned)offset,
                 strerror(-result));
}

static void
msix_is_delivered(void **state)
{
    const VfioDevice *device = open_nic(*state);
    int event = vfio_eventfd();
    int result = vfio_irq_enable(device, VFIO_PCI_MSIX_IRQ_INDEX, &event, 1);
    if (result < 0)
        fail_msg("MSI-X cannot be enabled: %s", strerror(-result));
    write_register(device, E1000E_IVAR, E1000E_IVAR_VECTOR(0, 0));
    write_register(device, E1000E_IMS, E1000E_CAUSE_RXQ0);
    write_register(device, E1000E_ICS, E1000E_CAUSE_RXQ0);
    uint64_t signals = vfio_eventfd_wait(event, ARRIVAL_MS);
    if (signals == 0)
        fail_msg("no interrupt came");
}

#define VFIO_CASE(name) cmocka_unit_test_setup_teardown(name, prepare, give_back),

int
main(void)
{
    const struct CMUnitTest tests[] = {VFIO_CASES(VFIO_CASE)};
    if (suite_is_live() && vfio_load() < 0) {
        printf("1..0 # SKIP the kernel has no vfio-pci\n");
        return 77;
    }
    return suite_run("vfio", tests);
}
