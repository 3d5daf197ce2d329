/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Plan → manifest: docs/manifest.rst says what each line means. The order of the code is
 * the order of that document; the order of the lines is that of their bytes.
 */
#include <string.h>

#include "emit-parts.h"
#include "emit.h"

static void fact(GPtrArray *facts, const char *format, ...) G_GNUC_PRINTF(2, 3);

static void
fact(GPtrArray *facts, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    g_ptr_array_add(facts, g_strdup_vprintf(format, args));
    va_end(args);
}

/* "0-3", "2" */
static void
fact_siblings(GPtrArray *facts, guint cpu, const char *kind, guint width)
{
    guint first = cpu / width * width;
    if (width > 1)
        fact(facts, "cpu %u %s %u-%u", cpu, kind, first, first + width - 1);
    else
        fact(facts, "cpu %u %s %u", cpu, kind, cpu);
}

static void
cpu_facts(const Plan *plan, GPtrArray *facts)
{
    guint per_core = (guint)plan->threads;
    guint per_socket = (guint)(plan->dies * plan->cores * plan->threads);
    if (plan->cpu_count > 1)
        fact(facts, "cpus 0-%u", plan->cpu_count - 1);
    else
        fact(facts, "cpus 0");
    for (guint cpu = 0; cpu < plan->cpu_count; cpu++) {
        fact_siblings(facts, cpu, "thread-siblings", per_core);
        fact_siblings(facts, cpu, "package-siblings", per_socket);
    }
}

/* In the kernel's numbers: enum cache_indexing, enum cache_write_policy (linux/node.h).
 */
static int
cache_indexing(const char *associativity)
{
    if (g_str_equal(associativity, "direct"))
        return 0;
    return g_str_equal(associativity, "full") ? 1 : 2;
}

static int
cache_policy(const char *policy)
{
    if (g_str_equal(policy, "writeback"))
        return 0;
    return g_str_equal(policy, "writethrough") ? 1 : 2;
}

static void
access_fact(GPtrArray *facts, int node, const char *name, guint64 value)
{
    if (value != 0)
        fact(facts, "node %d access0 %s %" G_GUINT64_FORMAT, node, name, value);
}

static void
attribute_facts(const Plan *plan, const PlanCell *cell, GPtrArray *facts)
{
    g_autoptr(EmitAccess) access = emit_access_new(plan, cell);
    if (access) {
        g_autofree char *initiators = emit_cpu_list(access->initiators);
        fact(facts, "node %d access0 initiators %s", cell->node, initiators);
        access_fact(facts, cell->node, "read-latency", access->read_latency_ns);
        access_fact(facts, cell->node, "write-latency", access->write_latency_ns);
        access_fact(facts, cell->node, "read-bandwidth", access->read_bandwidth_mib);
        access_fact(facts, cell->node, "write-bandwidth", access->write_bandwidth_mib);
    }
    for (guint i = 0; i < cell->caches->len; i++) {
        const LabCache *cache = g_ptr_array_index(cell->caches, i);
        fact(facts,
             "node %d memory-cache %d size %" G_GINT64_FORMAT " line %" G_GINT64_FORMAT
             " indexing %d policy %d",
             cell->node, cache->level, cache->size_bytes, cache->line_bytes,
             cache_indexing(cache->associativity), cache_policy(cache->policy));
    }
}

static void
distance_facts(const Plan *plan, const PlanCell *from, GPtrArray *facts)
{
    for (guint i = 0; i < plan->cells->len && i < from->distances->len; i++) {
        const PlanCell *to = g_ptr_array_index(plan->cells, i);
        if (to->node != PLAN_NONE)
            fact(facts, "node %d distance %d %d", from->node, to->node,
                 g_array_index(from->distances, int, i));
    }
}

static void
node_facts(const Plan *plan, const PlanCell *cell, GPtrArray *facts)
{
    const gint64 mib = 1024 * 1024;
    g_autofree char *cpus = emit_cpu_list(cell->cpus);
    fact(facts, "node %d cpus %s", cell->node, cpus);
    const gint64 bytes = plan_cell_memory(plan, cell);
    if (bytes > 0)
        fact(facts, "node %d memory %" G_GINT64_FORMAT " MiB", cell->node,
             (bytes + mib - 1) / mib);
    distance_facts(plan, cell, facts);
    for (guint i = 0; i < cell->hugepages->len; i++) {
        const PlanHugepages *pages = &g_array_index(cell->hugepages, PlanHugepages, i);
        if (pages->count > 0)
            fact(facts, "node %d hugepages %" G_GINT64_FORMAT "kB %" G_GINT64_FORMAT,
                 cell->node, pages->page_bytes / 1024, pages->count);
    }
    attribute_facts(plan, cell, facts);
}

