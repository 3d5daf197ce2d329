/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "emit-parts.h"

gboolean
emit_is_plugged(const PlanFunction *function)
{
    return function->driver && function->role != PLAN_BUILTIN &&
           function->role != PLAN_VF;
}

gboolean
emit_is_channel(const PlanFunction *function)
{
    return function->is_own && g_str_has_prefix(function->driver, "virtio-serial");
}

gboolean
emit_is_image(const PlanFunction *function)
{
    return function->is_own && g_str_has_prefix(function->driver, "virtio-blk");
}

gboolean
emit_is_iommu(const PlanFunction *function)
{
    return g_str_has_prefix(function->driver, "virtio-iommu");
}

char *
emit_cpu_list(const GArray *cpus)
{
    if (cpus->len == 0)
        return g_strdup("none");
    GString *text = g_string_new(NULL);
    for (guint i = 0; i < cpus->len;) {
        guint first = g_array_index(cpus, guint, i), last = first;
        while (++i < cpus->len && g_array_index(cpus, guint, i) == last + 1)
            last++;
        g_string_append_printf(text, text->len ? ",%u" : "%u", first);
        if (last > first)
            g_string_append_printf(text, "-%u", last);
    }
    return g_string_free(text, FALSE);
}

const PlanCell *
emit_cell_of_node(const Plan *plan, int node)
{
    for (guint i = 0; node != PLAN_NONE && i < plan->cells->len; i++) {
        const PlanCell *cell = g_ptr_array_index(plan->cells, i);
        if (cell->node == node)
            return cell;
    }
    return NULL;
}

const PlanProperty *
emit_property(const GPtrArray *properties, const char *name)
{
    for (guint i = 0; i < properties->len; i++) {
        const PlanProperty *property = g_ptr_array_index(properties, i);
        if (g_str_equal(property->name, name))
            return property;
    }
    return NULL;
}

char *
emit_property_text(const PlanProperty *property)
{
    GType type = json_node_get_value_type(property->value);
    if (type == G_TYPE_STRING)
        return json_node_dup_string(property->value);
    if (type == G_TYPE_BOOLEAN)
        return g_strdup(json_node_get_boolean(property->value) ? "on" : "off");
    return json_to_string(property->value, FALSE);
}

char *
emit_disk_name(const char *id)
{
    g_autofree char *digest = g_compute_checksum_for_string(G_CHECKSUM_SHA256, id, -1);
    g_autofree char *name = g_strconcat("disk-", id, NULL);
    if (strlen(name) <= 31)
        return g_steal_pointer(&name);
    return g_strdup_printf("disk-%.26s", digest);
}

/* ---- the emulator's words for memory attributes -------------------------------------
 */

char *
emit_numa_link(const LabInterconnect *link)
{
    static const char *const hierarchies[] = {"memory", "first-level", "second-level",
                                              "third-level"};
    const int last = (int)G_N_ELEMENTS(hierarchies) - 1;
    const char *quantity = link->is_bandwidth ? "bandwidth" : "latency";
    return g_strdup_printf("hmat-lb,initiator=%d,target=%d,hierarchy=%s,"
                           "data-type=%s-%s,%s=%" G_GINT64_FORMAT,
                           link->initiator, link->target,
                           hierarchies[CLAMP(link->cache, 0, last)], link->type, quantity,
                           quantity, link->value);
}

/* The lab's words are libvirt's; these are the emulator's. */
static const char *
emulator_word(const char *word)
{
    static const char *const words[][2] = {
        {"full", "complex"},
        {"writeback", "write-back"},
        {"writethrough", "write-through"},
    };
    for (guint i = 0; i < G_N_ELEMENTS(words); i++)
        if (g_str_equal(word, words[i][0]))
            return words[i][1];
    return word;
}

char *
emit_numa_cache(const PlanCell *cell, const LabCache *cache)
{
    return g_strdup_printf("hmat-cache,node-id=%d,size=%" G_GINT64_FORMAT
                           ",level=%d,associativity=%s,policy=%s,line=%" G_GINT64_FORMAT,
                           cell->index, cache->size_bytes, cache->level,
                           emulator_word(cache->associativity),
                           emulator_word(cache->policy), cache->line_bytes);
}

/* ---- memory attributes
 * -------------------------------------------------------------------- */

void
emit_access_free(EmitAccess *access)
{
    g_array_unref(access->initiators);
    g_free(access);
}

static gboolean
is_about(const LabInterconnect *entry, gboolean is_bandwidth, const char *type)
{
    return entry->cache == 0 && entry->is_bandwidth == is_bandwidth &&
           (g_str_equal(entry->type, "access") || g_str_equal(entry->type, type));
}

/* What INITIATOR sees of TARGET, in the kernel's units; 0: not told. */
static guint64
perf(const Plan *plan, int initiator, int target, gboolean is_bandwidth, const char *type)
{
    for (guint i = 0; i < plan->interconnects->len; i++) {
        const LabInterconnect *entry = g_ptr_array_index(plan->interconnects, i);
        if (entry->initiator == initiator && entry->target == target &&
            is_about(entry, is_bandwidth, type))
            return (guint64)entry->value / (is_bandwidth ? 1024 * 1024 : 1);
    }
    return 0;
}

/* Leaves those of CANDIDATES (cells) that are best in one respect, and tells how good
 * that is. */
static guint64
keep_best(const Plan *plan, GArray *candidates, int target, gboolean is_bandwidth,
          const char *type)
{
    guint64 best = 0;
    for (guint i = 0; i < candidates->len; i++) {
        guint64 value =
            perf(plan, g_array_index(candidates, int, i), target, is_bandwidth, type);
        if (value != 0 && (best == 0 || (is_bandwidth ? value > best : value < best)))
            best = value;
    }
    for (guint i = candidates->len; best != 0 && i-- > 0;)
        if (perf(plan, g_array_index(candidates, int, i), target, is_bandwidth, type) !=
            best)
            g_array_remove_index(candidates, i);
    return best;
}

static int
compare_numbers(gconstpointer a, gconstpointer b)
{
    guint x = *(const guint *)a, y = *(const guint *)b;
    return x < y ? -1 : x > y;
}

EmitAccess *
emit_access_new(const Plan *plan, const PlanCell *target)
{
    if (plan->interconnects->len == 0 || target->memory_bytes == 0)
        return NULL;
    /* The emulator names a cell with CPUs as its own initiator, and then Linux looks no
     * further. */
    g_autoptr(GArray) candidates = g_array_new(FALSE, FALSE, sizeof(int));
    for (guint i = 0; i < plan->cells->len; i++) {
        const PlanCell *cell = g_ptr_array_index(plan->cells, i);
        if (target->cpus->len > 0 ? cell == target : cell->cpus->len > 0)
            g_array_append_val(candidates, cell->index);
    }
    EmitAccess *access = g_new0(EmitAccess, 1);
    access->write_latency_ns = keep_best(plan, candidates, target->index, FALSE, "write");
    access->read_latency_ns = keep_best(plan, candidates, target->index, FALSE, "read");
    access->write_bandwidth_mib =
        keep_best(plan, candidates, target->index, TRUE, "write");
    access->read_bandwidth_mib = keep_best(plan, candidates, target->index, TRUE, "read");

    access->initiators = g_array_new(FALSE, FALSE, sizeof(guint));
    for (guint i = 0; i < candidates->len; i++) {
        const PlanCell *cell =
            g_ptr_array_index(plan->cells, (guint)g_array_index(candidates, int, i));
        guint node = (guint)cell->node;
        g_array_append_val(access->initiators, node);
    }
    g_array_sort(access->initiators, compare_numbers);
    return access;
}
