/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Suite hugepages: the pools are reserved on their nodes, and a page taken from one comes
 * from there and is as large as it says.
 */
#include "cases.h"
#include "suite.h"

#include <errno.h>
#include <linux/mempolicy.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#ifndef MAP_HUGE_SHIFT
#define MAP_HUGE_SHIFT 26
#endif

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

static void
pool_is_free(int node, const Fact *fact)
{
    long kib = size_kib(fact);
    long free_pages = pool(node, kib, "free_hugepages");
    long pages = pool(node, kib, "nr_hugepages");
    if (free_pages != pages)
        fail_msg("%ld of node %d's %ld pages of %s are free", free_pages, node, pages,
                 fact->word[3]);
}

static void
pools_are_free_at_start(void **state)
{
    for_each_pool(pool_is_free);
}

static void *
map_huge(size_t bytes)
{
    int shift = __builtin_ctzll(bytes);
    return mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | (shift << MAP_HUGE_SHIFT), -1,
                0);
}

static void
page_comes_from_its_node(int node, const Fact *fact)
{
    long kib = size_kib(fact);
    size_t bytes = (size_t)kib * 1024;
    long before = pool(node, kib, "free_hugepages");
    char *page = map_huge(bytes);
    if (page == MAP_FAILED)
        fail_msg("no page of %s can be mapped", fact->word[3]);
    if (bind_range(page, bytes, MPOL_BIND, node) != 0)
        fail_msg("a page of %s cannot be bound to node %d: %s", fact->word[3], node,
                 strerror(errno));
    page[0] = 1;
    page[bytes - 1] = 1;
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
    char *page = map_huge(bytes);
    if (page == MAP_FAILED)
        fail_msg("no page of %s can be mapped", fact->word[3]);
    if (bind_range(page, bytes, MPOL_BIND, node) != 0)
        fail_msg("a page of %s cannot be bound to node %d: %s", fact->word[3], node,
                 strerror(errno));
    page[0] = 1;
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

int
main(void)
{
    const struct CMUnitTest tests[] = {HUGEPAGES_CASES(SUITE_CASE)};
    return suite_run("hugepages", tests);
}