static void
bar_fact(GPtrArray *facts, const char *address, const EmulatorBar *bar)
{
    char index[12] = "rom";
    if (bar->index < 6)
        g_snprintf(index, sizeof index, "%d", bar->index);
    const char *kind = bar->is_io ? "io" : bar->is_64bit ? "mem64" : "mem32";
    fact(facts, "pci %s bar %s %s%s %" G_GUINT64_FORMAT, address, index, kind,
         bar->is_prefetchable ? "-pref" : "", bar->size_bytes);
}

static char *
local_cpus(const Plan *plan, int node)
{
    const PlanCell *cell = emit_cell_of_node(plan, node);
    if (cell)
        return emit_cpu_list(cell->cpus);
    g_autoptr(GArray) all = g_array_new(FALSE, FALSE, sizeof(guint));
    for (guint cpu = 0; cpu < plan->cpu_count; cpu++)
        g_array_append_val(all, cpu);
    return emit_cpu_list(all);
}

static void
pci_facts(const Plan *plan, const PlanFunction *function, GPtrArray *facts)
{
    char address[PCI_ADDRESS_SIZE], parent[PCI_ADDRESS_SIZE] = "root";
    pci_address_text(function->address, address);
    if (function->parent)
        pci_address_text(function->parent->address, parent);
    g_autofree char *cpus = local_cpus(plan, function->node);

    fact(facts, "pci %s parent %s", address, parent);
    fact(facts, "pci %s id %04x:%04x", address, function->vendor, function->device);
    fact(facts, "pci %s class %06x", address, function->class_code);
    fact(facts, "pci %s node %d", address, function->node);
    fact(facts, "pci %s local-cpus %s", address, cpus);
    for (guint i = 0; i < function->bars->len; i++)
        bar_fact(facts, address, &g_array_index(function->bars, EmulatorBar, i));
    if (function->linux_driver)
        fact(facts, "pci %s driver %s", address, function->linux_driver);
    if (function->mac)
        fact(facts, "pci %s mac %s", address, function->mac);
}

static void
group_fact(const PlanGroup *group, GPtrArray *facts)
{
    GString *line = g_string_new("group");
    for (guint i = 0; i < group->members->len; i++) {
        const PlanFunction *member = g_ptr_array_index(group->members, i);
        char address[PCI_ADDRESS_SIZE];
        g_string_append_printf(line, " %s", pci_address_text(member->address, address));
    }
    g_ptr_array_add(facts, g_string_free(line, FALSE));
}

static void
iommu_facts(const PlanIommu *iommu, GPtrArray *facts)
{
    const struct {
        const char *name;
        LabSwitch value;
    } capabilities[] = {
        {"intremap", iommu->intremap},   {"caching-mode", iommu->caching_mode},
        {"device-iotlb", iommu->iotlb},  {"eim", iommu->eim},
        {"scalable", iommu->scalable},   {"snoop-control", iommu->snoop_control},
        {"dma-drain", iommu->dma_drain}, {"pass-through", iommu->pass_through},
    };
    if (iommu->model == LAB_IOMMU_NONE)
        return;
    fact(facts, "iommu model %s", lab_iommu_model_name(iommu->model));
    if (iommu->aw_bits > 0)
        fact(facts, "iommu aw-bits %d", iommu->aw_bits);
    for (guint i = 0; i < G_N_ELEMENTS(capabilities); i++)
        if (capabilities[i].value == LAB_ON)
            fact(facts, "iommu %s", capabilities[i].name);
}

static int
compare_bytes(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

void
emit_manifest(const Plan *plan, GString *out)
{
    g_autoptr(GPtrArray) facts = g_ptr_array_new_with_free_func(g_free);
    cpu_facts(plan, facts);
    for (guint i = 0; i < plan->cells->len; i++) {
        const PlanCell *cell = g_ptr_array_index(plan->cells, i);
        if (cell->node != PLAN_NONE)
            node_facts(plan, cell, facts);
    }
    for (guint i = 0; i < plan->functions->len; i++)
        pci_facts(plan, g_ptr_array_index(plan->functions, i), facts);
    for (guint i = 0; i < plan->groups->len; i++)
        group_fact(g_ptr_array_index(plan->groups, i), facts);
    iommu_facts(&plan->iommu, facts);

    g_ptr_array_sort(facts, compare_bytes);
    for (guint i = 0; i < facts->len; i++) {
        g_string_append(out, g_ptr_array_index(facts, i));
        g_string_append_c(out, '\n');
    }
}
