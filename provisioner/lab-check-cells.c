/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Checks of CPUs, memory, distances and memory attributes.
 */
#include "lab-check.h"

#include <string.h>

#include "units.h"

#define MAX_CELLS 128              /* QEMU's MAX_NODES */
#define LEAST_NODE_BYTES (4 << 20) /* Linux 6.1, arch/x86/mm/numa.c: NODE_MIN_SIZE */
#define PAGE_BYTES 4096
#define HMAT_ENTRY_MAX 65534 /* ACPI 6.4, 5.2.27.4: 16 bits, 0xffff is reserved */
#define HMAT_LINE_MAX 65535  /* 5.2.27.5 */

static const LabCell *
cell_at(const LabCheck *check, guint index)
{
    return g_ptr_array_index(check->host->cells, index);
}

static guint
count_cpus(const LabCheck *check)
{
    guint count = 0;
    for (guint i = 0; i < check->host->cells->len; i++)
        count += cell_at(check, i)->cpus->len;
    return count;
}

/* ---- CPUs ----------------------------------------------------------------------- */

/* CPU → number of its cell + 1, for all CPUs that cells name. */
static GHashTable *
cells_of_cpus(const LabCheck *check)
{
    GHashTable *cells = g_hash_table_new(NULL, NULL);
    for (guint i = 0; i < check->host->cells->len; i++) {
        const GArray *cpus = cell_at(check, i)->cpus;
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
        const LabCell *cell = cell_at(check, i);
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
                check, cell_at(check, other - 1)->pos,
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
        lab_check_say(check, cell_at(check, MAX_CELLS)->pos,
                      "the host has %u cells; the emulator's machine has at most %d",
                      cells->len, MAX_CELLS);
}

static void
check_empty_cells(LabCheck *check)
{
    for (guint i = 0; i < check->host->cells->len; i++) {
        const LabCell *cell = cell_at(check, i);
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
        const LabCell *cell = cell_at(check, i);
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
        any = any || cell_at(check, i)->memory_bytes > 0;
    if (!any)
        lab_check_say(check, check->host->pos,
                      "no cell has memory; give at least one its memory, as in "
                      "memory='1 GiB'");
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
        check_hugepages_of(check, cell_at(check, i));
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
                lab_check_say(check, cell_at(check, from)->pos,
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
        const GPtrArray *list = cell_at(check, from)->distances;
        for (guint i = 0; i < list->len; i++)
            read_distance(check, &distances, from, g_ptr_array_index(list, i));
    }
    check_complete(check, &distances);
}

/* ---- memory attributes ---------------------------------------------------------- */

static const LabInterconnect *
interconnect_at(const LabCheck *check, guint index)
{
    return g_ptr_array_index(check->host->interconnects, index);
}

/* The tables of HMAT: latency or bandwidth, of memory or a cache of three levels, of
 * three types. */
#define TABLES (2 * 4 * 3)

static guint
table_of(const LabInterconnect *one)
{
    guint type = strcmp(one->type, "access") == 0 ? 0
                 : strcmp(one->type, "read") == 0 ? 1
                                                  : 2;
    return ((guint)one->is_bandwidth * 4 + (guint)one->cache) * 3 + type;
}

static void
check_interconnect(LabCheck *check, GHashTable *seen, const LabInterconnect *one)
{
    const char *what = one->is_bandwidth ? "bandwidth" : "latency";
    if (cell_at(check, (guint)one->initiator)->cpus->len == 0)
        lab_check_say(
            check, one->pos,
            "cell %d has no CPUs, so it cannot be an initiator; name one that has",
            one->initiator);
    if (one->is_bandwidth && (one->value == 0 || one->value % (1 << 20) != 0))
        lab_check_say(check, one->pos,
                      "a bandwidth is a multiple of 1 MiB a second, and not 0");
    g_autofree char *key =
        g_strdup_printf("%u %d %d", table_of(one), one->initiator, one->target);
    const LabInterconnect *other = g_hash_table_lookup(seen, key);
    if (other)
        lab_check_say(
            check, one->pos,
            "the same %s from cell %d to cell %d is in line %d already; write it once",
            what, one->initiator, one->target, other->pos.line);
    else
        g_hash_table_insert(seen, g_steal_pointer(&key), (gpointer)one);
}

/* The unit in which VALUE is a whole number: a table has one for all its entries, for the
 * emulator a power of ten for latencies and of two for bandwidths. */
static gint64
unit_of(gint64 value, gint64 base)
{
    gint64 unit = 1;
    for (; value > 0 && value % base == 0; value /= base)
        unit *= base;
    return unit;
}

static void
check_interconnect_ranges(LabCheck *check)
{
    gint64 units[TABLES], largest[TABLES] = {0};
    const LabInterconnect *first[TABLES] = {NULL};
    for (guint i = 0; i < check->host->interconnects->len; i++) {
        const LabInterconnect *one = interconnect_at(check, i);
        guint table = table_of(one);
        gint64 value = one->is_bandwidth ? one->value >> 20 : one->value;
        gint64 unit = unit_of(value, one->is_bandwidth ? 2 : 10);
        units[table] = first[table] ? MIN(units[table], unit) : unit;
        largest[table] = MAX(largest[table], value);
        first[table] = first[table] ? first[table] : one;
    }
    for (guint table = 0; table < TABLES; table++)
        if (first[table] && largest[table] / units[table] > HMAT_ENTRY_MAX)
            lab_check_say(
                check, first[table]->pos,
                "the values of this %s and of others of type %s lie too far apart for "
                "one table, whose largest entry is %d times its unit; choose rounder "
                "numbers",
                first[table]->is_bandwidth ? "bandwidth" : "latency", first[table]->type,
                HMAT_ENTRY_MAX);
}

static void
check_interconnects(LabCheck *check)
{
    g_autoptr(GHashTable) seen =
        g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    for (guint i = 0; i < check->host->interconnects->len; i++)
        check_interconnect(check, seen, interconnect_at(check, i));
    check_interconnect_ranges(check);
}

static void
check_cache(LabCheck *check, const LabCache *cache, const LabCache *nearer)
{
    if (cache->level > 1 && !nearer)
        lab_check_say(
            check, cache->pos,
            "a cache of level %d needs one of level %d before it in the same cell",
            cache->level, cache->level - 1);
    else if (cache->level > 1 && cache->size_bytes <= nearer->size_bytes)
        lab_check_say(check, cache->pos,
                      "the cache of level %d must be larger than that of level %d",
                      cache->level, cache->level - 1);
    if (cache->size_bytes == 0 || cache->line_bytes == 0 ||
        cache->line_bytes > HMAT_LINE_MAX)
        lab_check_say(check, cache->pos,
                      "a cache has a size of more than 0, and a line of 1 B to %d B",
                      HMAT_LINE_MAX);
}

static void
check_caches_of(LabCheck *check, const LabCell *cell, gboolean has_attributes)
{
    const LabCache *levels[4] = {NULL};
    for (guint i = 0; i < cell->caches->len; i++) {
        const LabCache *cache = g_ptr_array_index(cell->caches, i);
        if (levels[cache->level])
            lab_check_say(check, cache->pos,
                          "the cell has a cache of level %d already; write it once",
                          cache->level);
        levels[cache->level] = cache;
        check_cache(check, cache, levels[cache->level - 1]);
        if (!has_attributes)
            lab_check_say(
                check, cache->pos,
                "a cell with a cache needs latency and bandwidth too; name it as "
                "target of a <latency> and a <bandwidth> in <interconnects>");
    }
}

static void
check_caches(LabCheck *check)
{
    enum {
        LATENCY = 1,
        BANDWIDTH = 2
    };
    guint size = check->host->cells->len;
    g_autofree guint8 *has = g_malloc0((gsize)size + 1);
    for (guint i = 0; i < check->host->interconnects->len; i++) {
        const LabInterconnect *one = interconnect_at(check, i);
        has[one->target] |= one->is_bandwidth ? BANDWIDTH : LATENCY;
    }
    for (guint i = 0; i < size; i++)
        check_caches_of(check, cell_at(check, i), has[i] == (LATENCY | BANDWIDTH));
}

/* What is missing may only be missing because of a fault; what is there is there. */
#define CELLS (LAB_PART_HOST | LAB_PART_CELLS)

const LabCheckRow lab_checks_cells[] = {
    {"cell", check_cell_number, 0, LAB_PART_CELLS},
    {"cell", check_empty_cells, LAB_PART_CELLS | LAB_PART_NODES, LAB_PART_CELLS},
    {"cpus", check_cpu_twice, 0, LAB_PART_CELLS},
    {"cpus", check_cpu_gaps, CELLS, LAB_PART_CELLS},
    {"cpu-topology", check_cpu_topology, CELLS | LAB_PART_CPU, LAB_PART_CPU},
    {"cpu-topology", check_whole_cores, CELLS | LAB_PART_CPU, LAB_PART_CPU},
    {"cpu-feature", check_features, LAB_PART_CPU},
    {"memory", check_memory, 0, LAB_PART_CELLS},
    {"memory", check_any_memory, CELLS, LAB_PART_CELLS},
    {"hugepages", check_hugepages, CELLS | LAB_PART_HUGEPAGES, LAB_PART_HUGEPAGES},
    {"distance", check_distances, CELLS | LAB_PART_DISTANCES, LAB_PART_DISTANCES},
    {"interconnect", check_interconnects, CELLS | LAB_PART_ATTRIBUTES},
    {"cache", check_caches, CELLS | LAB_PART_ATTRIBUTES},
    {NULL},
};
