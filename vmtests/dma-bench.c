/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "dma-bench.h"

#include "dmar.h"
#include "vfio-use.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* A frame through the NIC and the end of one that is blocked, under emulation on a busy
 * machine; and how long to look for what should not come. */
#define ARRIVAL_MS 20000
#define BLOCKED_MS 300
#define FAULT_MS 20000

#define FOUR_GIB (UINT64_C(1) << 32)

/* Ethernet's type for experiments (IEEE 802): nobody takes such a frame for his. */
#define EXPERIMENTAL_TYPE 0x88b5

static void
must(int result, const char *address, const char *what)
{
    if (result < 0)
        fail_msg("%s cannot be %s: %s", address, what, strerror(-result));
}

/* ---- memory
 * -------------------------------------------------------------------------------------
 */

static void *
map_anonymous(size_t size, int flags)
{
    return mmap(NULL, size, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE | flags, -1, 0);
}

unsigned char *
new_memory(size_t size)
{
    void *memory = map_anonymous(size, 0);
    if (memory == MAP_FAILED)
        fail_msg("there is no memory of %zu bytes: %s", size, strerror(errno));
    return memory;
}

unsigned char *
new_huge_page(size_t size)
{
    void *page =
        map_anonymous(size, MAP_HUGETLB | __builtin_ctzll(size) << MAP_HUGE_SHIFT);
    if (page == MAP_FAILED) {
        print_message("the host has no free huge page of %zu MiB\n", size >> 20);
        skip();
    }
    return page;
}

void
drop_memory(void *memory, size_t size)
{
    munmap(memory, size);
}

/* ---- mappings
 * ----------------------------------------------------------------------------------- */

static bool
was_used(const Bench *bench, uint64_t iova, uint64_t size)
{
    for (unsigned i = 0; i < bench->used_count; i++)
        if (bench->used[i].first - iova < size ||
            iova - bench->used[i].first < bench->used[i].size)
            return true;
    return false;
}

uint64_t
fresh_iova_within(Bench *bench, const Nic *nic, uint64_t size, uint64_t first,
                  uint64_t last)
{
    uint64_t alignment = (size & (size - 1)) == 0 ? size : PAGE, iova;
    do {
        if (!iova_pick(&nic->info, &bench->random, size, alignment, first, last, &iova))
            fail_msg("no I/O address in %#llx-%#llx is one for %#llx bytes",
                     (unsigned long long)first, (unsigned long long)last,
                     (unsigned long long)size);
    } while (was_used(bench, iova, size));
    if (bench->used_count == RANGES_USED_MAX)
        fail_msg("a case uses %d ranges of addresses at most", RANGES_USED_MAX);
    bench->used[bench->used_count].first = iova;
    bench->used[bench->used_count++].size = size;
    return iova;
}

static bool
iommu_is(const char *model)
{
    const Fact *fact = suite_fact("iommu model");
    return fact && strcmp(fact->word[2], model) == 0;
}

/* Above, QEMU's amd-iommu takes one function's translations for another's: in its cache
 * the function's number is at the bits of the address from 48 on. */
#define AMD_LAST ((UINT64_C(1) << 48) - 1)

uint64_t
fresh_iova(Bench *bench, const Nic *nic, uint64_t size)
{
    uint64_t last = iommu_is("amd") ? AMD_LAST : UINT64_MAX;
    if (random_within(&bench->random, 0, 1) == 0)
        return fresh_iova_within(bench, nic, size, PAGE, FOUR_GIB - 1);
    return fresh_iova_within(bench, nic, size, FOUR_GIB, last);
}

void
map_at(const Nic *nic, void *memory, size_t size, uint64_t iova, uint32_t access)
{
    int result = vfio_map(&nic->container, memory, iova, size, access);
    if (result < 0)
        fail_msg("%#zx bytes cannot be mapped for %s at %#llx: %s", size, nic->address,
                 (unsigned long long)iova, strerror(-result));
}

Mapping
map_memory(Bench *bench, const Nic *nic, void *memory, size_t size, uint32_t access)
{
    Mapping mapping = {memory, size, fresh_iova(bench, nic, size)};
    map_at(nic, memory, size, mapping.iova, access);
    return mapping;
}

Mapping
map_page(Bench *bench, const Nic *nic, uint32_t access)
{
    return map_memory(bench, nic, new_memory(PAGE), PAGE, access);
}

void
unmap(const Nic *nic, const Mapping *mapping)
{
    uint64_t unmapped = 0;
    int result = vfio_unmap(&nic->container, mapping->iova, mapping->size, &unmapped);
    if (result < 0 || unmapped != mapping->size)
        fail_msg("of %#zx bytes at %#llx of %s, %#llx were unmapped: %s", mapping->size,
                 (unsigned long long)mapping->iova, nic->address,
                 (unsigned long long)unmapped, strerror(-result));
}

void
map_other_memory(const Nic *nic, const Mapping *mapping)
{
    unmap(nic, mapping);
    map_at(nic, new_memory(mapping->size), mapping->size, mapping->iova,
           VFIO_READ | VFIO_WRITE);
}

