/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Slots for memory that comes while a host is up, and what was plugged into them.
 */
#include <string.h>

#include "plan-steps.h"
#include "units.h"

#define MIB ((gint64)1024 * 1024)
#define GIB (1024 * MIB)

/* Linux takes memory in blocks of 128 MiB; where it starts with 64 GiB or more, in larger
 * ones, up to 2 GiB, as its end allows (arch/x86/mm/init_64.c,
 * probe_memory_block_size()).
 */
#define BLOCK (128 * MIB)
#define LARGE_BLOCK (2 * GIB)
#define LARGE_HOST (64 * GIB)

/* What is plugged lies between the cells' memory and the 64-bit PCI window, with a GiB
 * for each slot to align it in, so plain emulation runs out of addresses before it does
 * without slots (plan-cells.c): 512 MiB with one slot and 975 GiB were seen to start with
 * 7.2 and 10.0, and 976 not; with four slots 972, and 973 not. */
#define EMULATED_MEMORY (976 * GIB)

PlanMemory *
plan_memory_new(const LabMemory *from, int node)
{
    PlanMemory *memory = g_new0(PlanMemory, 1);
    memory->id = g_strdup(from->id);
    memory->backend = g_strdup_printf("hostbed-memory-%s", from->id);
    memory->cell = from->cell;
    memory->node = node;
    memory->size_bytes = from->size_bytes;
    return memory;
}

void
plan_memory_free(PlanMemory *memory)
{
    g_free(memory->id);
    g_free(memory->backend);
    g_free(memory);
}

const PlanMemory *
plan_memory(const Plan *plan, const char *id)
{
    for (guint i = 0; i < plan->memory->len; i++) {
        const PlanMemory *memory = plan->memory->pdata[i];
        if (g_str_equal(memory->id, id))
            return memory;
    }
    return NULL;
}

gint64
plan_cell_memory(const Plan *plan, const PlanCell *cell)
{
    gint64 bytes = cell->memory_bytes;
    for (guint i = 0; i < plan->memory->len; i++) {
        const PlanMemory *memory = plan->memory->pdata[i];
        if (memory->cell == cell->index)
            bytes += memory->size_bytes;
    }
    return bytes;
}

gint64
plan_memory_block(const Plan *plan)
{
    return plan->memory_bytes >= LARGE_HOST ? LARGE_BLOCK : BLOCK;
}

GPtrArray *
plan_pluggable_memory(const Plan *plan, guint maximum)
{
    const gint64 size = plan_memory_block(plan);
    gint64 left = plan->max_memory_bytes - plan->memory_bytes;
    GPtrArray *list = g_ptr_array_new_with_free_func((GDestroyNotify)plan_memory_free);
    maximum = MIN(maximum, (guint)plan->memory_slots);
    for (guint i = 0; i < plan->cells->len && list->len < maximum && left >= size; i++) {
        const PlanCell *cell = plan->cells->pdata[i];
        g_autofree char *id = g_strdup_printf("hostbed-plugged-%u", i);
        const LabMemory memory = {id, (int)i, size};
        if (cell->memory_bytes == 0 && cell->cpus->len == 0)
            continue;
        g_ptr_array_add(list, plan_memory_new(&memory, cell->node));
        left -= size;
    }
    return list;
}

/* ---- slots
 * ------------------------------------------------------------------------------------ */

