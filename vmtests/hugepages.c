/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Suite hugepages: the pools are reserved on their nodes, and a page taken from one comes
 * from there and is as large as it says; pools grow and shrink, and pages in use stay.
 */
#include "cases.h"
#include "nodes.h"

#include <errno.h>
#include <linux/mempolicy.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#ifndef MAP_HUGE_SHIFT
#define MAP_HUGE_SHIFT 26
#endif

/* Larger pages can only be had when a host starts, so only these pools grow. */
#define GROWING_KIB 2048

/* "2048kB" → 2048 */
static long
size_kib(const Fact *fact)
{
    return strtol(fact->word[3], NULL, 10);
}

static bool
is_pool(const Fact *fact)
{
    return fact->count == 5 && strcmp(fact->word[0], "node") == 0 &&
           strcmp(fact->word[2], "hugepages") == 0;
}

static void
for_each_pool(void (*each)(int node, const Fact *fact))
{
    int seen = 0;
    for (const Fact *fact = suite_facts(); fact->count > 0; fact++)
        if (is_pool(fact)) {
            each(atoi(fact->word[1]), fact);
            seen++;
        }
    if (seen == 0) {
        print_message("the lab asks for no huge pages\n");
        skip();
    }
}

static long
pool(int node, long kib, const char *what)
{
    const char *text = suite_read(
        "/sys/devices/system/node/node%d/hugepages/hugepages-%ldkB/%s", node, kib, what);
    return text ? strtol(text, NULL, 10) : -1;
}

static void
pool_is_reserved(int node, const Fact *fact)
{
    long found = pool(node, size_kib(fact), "nr_hugepages");
    if (found != atol(fact->word[4]))
        differs_msg("node %d has %ld pages of %s, asked were %s", node, found,
                    fact->word[3], fact->word[4]);
}

static void
pools_are_as_asked(void **state)
{
    for_each_pool(pool_is_reserved);
}

static void *
map_huge(size_t page_bytes, int count)
{
    int shift = __builtin_ctzll(page_bytes);
    return mmap(NULL, page_bytes * (size_t)count, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | (shift << MAP_HUGE_SHIFT), -1,
                0);
}

/* COUNT pages of the node's pool, each full of its own byte. */
static unsigned char *
take_pages(int node, long kib, int count)
{
    size_t page_bytes = (size_t)kib * 1024;
    unsigned char *pages = map_huge(page_bytes, count);
    if (pages == MAP_FAILED)
        fail_msg("no %d pages of %ldkB can be mapped: %s", count, kib, strerror(errno));
    if (bind_range(pages, page_bytes * (size_t)count, MPOL_BIND, node) != 0)
        fail_msg("pages of %ldkB cannot be bound to node %d: %s", kib, node,
                 strerror(errno));
    for (int i = 0; i < count; i++)
        memset(pages + page_bytes * (size_t)i, i + 1, page_bytes);
    return pages;
}

static void
pool_is_free(int node, const Fact *fact)
{
    long kib = size_kib(fact);
    unsigned char *taken = NULL;
    if (kib == GROWING_KIB && suite_has_fault("pools_are_free_at_start"))
        taken = take_pages(node, kib, 1);
    long free_pages = pool(node, kib, "free_hugepages");
    long pages = pool(node, kib, "nr_hugepages");
    if (taken)
        munmap(taken, (size_t)kib * 1024);
    if (free_pages != pages)
        fail_msg("%ld of node %d's %ld pages of %s are free", free_pages, node, pages,
                 fact->word[3]);
}

static void
pools_are_free_at_start(void **state)
{
    for_each_pool(pool_is_free);
}

