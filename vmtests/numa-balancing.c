/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Suite numa-moves: pages that move by themselves.
 */
#include "nodes.h"
#include "numa-moves.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define BALANCED_PAGES 256
/* The kernel leaves pages alone that it still has in hand itself: a CPU's last ones,
 * until others come. */
#define IN_HAND_PAGES 16
#define BALANCE_MS 20000

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
 * has come after. It is not the case's to end the case: that is in the other process. */
static _Noreturn void
use_from_afar(int cpu_there, int cpu_here, int here)
{
    size_t bytes = (size_t)BALANCED_PAGES * PAGE_BYTES;
    char *pages =
        mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED || stay_on_cpu(cpu_there) != 0)
        _exit(2);
    memset(pages, 1, bytes);
    if (count_on(pages, BALANCED_PAGES, here) != 0)
        _exit(3);
    if (stay_on_cpu(cpu_here) != 0)
        _exit(4);
    int64_t end = now_ms() + suite_ms(BALANCE_MS);
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

static int cpu_of_node[2], node_found[2], found_count;

static void
note_cpu_and_memory(int node, const Fact *fact)
{
    int cpu = list_next(cpus_of(fact), -1);
    if (cpu < 0 || !node_has_room(node) || found_count == 2)
        return;
    cpu_of_node[found_count] = cpu;
    node_found[found_count++] = node;
}

#define BALANCING "/sys/kernel/debug/sched/numa_balancing/"

static void
skip_without_balancing(void)
{
    if (!suite_read("/proc/sys/kernel/numa_balancing")) {
        print_message("the kernel was built without CONFIG_NUMA_BALANCING\n");
        skip();
    }
    if (!suite_read(BALANCING "scan_delay_ms")) {
        print_message("balancing cannot be hurried: there is no " BALANCING
                      " (CONFIG_SCHED_DEBUG, debugfs)\n");
        skip();
    }
}

/* The kernel looks at memory once a second of a task's time, and never in its first; so
 * that it takes no minutes it is to look each hundredth. The period is no less than what
 * 2560 MiB a second leave, so the pieces are small. */
static void
hurry_balancing(void)
{
    suite_set("1", "/proc/sys/kernel/numa_balancing");
    suite_set("10", BALANCING "scan_delay_ms");
    suite_set("10", BALANCING "scan_period_min_ms");
    suite_set("100", BALANCING "scan_period_max_ms");
    suite_set("16", BALANCING "scan_size_mb");
    if (suite_has_fault("balancing_brings_pages_to_their_task"))
        suite_set("0", "/proc/sys/kernel/numa_balancing");
}

void
balancing_brings_pages_to_their_task(void **state)
{
    suite_needs_live();
    found_count = 0;
    for_each_node(note_cpu_and_memory);
    skip_unless_tried(found_count == 2, "two nodes with CPUs and memory");
    skip_without_balancing();
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
                 node_found[0], node_found[1], suite_ms(BALANCE_MS) / 1000);
    if (WEXITSTATUS(status) != 0)
        fail_msg("a task could not have memory on node %d and go to node %d (%d)",
                 node_found[0], node_found[1], WEXITSTATUS(status));
    int64_t moved = pages_migrated() - before;
    if (moved < BALANCED_PAGES - IN_HAND_PAGES)
        fail_msg("pages came, and numa_pages_migrated knows of %lld", (long long)moved);
}