static void
check_slots(Planning *planning)
{
    const Plan *plan = planning->plan;
    const FilePos pos = planning->host->max_memory_pos;
    const gint64 maximum = plan->max_memory_bytes;

    if (plan->memory_slots > plan_limit("memory-slots")->maximum)
        planning_limit(planning, "memory-slots", pos,
                       "the host has %d slots for memory; use fewer, and larger memory",
                       plan->memory_slots);
    else if (maximum > plan_memory_maximum())
        planning_limit(planning, "total-memory", pos,
                       "the host may grow to more than %" G_GINT64_FORMAT
                       " TiB of memory; make the size of <maxMemory> smaller",
                       plan_memory_maximum() / (1024 * GIB));
    else if (maximum > EMULATED_MEMORY - plan->memory_slots * GIB)
        planning_need_kvm(planning, pos,
                          "the host may grow to %" G_GINT64_FORMAT
                          " GiB of memory, and plain emulation has addresses for "
                          "%" G_GINT64_FORMAT
                          ", less one for each slot; use KVM, or make the size of "
                          "<maxMemory> smaller",
                          maximum / GIB, EMULATED_MEMORY / GIB);
}

/* ---- what was plugged
 * ------------------------------------------------------------------------------------ */

static gint64
plugged_bytes(const Plan *plan)
{
    gint64 bytes = 0;
    for (guint i = 0; i < plan->memory->len; i++)
        bytes += ((const PlanMemory *)plan->memory->pdata[i])->size_bytes;
    return bytes;
}

static void
check_size(Planning *planning, const LabMemory *memory)
{
    const Plan *plan = planning->plan;
    const gint64 left = plan->max_memory_bytes - plan->memory_bytes - plugged_bytes(plan);
    g_autofree char *block = units_size_text(plan_memory_block(plan));
    g_autofree char *size = units_size_text(memory->size_bytes);
    g_autofree char *maximum = units_size_text(plan->max_memory_bytes);
    g_autofree char *free_text = units_size_text(MAX(left, 0));
    if (memory->size_bytes == 0 || memory->size_bytes % plan_memory_block(plan) != 0)
        findings_add(planning->findings, FINDING_ERROR, planning->host->pos, "memory",
                     "%s is no multiple of %s, the blocks in which Linux takes memory on "
                     "this host",
                     size, block);
    else if (memory->size_bytes > left)
        findings_add(planning->findings, FINDING_ERROR, planning->host->pos, "memory",
                     "%s more is too much: the host grows to %s, of which %s are left",
                     size, maximum, free_text);
}

/* Its node must stay when the memory goes, and Linux takes one away that is empty. */
static void
check_cell(Planning *planning, const LabMemory *memory)
{
    const PlanCell *cell = plan_cell_at(planning->plan, (guint)memory->cell);
    if (cell->cpus->len == 0 && cell->memory_bytes == 0)
        findings_add(planning->findings, FINDING_ERROR, cell->pos, "memory",
                     "the cell %s has neither CPUs nor memory of its own, so that its "
                     "node would leave with what is plugged; choose another",
                     cell->id);
}

static void
plan_plugged(Planning *planning, const LabMemory *memory)
{
    Plan *plan = planning->plan;
    g_return_if_fail(memory->cell >= 0 && memory->cell < (int)plan->cells->len);

    if (plan->memory_slots == 0)
        findings_add(planning->findings, FINDING_ERROR, planning->host->pos, "memory",
                     "the host has no slots for memory; its lab says how many it is to "
                     "have: <maxMemory slots=\"4\" size=\"8 GiB\"/>");
    else if ((int)plan->memory->len == plan->memory_slots)
        findings_add(planning->findings, FINDING_ERROR, planning->host->pos, "memory",
                     "no slot for memory is free: all that the host has (%d) are taken",
                     plan->memory_slots);
    else
        check_size(planning, memory);
    check_cell(planning, memory);
    g_ptr_array_add(
        plan->memory,
        plan_memory_new(memory, plan_cell_at(plan, (guint)memory->cell)->node));
}

void
plan_slots(Planning *planning)
{
    const LabHost *host = planning->host;
    Plan *plan = planning->plan;

    plan->memory_slots = host->memory_slots;
    plan->max_memory_bytes = host->memory_slots > 0 ? host->max_memory_bytes : 0;
    if (plan->memory_slots > 0)
        check_slots(planning);
    for (guint i = 0; i < host->memory->len; i++)
        plan_plugged(planning, host->memory->pdata[i]);
}