static void
page_comes_from_its_node(int node, const Fact *fact)
{
    long kib = size_kib(fact);
    size_t bytes = (size_t)kib * 1024;
    long before = pool(node, kib, "free_hugepages");
    char *page = map_huge(bytes, 1);
    if (page == MAP_FAILED)
        fail_msg("no page of %s can be mapped", fact->word[3]);
    if (bind_range(page, bytes, MPOL_BIND, node) != 0)
        fail_msg("a page of %s cannot be bound to node %d: %s", fact->word[3], node,
                 strerror(errno));
    page[0] = 1;
    page[bytes - 1] = 1;
    misplace_for_fault("pages_come_from_their_node", page);
    int found = page_node(page);
    long after = pool(node, kib, "free_hugepages");
    munmap(page, bytes);
    if (found != node)
        fail_msg("a page of %s bound to node %d is on node %d", fact->word[3], node,
                 found);
    if (after != before - 1)
        fail_msg("node %d had %ld pages of %s free, and %ld after one was taken", node,
                 before, fact->word[3], after);
    long again = pool(node, kib, "free_hugepages");
    if (again != before)
        fail_msg("node %d had %ld pages of %s free, and %ld after one was given back",
                 node, before, fact->word[3], again);
}

static void
pages_come_from_their_node(void **state)
{
    suite_needs_live();
    for_each_pool(page_comes_from_its_node);
}

/* KernelPageSize of the mapping that begins at ADDRESS, from smaps. */
static long
kernel_page_kib(const void *address)
{
    char start[32], line[512];
    snprintf(start, sizeof start, "%lx-", (unsigned long)(uintptr_t)address);
    FILE *smaps = fopen("/proc/self/smaps", "re");
    bool inside = false;
    long kib = -1;
    while (smaps && kib < 0 && fgets(line, sizeof line, smaps)) {
        if (strncmp(line, start, strlen(start)) == 0)
            inside = true;
        else if (inside && strncmp(line, "KernelPageSize:", 15) == 0)
            kib = strtol(line + 15, NULL, 10);
    }
    if (smaps)
        fclose(smaps);
    return kib;
}

static void
page_has_its_size(int node, const Fact *fact)
{
    size_t bytes = (size_t)size_kib(fact) * 1024;
    char *page = map_huge(bytes, 1);
    if (page == MAP_FAILED)
        fail_msg("no page of %s can be mapped", fact->word[3]);
    if (bind_range(page, bytes, MPOL_BIND, node) != 0)
        fail_msg("a page of %s cannot be bound to node %d: %s", fact->word[3], node,
                 strerror(errno));
    page[0] = 1;
    if (suite_has_fault("pages_have_their_size")) /* small ones in the same place */
        mmap(page, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
             -1, 0);
    long found = kernel_page_kib(page);
    munmap(page, bytes);
    if (found != size_kib(fact))
        fail_msg("a page of %s on node %d is mapped with pages of %ldkB", fact->word[3],
                 node, found);
}

static void
pages_have_their_size(void **state)
{
    suite_needs_live();
    for_each_pool(page_has_its_size);
}

/* ---- pools that change
 * ----------------------------------------------------------------------- */

#define GROWN_BY 4
#define IN_USE 4

static void
resize(int node, long kib, long pages)
{
    char text[32];
    snprintf(text, sizeof text, "%ld", pages);
    suite_set(text,
              "/sys/devices/system/node/node%d/hugepages/hugepages-%ldkB/nr_hugepages",
              node, kib);
}

static void
expect_pool(int node, long kib, const char *what, long asked, const char *when)
{
    long found = pool(node, kib, what);
    if (found != asked)
        fail_msg("node %d's %s of %ldkB are %ld %s, and should be %ld", node, what, kib,
                 found, when, asked);
}

static long
pages_elsewhere(int node, long kib)
{
    const char *all =
        suite_read("/sys/kernel/mm/hugepages/hugepages-%ldkB/nr_hugepages", kib);
    return (all ? strtol(all, NULL, 10) : -1) - pool(node, kib, "nr_hugepages");
}

/* Pools that a case could try something with. */
static int tried;

