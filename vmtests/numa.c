/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Suite numa: the cells that were asked for are nodes, and memory goes to the node it is
 * told to.
 */
#include "cases.h"
#include "nodes.h"

#include <errno.h>
#include <linux/mempolicy.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- what the kernel shows
 * ----------------------------------------------------------------- */

static const char *
nodes_online(void)
{
    const char *online = suite_read("/sys/devices/system/node/online");
    if (!online)
        fail_msg("the kernel tells no nodes: /sys/devices/system/node/online");
    return online;
}

static void
node_is_online(int node, const Fact *fact)
{
    const char *online = nodes_online();
    if (!list_has(online, node))
        differs_msg("node %d is not online; online are: %s", node, online);
}

static void
every_node_is_online(void **state)
{
    for_each_node(node_is_online);
    const char *online = nodes_online();
    for (int node = list_next(online, -1); node >= 0; node = list_next(online, node))
        if (!suite_fact("node %d cpus", node))
            differs_msg("node %d is online and nobody asked for it", node);
}

static void
node_has_its_cpus(int node, const Fact *fact)
{
    const char *found = suite_read("/sys/devices/system/node/node%d/cpulist", node);
    if (!found)
        differs_msg("node %d is not there", node);
    if (strcmp(*found ? found : "none", cpus_of(fact)) != 0)
        differs_msg("node %d has the CPUs %s, asked were %s", node,
                    *found ? found : "none", cpus_of(fact));
    for (int cpu = list_next(found, -1); cpu >= 0; cpu = list_next(found, cpu))
        if (!suite_link("/sys/devices/system/cpu/cpu%d/node%d", cpu, node))
            fail_msg("CPU %d is in node %d's list and has no link to it", cpu, node);
}

static void
cpus_belong_to_their_nodes(void **state)
{
    for_each_node(node_has_its_cpus);
}

static void
node_has_its_distances(int node, const Fact *fact)
{
    const char *row = suite_read("/sys/devices/system/node/node%d/distance", node);
    const char *online = nodes_online();
    if (!row)
        fail_msg("node %d has no distances", node);
    char *at = (char *)(uintptr_t)row;
    for (int to = list_next(online, -1); to >= 0; to = list_next(online, to)) {
        const Fact *asked = suite_fact("node %d distance %d", node, to);
        long found = strtol(at, &at, 10);
        /* A node that nobody asked for is for every_node_is_online() to tell. */
        if (!asked && suite_fact("node %d cpus", to))
            fail_msg("the manifest has no distance from node %d to node %d", node, to);
        if (asked && found != atol(asked->word[4]))
            differs_msg("from node %d to node %d it is %ld, asked was %s", node, to,
                        found, asked->word[4]);
    }
}

static void
distances_are_as_asked(void **state)
{
    for_each_node(node_has_its_distances);
}

/* What the kernel keeps of a node: a 64th for its page structures; on the node that it
 * was loaded to its own image, the initramfs and its early tables; and on one that it
 * chooses 64 MiB for bounce buffers. (The manifest knows the size of a node to the MiB.)
 */
static void
node_has_its_memory(int node, const Fact *fact)
{
    int64_t asked_kib = node_asked_mib(node) * 1024;
    int64_t total_kib = node_meminfo_kib(node, "MemTotal");
    if (asked_kib == 0) {
        if (total_kib > 0)
            differs_msg("node %d has %lld KiB, asked was no memory", node,
                        (long long)total_kib);
        return;
    }
    bool first =
        strtol(suite_read("/sys/devices/system/node/has_memory"), NULL, 10) == node;
    int64_t reserve_kib = asked_kib / 32 + (first ? 192 * 1024 : 80 * 1024);
    if (total_kib > asked_kib || total_kib < asked_kib - reserve_kib)
        differs_msg(
            "node %d has %lld KiB; asked were %lld, of which the kernel may keep %lld",
            node, (long long)total_kib, (long long)asked_kib, (long long)reserve_kib);
}

static void
memory_is_within_the_kernels_reserve(void **state)
{
    for_each_node(node_has_its_memory);
}

/* ---- where memory goes
 * ------------------------------------------------------------------------ */

static void
expect_tried(int tried)
{
    if (tried == 0)
        fail_msg("no node that could be tried has 4 MiB of memory free");
}

static bool
bound_pages_land(int node, const Fact *fact)
{
    if (!node_has_room(node))
        return false;
    char *pages = fresh_pages();
    if (bind_range(pages, PAGES * PAGE_BYTES, MPOL_BIND, node) != 0)
        fail_msg("memory cannot be bound to node %d: %s", node, strerror(errno));
    touch_and_expect(pages, node, "bound to", "bound_memory_is_on_its_node");
    drop_pages(pages);
    return true;
}

static void
bound_memory_is_on_its_node(void **state)
{
    suite_needs_live();
    expect_tried(try_nodes(ALL_NODES, bound_pages_land));
}

static bool
preferred_pages_land(int node, const Fact *fact)
{
    if (!node_has_room(node))
        return false;
    char *pages = fresh_pages();
    if (bind_range(pages, PAGES * PAGE_BYTES, MPOL_PREFERRED, node) != 0)
        fail_msg("memory cannot prefer node %d: %s", node, strerror(errno));
    touch_and_expect(pages, node, "preferring", "preferred_memory_is_on_its_node");
    drop_pages(pages);
    return true;
}

static void
preferred_memory_is_on_its_node(void **state)
{
    suite_needs_live();
    expect_tried(try_nodes(ALL_NODES, preferred_pages_land));
}

static bool
first_touch_from(int node, const Fact *fact)
{
    int cpu = list_next(cpus_of(fact), -1);
    if (cpu < 0 || !node_has_room(node))
        return false;
    run_on_cpu(cpu);
    char *pages = fresh_pages();
    touch_and_expect(pages, node, "first touched on", "first_touch_is_local");
    drop_pages(pages);
    return true;
}

static void
first_touch_is_local(void **state)
{
    suite_needs_live();
    expect_tried(try_nodes(ALL_NODES, first_touch_from));
}

static void
interleaved_memory_is_on_all_nodes(void **state)
{
    suite_needs_live();
    int roomy_count;
    NodeMask roomy = nodes_with_room(&roomy_count);
    size_t length = (size_t)roomy_count * 4 * PAGE_BYTES;
    char *pages =
        mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED)
        fail_msg("no memory can be mapped: %s", strerror(errno));
    /* 128 nodes make 2 MiB, which could be one huge page on one node. */
    madvise(pages, length, MADV_NOHUGEPAGE);
    if (syscall(SYS_mbind, pages, length, MPOL_INTERLEAVE, roomy.bits,
                sizeof roomy.bits * 8, 0) != 0)
        fail_msg("memory cannot be interleaved on %d nodes: %s", roomy_count,
                 strerror(errno));
    int count[1024] = {0};
    memset(pages, 1, length);
    misplace_for_fault("interleaved_memory_is_on_all_nodes", pages);
    for (size_t at = 0; at < length; at += PAGE_BYTES) {
        int node = page_node(pages + at);
        if (node < 0 || node > 1023)
            fail_msg("the page at %zu of interleaved memory is on no node", at);
        count[node]++;
    }
    munmap(pages, length);
    for (int node = 0; node < 1024; node++)
        if (count[node] != (mask_has(&roomy, node) ? 4 : 0))
            fail_msg("of 4 pages a node, node %d got %d", node, count[node]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {NUMA_CASES(SUITE_CASE)};
    return suite_run("numa", tests);
}