Spot
spot_at(const Mapping *mapping, size_t offset)
{
    return (Spot){mapping->at + offset, mapping->iova + offset};
}

Spot
any_spot(Bench *bench, const Mapping *mapping)
{
    size_t page = random_within(&bench->random, 0, mapping->size / PAGE - 1);
    size_t offset = random_within(&bench->random, 0, PAGE - E1000E_BUFFER_BYTES);
    return spot_at(mapping, page * PAGE + offset);
}

/* ---- frames
 * -------------------------------------------------------------------------------------
 */

void
write_frame(Random *random, Spot from, Frame *frame)
{
    static const unsigned char type[] = {EXPERIMENTAL_TYPE >> 8,
                                         EXPERIMENTAL_TYPE & 0xff};
    frame->length = random_within(random, E1000E_FRAME_MIN, E1000E_FRAME_MAX);
    random_fill(random, frame->bytes, sizeof frame->bytes);
    frame->bytes[0] &= 0xfe; /* to one station, */
    frame->bytes[6] &= 0xfe; /* and from one */
    memcpy(frame->bytes + 12, type, sizeof type);
    memcpy(from.at, frame->bytes, sizeof frame->bytes);
}

static const char *
say(char why[WHY_BYTES], const char *sentence, Spot from, Spot to)
{
    snprintf(why, WHY_BYTES, "the frame sent from %#llx to %#llx %s",
             (unsigned long long)from.iova, (unsigned long long)to.iova, sentence);
    return why;
}

const char *
move_frame(Random *random, Nic *nic, const Frame *frame, Spot from, Spot to,
           char why[WHY_BYTES])
{
    unsigned char wanted[E1000E_BUFFER_BYTES];
    size_t length = 0;
    random_fill(random, wanted, sizeof wanted);
    memcpy(to.at, wanted, sizeof wanted);
    memcpy(wanted, frame->bytes, frame->length);
    e1000e_offer(&nic->driver, to.iova);
    e1000e_send(&nic->driver, from.iova, frame->length);
    if (!e1000e_wait_sent(&nic->driver, suite_ms(ARRIVAL_MS)))
        return say(why, "was not sent", from, to);
    if (!e1000e_wait_received(&nic->driver, suite_ms(ARRIVAL_MS), &length))
        return say(why, "was not received", from, to);
    if (length != frame->length)
        return say(why, "was received with another length", from, to);
    if (memcmp(to.at, wanted, frame->length) != 0)
        return say(why, "is not in the memory that is mapped there", from, to);
    if (memcmp(to.at, wanted, sizeof wanted) != 0)
        return say(why, "changed memory behind its end", from, to);
    return NULL;
}

void
expect_arrival(Bench *bench, Nic *nic, const Frame *frame, Spot from, Spot to,
               const char *what)
{
    char why[WHY_BYTES];
    if (move_frame(&bench->random, nic, frame, from, to, why))
        fail_msg("%s, %s: %s", nic->address, what, why);
}

void
expect_moved(Bench *bench, Nic *nic, Spot from, Spot to, const char *what)
{
    Frame frame;
    write_frame(&bench->random, from, &frame);
    expect_arrival(bench, nic, &frame, from, to, what);
}

/* ---- faults
 * -------------------------------------------------------------------------------------
 */

/* Linux tells of faults ten times in five seconds and then keeps silent (dmar_fault() in
 * drivers/iommu/intel/dmar.c), counting each interrupt and each fault. A blocked frame is
 * one of both, seldom more. To virtio's unit it is many faults, one for each few bytes.
 */
#define TOLD_MS 5500
#define TOLD_FRAMES 3

static int64_t tried_ms[TOLD_FRAMES];

static void
wait_until_faults_are_told(void)
{
    int64_t since_ms = tried_ms[iommu_is("virtio") ? TOLD_FRAMES - 1 : 0];
    int64_t end_ms = since_ms + TOLD_MS;
    for (int64_t now = now_ms(); since_ms != 0 && now < end_ms; now = now_ms())
        usleep((useconds_t)(end_ms - now) * 1000);
}

static void
start_nic(Nic *nic)
{
    if (!e1000e_restart(&nic->driver))
        fail_msg("%s is not ready after its reset", nic->address);
}

void
try_to_move(Nic *nic, const Frame *frame, Spot from, Spot to)
{
    size_t length;
    memmove(tried_ms, tried_ms + 1, sizeof tried_ms - sizeof tried_ms[0]);
    tried_ms[TOLD_FRAMES - 1] = now_ms();
    e1000e_offer(&nic->driver, to.iova);
    e1000e_send(&nic->driver, from.iova, frame->length);
    e1000e_wait_sent(&nic->driver, BLOCKED_MS);
    e1000e_wait_received(&nic->driver, BLOCKED_MS, &length);
    start_nic(nic);
}

static bool
is_fault_of(const DmarFault *fault, const Nic *nic, bool is_write, uint64_t iova)
{
    return strcmp(fault->function, strchr(nic->address, ':') + 1) == 0 &&
           fault->page == iova / PAGE * PAGE &&
           !(is_write ? fault->is_read : fault->is_write);
}

