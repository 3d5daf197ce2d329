/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Suite numa-moves: policies of tasks and of memory, and memory that moves from node to
 * node: a page at a time, a task's as a whole, and by a new policy. What moves by itself:
 * numa-balancing.c.
 */
#include "numa-moves.h"
#include "nodes.h"

#include <errno.h>
#include <linux/mempolicy.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- policies of a task
 * ---------------------------------------------------------------------- */

static void
default_policy(long unused)
{
    syscall(SYS_set_mempolicy, MPOL_DEFAULT, NULL, 0UL);
}

/* Until the case ends. */
static void
set_task_policy(int mode, const NodeMask *mask)
{
    suite_at_end(default_policy, 0);
    if (syscall(SYS_set_mempolicy, mode, mask->bits, sizeof mask->bits * 8) != 0)
        fail_msg("the task's policy cannot be set to mode %d: %s", mode, strerror(errno));
    int found = -1;
    NodeMask found_mask = {0};
    if (syscall(SYS_get_mempolicy, &found, found_mask.bits, sizeof found_mask.bits * 8,
                NULL, 0UL) != 0)
        fail_msg("the task's policy cannot be read: %s", strerror(errno));
    if (found != mode || memcmp(&found_mask, mask, sizeof found_mask) != 0)
        fail_msg("the task's policy is of mode %d or of other nodes, set was mode %d",
                 found, mode);
}

static void
set_task_node(int mode, int node)
{
    NodeMask mask = {0};
    mask_add(&mask, node);
    set_task_policy(mode, &mask);
}

static bool
bound_task_allocates(int node, const Fact *fact)
{
    if (!node_has_room(node))
        return false;
    set_task_node(MPOL_BIND, node);
    char *pages = fresh_pages();
    touch_and_expect(pages, node, "of a task bound to",
                     "a_bound_task_allocates_on_its_node");
    drop_pages(pages);
    suite_case_ends(NULL);
    return true;
}

void
a_bound_task_allocates_on_its_node(void **state)
{
    suite_needs_live();
    skip_unless_tried(try_nodes(ALL_NODES, bound_task_allocates), "node with memory");
}

static bool
preferring_task_allocates(int node, const Fact *fact)
{
    if (!node_has_room(node))
        return false;
    set_task_node(MPOL_PREFERRED, node);
    char *pages = fresh_pages();
    touch_and_expect(pages, node, "of a task that prefers",
                     "a_preferring_task_allocates_on_its_node");
    drop_pages(pages);
    suite_case_ends(NULL);
    return true;
}

void
a_preferring_task_allocates_on_its_node(void **state)
{
    suite_needs_live();
    skip_unless_tried(try_nodes(ALL_NODES, preferring_task_allocates),
                      "node with memory");
}

/* Neighbours are never on one node, so this is no share that came by chance. */
void
an_interleaving_task_takes_turns(void **state)
{
    suite_needs_live();
    int roomy_count;
    NodeMask roomy = nodes_with_room(&roomy_count);
    if (roomy_count < 2) {
        print_message("the host has no two nodes with memory to take turns\n");
        skip();
    }
    set_task_policy(MPOL_INTERLEAVE, &roomy);
    char *pages = fresh_pages();
    memset(pages, 1, PAGES * PAGE_BYTES);
    misplace_for_fault("an_interleaving_task_takes_turns", pages);
    for (int i = 0; i < PAGES; i++) {
        int node = page_node(pages + i * PAGE_BYTES);
        int before = i > 0 ? page_node(pages + (i - 1) * PAGE_BYTES) : -1;
        if (node < 0 || !mask_has(&roomy, node))
            fail_msg("page %d of a task that interleaves is on node %d", i, node);
        if (node == before)
            fail_msg("pages %d and %d of a task that interleaves are on node %d", i - 1,
                     i, node);
    }
    drop_pages(pages);
}

/* ---- policies of memory
 * ---------------------------------------------------------------------- */

static bool
local_memory_lands(int node, const Fact *fact)
{
    int cpu = list_next(cpus_of(fact), -1), other = next_node_with_room(node);
    if (cpu < 0 || other < 0 || !node_has_room(node))
        return false;
    set_task_node(MPOL_BIND, other);
    run_on_cpu(cpu);
    char *pages = fresh_pages();
    if (syscall(SYS_mbind, pages, PAGES * PAGE_BYTES, MPOL_LOCAL, NULL, 0UL, 0U) != 0)
        fail_msg("memory cannot be made local: %s", strerror(errno));
    touch_and_expect(pages, node, "local to", "a_local_policy_follows_the_cpu");
    drop_pages(pages);
    suite_case_ends(NULL);
    return true;
}

void
a_local_policy_follows_the_cpu(void **state)
{
    suite_needs_live();
    skip_unless_tried(try_nodes(ALL_NODES, local_memory_lands),
                      "node with CPUs and memory beside another with memory");
}

static bool
bound_memory_of_another_task_lands(int node, const Fact *fact)
{
    int other = next_node_with_room(node);
    if (other < 0 || !node_has_room(node))
        return false;
    set_task_node(MPOL_BIND, other);
    char *pages = fresh_pages();
    if (bind_range(pages, PAGES * PAGE_BYTES, MPOL_BIND, node) != 0)
        fail_msg("memory cannot be bound to node %d: %s", node, strerror(errno));
    touch_and_expect(pages, node, "in a task bound elsewhere, bound to",
                     "a_policy_of_memory_outranks_the_tasks");
    drop_pages(pages);
    suite_case_ends(NULL);
    return true;
}

void
a_policy_of_memory_outranks_the_tasks(void **state)
{
    suite_needs_live();
    skip_unless_tried(try_nodes(ALL_NODES, bound_memory_of_another_task_lands),
                      "two nodes with memory");
}

