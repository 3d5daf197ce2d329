/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Huge pages: how many a cell has room for, by where its memory lies.
 */
#include "plan-steps.h"

#define MIB ((gint64)1024 * 1024)
#define GIB (1024 * MIB)

/* Where q35 ends memory below 4 GiB (hw/i386/pc_q35.c, pc_q35_init()). */
static gint64
low_memory(gint64 total)
{
    const gint64 limit = total >= 0xb0000000 ? 0x80000000 : 0xb0000000;
    return MIN(total, limit);
}

/* GiB pages in the addresses from START to END. The first page holds the kernel, the page
 * at the end of low memory the firmware's tables; neither is to be had. */
static gint64
aligned_pages(gint64 start, gint64 end)
{
    const gint64 first = MAX((start + GIB - 1) / GIB, 1);
    const gint64 behind = end / GIB;
    return MAX(behind - first, 0);
}

/* What the kernel takes from a cell before anybody can reserve: its own map of the
 * memory. */
static gint64
kernel_share(gint64 memory_bytes)
{
    return memory_bytes / 64 + 24 * MIB;
}

static gint64
gib_pages_in(const Plan *plan, const PlanCell *cell)
{
    const gint64 low = low_memory(plan->memory_bytes);
    gint64 start = 0;

    for (int i = 0; i < cell->index; i++)
        start += plan_cell_at(plan, (guint)i)->memory_bytes;
    const gint64 end = start + cell->memory_bytes;
    const gint64 share = kernel_share(cell->memory_bytes);
    const gint64 hole = 4 * GIB - low;
    gint64 pages = 0;

    if (start < low)
        pages += aligned_pages(start, end < low ? end - share : low - 1);
    if (end > low)
        pages += aligned_pages(MAX(start, low) + hole, end + hole - share);
    return pages;
}

static void
check_hugepages(Planning *planning, const PlanCell *cell, const LabHugepages *pages)
{
    const gint64 gib_pages = gib_pages_in(planning->plan, cell);

    if (pages->page_bytes == GIB && pages->count > gib_pages)
        findings_add(
            planning->findings, FINDING_ERROR, pages->pos, "hugepages",
            "cell %d has room for %" G_GINT64_FORMAT
            " pages of 1 GiB: they must be aligned, "
            "beside the kernel's own memory and the hole below 4 GiB; ask for fewer, or "
            "give the cell more memory",
            cell->index, gib_pages);
}

/* What was kept when as many pages of 2 MiB as possible were asked for of a running Linux
 * 6.1: of the first cell, where the kernel and the image are, 86 MiB of 256, 112 of 512,
 * 176 of 1024, 278 of 3072; of another 38 of 256, 78 of 512, 90 of 1024, 118 of 2048. */
static gint64
likely_kept(const Plan *plan, const PlanCell *cell)
{
    for (int i = 0; i < cell->index; i++) {
        if (plan_cell_at(plan, (guint)i)->memory_bytes > 0)
            return cell->memory_bytes / 20 + 56 * MIB;
    }
    return cell->memory_bytes / 10 + 80 * MIB;
}

static void
check_hugepages_fit(Planning *planning, const PlanCell *cell, gint64 total)
{
    const gint64 memory = cell->memory_bytes;
    const gint64 share = kernel_share(memory);
    const gint64 kept = likely_kept(planning->plan, cell);

    if (total > 0 && total + share > memory)
        findings_add(planning->findings, FINDING_ERROR, cell->pos, "hugepages",
                     "cell %d has %" G_GINT64_FORMAT
                     " MiB of memory, of which the kernel keeps some %" G_GINT64_FORMAT
                     " MiB, and its huge pages take %" G_GINT64_FORMAT
                     " MiB; ask for fewer, or give the cell more memory",
                     cell->index, memory / MIB, share / MIB, total / MIB);
    else if (total > 0 && total + kept > memory)
        findings_add(
            planning->findings, FINDING_WARNING, cell->pos, "hugepages",
            "cell %d may not give all its huge pages: they take %" G_GINT64_FORMAT
            " MiB of %" G_GINT64_FORMAT
            " MiB, of which the kernel and the image use up to %" G_GINT64_FORMAT
            " MiB; ask for fewer, or give the cell more memory",
            cell->index, total / MIB, memory / MIB, kept / MIB);
}

void
plan_hugepages(Planning *planning)
{
    Plan *plan = planning->plan;

    if (plan->memory_bytes > plan_memory_maximum())
        return; /* was reported, and there are no addresses to count with */
    for (guint i = 0; i < plan->cells->len; i++) {
        PlanCell *cell = plan_cell_at(plan, i);
        const LabCell *from = g_ptr_array_index(planning->host->cells, i);
        gint64 total = 0;

        for (guint j = 0; j < from->hugepages->len; j++) {
            const LabHugepages *pages = g_ptr_array_index(from->hugepages, j);
            PlanHugepages planned = {pages->page_bytes, pages->count,
                                     pages->page_bytes == GIB};
            if (pages->count <= 0)
                continue;
            /* Either is at most 2^61, even if the same size is written many times. */
            total = MIN(total + pages->page_bytes * pages->count, plan_memory_maximum());
            check_hugepages(planning, cell, pages);
            g_array_append_val(cell->hugepages, planned);
        }
        check_hugepages_fit(planning, cell, total);
    }
}
