/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Checks of memory attributes: latencies, bandwidths and caches, which become ACPI's
 * HMAT.
 */
#include "lab-check.h"

#include <string.h>

#define HMAT_ENTRY_MAX 65534 /* ACPI 6.4, 5.2.27.4: 16 bits, 0xffff is reserved */
#define HMAT_LINE_MAX 65535  /* 5.2.27.5 */

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
    if (lab_check_cell(check, (guint)one->initiator)->cpus->len == 0)
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
        check_caches_of(check, lab_check_cell(check, i), has[i] == (LATENCY | BANDWIDTH));
}

const LabCheckRow lab_checks_attributes[] = {
    {"interconnect", check_interconnects, LAB_CHECK_CELLS | LAB_PART_ATTRIBUTES},
    {"cache", check_caches, LAB_CHECK_CELLS | LAB_PART_ATTRIBUTES},
    {NULL},
};
