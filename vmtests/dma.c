/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Suite dma: a NIC, driven from here, sends from memory and receives to memory that the
 * IOMMU lets it reach, at addresses that are nobody else's, and reaches no other. So it
 * is the IOMMU that is proved, not what the kernel says of it. dma-blocked.c has what
 * must not be reached.
 */
#include "dma-bench.h"
#include "vfio-use.h"
#include "nodes.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BOTH_WAYS (VFIO_READ | VFIO_WRITE)

/* ---- addresses
 * ----------------------------------------------------------------------------------- */

/* The physical address of what is at ADDRESS, which was touched. */
static uint64_t
physical_address(const void *address)
{
    uint64_t entry = 0;
    int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    off_t offset = (off_t)((uintptr_t)address / PAGE * sizeof entry);
    ssize_t got = pagemap < 0 ? -1 : pread(pagemap, &entry, sizeof entry, offset);
    if (pagemap >= 0)
        close(pagemap);
    uint64_t frame = entry & ((UINT64_C(1) << 55) - 1);
    if (got != sizeof entry || !(entry >> 63) || frame == 0)
        fail_msg("/proc/self/pagemap does not tell where memory is");
    return frame * PAGE + (uintptr_t)address % PAGE;
}

/* The first address above all of the host's memory. */
static uint64_t
end_of_memory(void)
{
    FILE *iomem = fopen("/proc/iomem", "re");
    char line[256];
    unsigned long long first, last, end = 0;
    while (iomem && fgets(line, sizeof line, iomem))
        if (strstr(line, ": System RAM") &&
            sscanf(line, "%llx-%llx", &first, &last) == 2 && last > end)
            end = last;
    if (iomem)
        fclose(iomem);
    if (end == 0)
        fail_msg("/proc/iomem does not tell where memory ends");
    return end + 1;
}

static void
expect_another_address(Spot spot)
{
    uint64_t physical = physical_address(spot.at);
    if (physical == spot.iova)
        fail_msg("the I/O address %#llx is the physical one",
                 (unsigned long long)physical);
}

static void
move_between(Bench *bench, Nic *nic, uint64_t first, uint64_t last)
{
    Mapping from = {new_memory(PAGE), PAGE,
                    fresh_iova_within(bench, nic, PAGE, first, last)};
    Mapping to = {new_memory(PAGE), PAGE,
                  fresh_iova_within(bench, nic, PAGE, first, last)};
    map_at(nic, from.at, PAGE, from.iova, VFIO_READ);
    map_at(nic, to.at, PAGE, to.iova, VFIO_WRITE);
    if (suite_has_fault("frames_go_by_io_addresses"))
        map_other_memory(nic, &to);
    Spot source = any_spot(bench, &from), target = any_spot(bench, &to);
    expect_another_address(source);
    expect_another_address(target);
    expect_moved(bench, nic, source, target, "memory at random I/O addresses");
}

void
frames_go_by_io_addresses(void **state)
{
    Bench *bench = *state;
    Nic *nic = open_nic(bench, 0);
    for (int i = 0; i < 8; i++) {
        move_between(bench, nic, PAGE, (UINT64_C(1) << 32) - 1);
        move_between(bench, nic, end_of_memory(), UINT64_MAX);
    }
}

/* ---- sizes
 * ---------------------------------------------------------------------------------------
 */

static void
move_inside(Bench *bench, Nic *nic, const Mapping *mapping, size_t from, size_t to)
{
    char what[40];
    snprintf(what, sizeof what, "a mapping of %zu KiB", mapping->size / 1024);
    expect_moved(bench, nic, spot_at(mapping, from), spot_at(mapping, to), what);
    expect_moved(bench, nic, spot_at(mapping, to), spot_at(mapping, from), what);
}

/* A random place for a frame in the half of the mapping that begins at START. */
static size_t
place_in_half(Bench *bench, const Mapping *mapping, size_t start)
{
    return start +
           random_within(&bench->random, 0, mapping->size / 2 - E1000E_BUFFER_BYTES);
}

/* From both ends and from random places, as a wrong size would reach other memory there.
 */
