/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Suite vfio: what an IOMMU takes as a mapping, and what it refuses. That a device's
 * transfers follow the mappings is the suite dma's.
 */
#include "vfio-suite.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define WINDOW_FIRST UINT64_C(0xfee00000)
#define WINDOW_LAST UINT64_C(0xfeefffff)
#define BASE UINT64_C(0x10000000)
#define ENTRY_LIMIT "/sys/module/vfio_iommu_type1/parameters/dma_entry_limit"

static int
map_page(const Bench *bench, void *memory, uint64_t iova)
{
    return vfio_map(&bench->container, memory, iova, PAGE, VFIO_READ | VFIO_WRITE);
}

static int
unmap_page(const Bench *bench, uint64_t iova)
{
    return vfio_unmap(&bench->container, iova, PAGE, NULL);
}

static void
get_info(const Bench *bench, VfioInfo *info)
{
    must(vfio_info(&bench->container, info), "the container tells nothing of its IOMMU");
}

/* ---- page sizes
 * ----------------------------------------------------------------------------------------
 */

/* Intel's capability register is in /sys: bits 34 and 35 tell of pages of 2 MiB and 1 GiB
 * (VT-d specification 4.1, 11.4.2). */
static bool
unit_page_sizes(const char *address, uint64_t *sizes)
{
    const char *text = suite_read(DEVICES "/%s/iommu/intel-iommu/cap", address);
    if (!text)
        return false;
    uint64_t capabilities = strtoull(text, NULL, 16);
    *sizes = PAGE | (capabilities >> 34 & 1) << 21 | (capabilities >> 35 & 1) << 30;
    return true;
}

void
page_sizes_are_the_units(void **state)
{
    VfioInfo info;
    const VfioDevice *device = open_nic(*state);
    uint64_t asked;
    get_info(*state, &info);
    if (suite_has_fault("page_sizes_are_the_units"))
        info.page_sizes &= ~(uint64_t)PAGE;
    if (!(info.page_sizes & PAGE))
        fail_msg("the page sizes are %#" PRIx64 ", and 4 KiB is not one of them",
                 info.page_sizes);
    if (unit_page_sizes(device->address, &asked) && info.page_sizes != asked)
        fail_msg("the page sizes are %#" PRIx64 ", the unit's are %#" PRIx64,
                 info.page_sizes, asked);
}

/* ---- addresses
 * -----------------------------------------------------------------------------------------
 */

/* Each line of the group's file is "FIRST LAST TYPE". */
static void
reserved_regions_are_left_out(const VfioDevice *device, const VfioInfo *info)
{
    const char *line =
        suite_read(DEVICES "/%s/iommu_group/reserved_regions", device->address);
    if (!line)
        fail_msg("the reserved regions of %s cannot be read", device->address);
    while (line) {
        uint64_t first, last;
        char type[32];
        if (sscanf(line, "%" SCNx64 " %" SCNx64 " %31s", &first, &last, type) == 3 &&
            strcmp(type, "direct-relaxable") != 0)
            for (unsigned i = 0; i < info->range_count; i++)
                if (first <= info->ranges[i].last && last >= info->ranges[i].first)
                    fail_msg("the range %#" PRIx64 "-%#" PRIx64
                             " has reserved addresses, %#" PRIx64 "-%#" PRIx64,
                             info->ranges[i].first, info->ranges[i].last, first, last);
        line = strchr(line, '\n');
        line = line ? line + 1 : NULL;
    }
}

static void
window_is_left_out(const Bench *bench, const VfioDevice *device, const char *fault)
{
    VfioInfo info;
    get_info(bench, &info);
    if (suite_has_fault(fault))
        info.ranges[0].last = UINT64_MAX;
    if (info.range_count == 0)
        fail_msg("the container tells no range of addresses");
    reserved_regions_are_left_out(device, &info);
    void *page = pages(PAGE);
    if (vfio_info_allows(&info, WINDOW_FIRST, WINDOW_FIRST + PAGE - 1))
        fail_msg("the interrupt window is in a range of addresses");
    if (map_page(bench, page, WINDOW_FIRST) >= 0 ||
        map_page(bench, page, WINDOW_LAST + 1 - PAGE) >= 0)
        fail_msg("the interrupt window takes a mapping");
    must(map_page(bench, page, WINDOW_FIRST - PAGE), "the page below the window");
    must(map_page(bench, page, WINDOW_LAST + 1), "the page above the window");
}

