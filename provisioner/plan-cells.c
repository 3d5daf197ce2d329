/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * CPUs, cells, Linux's numbers for them, and distances.
 */
#include <string.h>

#include "plan-steps.h"

#define MIB ((gint64)1024 * 1024)
#define GIB (1024 * MIB)
#define TIB (1024 * GIB)

PlanCell *
plan_cell_at(const Plan *plan, guint index)
{
    return g_ptr_array_index(plan->cells, index);
}

/* ---- CPUs
 * ------------------------------------------------------------------------------- */

/* The cell of each CPU, by CPU; the array is empty when the CPUs are not 0 to n - 1. */
static GArray *
cells_of_cpus(Planning *planning)
{
    const Plan *plan = planning->plan;
    const int none = PLAN_NONE;
    g_autoptr(GArray) cells = g_array_new(FALSE, FALSE, sizeof(int));
    guint count = 0;

    for (guint i = 0; i < plan->cells->len; i++)
        count += plan_cell_at(plan, i)->cpus->len;
    for (guint i = 0; i < count; i++)
        g_array_append_val(cells, none);
    for (guint i = 0; i < plan->cells->len; i++) {
        const PlanCell *cell = plan_cell_at(plan, i);
        for (guint j = 0; j < cell->cpus->len; j++) {
            guint cpu = g_array_index(cell->cpus, guint, j);
            if (cpu < count && g_array_index(cells, int, cpu) == PLAN_NONE) {
                g_array_index(cells, int, cpu) = (int)i;
                continue;
            }
            findings_add(
                planning->findings, FINDING_ERROR, cell->pos, "cpus",
                cpu < count
                    ? "CPU %u is in two cells; give it to one"
                    : "CPU %u leaves a gap, for the host has %u CPUs; number them "
                      "from 0 without gaps",
                cpu, count);
            g_array_set_size(cells, 0);
            return g_steal_pointer(&cells);
        }
    }
    return g_steal_pointer(&cells);
}

/* The largest socket that lies in one cell, wherever it begins: all sockets are equal, so
 * it divides each place where the cell changes. */
static guint
largest_socket(const GArray *cells)
{
    guint size = cells->len;
    for (guint cpu = 1; cpu < cells->len; cpu++) {
        guint a = size, b = cpu;
        if (g_array_index(cells, int, cpu) == g_array_index(cells, int, cpu - 1))
            continue;
        while (b != 0) {
            guint rest = a % b;
            a = b;
            b = rest;
        }
        size = a;
    }
    return size;
}

static void
choose_topology(Planning *planning, const GArray *cells)
{
    const LabCpu *cpu = &planning->host->cpu;
    Plan *plan = planning->plan;
    const int count = (int)cells->len;
    const int socket = (int)largest_socket(cells);

    plan->threads = cpu->threads != LAB_AUTO ? cpu->threads : 1;
    plan->dies = cpu->dies != LAB_AUTO ? cpu->dies : 1;
    plan->cores = cpu->cores;
    plan->sockets = cpu->sockets;
    if (plan->threads < 1 || plan->dies < 1 || plan->cores == 0 || plan->sockets == 0)
        return;
    const gint64 inner = (gint64)plan->threads * plan->dies; /* each is at most 4096 */
    if (plan->cores == LAB_AUTO && plan->sockets == LAB_AUTO)
        plan->cores = (int)MAX(socket / inner, 1);
    if (plan->sockets == LAB_AUTO)
        plan->sockets = (int)(count / (inner * plan->cores));
    if (plan->cores == LAB_AUTO)
        plan->cores = (int)(count / (inner * plan->sockets));
}

static void
check_cores(Planning *planning, const GArray *cells)
{
    const guint threads = (guint)planning->plan->threads;

    for (guint cpu = 1; cpu < cells->len && threads > 1; cpu++) {
        int cell = g_array_index(cells, int, cpu);
        if (cpu % threads == 0 || cell == g_array_index(cells, int, cpu - 1))
            continue;
        findings_add(planning->findings, FINDING_ERROR,
                     plan_cell_at(planning->plan, (guint)cell)->pos, "half-core",
                     "CPU %u is in this cell and CPU %u, of the same core, in another; a "
                     "core has %u "
                     "threads, which belong to one cell",
                     cpu, cpu - 1, threads);
        return;
    }
}