static void
pool_is_resized(int node, const Fact *fact)
{
    long kib = size_kib(fact);
    if (kib > GROWING_KIB)
        return;
    long pages = pool(node, kib, "nr_hugepages"), elsewhere = pages_elsewhere(node, kib);
    resize(node, kib, pages + GROWN_BY);
    if (suite_has_fault("pools_are_resized_on_their_node"))
        resize(next_node_with_room(node), kib, 0);
    expect_pool(node, kib, "nr_hugepages", pages + GROWN_BY, "when grown");
    expect_pool(node, kib, "free_hugepages", pages + GROWN_BY, "when grown");
    if (pages_elsewhere(node, kib) != elsewhere)
        fail_msg("the pool of node %d was resized, and others changed with it", node);
    resize(node, kib, pages - 1);
    expect_pool(node, kib, "nr_hugepages", pages - 1, "when shrunk");
    expect_pool(node, kib, "free_hugepages", pages - 1, "when shrunk");
    suite_case_ends(NULL);
    expect_pool(node, kib, "nr_hugepages", pages, "as before");
    tried++;
}

static void
pools_are_resized_on_their_node(void **state)
{
    suite_needs_live();
    tried = 0;
    for_each_pool(pool_is_resized);
    skip_unless_tried(tried, "pool of pages of 2048kB");
}

static void
expect_pages(const unsigned char *pages, int node, long kib, int count, const char *when)
{
    size_t page_bytes = (size_t)kib * 1024;
    for (int i = 0; i < count; i++) {
        const unsigned char *page = pages + page_bytes * (size_t)i;
        int found = page_node(page);
        if (found != node)
            fail_msg("page %d of %ldkB, %s node %d, is on node %d", i, kib, when, node,
                     found);
        for (size_t at = 0; at < page_bytes; at += 512)
            if (page[at] != i + 1)
                fail_msg("page %d of %ldkB, %s node %d, is not what was written", i, kib,
                         when, node);
    }
}

static void
pages_in_use_stay(int node, const Fact *fact)
{
    long kib = size_kib(fact);
    size_t page_bytes = (size_t)kib * 1024;
    if (kib > GROWING_KIB || pool(node, kib, "free_hugepages") < IN_USE)
        return;
    unsigned char *pages = take_pages(node, kib, IN_USE);
    resize(node, kib, 0);
    if (suite_has_fault("pages_in_use_are_not_taken_away"))
        munmap(pages + (IN_USE - 1) * page_bytes, page_bytes);
    expect_pool(node, kib, "nr_hugepages", IN_USE, "when some are in use");
    expect_pool(node, kib, "surplus_hugepages", IN_USE, "when some are in use");
    expect_pool(node, kib, "free_hugepages", 0, "when some are in use");
    expect_pages(pages, node, kib, IN_USE, "of the shrunk pool of");
    munmap(pages, page_bytes * IN_USE);
    expect_pool(node, kib, "nr_hugepages", 0, "when all are given back");
    expect_pool(node, kib, "surplus_hugepages", 0, "when all are given back");
    suite_case_ends(NULL);
    tried++;
}

static void
pages_in_use_are_not_taken_away(void **state)
{
    suite_needs_live();
    tried = 0;
    for_each_pool(pages_in_use_stay);
    skip_unless_tried(tried, "pool with four free pages of 2048kB");
}

static void
page_moves_from(int node, const Fact *fact)
{
    long kib = size_kib(fact);
    int to = next_node_with_room(node);
    if (kib > GROWING_KIB || to < 0 || pool(to, kib, "free_hugepages") < 1)
        return;
    long before = pool(to, kib, "free_hugepages");
    unsigned char *page = take_pages(node, kib, 1);
    if (move_page(page, to) != 0)
        fail_msg("a page of %ldkB does not move from node %d to node %d: %s", kib, node,
                 to, strerror(errno));
    misplace_for_fault("pages_move_to_another_pool", page);
    expect_pages(page, to, kib, 1, "moved to");
    expect_pool(to, kib, "free_hugepages", before - 1, "when a page came");
    munmap(page, (size_t)kib * 1024);
    tried++;
}

static void
pages_move_to_another_pool(void **state)
{
    suite_needs_live();
    tried = 0;
    for_each_pool(page_moves_from);
    skip_unless_tried(tried, "two nodes with free pages of 2048kB");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {HUGEPAGES_CASES(SUITE_CASE)};
    return suite_run("hugepages", tests);
}
