/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Suite numa-moves: policies of tasks and of memory, and memory that moves from node to
 * node: a page at a time, a task's as a whole, by a new policy, and by itself.
 */
#include "cases.h"
#include "nodes.h"

#include <errno.h>
#include <linux/mempolicy.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

typedef struct {
    unsigned long bits[16]; /* 1024 nodes, the kernel's own most */
} NodeMask;

static void
mask_add(NodeMask *mask, int node)
{
    mask->bits[node / 64] |= 1UL << (node % 64);
}

static bool
mask_has(const NodeMask *mask, int node)
{
    return mask->bits[node / 64] >> (node % 64) & 1;
}

static int tried;

/* Skips the case unless something was tried; WHAT the host lacks otherwise. */
static void
skip_unless_tried(const char *what)
{
    if (tried == 0) {
        print_message("the host has no %s\n", what);
        skip();
    }
}

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

static void
bound_task_allocates(int node, const Fact *fact)
{
    if (!node_has_room(node))
        return;
    set_task_node(MPOL_BIND, node);
    char *pages = fresh_pages();
    touch_and_expect(pages, node, "of a task bound to",
                     "a_bound_task_allocates_on_its_node");
    drop_pages(pages);
    suite_case_ends(NULL);
}

static void
a_bound_task_allocates_on_its_node(void **state)
{
    suite_needs_live();
    for_each_node(bound_task_allocates);
}

static void
preferring_task_allocates(int node, const Fact *fact)
{
    if (!node_has_room(node))
        return;
    set_task_node(MPOL_PREFERRED, node);
    char *pages = fresh_pages();
    touch_and_expect(pages, node, "of a task that prefers",
                     "a_preferring_task_allocates_on_its_node");
    drop_pages(pages);
    suite_case_ends(NULL);
}

static void
a_preferring_task_allocates_on_its_node(void **state)
{
    suite_needs_live();
    for_each_node(preferring_task_allocates);
}

static NodeMask roomy;
static int roomy_count;

static void
note_if_roomy(int node, const Fact *fact)
{
    if (node_has_room(node)) {
        mask_add(&roomy, node);
        roomy_count++;
    }
}

