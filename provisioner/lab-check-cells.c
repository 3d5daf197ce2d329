/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Checks of CPUs, memory and distances.
 */
#include "lab-check.h"

#include <string.h>

#include "units.h"

#define MAX_CELLS 128              /* QEMU's MAX_NODES */
#define LEAST_NODE_BYTES (4 << 20) /* Linux 6.1, arch/x86/mm/numa.c: NODE_MIN_SIZE */
#define PAGE_BYTES 4096

const LabCell *
lab_check_cell(const LabCheck *check, guint index)
{
    return g_ptr_array_index(check->host->cells, index);
}

static guint
count_cpus(const LabCheck *check)
{
    guint count = 0;
    for (guint i = 0; i < check->host->cells->len; i++)
        count += lab_check_cell(check, i)->cpus->len;
    return count;
}

/* ---- CPUs ----------------------------------------------------------------------- */

/* CPU → number of its cell + 1, for all CPUs that cells name. */
static GHashTable *
cells_of_cpus(const LabCheck *check)
{
    GHashTable *cells = g_hash_table_new(NULL, NULL);
    for (guint i = 0; i < check->host->cells->len; i++) {
        const GArray *cpus = lab_check_cell(check, i)->cpus;
        for (guint j = 0; j < cpus->len; j++)
            g_hash_table_insert(cells, GUINT_TO_POINTER(g_array_index(cpus, guint, j)),
                                GUINT_TO_POINTER(i + 1));
    }
    return cells;
}

static void
check_cpu_twice(LabCheck *check)
{
    g_autoptr(GHashTable) owners = g_hash_table_new(NULL, NULL);
    for (guint i = 0; i < check->host->cells->len; i++) {
        const LabCell *cell = lab_check_cell(check, i);
        for (guint j = 0; j < cell->cpus->len; j++) {
            guint cpu = g_array_index(cell->cpus, guint, j);
            const LabCell *owner = g_hash_table_lookup(owners, GUINT_TO_POINTER(cpu));
            if (owner && owner->element == cell->element) {
                lab_check_say(
                    check, cell->pos,
                    "copies of this cell share CPU %u; end cpus in '+', so that each "
                    "takes the next ones",
                    cpu);
                return;
            }
            if (owner)
                lab_check_say(
                    check, cell->pos,
                    "CPU %u is in the cell of line %d already; a CPU is in one cell", cpu,
                    owner->pos.line);
            g_hash_table_insert(owners, GUINT_TO_POINTER(cpu), (gpointer)cell);
        }
    }
}

static void
check_cpu_gaps(LabCheck *check)
{
    g_autoptr(GHashTable) cells = cells_of_cpus(check);
    guint count = g_hash_table_size(cells);
    if (count == 0) {
        lab_check_say(check, check->host->pos,
                      "no cell has a CPU; give at least one its cpus, as in cpus='0-1'");
        return;
    }
    for (guint cpu = 0; cpu < count; cpu++)
        if (!g_hash_table_contains(cells, GUINT_TO_POINTER(cpu))) {
            lab_check_say(
                check, check->host->pos,
                "CPU %u is in no cell, though others with higher numbers are; the %u "
                "CPUs of this host are 0-%u",
                cpu, count, count - 1);
            return;
        }
}

static void
check_cpu_topology(LabCheck *check)
{
    const LabCpu *cpu = &check->host->cpu;
    const struct {
        int number;
        const char *name;
    } levels[] = {{cpu->sockets, "sockets"},
                  {cpu->dies, "dies"},
                  {cpu->cores, "cores"},
                  {cpu->threads, "threads"}};
    gint64 product = 1; /* at most 4096 to the fourth */
    g_autoptr(GString) text = g_string_new(NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(levels); i++) {
        if (levels[i].number == LAB_AUTO)
            continue;
        product *= levels[i].number;
        g_string_append_printf(text, "%s%d %s", text->len ? " × " : "", levels[i].number,
                               levels[i].name);
    }
    guint count = count_cpus(check);
    gboolean all =
        cpu->sockets != LAB_AUTO && cpu->cores != LAB_AUTO && cpu->threads != LAB_AUTO;
    if (count == 0 || text->len == 0)
        return;
    if (all && product != count)
        lab_check_say(check, cpu->pos,
                      "%s make %" G_GINT64_FORMAT
                      " CPUs, but the cells have %u; make both equal",
                      text->str, product, count);
    else if (!all && count % product != 0)
        lab_check_say(
            check, cpu->pos,
            "the %u CPUs of the cells cannot be divided into %s; change one of the two",
            count, text->str);
}