void
interrupt_window_takes_no_mapping(void **state)
{
    window_is_left_out(*state, open_nic(*state), "interrupt_window_takes_no_mapping");
}

static unsigned
asked_width(void)
{
    const Fact *fact = suite_fact("iommu aw-bits");
    if (!fact) {
        print_message("the lab's IOMMU has no address width that can be asked for\n");
        skip();
    }
    return (unsigned)atoi(fact->word[2]);
}

static void
addresses_end(const Bench *bench, unsigned width)
{
    void *page = pages(PAGE);
    uint64_t end = UINT64_C(1) << width;
    must(map_page(bench, page, end - PAGE), "the last page of %u bits", width);
    if (map_page(bench, page, end) >= 0)
        differs_msg("the page after %u bits takes a mapping", width);
}

void
addresses_end_at_the_asked_width(void **state)
{
    unsigned width = asked_width();
    open_nic(*state);
    addresses_end(*state, width);
}

/* ---- what is refused
 * ------------------------------------------------------------------------------------ */

static void
overlaps_are_refused(const Bench *bench, const char *fault)
{
    const VfioContainer *container = &bench->container;
    char *memory = pages(8 * PAGE);
    static const struct {
        const char *what;
        unsigned first, count; /* pages; 2-5 are mapped */
    } overlaps[] = {
        {"the same pages again", 2, 4},        {"pages within others", 3, 2},
        {"pages around others", 1, 6},         {"pages that begin among others", 5, 2},
        {"pages that end among others", 1, 2},
    };
    must(vfio_map(container, memory, BASE + 2 * PAGE, 4 * PAGE, VFIO_READ), "four pages");
    if (suite_has_fault(fault))
        must(vfio_unmap(container, BASE + 2 * PAGE, 4 * PAGE, NULL), "unmapping");
    for (size_t i = 0; i < sizeof overlaps / sizeof overlaps[0]; i++)
        must_refuse(vfio_map(container, memory, BASE + overlaps[i].first * PAGE,
                             overlaps[i].count * PAGE, VFIO_READ),
                    EEXIST, "%s", overlaps[i].what);
    must(map_page(bench, memory, BASE + PAGE), "the page before");
    must(map_page(bench, memory, BASE + 6 * PAGE), "the page after");
}

void
overlapping_mappings_are_refused(void **state)
{
    open_nic(*state);
    overlaps_are_refused(*state, "overlapping_mappings_are_refused");
}

static void
misaligned_is_refused(const Bench *bench, const char *fault)
{
    char *memory = pages(4 * PAGE);
    const struct {
        const char *what;
        char *memory;
        uint64_t iova, size;
    } wrong[] = {
        {"an address within a page", memory, BASE + (suite_has_fault(fault) ? PAGE : 512),
         PAGE},
        {"memory that begins within a page", memory + 512, BASE, PAGE},
        {"a part of a page", memory, BASE, 512},
        {"a page and a part", memory, BASE, PAGE + 512},
        {"nothing", memory, BASE, 0},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        must_refuse(vfio_map(&bench->container, wrong[i].memory, wrong[i].iova,
                             wrong[i].size, VFIO_READ),
                    EINVAL, "a mapping of %s", wrong[i].what);
    must(map_page(bench, memory, BASE), "one page, aligned");
}

void
misaligned_mappings_are_refused(void **state)
{
    open_nic(*state);
    misaligned_is_refused(*state, "misaligned_mappings_are_refused");
}

/* Version 2 of the type never takes a part of a mapping away. */
void
mappings_are_unmapped_whole(void **state)
{
    const Bench *bench = *state;
    uint64_t bytes = 0;
    open_nic(*state);
    char *memory = pages(4 * PAGE);
    uint64_t step = suite_has_fault("mappings_are_unmapped_whole") ? PAGE : 4 * PAGE;
    for (uint64_t at = 0; at < 4 * PAGE; at += step)
        must(vfio_map(&bench->container, memory + at, BASE + at, step, VFIO_READ),
             "four pages");
    must_refuse(unmap_page(bench, BASE), EINVAL, "unmapping the first of four pages");
    must_refuse(unmap_page(bench, BASE + 3 * PAGE), EINVAL,
                "unmapping the last of four pages");
    must_refuse(map_page(bench, memory, BASE), EEXIST, "mapping the first again");
    must(vfio_unmap(&bench->container, BASE, 4 * PAGE, &bytes), "unmapping all four");
    if (bytes != 4 * PAGE)
        fail_msg("%" PRIu64 " bytes were unmapped, asked were %d", bytes, 4 * PAGE);
    must(vfio_unmap(&bench->container, BASE, 4 * PAGE, &bytes), "unmapping nothing");
    if (bytes != 0)
        fail_msg("%" PRIu64 " bytes were unmapped where none was mapped", bytes);
    must(map_page(bench, memory, BASE), "mapping the first when all are unmapped");
}

/* ---- limits
 * --------------------------------------------------------------------------------------------
 */

#define FEW 4

static void
open_nic_with_limit(Bench *bench)
{
    char few[16];
    nic();
    if (!suite_read(ENTRY_LIMIT)) {
        print_message("the kernel has no limit of mappings that can be set\n");
        skip();
    }
    snprintf(few, sizeof few, "%d", FEW);
    suite_set(few, ENTRY_LIMIT);
    open_nic(bench);
}

static void
mappings_left_are(const Bench *bench, int asked)
{
    VfioInfo info;
    get_info(bench, &info);
    if (info.mappings_left != asked)
        fail_msg("the container takes %" PRId64 " more mappings, asked were %d",
                 info.mappings_left, asked);
}

void
mappings_are_counted(void **state)
{
    const Bench *bench = *state;
    open_nic_with_limit(*state);
    char *memory = pages((FEW + 1) * PAGE);
    if (suite_has_fault("mappings_are_counted"))
        must(map_page(bench, memory, 0), "a mapping that is not counted");
    for (unsigned i = 0; i < FEW; i++) {
        mappings_left_are(bench, FEW - (int)i);
        must(map_page(bench, memory + i * PAGE, BASE + i * PAGE), "mapping %u of %u", i,
             FEW);
    }
    mappings_left_are(bench, 0);
    must_refuse(map_page(bench, memory + FEW * PAGE, BASE + FEW * PAGE), ENOSPC,
                "one mapping more");
    must(unmap_page(bench, BASE), "unmapping one");
    mappings_left_are(bench, 1);
    must(map_page(bench, memory + FEW * PAGE, BASE + FEW * PAGE), "the one instead");
}

static int
drop_capabilities(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2] = {{0}};
    return (int)syscall(SYS_capset, &header, none);
}