/* Of what QEMU's amd-iommu blocks there is no line in Linux's log (docs/facts.rst). */
static void
needs_an_iommu_that_reports(void)
{
    if (iommu_is("amd")) {
        print_message("the emulated AMD IOMMU tells Linux of no fault\n");
        skip();
    }
}

/* What came before may be told late, so that the first fault need not be ours. */
void
expect_fault(Nic *nic, const Frame *frame, Spot from, Spot to, bool is_write,
             uint64_t iova)
{
    needs_an_iommu_that_reports();
    wait_until_faults_are_told();
    int watch = dmar_watch();
    must(watch, "the kernel's log", "read");
    try_to_move(nic, frame, from, to);
    DmarFault fault;
    char seen[120] = "no fault";
    bool found = false;
    while (!found && dmar_next(watch, suite_ms(FAULT_MS), &fault)) {
        found = is_fault_of(&fault, nic, is_write, iova);
        snprintf(seen, sizeof seen, "a %s of %#llx by %s",
                 fault.is_write  ? "write"
                 : fault.is_read ? "read"
                                 : "access",
                 (unsigned long long)fault.page, fault.function);
    }
    close(watch);
    if (!found)
        fail_msg("the kernel's log has %s; blocked was a %s of %#llx by %s", seen,
                 is_write ? "write" : "read", (unsigned long long)(iova / PAGE * PAGE),
                 nic->address);
}

/* ---- NICs
 * ---------------------------------------------------------------------------------------
 */

/* QEMU's amd-iommu takes what is behind a port for another function, that of the number
 * on bus 0, and translates nothing for it (docs/facts.rst). */
const char *
dma_choose(unsigned which)
{
    const char *address;
    for (unsigned i = 0; (address = vfio_choose(E1000E_ID, i)); i++) {
        bool is_translated =
            !iommu_is("amd") || strncmp(address, "0000:00:", strlen("0000:00:")) == 0;
        if (is_translated && which-- == 0)
            break;
    }
    return address;
}

static const char *
choose_nic(unsigned which)
{
    const char *address = suite_is_live() ? dma_choose(which) : NULL;
    if (!suite_is_live()) {
        print_message("a recorded tree has no NIC to drive\n");
        skip();
    } else if (!address) {
        print_message("the lab has no %se1000e that is alone in its IOMMU group%s\n",
                      which == 0 ? "" : "second ",
                      iommu_is("amd") ? " and on bus 0" : "");
        skip();
    }
    return address;
}

Nic *
open_nic(Bench *bench, unsigned which)
{
    return open_nic_at(bench, which, choose_nic(which));
}

Nic *
open_nic_at(Bench *bench, unsigned number, const char *address)
{
    Nic *nic = &bench->nic[number];
    nic->address = address;
    vfio_trust_interrupts();
    must(pci_bind(nic->address, "vfio-pci"), nic->address, "bound to vfio-pci");
    must(vfio_container_open(&nic->container), "/dev/vfio/vfio", "opened");
    must(vfio_device_open(&nic->device, &nic->container, nic->address), nic->address,
         "opened");
    must(vfio_info(&nic->container, &nic->info), nic->address, "asked for addresses");
    nic->registers = vfio_region_map(&nic->device, 0, &nic->registers_size);
    if (!nic->registers)
        fail_msg("the registers of %s cannot be mapped: %s", nic->address,
                 strerror(errno));
    Mapping rings = map_page(bench, nic, VFIO_READ | VFIO_WRITE);
    if (!e1000e_start(&nic->driver, nic->registers, rings.at, rings.iova,
                      E1000E_READY_MS))
        fail_msg("%s is not ready after its reset", nic->address);
    return nic;
}

static void
close_nic(Nic *nic)
{
    if (nic->registers) {
        if (nic->driver.registers)
            e1000e_stop(&nic->driver);
        munmap((void *)(uintptr_t)nic->registers, nic->registers_size);
    }
    if (nic->device.fd >= 0)
        vfio_device_close(&nic->device);
    if (nic->container.fd >= 0)
        vfio_container_close(&nic->container);
}

static uint64_t
seed_of_run(void)
{
    static uint64_t seed;
    static bool is_known;
    if (!is_known)
        seed = random_seed(suite_is_live() ? suite_read("/proc/cmdline") : NULL);
    is_known = true;
    return seed;
}

/* Numbers of its own for each case, whether or not others run before it. */
int
dma_prepare(void **state)
{
    static Bench bench;
    uint64_t seed = seed_of_run();
    bench = (Bench){.random = {seed}};
    for (const char *name = *state; *name; name++)
        bench.random.state = random_next(&bench.random) + (unsigned char)*name;
    for (unsigned i = 0; i < NICS; i++)
        bench.nic[i].container.fd = bench.nic[i].device.fd = -1;
    *state = &bench;
    print_message("seed %llu\n", (unsigned long long)seed);
    return 0;
}

int
dma_give_back(void **state)
{
    Bench *bench = *state;
    suite_case_ends(state);
    for (unsigned i = 0; i < NICS; i++)
        close_nic(&bench->nic[i]);
    return 0;
}