static int
bits_for(int count)
{
    int bits = 0;
    while ((1 << bits) < count)
        bits++;
    return bits;
}

/* Each level of the topology takes whole bits of the APIC id, so ids have gaps. */
static gint64
largest_apic_id(const Plan *plan)
{
    const int core_shift = bits_for(plan->threads);
    const int die_shift = core_shift + bits_for(plan->cores);
    const int socket_shift = die_shift + bits_for(plan->dies);
    return ((gint64)(plan->sockets - 1) << socket_shift) |
           ((gint64)(plan->dies - 1) << die_shift) |
           ((gint64)(plan->cores - 1) << core_shift) | (plan->threads - 1);
}

static void
check_cpu_count(Planning *planning)
{
    Plan *plan = planning->plan;
    const int maximum = planning->emulator->max_cpus;

    if (maximum > 0 && plan->cpu_count > (guint)maximum) {
        findings_add(planning->findings, FINDING_UNSUPPORTED, planning->host->pos, "cpus",
                     "the host has %u CPUs, this emulator's %s has at most %d",
                     plan->cpu_count, plan->machine, maximum);
        return;
    }
    if (largest_apic_id(plan) < 255)
        return;
    if (planning->host->iommu.model != LAB_IOMMU_INTEL ||
        planning->host->iommu.eim != LAB_ON)
        planning_limit(planning, "apic-ids", planning->host->pos,
                       "the host's %u CPUs need APIC ids up to %" G_GINT64_FORMAT
                       "; write <iommu model=\"intel\" eim=\"on\"/>, or use fewer CPUs",
                       plan->cpu_count, largest_apic_id(plan));
}

static void
plan_cpus(Planning *planning, const GArray *cells)
{
    Plan *plan = planning->plan;
    const LabCpu *cpu = &planning->host->cpu;

    plan->cpu_count = cells->len;
    if (cells->len == 0) {
        if (findings_ok(planning->findings))
            findings_add(planning->findings, FINDING_ERROR, planning->host->pos, "cpus",
                         "host %s has no CPU; give a cell some: cpus=\"0-3\"",
                         plan->host_id);
        plan->sockets = plan->dies = plan->cores = plan->threads = 1;
        return;
    }
    choose_topology(planning, cells);
    const gint64 product =
        (gint64)plan->sockets * plan->dies * plan->cores * plan->threads;
    if (product != (gint64)cells->len) {
        findings_add(
            planning->findings, FINDING_ERROR,
            cpu->pos.file != NULL ? cpu->pos : planning->host->pos, "cpu-topology",
            "%d sockets of %d dies of %d cores of %d threads are %" G_GINT64_FORMAT
            " CPUs, but the cells have %u; leave out what follows from the cells",
            plan->sockets, plan->dies, plan->cores, plan->threads, product, cells->len);
        return;
    }
    plan_cpu_threads(planning);
    check_cores(planning, cells);
    check_cpu_count(planning);
}

/* ---- nodes
 * ------------------------------------------------------------------------------ */

static void
see_cell(Plan *plan, PlanCell *cell)
{
    if (cell->node == PLAN_NONE)
        cell->node = (int)plan->node_count++;
}

static gboolean
has_functions(const LabCell *cell)
{
    return cell->nodes->len > 0;
}

/* Linux numbers nodes as it meets their proximity domains in the firmware's table: first
 * CPUs and generic initiators, then memory (drivers/acpi/numa/srat.c, acpi_numa_init()).
 * The emulator writes CPUs by APIC id, which is their order, and the rest by cell. */
