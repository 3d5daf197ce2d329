/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Suite numa-cpus: tasks and interrupts are on the CPU that they are told to be on, near
 * to their memory and device by themselves, and CPUs go and come back.
 */
#include "cases.h"
#include "net.h"
#include "nodes.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CPUS "/sys/devices/system/cpu"
/* A host may have hundreds of CPUs and a hundred NICs; so many nodes are tried. */
#define NODES_MAX 8
#define INTERRUPT_MS 20000

static const char *
cpus_online(void)
{
    const char *online = suite_read(CPUS "/online");
    if (!online)
        fail_msg("the kernel tells no CPUs: " CPUS "/online");
    return online;
}

/* A CPU that is online and not this one, or -1. */
static int
another_cpu(int cpu)
{
    const char *online = cpus_online();
    int other = list_next(online, -1);
    return other == cpu ? list_next(online, cpu) : other;
}

/* ---- tasks
 * ------------------------------------------------------------------------------- */

static void
task_runs_on_cpus(int node, const Fact *fact)
{
    for (int cpu = list_next(cpus_of(fact), -1); cpu >= 0;
         cpu = list_next(cpus_of(fact), cpu)) {
        unsigned cpu_found = 0, node_found = 0;
        run_on_cpu(cpu);
        if (suite_has_fault("tasks_run_where_they_are_told"))
            run_on_cpu(another_cpu(cpu));
        if (syscall(SYS_getcpu, &cpu_found, &node_found, NULL) != 0)
            fail_msg("the task does not know its CPU: %s", strerror(errno));
        if ((int)cpu_found != cpu)
            fail_msg("a task that is to be on CPU %d is on CPU %u", cpu, cpu_found);
        if ((int)node_found != node)
            differs_msg("CPU %d is on node %u, asked was node %d", cpu, node_found, node);
    }
}

static void
tasks_run_where_they_are_told(void **state)
{
    suite_needs_live();
    for_each_node(task_runs_on_cpus);
}

/* ---- interrupts that return
 * -------------------------------------------------------------- */

/* Of a kernel with 100 Hz, the slowest. */
#define TICK_US 10000

/* Until the CPUs that interrupts left have cleaned up after them, by an interrupt of its
 * own or (since Linux 6.7) at their next tick, the interrupts move again only when they
 * come, and that may be never. What was on its way to those CPUs still comes there, too.
 * A task that slept there after that, and is awake, shows that all this has been. */
static void
let_go(long unused)
{
    (void)unused;
    const char *online = cpus_online();
    usleep(2 * TICK_US);
    for (int cpu = list_next(online, -1); cpu >= 0; cpu = list_next(online, cpu)) {
        run_on_cpu(cpu);
        usleep(1000);
    }
}

static void
keep_if_only_there(const char *irq, void *data)
{
    const char *cpus = suite_read("/proc/irq/%s/smp_affinity_list", irq);
    int cpu = *(int *)data;
    /* What may not be written, the kernel brings back itself. */
    if (cpus && list_next(cpus, -1) == cpu && list_next(cpus, cpu) < 0 &&
        suite_write(cpus, "/proc/irq/%s/smp_affinity_list", irq) == 0)
        suite_keep("/proc/irq/%s/smp_affinity_list", irq);
}

/* Until the case ends. The kernel lets interrupts that may go to no other CPU go to all,
 * and leaves them so when the CPU is back. They are told to return; without remapping
 * they do when they next come. */
static void
take_offline(int cpu)
{
    suite_at_end(let_go, 0);
    suite_list(keep_if_only_there, &cpu, "/proc/irq");
    suite_set("0", CPUS "/cpu%d/online", cpu);
}

/* ---- CPUs that go and come back
 * ---------------------------------------------------------- */

/* The last CPU of the list that can go, or -1: the first of all often cannot. */
static int
cpu_that_can_go(const char *cpus)
{
    int found = -1;
    for (int cpu = list_next(cpus, -1); cpu >= 0; cpu = list_next(cpus, cpu))
        if (access(suite_path(CPUS "/cpu%d/online", cpu), W_OK) == 0)
            found = cpu;
    return found;
}

static void
expect_cpu(int cpu, int node, bool there)
{
    const char *online = cpus_online();
    const char *list = suite_read("/sys/devices/system/node/node%d/cpulist", node);
    if (list_has(online, cpu) != there)
        fail_msg("CPU %d is %s; online are %s", cpu, there ? "not online" : "online",
                 online);
    if (!list || list_has(list, cpu) != there)
        fail_msg("CPU %d is %s and %s the list of node %d: %s", cpu,
                 there ? "online" : "offline", there ? "not in" : "in", node,
                 list ? list : "(none)");
}