static void
check_whole_cores(LabCheck *check)
{
    int threads = check->host->cpu.threads;
    if (threads <= 1)
        return;
    g_autoptr(GHashTable) cells = cells_of_cpus(check);
    guint count = g_hash_table_size(cells);
    for (guint first = 0; first + 1 < count; first += (guint)threads) {
        guint owner =
            GPOINTER_TO_UINT(g_hash_table_lookup(cells, GUINT_TO_POINTER(first)));
        for (guint cpu = first + 1; cpu < MIN(first + (guint)threads, count); cpu++) {
            guint other =
                GPOINTER_TO_UINT(g_hash_table_lookup(cells, GUINT_TO_POINTER(cpu)));
            if (!owner || !other || owner == other)
                continue;
            lab_check_say(
                check, lab_check_cell(check, other - 1)->pos,
                "CPUs %u-%u are the threads of one core, which cannot be in two "
                "cells; put them into one",
                first, first + (guint)threads - 1);
            return;
        }
    }
}

static void
check_features(LabCheck *check)
{
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);
    for (guint i = 0; i < check->host->cpu.features->len; i++) {
        const LabCpuFeature *feature = g_ptr_array_index(check->host->cpu.features, i);
        if (!g_hash_table_add(seen, feature->name))
            lab_check_say(
                check, feature->pos,
                "the feature %s is there twice; say once whether it is required or "
                "disabled",
                feature->name);
    }
}

/* ---- memory --------------------------------------------------------------------- */

static void
check_cell_number(LabCheck *check)
{
    const GPtrArray *cells = check->host->cells;
    if (cells->len > MAX_CELLS)
        lab_check_say(check, lab_check_cell(check, MAX_CELLS)->pos,
                      "the host has %u cells; the emulator's machine has at most %d",
                      cells->len, MAX_CELLS);
}

static void
check_empty_cells(LabCheck *check)
{
    for (guint i = 0; i < check->host->cells->len; i++) {
        const LabCell *cell = lab_check_cell(check, i);
        if (cell->cpus->len == 0 && cell->memory_bytes == 0 && cell->nodes->len == 0)
            lab_check_say(
                check, cell->pos,
                "the cell holds nothing; give it cpus, memory or an <expander>");
    }
}

static void
check_memory(LabCheck *check)
{
    for (guint i = 0; i < check->host->cells->len; i++) {
        const LabCell *cell = lab_check_cell(check, i);
        g_autofree char *size = units_size_text(cell->memory_bytes);
        if (cell->memory_bytes % PAGE_BYTES != 0)
            lab_check_say(
                check, cell->pos,
                "memory of %s is not a whole number of pages; make it a multiple of "
                "4 KiB",
                size);
        else if (cell->memory_bytes > 0 && cell->memory_bytes < LEAST_NODE_BYTES)
            lab_check_say(
                check, cell->pos,
                "memory of %s makes no node, because Linux ignores one of less than "
                "4 MiB; give the cell more or none",
                size);
    }
}

static void
check_any_memory(LabCheck *check)
{
    gboolean any = FALSE;
    for (guint i = 0; i < check->host->cells->len; i++)
        any = any || lab_check_cell(check, i)->memory_bytes > 0;
    if (!any)
        lab_check_say(check, check->host->pos,
                      "no cell has memory; give at least one its memory, as in "
                      "memory='1 GiB'");
}

/* Linux takes memory in blocks of this size (arch/x86, MIN_MEMORY_BLOCK_SIZE). */
#define BLOCK_BYTES (128 << 20)
#define MIB (1 << 20)

static void
check_max_memory(LabCheck *check)
{
    const LabHost *host = check->host;
    const gint64 maximum = host->max_memory_bytes;
    gint64 sum = 0;
    if (host->memory_slots == 0)
        return;
    for (guint i = 0; i < host->cells->len && sum <= maximum; i++)
        sum += lab_check_cell(check, i)->memory_bytes;
    g_autofree char *size = units_size_text(maximum);
    if (maximum % MIB != 0)
        lab_check_say(check, host->max_memory_pos,
                      "size of %s is not a whole number of MiB; round it", size);
    else if (maximum - sum < BLOCK_BYTES)
        lab_check_say(check, host->max_memory_pos,
                      "with the memory of the cells a host of at most %s has no room for "
                      "more, which comes in blocks of 128 MiB; make size larger",
                      size);
}

static void
check_hugepages_of(LabCheck *check, const LabCell *cell)
{
    gint64 left = cell->memory_bytes;
    gboolean seen[2] = {FALSE, FALSE}; /* 2 MiB, 1 GiB */
    for (guint i = 0; i < cell->hugepages->len; i++) {
        const LabHugepages *pages = g_ptr_array_index(cell->hugepages, i);
        g_autofree char *page = units_size_text(pages->page_bytes);
        gboolean is_large = pages->page_bytes > 2 << 20;
        if (seen[is_large])
            lab_check_say(
                check, pages->pos,
                "the cell has huge pages of %s already; write their number once", page);
        seen[is_large] = TRUE;
        if (pages->count <= left / pages->page_bytes) {
            left -= pages->count * pages->page_bytes;
            continue;
        }
        g_autofree char *has = units_size_text(cell->memory_bytes);
        lab_check_say(check, pages->pos,
                      "%" G_GINT64_FORMAT
                      " × %s of huge pages do not fit the cell's memory of %s; "
                      "lower their number or give the cell more",
                      pages->count, page, has);
        return;
    }
}