static void
number_nodes(Planning *planning, const GArray *cells)
{
    Plan *plan = planning->plan;

    for (guint cpu = 0; cpu < cells->len; cpu++)
        see_cell(plan, plan_cell_at(plan, (guint)g_array_index(cells, int, cpu)));
    for (guint i = 0; i < plan->cells->len; i++) {
        PlanCell *cell = plan_cell_at(plan, i);
        const LabCell *from = g_ptr_array_index(planning->host->cells, i);
        if (cell->node == PLAN_NONE && cell->memory_bytes == 0 && has_functions(from) &&
            g_hash_table_contains(planning->emulator->objects, "acpi-generic-initiator"))
            see_cell(plan, cell);
    }
    for (guint i = 0; i < plan->cells->len; i++) {
        PlanCell *cell = plan_cell_at(plan, i);
        if (cell->memory_bytes > 0)
            see_cell(plan, cell);
    }
}

/* The emulator lists generic initiators in the order of a hash table, so with two of them
 * nobody can tell which gets the lower number. */
static void
check_device_only_cells(Planning *planning)
{
    const Plan *plan = planning->plan;
    gint64 count = 0;

    for (guint i = 0; i < plan->cells->len; i++) {
        const PlanCell *cell = plan_cell_at(plan, i);
        if (cell->cpus->len > 0 || cell->memory_bytes > 0 || cell->node == PLAN_NONE)
            continue;
        if (++count == plan_limit("device-only-cells")->maximum + 1)
            planning_limit(
                planning, "device-only-cells", cell->pos,
                "cell %d is one more with neither CPUs nor memory; give it some memory",
                cell->index);
    }
}

static void
check_cell(Planning *planning, const PlanCell *cell)
{
    const LabCell *from = g_ptr_array_index(planning->host->cells, (guint)cell->index);

    if (cell->memory_bytes % (4096) != 0)
        findings_add(planning->findings, FINDING_ERROR, cell->pos, "memory",
                     "cell %d has %" G_GINT64_FORMAT
                     " bytes of memory, which is no multiple of "
                     "4 KiB; round it",
                     cell->index, cell->memory_bytes);
    /* arch/x86/mm/numa.c: NODE_MIN_SIZE */
    if (cell->memory_bytes > 0 && cell->memory_bytes < 4 * MIB)
        findings_add(planning->findings, FINDING_ERROR, cell->pos, "memory",
                     "cell %d has less than 4 MiB of memory, which Linux ignores; give "
                     "it more, or "
                     "none",
                     cell->index);
    if (cell->cpus->len > 0 || cell->memory_bytes > 0)
        return;
    if (!has_functions(from))
        findings_add(planning->findings, FINDING_ERROR, cell->pos, "empty-cell",
                     "cell %d has neither CPUs nor memory nor a device, so nobody can "
                     "see it; give "
                     "it something",
                     cell->index);
    else if (cell->node == PLAN_NONE)
        findings_add(
            planning->findings, FINDING_UNSUPPORTED, cell->pos, "device-only-cell",
            "cell %d has neither CPUs nor memory, and this emulator (%s) has no "
            "acpi-generic-initiator to make such a cell seen; give it CPUs or memory, or "
            "name an emulator with --emulator that has it (QEMU since 9.0)",
            cell->index, planning->emulator->version);
}

/* ---- distances
 * -------------------------------------------------------------------------- */

static int *
distance(const Plan *plan, guint from, guint to)
{
    return &g_array_index(plan_cell_at(plan, from)->distances, int, to);
}

