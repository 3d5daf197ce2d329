/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * CPUs and cells of the domain, with their distances and memory attributes.
 */
#include <string.h>

#include "emit-libvirt.h"
#include "emit-parts.h"

static void
write_distances(LibvirtWriter *writer, xmlNode *node, const PlanCell *cell)
{
    if (!writer->plan->distances_given)
        return;
    xmlNode *distances = libvirt_element(node, "distances");
    for (guint i = 0; i < cell->distances->len; i++) {
        xmlNode *sibling = libvirt_element(distances, "sibling");
        libvirt_attribute_int(sibling, "id", i);
        libvirt_attribute_int(sibling, "value", g_array_index(cell->distances, int, i));
    }
}

static void
write_cache(xmlNode *node, const LabCache *cache)
{
    xmlNode *child = libvirt_element(node, "cache");
    libvirt_attribute_int(child, "level", cache->level);
    libvirt_attribute(child, "associativity", cache->associativity);
    libvirt_attribute(child, "policy", cache->policy);
    libvirt_attribute_size(libvirt_element(child, "size"), "value", cache->size_bytes);
    xmlNode *line = libvirt_element(child, "line");
    libvirt_attribute_int(line, "value", cache->line_bytes);
    libvirt_attribute(line, "unit", "b");
}

static void
write_cell(LibvirtWriter *writer, xmlNode *numa, const PlanCell *cell)
{
    xmlNode *node = libvirt_element(numa, "cell");
    libvirt_attribute_int(node, "id", cell->index);
    if (cell->cpus->len > 0) {
        g_autofree char *cpus = emit_cpu_list(cell->cpus);
        libvirt_attribute(node, "cpus", cpus);
    }
    libvirt_attribute_size(node, "memory", cell->memory_bytes);
    write_distances(writer, node, cell);
    for (guint i = 0; i < cell->caches->len && !writer->links_by_arg; i++)
        write_cache(node, g_ptr_array_index(cell->caches, i));
}

static gboolean
is_way_back(const LabInterconnect *entry, const GPtrArray *entries)
{
    for (guint i = 0; g_ptr_array_index(entries, i) != entry; i++) {
        const LabInterconnect *other = g_ptr_array_index(entries, i);
        if (entry->initiator != entry->target && other->initiator == entry->target &&
            other->target == entry->initiator)
            return TRUE;
    }
    return FALSE;
}

gboolean
libvirt_has_way_back(const Plan *plan)
{
    for (guint i = 0; i < plan->interconnects->len; i++)
        if (is_way_back(g_ptr_array_index(plan->interconnects, i), plan->interconnects))
            return TRUE;
    return FALSE;
}

void
libvirt_write_numa_args(LibvirtWriter *writer)
{
    const Plan *plan = writer->plan;
    for (guint i = 0; i < plan->interconnects->len; i++) {
        const LabInterconnect *entry = g_ptr_array_index(plan->interconnects, i);
        if (!is_way_back(entry, plan->interconnects))
            continue;
        g_autofree char *value = emit_numa_link(entry);
        libvirt_write_arg(writer, "-numa");
        libvirt_write_arg(writer, value);
    }
    for (guint i = 0; i < plan->cells->len; i++) {
        const PlanCell *cell = g_ptr_array_index(plan->cells, i);
        for (guint j = 0; j < cell->caches->len; j++) {
            g_autofree char *value =
                emit_numa_cache(cell, g_ptr_array_index(cell->caches, j));
            libvirt_write_arg(writer, "-numa");
            libvirt_write_arg(writer, value);
        }
    }
}

static void
write_interconnects(xmlNode *numa, const GPtrArray *entries)
{
    if (entries->len == 0)
        return;
    xmlNode *parent = libvirt_element(numa, "interconnects");
    for (guint i = 0; i < entries->len; i++) {
        const LabInterconnect *entry = g_ptr_array_index(entries, i);
        if (is_way_back(entry, entries))
            continue;
        xmlNode *node =
            libvirt_element(parent, entry->is_bandwidth ? "bandwidth" : "latency");
        libvirt_attribute_int(node, "initiator", entry->initiator);
        libvirt_attribute_int(node, "target", entry->target);
        if (entry->cache > 0)
            libvirt_attribute_int(node, "cache", entry->cache);
        libvirt_attribute(node, "type", entry->type);
        if (entry->is_bandwidth)
            libvirt_attribute_size(node, "value", entry->value);
        else
            libvirt_attribute_int(node, "value", entry->value);
    }
}

static void
write_cpu_model(const Plan *plan, xmlNode *cpu)
{
    if (g_str_equal(plan->cpu_model, "max")) {
        libvirt_attribute(cpu, "mode", "maximum");
    } else if (g_str_equal(plan->cpu_model, "host")) {
        libvirt_attribute(cpu, "mode", "host-passthrough");
    } else {
        libvirt_attribute(cpu, "mode", "custom");
        libvirt_attribute(cpu, "match", "exact");
        libvirt_attribute(cpu, "check", "none");
        libvirt_attribute(libvirt_element_text(cpu, "model", plan->cpu_model), "fallback",
                          "forbid");
    }
}

static void
write_feature(xmlNode *cpu, const char *name, gboolean disabled)
{
    xmlNode *node = libvirt_element(cpu, "feature");
    libvirt_attribute(node, "policy", disabled ? "disable" : "require");
    libvirt_attribute(node, "name", name);
}

/* "erms=off,fsrm=off": what the emulator shows and does badly. */
static void
write_emulated_features(LibvirtWriter *writer, xmlNode *cpu)
{
    const char *features = writer->start && libvirt_is_emulation(writer)
                               ? writer->plan->tcg_cpu_features
                               : NULL;
    g_auto(GStrv) words = g_strsplit(features ? features : "", ",", -1);
    for (char **word = words; *word; word++) {
        char *equals = strchr(*word, '=');
        gboolean disabled = equals && g_str_equal(equals, "=off");
        if (equals)
            *equals = '\0';
        write_feature(cpu, *word, disabled);
    }
}

void
libvirt_write_cpu(LibvirtWriter *writer)
{
    const Plan *plan = writer->plan;
    xmlNode *cpu = libvirt_element(writer->domain, "cpu");
    write_cpu_model(plan, cpu);
    xmlNode *topology = libvirt_element(cpu, "topology");
    libvirt_attribute_int(topology, "sockets", plan->sockets);
    libvirt_attribute_int(topology, "dies", plan->dies);
    libvirt_attribute_int(topology, "cores", plan->cores);
    libvirt_attribute_int(topology, "threads", plan->threads);
    for (guint i = 0; i < plan->cpu_features->len; i++) {
        const LabCpuFeature *feature = g_ptr_array_index(plan->cpu_features, i);
        write_feature(cpu, feature->name, feature->disabled);
    }
    write_emulated_features(writer, cpu);
    xmlNode *numa = libvirt_element(cpu, "numa");
    for (guint i = 0; i < plan->cells->len; i++)
        write_cell(writer, numa, g_ptr_array_index(plan->cells, i));
    write_interconnects(numa, plan->interconnects);
    if (writer->links_by_arg)
        libvirt_write_numa_args(writer);
}