static bool
cpu_goes_and_comes(int node, const Fact *fact)
{
    int cpu = cpu_that_can_go(cpus_of(fact));
    if (cpu < 0)
        return false;
    take_offline(cpu);
    if (suite_has_fault("offline_cpus_leave_their_node"))
        suite_write("1", CPUS "/cpu%d/online", cpu);
    expect_cpu(cpu, node, false);
    if (suite_write("1", CPUS "/cpu%d/online", cpu) != 0)
        fail_msg("CPU %d does not come back: %s", cpu, strerror(errno));
    expect_cpu(cpu, node, true);
    return true;
}

static void
offline_cpus_leave_their_node(void **state)
{
    suite_needs_live();
    skip_unless_tried(try_nodes(NODES_MAX, cpu_goes_and_comes),
                      "CPU that can go offline");
}

static bool
task_is_sent_away(int node, const Fact *fact)
{
    int cpu = cpu_that_can_go(cpus_of(fact));
    unsigned found = 0;
    cpu_set_t one;
    CPU_ZERO(&one);
    if (cpu < 0)
        return false;
    CPU_SET((unsigned)cpu, &one);
    run_on_cpu(cpu);
    if (!suite_has_fault("offline_cpus_send_their_tasks_away"))
        take_offline(cpu);
    syscall(SYS_getcpu, &found, NULL, NULL);
    if ((int)found == cpu)
        fail_msg("a task is still on CPU %d, which went offline", cpu);
    if (sched_setaffinity(0, sizeof one, &one) == 0 || errno != EINVAL)
        fail_msg("a task may go to CPU %d, which is offline", cpu);
    suite_case_ends(NULL);
    return true;
}

static void
offline_cpus_send_their_tasks_away(void **state)
{
    suite_needs_live();
    skip_unless_tried(try_nodes(NODES_MAX, task_is_sent_away), "CPU that can go offline");
}

/* ---- interrupts
 * -------------------------------------------------------------------------- */

#define VECTORS_MAX 32

typedef struct {
    const char *address;
    int node;
    NetInterface interface;
    int count;
    int irq[VECTORS_MAX];
} Nic;

static void
add_vector(const char *name, void *data)
{
    Nic *nic = data;
    int irq = atoi(name);
    /* A driver may have more than it uses. */
    if (nic->count < VECTORS_MAX &&
        access(suite_path("/proc/irq/%d/smp_affinity_list", irq), F_OK) == 0)
        nic->irq[nic->count++] = irq;
}

static int
node_of(const char *address)
{
    const Fact *fact = suite_fact("pci %s node", address);
    return fact ? atoi(fact->word[3]) : -1;
}

static struct {
    Nic all[NODES_MAX];
    int count;
} nics;

/* Adds the NIC of a physical function, with its interface up, if FACT tells of one on
 * another node than the one before. */
static void
add_nic(const Fact *fact)
{
    Nic *nic = &nics.all[nics.count];
    if (fact->count != 4 || !fact_is(fact, "pci") || strcmp(fact->word[2], "mac") != 0)
        return;
    *nic = (Nic){.address = fact->word[1], .node = node_of(fact->word[1])};
    if ((nics.count > 0 && nic[-1].node == nic->node) ||
        !net_of_function(nic->address, &nic->interface))
        return;
    net_start(&nic->interface);
    suite_list(add_vector, nic, "/sys/bus/pci/devices/%s/msi_irqs", nic->address);
    nics.count += nic->count > 0;
}

/* Calls EACH with a NIC of every node. */
static void
for_each_nic(void (*each)(Nic *nic))
{
    nics.count = 0;
    for (const Fact *fact = suite_facts(); fact->count > 0 && nics.count < NODES_MAX;
         fact++)
        add_nic(fact);
    const int started = suite_to_undo();
    for (int i = 0; i < nics.count; i++) {
        each(&nics.all[i]);
        suite_undo_after(started);
    }
    skip_unless_tried(nics.count, "NIC on a node with interrupts of its own (MSI)");
}

/* The CPU that the interrupt goes to, or -1. */
static int
effective_cpu(int irq)
{
    const char *cpus = suite_read("/proc/irq/%d/effective_affinity_list", irq);
    return cpus ? list_next(cpus, -1) : -1;
}