static void
plan_distances(Planning *planning)
{
    Plan *plan = planning->plan;
    const guint count = plan->cells->len;

    if (count > plan_limit("cells")->maximum)
        return; /* is reported, and their square is large */
    for (guint i = 0; i < count; i++) {
        const LabCell *from = g_ptr_array_index(planning->host->cells, i);
        g_array_set_size(plan_cell_at(plan, i)->distances, count);
        for (guint j = 0; j < count; j++)
            *distance(plan, i, j) = PLAN_NONE;
        for (guint j = 0; j < from->distances->len; j++) {
            const LabDistance *written = g_ptr_array_index(from->distances, j);
            if (written->cell < 0 || written->cell >= (int)count) {
                findings_add(planning->findings, FINDING_ERROR, written->pos, "distance",
                             "there is no cell %d; cells are 0 to %u", written->cell,
                             count - 1);
                continue;
            }
            *distance(plan, i, (guint)written->cell) = written->value;
            plan->distances_given = TRUE;
        }
    }
    /* What is written in one direction holds for the other one too; the rest is ACPI's
     * default. */
    for (guint i = 0; i < count; i++) {
        for (guint j = 0; j < count; j++) {
            if (*distance(plan, i, j) == PLAN_NONE && *distance(plan, j, i) != PLAN_NONE)
                *distance(plan, i, j) = *distance(plan, j, i);
        }
    }
    for (guint i = 0; i < count; i++) {
        for (guint j = 0; j < count; j++) {
            if (*distance(plan, i, j) == PLAN_NONE)
                *distance(plan, i, j) = i == j ? 10 : 20;
        }
    }
}

/* ---- cells
 * ------------------------------------------------------------------------------ */

/* A cell that is nothing but a place for devices is seen when one of them is its
 * initiator. */
void
plan_generic_initiators(Planning *planning)
{
    Plan *plan = planning->plan;

    for (guint i = 0; i < plan->cells->len; i++) {
        PlanCell *cell = plan_cell_at(plan, i);
        const PlanFunction *chosen = NULL;
        if (cell->node == PLAN_NONE || cell->cpus->len > 0 || cell->memory_bytes > 0)
            continue;
        for (guint j = 0; j < plan->functions->len; j++) {
            const PlanFunction *function = g_ptr_array_index(plan->functions, j);
            if (function->cell != (int)i || function->driver == NULL)
                continue;
            if (chosen == NULL ||
                (chosen->role != PLAN_ENDPOINT && function->role == PLAN_ENDPOINT))
                chosen = function;
        }
        if (chosen != NULL)
            cell->generic_initiator = g_strdup(chosen->id);
    }
}

/* With a width of 40 bits, which is that of all CPU models under plain emulation, the
 * emulator ends at once when the last address of the 64-bit PCI window behind the memory
 * lies beyond 1012 GiB: 978 GiB were seen to start with 7.2 and 10.0, and 979 not. */
#define EMULATED_MEMORY (978 * GIB)

static void
sum_memory(Planning *planning)
{
    Plan *plan = planning->plan;
    const gint64 maximum = plan_memory_maximum();

    /* Each is less than 2^60 bytes, so what stops beyond the limit stays in 63 bits. */
    for (guint i = 0; i < plan->cells->len && plan->memory_bytes <= maximum; i++)
        plan->memory_bytes += plan_cell_at(plan, i)->memory_bytes;
    if (plan->memory_bytes > maximum)
        planning_limit(planning, "total-memory", planning->host->pos,
                       "the memory of the host's cells is more than %" G_GINT64_FORMAT
                       " TiB in all; give them less",
                       maximum / TIB);
    else if (plan->memory_bytes > EMULATED_MEMORY)
        planning_need_kvm(planning, planning->host->pos,
                          "the host has %" G_GINT64_FORMAT
                          " GiB of memory, and plain emulation has addresses for "
                          "%" G_GINT64_FORMAT "; use KVM, or give the cells less",
                          plan->memory_bytes / GIB, EMULATED_MEMORY / GIB);
}

void
plan_cells(Planning *planning)
{
    Plan *plan = planning->plan;
    g_autoptr(GArray) cells = cells_of_cpus(planning);

    sum_memory(planning);
    plan_cpus(planning, cells);
    number_nodes(planning, cells);
    for (guint i = 0; i < plan->cells->len; i++)
        check_cell(planning, plan_cell_at(plan, i));
    check_device_only_cells(planning);
    plan_distances(planning);
    if (plan->interconnects->len > 0)
        plan_property_bool(plan->machine_properties, "hmat", TRUE);
    for (guint i = 0; i < plan->cells->len; i++) {
        if (plan_cell_at(plan, i)->caches->len > 0)
            plan_property_bool(plan->machine_properties, "hmat", TRUE);
    }
}