/* Neighbours are never on one node, so this is no share that came by chance. */
static void
an_interleaving_task_takes_turns(void **state)
{
    suite_needs_live();
    roomy = (NodeMask){0};
    roomy_count = 0;
    for_each_node(note_if_roomy);
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

static void
local_memory_lands(int node, const Fact *fact)
{
    int cpu = list_next(cpus_of(fact), -1), other = next_node_with_room(node);
    if (cpu < 0 || other < 0 || !node_has_room(node))
        return;
    set_task_node(MPOL_BIND, other);
    run_on_cpu(cpu);
    char *pages = fresh_pages();
    if (syscall(SYS_mbind, pages, PAGES * PAGE_BYTES, MPOL_LOCAL, NULL, 0UL, 0U) != 0)
        fail_msg("memory cannot be made local: %s", strerror(errno));
    touch_and_expect(pages, node, "local to", "a_local_policy_follows_the_cpu");
    drop_pages(pages);
    suite_case_ends(NULL);
    tried++;
}

static void
a_local_policy_follows_the_cpu(void **state)
{
    suite_needs_live();
    tried = 0;
    for_each_node(local_memory_lands);
    skip_unless_tried("node with CPUs and memory beside another with memory");
}

static void
bound_memory_of_another_task_lands(int node, const Fact *fact)
{
    int other = next_node_with_room(node);
    if (other < 0 || !node_has_room(node))
        return;
    set_task_node(MPOL_BIND, other);
    char *pages = fresh_pages();
    if (bind_range(pages, PAGES * PAGE_BYTES, MPOL_BIND, node) != 0)
        fail_msg("memory cannot be bound to node %d: %s", node, strerror(errno));
    touch_and_expect(pages, node, "in a task bound elsewhere, bound to",
                     "a_policy_of_memory_outranks_the_tasks");
    drop_pages(pages);
    suite_case_ends(NULL);
    tried++;
}

static void
a_policy_of_memory_outranks_the_tasks(void **state)
{
    suite_needs_live();
    tried = 0;
    for_each_node(bound_memory_of_another_task_lands);
    skip_unless_tried("two nodes with memory");
}

static void
binding_is_refused(int node, const Fact *fact)
{
    if (node_asked_mib(node) > 0)
        return;
    char *pages = fresh_pages();
    int result = bind_range(pages, PAGES * PAGE_BYTES, MPOL_BIND, node);
    if (result == 0)
        fail_msg("memory can be bound to node %d, which was to have none", node);
    if (errno != EINVAL)
        fail_msg("memory cannot be bound to node %d, which has none, but so: %s", node,
                 strerror(errno));
    drop_pages(pages);
    tried++;
}

static void
memory_cannot_be_bound_where_there_is_none(void **state)
{
    suite_needs_live();
    tried = 0;
    for_each_node(binding_is_refused);
    skip_unless_tried("node without memory");
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

static void
pages_move_from(int node, const Fact *fact)
{
    int to = next_node_with_room(node);
    if (to < 0 || !node_has_room(node))
        return;
    char *pages = written_pages_on(node);
    move_all(pages, to);
    misplace_for_fault("pages_move_on_request", pages);
    expect_written_on(pages, to, "moved to");
    drop_pages(pages);
    tried++;
}

static void
pages_move_on_request(void **state)
{
    suite_needs_live();
    tried = 0;
    for_each_node(pages_move_from);
    skip_unless_tried("two nodes with memory");
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

static void
task_moves_from(int node, const Fact *fact)
{
    int to = next_node_with_room(node);
    if (to < 0 || !node_has_room(node))
        return;
    char *pages = written_pages_on(node), *others = written_pages_on(to);
    migrate_task(node, to);
    misplace_for_fault("a_tasks_memory_moves_as_a_whole", pages);
    expect_written_on(pages, to, "of a task that moved to");
    expect_written_on(others, to, "that was before on");
    drop_pages(pages);
    drop_pages(others);
    tried++;
}

static void
a_tasks_memory_moves_as_a_whole(void **state)
{
    suite_needs_live();
    tried = 0;
    for_each_node(task_moves_from);
    skip_unless_tried("two nodes with memory");
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

static void
binding_moves_from(int node, const Fact *fact)
{
    int to = next_node_with_room(node);
    if (to < 0 || !node_has_room(node))
        return;
    char *pages = written_pages_on(node);
    bind_anew(pages, to);
    misplace_for_fault("a_new_binding_moves_pages", pages);
    expect_written_on(pages, to, "bound anew to");
    drop_pages(pages);
    tried++;
}

static void
a_new_binding_moves_pages(void **state)
{
    suite_needs_live();
    tried = 0;
    for_each_node(binding_moves_from);
    skip_unless_tried("two nodes with memory");
}

/* To the node in three ways, and back in the same. */
static void
memory_only_node_is_used(int node, const Fact *fact)
{
    int near = next_node_with_room(node);
    if (strcmp(cpus_of(fact), "none") != 0 || near < 0 || !node_has_room(node))
        return;
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
    tried++;
}

static void
pages_move_to_and_from_memory_without_cpus(void **state)
{
    suite_needs_live();
    tried = 0;
    for_each_node(memory_only_node_is_used);
    skip_unless_tried("node with memory and no CPUs beside another with memory");
}

/* ---- pages that move by themselves
 * ----------------------------------------------------------- */

#define BALANCED_PAGES 256
/* The kernel leaves pages alone that it still has in hand itself: a CPU's last ones,
 * until others come. */
#define IN_HAND_PAGES 16
#define BALANCE_MS 20000

static int64_t
now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int
count_on(char *pages, int count, int node)
{
    int found = 0;
    for (int i = 0; i < count; i++)
        found += page_node(pages + (size_t)i * PAGE_BYTES) == node;
    return found;
}

/* In a process of its own, which the kernel looks at from its start: touches memory on
 * the one node, then goes to the CPU on the other and uses it. Ends with 0 when all of it
 * has come after. */
static _Noreturn void
use_from_afar(int cpu_there, int cpu_here, int here)
{
    size_t bytes = (size_t)BALANCED_PAGES * PAGE_BYTES;
    char *pages =
        mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED)
        _exit(2);
    run_on_cpu(cpu_there);
    memset(pages, 1, bytes);
    if (count_on(pages, BALANCED_PAGES, here) != 0)
        _exit(3);
    run_on_cpu(cpu_here);
    int64_t end = now_ms() + BALANCE_MS;
    while (now_ms() < end) {
        for (int64_t until = now_ms() + 50; now_ms() < until;)
            for (size_t at = 0; at < bytes; at += 64)
                pages[at]++;
        if (count_on(pages, BALANCED_PAGES, here) >= BALANCED_PAGES - IN_HAND_PAGES)
            _exit(0);
    }
    _exit(1);
}

static int64_t
pages_migrated(void)
{
    const char *text = suite_read("/proc/vmstat");
    const char *at = text ? strstr(text, "\nnuma_pages_migrated ") : NULL;
    return at ? strtoll(at + strlen("\nnuma_pages_migrated "), NULL, 10) : -1;
}

static int cpu_of_node[2], node_found[2];

static void
note_cpu_and_memory(int node, const Fact *fact)
{
    int cpu = list_next(cpus_of(fact), -1);
    if (cpu < 0 || !node_has_room(node) || tried == 2)
        return;
    cpu_of_node[tried] = cpu;
    node_found[tried++] = node;
}

/* The kernel looks at memory once a second of a task's time, and never in its first; so
 * that it takes no minutes it is to look each hundredth. The period is no less than what
 * 2560 MiB a second leave, so the pieces are small. */
static void
hurry_balancing(void)
{
#define BALANCING "/sys/kernel/debug/sched/numa_balancing/"
    suite_set("1", "/proc/sys/kernel/numa_balancing");
    suite_set("10", BALANCING "scan_delay_ms");
    suite_set("10", BALANCING "scan_period_min_ms");
    suite_set("100", BALANCING "scan_period_max_ms");
    suite_set("16", BALANCING "scan_size_mb");
    if (suite_has_fault("balancing_brings_pages_to_their_task"))
        suite_set("0", "/proc/sys/kernel/numa_balancing");
}

static void
balancing_brings_pages_to_their_task(void **state)
{
    suite_needs_live();
    tried = 0;
    for_each_node(note_cpu_and_memory);
    if (tried < 2)
        tried = 0;
    skip_unless_tried("two nodes with CPUs and memory");
    if (!suite_read("/proc/sys/kernel/numa_balancing")) {
        print_message("the kernel was built without CONFIG_NUMA_BALANCING\n");
        skip();
    }
    hurry_balancing();
    int64_t before = pages_migrated();
    pid_t child = fork();
    if (child == 0)
        use_from_afar(cpu_of_node[0], cpu_of_node[1], node_found[1]);
    int status = -1;
    if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status))
        fail_msg("the task that uses memory from afar did not end by itself");
    if (WEXITSTATUS(status) == 1)
        fail_msg("memory on node %d did not come to the task on node %d in %d s",
                 node_found[0], node_found[1], BALANCE_MS / 1000);
    if (WEXITSTATUS(status) != 0)
        fail_msg("memory could not be had on node %d (%d)", node_found[0],
                 WEXITSTATUS(status));
    int64_t moved = pages_migrated() - before;
    if (moved < BALANCED_PAGES - IN_HAND_PAGES)
        fail_msg("pages came, and numa_pages_migrated knows of %lld", (long long)moved);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {NUMA_MOVES_CASES(SUITE_CASE)};
    return suite_run("numa-moves", tests);
}