static void
check_hugepages(LabCheck *check)
{
    for (guint i = 0; i < check->host->cells->len; i++)
        check_hugepages_of(check, lab_check_cell(check, i));
}

/* ---- distances ------------------------------------------------------------------ */

/* A square of what was written; 0: nothing. */
typedef struct {
    guint size;
    guint8 *values;
} Distances;

static guint8 *
distance_at(const Distances *distances, guint from, guint to)
{
    return &distances->values[(gsize)from * distances->size + to];
}

static void
read_distance(LabCheck *check, const Distances *distances, guint from,
              const LabDistance *distance)
{
    guint to = (guint)distance->cell;
    guint8 *value = distance_at(distances, from, to);
    if (*value)
        lab_check_say(
            check, distance->pos,
            "the distance from cell %u to cell %u is there twice; write it once", from,
            to);
    else if (from == to && distance->value != 10)
        lab_check_say(check, distance->pos,
                      "the distance of cell %u to itself is %d; it is always 10", from,
                      distance->value);
    else if (from != to && distance->value <= 10)
        lab_check_say(
            check, distance->pos,
            "the distance from cell %u to cell %u is 10, which only a cell has to "
            "itself; it must be 11 or more",
            from, to);
    *value = (guint8)distance->value;
}

static gboolean
is_asymmetric(const Distances *distances, guint *a, guint *b)
{
    for (*a = 0; *a < distances->size; ++*a)
        for (*b = 0; *b < *a; ++*b) {
            guint8 there = *distance_at(distances, *a, *b);
            guint8 back = *distance_at(distances, *b, *a);
            if (there && back && there != back)
                return TRUE;
        }
    return FALSE;
}

/* QEMU wants both directions of all pairs as soon as one pair differs. */
static void
check_complete(LabCheck *check, const Distances *distances)
{
    guint a, b;
    if (!is_asymmetric(distances, &a, &b))
        return;
    for (guint from = 0; from < distances->size; from++)
        for (guint to = 0; to < distances->size; to++)
            if (from != to && !*distance_at(distances, from, to)) {
                lab_check_say(check, lab_check_cell(check, from)->pos,
                              "the distance from cell %u to cell %u is missing: the way "
                              "from %u to %u "
                              "differs from the way back, so every pair needs both",
                              from, to, a, b);
                return;
            }
}

static void
check_distances(LabCheck *check)
{
    guint size = check->host->cells->len;
    if (size > MAX_CELLS)
        return;
    g_autofree guint8 *values = g_malloc0((gsize)size * size + 1);
    Distances distances = {size, values};
    for (guint from = 0; from < size; from++) {
        const GPtrArray *list = lab_check_cell(check, from)->distances;
        for (guint i = 0; i < list->len; i++)
            read_distance(check, &distances, from, g_ptr_array_index(list, i));
    }
    check_complete(check, &distances);
}

const LabCheckRow lab_checks_cells[] = {
    {"cell", check_cell_number, 0, LAB_PART_CELLS},
    {"cell", check_empty_cells, LAB_PART_CELLS | LAB_PART_NODES, LAB_PART_CELLS},
    {"cpus", check_cpu_twice, 0, LAB_PART_CELLS},
    {"cpus", check_cpu_gaps, LAB_CHECK_CELLS, LAB_PART_CELLS},
    {"cpu-topology", check_cpu_topology, LAB_CHECK_CELLS | LAB_PART_CPU, LAB_PART_CPU},
    {"cpu-topology", check_whole_cores, LAB_CHECK_CELLS | LAB_PART_CPU, LAB_PART_CPU},
    {"cpu-feature", check_features, LAB_PART_CPU},
    {"memory", check_memory, 0, LAB_PART_CELLS},
    {"memory", check_any_memory, LAB_CHECK_CELLS, LAB_PART_CELLS},
    {"max-memory", check_max_memory, LAB_CHECK_CELLS, LAB_PART_CELLS},
    {"hugepages", check_hugepages, LAB_CHECK_CELLS | LAB_PART_HUGEPAGES,
     LAB_PART_HUGEPAGES},
    {"distance", check_distances, LAB_CHECK_CELLS | LAB_PART_DISTANCES,
     LAB_PART_DISTANCES},
    {NULL},
};