static void
size_is_reached(Bench *bench, size_t size, const char *name)
{
    Nic *nic = open_nic(bench, 0);
    if (nic->info.page_sizes != 0 && !(nic->info.page_sizes & size)) {
        print_message("the IOMMU has no pages of %zu KiB\n", size / 1024);
        skip();
    }
    unsigned char *memory = size == PAGE ? new_memory(size) : new_huge_page(size);
    Mapping mapping = map_memory(bench, nic, memory, size, BOTH_WAYS);
    if (suite_has_fault(name))
        map_other_memory(nic, &mapping);
    move_inside(bench, nic, &mapping, 0, size - E1000E_BUFFER_BYTES);
    for (int i = 0; i < 4; i++)
        move_inside(bench, nic, &mapping, place_in_half(bench, &mapping, 0),
                    place_in_half(bench, &mapping, size / 2));
    unmap(nic, &mapping);
    drop_memory(memory, size);
}

void
mappings_of_4_kib_are_reached(void **state)
{
    size_is_reached(*state, PAGE, __func__);
}

void
mappings_of_2_mib_are_reached(void **state)
{
    size_is_reached(*state, 2 << 20, __func__);
}

void
mappings_of_1_gib_are_reached(void **state)
{
    size_is_reached(*state, 1 << 30, __func__);
}

/* ---- nodes
 * ---------------------------------------------------------------------------------------
 */

/* try_nodes() has no place for it. */
static Bench *nodes_bench;

static void
expect_on_node(const char *page, int node)
{
    int found = page_node(page);
    if (found != node)
        fail_msg("memory for %s, bound to node %d, is on node %d",
                 nodes_bench->nic[0].address, node, found);
}

static bool
node_is_reached(int node, const Fact *fact)
{
    if (!node_has_room(node))
        return false;
    Nic *nic = &nodes_bench->nic[0];
    char what[40], *pages = written_pages_on(node);
    misplace_for_fault("memory_of_each_node_is_reached", pages + PAGE);
    Mapping mapping = map_memory(nodes_bench, nic, pages, 2 * PAGE, BOTH_WAYS);
    Spot first = spot_at(&mapping, 0), second = spot_at(&mapping, PAGE);
    snprintf(what, sizeof what, "memory on node %d", node);
    expect_moved(nodes_bench, nic, first, second, what);
    expect_moved(nodes_bench, nic, second, first, what);
    expect_on_node(pages, node); /* where it is pinned, after it was used */
    expect_on_node(pages + PAGE, node);
    unmap(nic, &mapping);
    drop_pages(pages);
    return true;
}

void
memory_of_each_node_is_reached(void **state)
{
    nodes_bench = *state;
    open_nic(nodes_bench, 0);
    skip_unless_tried(try_nodes(ALL_NODES, node_is_reached), "node with memory");
}

/* ---- the NIC's own count
 * ------------------------------------------------------------------------ */

static void
expect_count(const Nic *nic, unsigned offset, const char *name, uint32_t wanted)
{
    uint32_t count = e1000e_read(&nic->driver, offset);
    if (count != wanted)
        fail_msg("%s counts %u frames in %s; there were %u", nic->address, count, name,
                 wanted);
}

static void
move_frames(Bench *bench, Nic *nic, const Mapping *from, const Mapping *to,
            unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        expect_moved(bench, nic, any_spot(bench, from), any_spot(bench, to),
                     "frames that are counted");
}

/* Reading clears them, so each is read once before. */
void
frames_are_counted_by_the_nic(void **state)
{
    Bench *bench = *state;
    Nic *nic = open_nic(bench, 0);
    Mapping from = map_page(bench, nic, VFIO_READ);
    Mapping to = map_page(bench, nic, VFIO_WRITE);
    static const unsigned registers[] = {E1000E_TPT, E1000E_GPTC, E1000E_TPR,
                                         E1000E_GPRC};
    for (size_t i = 0; i < sizeof registers / sizeof registers[0]; i++)
        e1000e_read(&nic->driver, registers[i]);
    unsigned count = (unsigned)random_within(&bench->random, 20, 50);
    move_frames(bench, nic, &from, &to, count);
    if (suite_has_fault(__func__))
        move_frames(bench, nic, &from, &to, 1);
    expect_count(nic, E1000E_TPT, "TPT", count);
    expect_count(nic, E1000E_GPTC, "GPTC", count);
    expect_count(nic, E1000E_TPR, "TPR", count);
    expect_count(nic, E1000E_GPRC, "GPRC", count);
}

/* ---- changes under traffic
 * ---------------------------------------------------------------------- */

/* As many as there is time for, and the least that has to be, however long it takes. */
#define CHANGES 300
#define CHANGES_MIN 30
#define CHANGES_MS 30000
#define CHANGED_PAGES_MAX 16

