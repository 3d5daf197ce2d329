/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "nodes.h"

#include <errno.h>
#include <linux/mempolicy.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- the manifest's nodes
 * ------------------------------------------------------------------ */

static bool
is_node(const Fact *fact)
{
    return fact->count == 4 && fact_is(fact, "node") &&
           strcmp(fact->word[2], "cpus") == 0;
}

static int
number_of(const Fact *fact)
{
    int node = atoi(fact->word[1]);
    if (node < 0 || node >= ALL_NODES)
        fail_msg("the manifest has a node %s; a kernel has 0-1023", fact->word[1]);
    return node;
}

/* The first node at FACT or behind it, or NULL. */
static const Fact *
node_from(const Fact *fact)
{
    while (fact->count > 0 && !is_node(fact))
        fact++;
    return fact->count > 0 ? fact : NULL;
}

static const Fact *
first_node(void)
{
    const Fact *fact = node_from(suite_facts());
    if (!fact)
        fail_msg("the manifest has no node");
    return fact;
}

void
for_each_node(void (*each)(int node, const Fact *fact))
{
    for (const Fact *fact = first_node(); fact; fact = node_from(fact + 1))
        each(number_of(fact), fact);
}

int
try_nodes(int most, bool (*each)(int node, const Fact *fact))
{
    int tried = 0;
    for (const Fact *fact = first_node(); fact && tried < most;
         fact = node_from(fact + 1))
        tried += each(number_of(fact), fact);
    return tried;
}

const char *
cpus_of(const Fact *fact)
{
    return fact->word[3];
}

int64_t
node_asked_mib(int node)
{
    const Fact *fact = suite_fact("node %d memory", node);
    return fact ? strtoll(fact->word[3], NULL, 10) : 0;
}

bool
node_has_room(int node)
{
    int64_t free_kib = node_meminfo_kib(node, "MemFree");
    if (free_kib < 0)
        fail_msg("the lab asks for node %d, and the host has none", node);
    return free_kib > 4096;
}

/* It looks at no more nodes than it must: there may be 128. */
int
next_node_with_room(int node)
{
    int most = 0;
    for (const Fact *fact = first_node(); fact; fact = node_from(fact + 1))
        most = number_of(fact) > most ? number_of(fact) : most;
    for (int i = 1; i <= most; i++) {
        int next = (node + i) % (most + 1);
        if (suite_fact("node %d cpus", next) && node_has_room(next))
            return next;
    }
    return -1;
}

void
mask_add(NodeMask *mask, int node)
{
    mask->bits[node / 64] |= 1UL << (node % 64);
}

bool
mask_has(const NodeMask *mask, int node)
{
    return mask->bits[node / 64] >> (node % 64) & 1;
}

NodeMask
nodes_with_room(int *count)
{
    NodeMask roomy = {0};
    *count = 0;
    for (const Fact *fact = first_node(); fact; fact = node_from(fact + 1))
        if (node_has_room(number_of(fact))) {
            mask_add(&roomy, number_of(fact));
            ++*count;
        }
    return roomy;
}

/* ---- pages
 * --------------------------------------------------------------------------------- */

char *
fresh_pages(void)
{
    char *pages = mmap(NULL, PAGES * PAGE_BYTES, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED)
        fail_msg("no memory can be mapped: %s", strerror(errno));
    return pages;
}

void
drop_pages(char *pages)
{
    munmap(pages, PAGES * PAGE_BYTES);
}

char *
written_pages_on(int node)
{
    char *pages = fresh_pages();
    if (bind_range(pages, PAGES * PAGE_BYTES, MPOL_BIND, node) != 0)
        fail_msg("memory cannot be bound to node %d: %s", node, strerror(errno));
    for (int i = 0; i < PAGES; i++)
        memset(pages + i * PAGE_BYTES, i + 1, PAGE_BYTES);
    expect_written_on(pages, node, "bound to");
    return pages;
}

void
expect_written_on(const char *pages, int node, const char *what)
{
    for (int i = 0; i < PAGES; i++) {
        const char *page = pages + i * PAGE_BYTES;
        int found = page_node(page);
        if (found != node)
            fail_msg("page %d, %s node %d, is on node %d", i, what, node, found);
        for (int at = 0; at < PAGE_BYTES; at++)
            if (page[at] != (char)(i + 1))
                fail_msg("byte %d of page %d, %s node %d, is not what was written", at, i,
                         what, node);
    }
}

void
touch_and_expect(char *pages, int node, const char *what, const char *name)
{
    for (int i = 0; i < PAGES; i++)
        pages[i * PAGE_BYTES] = (char)i;
    misplace_for_fault(name, pages + (PAGES - 1) * PAGE_BYTES);
    for (int i = 0; i < PAGES; i++) {
        int found = page_node(pages + i * PAGE_BYTES);
        if (found != node)
            fail_msg("page %d, %s node %d, is on node %d", i, what, node, found);
    }
}

int
move_page(void *page, int node)
{
    int status = -1;
    if (syscall(SYS_move_pages, 0, 1UL, &page, &node, &status, MPOL_MF_MOVE) < 0)
        return -1;
    if (status == node)
        return 0;
    errno = status < 0 ? -status : EBUSY;
    return -1;
}

void
misplace_for_fault(const char *name, void *page)
{
    if (!suite_has_fault(name))
        return;
    int node = page_node(page), other = next_node_with_room(node);
    if (other < 0)
        fail_msg("there is no other node than %d to misplace a page to", node);
    if (move_page(page, other) != 0)
        fail_msg("a page cannot be misplaced to node %d: %s", other, strerror(errno));
}

/* ---- the task's CPU
 * ------------------------------------------------------------------------ */

static cpu_set_t cpus_before;
static bool cpus_are_limited;

static void
run_where_it_could(long unused)
{
    sched_setaffinity(0, sizeof cpus_before, &cpus_before);
    cpus_are_limited = false;
}

int
stay_on_cpu(int cpu)
{
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET((unsigned)cpu, &one);
    return sched_setaffinity(0, sizeof one, &one);
}

void
run_on_cpu(int cpu)
{
    if (!cpus_are_limited) {
        if (sched_getaffinity(0, sizeof cpus_before, &cpus_before) != 0)
            fail_msg("the suite's CPUs cannot be read: %s", strerror(errno));
        suite_at_end(run_where_it_could, 0);
        cpus_are_limited = true;
    }
    if (stay_on_cpu(cpu) != 0)
        fail_msg("nothing can be run on CPU %d: %s", cpu, strerror(errno));
}