static void
interrupts_are_near(Nic *nic)
{
    const Fact *fact = suite_fact("node %d cpus", nic->node);
    for (int i = 0; i < nic->count; i++) {
        const char *node = suite_read("/proc/irq/%d/node", nic->irq[i]);
        int cpu = effective_cpu(nic->irq[i]);
        if (!node || atoi(node) != nic->node)
            differs_msg("interrupt %d of %s is of node %s, its device was to be of %d",
                        nic->irq[i], nic->address, node ? node : "none", nic->node);
        if (cpu < 0)
            fail_msg("interrupt %d of %s goes to no CPU", nic->irq[i], nic->address);
        if (fact && strcmp(cpus_of(fact), "none") != 0 && !list_has(cpus_of(fact), cpu))
            differs_msg("interrupt %d of %s goes to CPU %d, near are %s", nic->irq[i],
                        nic->address, cpu, cpus_of(fact));
    }
}

static void
interrupts_start_near_to_their_device(void **state)
{
    suite_needs_live();
    for_each_nic(interrupts_are_near);
}

typedef struct {
    int64_t here, elsewhere;
} Came;

/* How often the NIC's interrupts came to the CPU, and to others. */
static Came
interrupts_on(const Nic *nic, int cpu)
{
    Came came = {0};
    for (int i = 0; i < nic->count; i++) {
        const char *counts = suite_read("/sys/kernel/irq/%d/per_cpu_count", nic->irq[i]);
        for (int at = 0; counts && *counts; at++) {
            char *end;
            int64_t count = strtoll(counts, &end, 10);
            *(at == cpu ? &came.here : &came.elsewhere) += count;
            counts = *end == ',' ? end + 1 : end;
        }
    }
    return came;
}

/* Makes the NIC interrupt, by a frame that it sends, until it has. */
static void
interrupt_once(const Nic *nic, int fd, int cpu)
{
    static const unsigned char nobody[6] = {0x02, 0, 0, 0, 0, 1};
    int64_t before = interrupts_on(nic, cpu).here,
            end = now_ms() + suite_ms(INTERRUPT_MS);
    while (interrupts_on(nic, cpu).here == before) {
        if (now_ms() > end)
            fail_msg("no interrupt of %s came to CPU %d in %d s", nic->address, cpu,
                     suite_ms(INTERRUPT_MS) / 1000);
        net_send(fd, &nic->interface, nobody, "interrupt");
        usleep(20000);
    }
}

static void
steer(const Nic *nic, int cpu)
{
    char text[16];
    snprintf(text, sizeof text, "%d", cpu);
    for (int i = 0; i < nic->count; i++) {
        if (suite_write(text, "/proc/irq/%d/smp_affinity_list", nic->irq[i]) != 0)
            fail_msg("interrupt %d of %s cannot be told to go to CPU %d: %s", nic->irq[i],
                     nic->address, cpu, strerror(errno));
        int found = effective_cpu(nic->irq[i]);
        if (found != cpu)
            fail_msg("interrupt %d of %s goes to CPU %d, told was %d", nic->irq[i],
                     nic->address, found, cpu);
    }
    let_go(0);
}

static void
interrupts_come_to(const Nic *nic, int fd, int cpu)
{
    steer(nic,
          suite_has_fault("interrupts_go_where_they_are_told") ? another_cpu(cpu) : cpu);
    int64_t elsewhere = interrupts_on(nic, cpu).elsewhere;
    interrupt_once(nic, fd, cpu);
    if (interrupts_on(nic, cpu).elsewhere != elsewhere)
        fail_msg("interrupts of %s came elsewhere than to CPU %d", nic->address, cpu);
}

static void
interrupts_follow(Nic *nic)
{
    net_up(&nic->interface);
    int fd = net_socket(&nic->interface);
    int first = list_next(cpus_online(), -1);
    /* In one move, and not in one for each CPU that they went to: see let_go(). */
    suite_at_end(let_go, 0);
    for (int i = 0; i < nic->count; i++)
        suite_keep("/proc/irq/%d/smp_affinity_list", nic->irq[i]);
    interrupts_come_to(nic, fd, another_cpu(first));
    interrupts_come_to(nic, fd, first);
}

static void
interrupts_go_where_they_are_told(void **state)
{
    suite_needs_live();
    if (another_cpu(list_next(cpus_online(), -1)) < 0) {
        print_message("the host has one CPU\n");
        skip();
    }
    if (!suite_fact("iommu intremap")) {
        print_message("without remapping an interrupt moves only when it next comes\n");
        skip();
    }
    for_each_nic(interrupts_follow);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {NUMA_CPUS_CASES(SUITE_CASE)};
    return suite_run("numa-cpus", tests);
}