/* Frames that go round and round while mappings come and go beside them. */
static struct {
    pthread_t thread;
    pthread_mutex_t lock; /* who has it uses the NIC */
    bool ends;
    Random random;
    Nic *nic;
    Mapping from, to;
    unsigned frames;
    char why[WHY_BYTES]; /* empty: all frames arrived */
} traffic = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void *
go_round(void *data)
{
    char why[WHY_BYTES];
    Frame frame;
    while (!__atomic_load_n(&traffic.ends, __ATOMIC_ACQUIRE) && !traffic.why[0]) {
        Spot from = spot_at(&traffic.from, 0), to = spot_at(&traffic.to, 0);
        pthread_mutex_lock(&traffic.lock);
        write_frame(&traffic.random, from, &frame);
        if (move_frame(&traffic.random, traffic.nic, &frame, from, to, why))
            memcpy(traffic.why, why, sizeof why);
        pthread_mutex_unlock(&traffic.lock);
        traffic.frames++;
        usleep(100); /* lets the other one have the lock */
    }
    return NULL;
}

static void
end_traffic(long number)
{
    __atomic_store_n(&traffic.ends, true, __ATOMIC_RELEASE);
    if (traffic.nic)
        pthread_join(traffic.thread, NULL);
    traffic.nic = NULL;
}

static void
begin_traffic(Bench *bench, Nic *nic)
{
    traffic.from = map_page(bench, nic, VFIO_READ);
    traffic.to = map_page(bench, nic, VFIO_WRITE);
    traffic.random = (Random){random_next(&bench->random)};
    traffic.nic = nic;
    traffic.ends = false;
    if (pthread_create(&traffic.thread, NULL, go_round, NULL) != 0)
        fail_msg("no thread can be started");
    suite_at_end(end_traffic, 0);
}

/* A mapping comes, is used once each way, and goes. */
static void
change_once(Bench *bench, Nic *nic, unsigned char *memory, bool is_to_fail)
{
    size_t size = PAGE * random_within(&bench->random, 1, CHANGED_PAGES_MAX);
    Mapping mapping = map_memory(bench, nic, memory, size, BOTH_WAYS);
    if (is_to_fail)
        map_other_memory(nic, &mapping);
    Frame frame;
    char why[WHY_BYTES];
    Spot to = any_spot(bench, &mapping);
    pthread_mutex_lock(&traffic.lock);
    Spot from = spot_at(&traffic.from, 0);
    write_frame(&bench->random, from, &frame);
    bool failed = move_frame(&bench->random, nic, &frame, from, to, why) != NULL;
    pthread_mutex_unlock(&traffic.lock);
    if (failed)
        fail_msg("%s, a mapping that came under traffic: %s", nic->address, why);
    unmap(nic, &mapping);
}

void
mappings_change_under_traffic(void **state)
{
    Bench *bench = *state;
    Nic *nic = open_nic(bench, 0);
    unsigned char *memory = new_memory(CHANGED_PAGES_MAX * PAGE);
    begin_traffic(bench, nic);
    int64_t end_ms = now_ms() + CHANGES_MS;
    int changes = 0;
    for (; changes < CHANGES && (changes < CHANGES_MIN || now_ms() < end_ms); changes++)
        change_once(bench, nic, memory, changes == 7 && suite_has_fault(__func__));
    end_traffic(0);
    if (traffic.why[0])
        fail_msg("%s, beside %d mappings that came and went: %s", nic->address, changes,
                 traffic.why);
    print_message("%d mappings came and went beside %u frames\n", changes,
                  traffic.frames);
    if (traffic.frames == 0)
        fail_msg("%d mappings came and went, and no frame beside them", changes);
}

/* ---- the suite
 * ----------------------------------------------------------------------------------- */

#define DMA_CASE(name)                                                                   \
    cmocka_unit_test_prestate_setup_teardown(name, dma_prepare, dma_give_back,           \
                                             (void *)(uintptr_t) #name),

int
main(void)
{
    const struct CMUnitTest tests[] = {DMA_CASES(DMA_CASE)};
    int status = vfio_suite_run("dma", tests);
    const char *address;
    bool stays = suite_is_live() && status != 77 && !suite_host_ends();
    for (unsigned i = 0; stays && (address = vfio_choose(E1000E_ID, i)); i++)
        pci_return(address);
    return status;
}
