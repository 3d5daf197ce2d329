/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Suite vfio: what a user of VFIO relies on. Functions change drivers, groups are whole
 * or refused, mappings have their limits, registers are the device's, its interrupts
 * arrive, resets reset. The cases are in vfio-groups.c, vfio-mappings.c, vfio-regions.c,
 * vfio-interrupts.c; docs/suites.rst says what each proves and how it was seen to fail.
 */
#include "vfio-suite.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* ---- what a case takes
 * -------------------------------------------------------------------------------------
 */

static int
prepare(void **state)
{
    static Bench bench;
    bench = (Bench){.container.fd = -1, .device = {.fd = -1, .group = -1}};
    *state = &bench;
    vfio_trust_interrupts();
    return 0;
}

/* That the host's driver comes back is a case of its own. */
static int
give_back(void **state)
{
    Bench *bench = *state;
    if (bench->region)
        munmap(bench->region, bench->region_size);
    if (bench->device.fd >= 0)
        vfio_device_close(&bench->device);
    for (unsigned i = bench->fd_count; i > 0; i--)
        close(bench->fds[i - 1]);
    if (bench->container.fd >= 0)
        vfio_container_close(&bench->container);
    for (unsigned i = 0; i < bench->taken_count && !suite_host_ends(); i++)
        pci_bind(bench->taken[i], NULL);
    return suite_case_ends(state);
}

bool
is_behind_expander(const char *address)
{
    for (int depth = 0; depth < 32; depth++) {
        const Fact *parent = suite_fact("pci %s parent", address);
        if (!parent || strcmp(parent->word[3], "root") == 0)
            break;
        address = parent->word[3];
    }
    return strncmp(address, "0000:00:", strlen("0000:00:")) != 0;
}

const char *
nic(void)
{
    suite_needs_live();
    const char *address = vfio_choose(E1000E_ID, 0);
    for (unsigned i = 0; address && !is_behind_expander(address); i++)
        address = vfio_choose(E1000E_ID, i);
    if (!address)
        address = vfio_choose(E1000E_ID, 0);
    if (!address) {
        print_message("no e1000e of the lab shares its IOMMU group with bridges only\n");
        skip();
    }
    return address;
}

void
leave_to_the_host(const char *address)
{
    must(pci_return(address), "no driver of the host takes %s", address);
}

void
take(Bench *bench, const char *address)
{
    if (bench->taken_count == TAKEN_MAX)
        fail_msg("a case takes %d functions at most", TAKEN_MAX);
    bench->taken[bench->taken_count++] = address;
    must(pci_bind(address, "vfio-pci"), "%s is not taken by vfio-pci", address);
}

int
keep(Bench *bench, int fd, const char *sentence)
{
    must(fd, "%s", sentence);
    if (bench->fd_count == TAKEN_MAX)
        fail_msg("a case keeps %d files at most", TAKEN_MAX);
    bench->fds[bench->fd_count++] = fd;
    return fd;
}

const VfioDevice *
open_function(Bench *bench, const char *address)
{
    take(bench, address);
    must(vfio_container_open(&bench->container), "/dev/vfio/vfio cannot be opened");
    must(vfio_device_open(&bench->device, &bench->container, address),
         "%s cannot be opened", address);
    return &bench->device;
}

const VfioDevice *
open_nic(Bench *bench)
{
    return open_function(bench, nic());
}

const VfioDevice *
open_function_by_iommufd(Bench *bench, const char *address)
{
    int result = vfio_iommufd_open(&bench->container);
    if (result == -ENOENT) {
        print_message("the kernel has no iommufd\n");
        skip();
    }
    must(result, "/dev/iommu cannot be used");
    take(bench, address);
    if (access("/dev/vfio/devices", F_OK) < 0) {
        print_message("the kernel's VFIO has no devices for iommufd\n");
        skip();
    }
    must(vfio_device_open(&bench->device, &bench->container, address),
         "%s cannot be opened by iommufd", address);
    return &bench->device;
}

const VfioDevice *
open_nic_by_iommufd(Bench *bench)
{
    return open_function_by_iommufd(bench, nic());
}

/* ---- asking
 * ------------------------------------------------------------------------------------------------
 */

void
must_at(const char *file, int line, int result, const char *format, ...)
{
    char sentence[400];
    if (result >= 0)
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(sentence, sizeof sentence, format, args);
    va_end(args);
    suite_fail(file, line, "%s: %s", sentence, strerror(-result));
}

void
must_refuse_at(const char *file, int line, int result, int wanted, const char *format,
               ...)
{
    char sentence[400];
    if (result == -wanted)
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(sentence, sizeof sentence, format, args);
    va_end(args);
    suite_fail(file, line, "%s: %s; asked was: %s", sentence,
               result >= 0 ? "it was not refused" : strerror(-result), strerror(wanted));
}

void *
map_region(Bench *bench, unsigned index)
{
    bench->region = vfio_region_map(&bench->device, index, &bench->region_size);
    if (!bench->region)
        fail_msg("region %u cannot be mapped: %s", index, strerror(errno));
    return bench->region;
}

void *
pages(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (memory == MAP_FAILED)
        fail_msg("there are no %zu bytes of memory", size);
    return memory;
}

uint32_t
read_register(const VfioDevice *device, unsigned offset)
{
    uint32_t value = 0;
    must(vfio_region_read(device, VFIO_PCI_BAR0_REGION_INDEX, offset, &value, 4),
         "register %05x cannot be read", offset);
    return value;
}

void
write_register(const VfioDevice *device, unsigned offset, uint32_t value)
{
    must(vfio_region_write(device, VFIO_PCI_BAR0_REGION_INDEX, offset, &value, 4),
         "register %05x cannot be written", offset);
}

#define VFIO_CASE(name) cmocka_unit_test_setup_teardown(name, prepare, give_back),

/* What the suites vfio, dma and nested take first. */
static void
reach_bound(void)
{
    const char *const taken[] = {nic(), vfio_choose(E1000E_ID, 0),
                                 vfio_choose(E1000E_ID, 1)};
    if (vfio_load() < 0) {
        print_message("the kernel has no vfio-pci\n");
        skip();
    }
    for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++)
        if (taken[i])
            must(pci_bind(taken[i], "vfio-pci"), "%s is not taken by vfio-pci", taken[i]);
}

static const SuiteState states[] = {{"bound", reach_bound}, {NULL, NULL}};

int
main(void)
{
    int status;
    if (!suite_reaches(states, &status))
        return status;
    const struct CMUnitTest tests[] = {VFIO_CASES(VFIO_CASE)};
    return vfio_suite_run("vfio", tests);
}