static bool
binding_is_refused(int node, const Fact *fact)
{
    if (node_asked_mib(node) > 0)
        return false;
    char *pages = fresh_pages();
    int result = bind_range(pages, PAGES * PAGE_BYTES, MPOL_BIND, node);
    if (result == 0)
        fail_msg("memory can be bound to node %d, which was to have none", node);
    if (errno != EINVAL)
        fail_msg("memory cannot be bound to node %d, which has none, but so: %s", node,
                 strerror(errno));
    drop_pages(pages);
    return true;
}

void
memory_cannot_be_bound_where_there_is_none(void **state)
{
    suite_needs_live();
    skip_unless_tried(try_nodes(ALL_NODES, binding_is_refused), "node without memory");
}

/* ---- pages that are moved
 * -------------------------------------------------------------------- */

/* By move_pages(), all at once. */
static void
move_all(char *pages, int node)
{
    void *address[PAGES];
    int to[PAGES], status[PAGES];
    for (int i = 0; i < PAGES; i++) {
        address[i] = pages + i * PAGE_BYTES;
        to[i] = node;
        status[i] = -1;
    }
    long result =
        syscall(SYS_move_pages, 0, (long)PAGES, address, to, status, MPOL_MF_MOVE);
    if (result != 0)
        fail_msg("pages do not move to node %d: %s", node,
                 result < 0 ? strerror(errno) : "some stay");
    for (int i = 0; i < PAGES; i++)
        if (status[i] != node)
            fail_msg("page %d was to move to node %d, and the kernel says %d", i, node,
                     status[i]);
}

static bool
pages_move_from(int node, const Fact *fact)
{
    int to = next_node_with_room(node);
    if (to < 0 || !node_has_room(node))
        return false;
    char *pages = written_pages_on(node);
    move_all(pages, to);
    misplace_for_fault("pages_move_on_request", pages);
    expect_written_on(pages, to, "moved to");
    drop_pages(pages);
    return true;
}

void
pages_move_on_request(void **state)
{
    suite_needs_live();
    skip_unless_tried(try_nodes(ALL_NODES, pages_move_from), "two nodes with memory");
}

/* What the task has on one node goes to the other; it fails the case if it does not. */
static void
migrate_task(int from, int to)
{
    NodeMask old = {0}, new = {0};
    mask_add(&old, from);
    mask_add(&new, to);
    /* What stays may be what it shares with others. */
    if (syscall(SYS_migrate_pages, 0, sizeof old.bits * 8, old.bits, new.bits) < 0)
        fail_msg("the task's memory does not move from node %d to node %d: %s", from, to,
                 strerror(errno));
}

static bool
task_moves_from(int node, const Fact *fact)
{
    int to = next_node_with_room(node);
    if (to < 0 || !node_has_room(node))
        return false;
    char *pages = written_pages_on(node), *others = written_pages_on(to);
    migrate_task(node, to);
    misplace_for_fault("a_tasks_memory_moves_as_a_whole", pages);
    expect_written_on(pages, to, "of a task that moved to");
    expect_written_on(others, to, "that was before on");
    drop_pages(pages);
    drop_pages(others);
    return true;
}

void
a_tasks_memory_moves_as_a_whole(void **state)
{
    suite_needs_live();
    skip_unless_tried(try_nodes(ALL_NODES, task_moves_from), "two nodes with memory");
}

static void
bind_anew(char *pages, int node)
{
    NodeMask mask = {0};
    mask_add(&mask, node);
    if (syscall(SYS_mbind, pages, PAGES * PAGE_BYTES, MPOL_BIND, mask.bits,
                sizeof mask.bits * 8, MPOL_MF_MOVE | MPOL_MF_STRICT) != 0)
        fail_msg("written memory does not move to node %d that it is bound to: %s", node,
                 strerror(errno));
}

static bool
binding_moves_from(int node, const Fact *fact)
{
    int to = next_node_with_room(node);
    if (to < 0 || !node_has_room(node))
        return false;
    char *pages = written_pages_on(node);
    bind_anew(pages, to);
    misplace_for_fault("a_new_binding_moves_pages", pages);
    expect_written_on(pages, to, "bound anew to");
    drop_pages(pages);
    return true;
}

void
a_new_binding_moves_pages(void **state)
{
    suite_needs_live();
    skip_unless_tried(try_nodes(ALL_NODES, binding_moves_from), "two nodes with memory");
}

/* To the node in three ways, and back in the same. */
static bool
memory_only_node_is_used(int node, const Fact *fact)
{
    int near = next_node_with_room(node);
    if (strcmp(cpus_of(fact), "none") != 0 || near < 0 || !node_has_room(node))
        return false;
    char *pages = written_pages_on(near);
    move_all(pages, node);
    misplace_for_fault("pages_move_to_and_from_memory_without_cpus", pages);
    expect_written_on(pages, node, "moved to");
    move_all(pages, near);
    expect_written_on(pages, near, "moved back to");
    migrate_task(near, node);
    expect_written_on(pages, node, "of a task that moved to");
    migrate_task(node, near);
    expect_written_on(pages, near, "of a task that moved back to");
    bind_anew(pages, node);
    expect_written_on(pages, node, "bound anew to");
    bind_anew(pages, near);
    expect_written_on(pages, near, "bound back to");
    drop_pages(pages);
    return true;
}

void
pages_move_to_and_from_memory_without_cpus(void **state)
{
    suite_needs_live();
    skip_unless_tried(try_nodes(ALL_NODES, memory_only_node_is_used),
                      "node with memory and no CPUs beside another with memory");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {NUMA_MOVES_CASES(SUITE_CASE)};
    return suite_run("numa-moves", tests);
}