#define LOCKED (64 * 1024)

/* In a process of its own, whose privilege ends: with what result it maps SIZE bytes. */
static int
map_unprivileged(const Bench *bench, void *memory, uint64_t size)
{
    pid_t child = fork();
    if (child == 0) {
        struct rlimit limit = {LOCKED, LOCKED};
        /* Pinned pages count for who maps, so the memory must be the child's. */
        bool keeps = suite_has_fault("locked_memory_is_limited");
        if (setrlimit(RLIMIT_MEMLOCK, &limit) < 0 || (!keeps && drop_capabilities() < 0))
            _exit(255);
        int result =
            vfio_map(&bench->container, memory, BASE, size, VFIO_READ | VFIO_WRITE);
        vfio_unmap(&bench->container, BASE, size, NULL);
        _exit(-result);
    }
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) < 0 || !WIFEXITED(status))
        fail_msg("a process without privilege cannot be run");
    return -WEXITSTATUS(status);
}

void
locked_memory_is_limited(void **state)
{
    const Bench *bench = *state;
    open_nic(*state);
    char *memory = pages(LOCKED + PAGE);
    must(map_unprivileged(bench, memory, LOCKED), "as much as may be locked");
    must_refuse(map_unprivileged(bench, memory, LOCKED + PAGE), ENOMEM,
                "one page more than may be locked");
    must(vfio_map(&bench->container, memory, BASE, LOCKED + PAGE, VFIO_READ),
         "the same with privilege");
}

/* ---- the same by iommufd
 * ---------------------------------------------------------------------------------- */

void
iommufd_leaves_out_the_interrupt_window(void **state)
{
    window_is_left_out(*state, open_nic_by_iommufd(*state),
                       "iommufd_leaves_out_the_interrupt_window");
}

void
iommufd_ends_at_the_asked_width(void **state)
{
    unsigned width = asked_width();
    open_nic_by_iommufd(*state);
    addresses_end(*state, suite_has_fault(__func__) ? width - 1 : width);
}

void
iommufd_refuses_overlaps(void **state)
{
    open_nic_by_iommufd(*state);
    overlaps_are_refused(*state, "iommufd_refuses_overlaps");
}

void
iommufd_refuses_misaligned_mappings(void **state)
{
    open_nic_by_iommufd(*state);
    misaligned_is_refused(*state, "iommufd_refuses_misaligned_mappings");
}
