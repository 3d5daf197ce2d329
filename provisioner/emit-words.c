/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "emit-words.h"

#include <string.h>

#include "emit-parts.h"

/* In the largest unit in which it is a whole number. */
char *
emit_size_text(gint64 bytes)
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
    guint unit = 0;
    while (unit + 1 < G_N_ELEMENTS(units) && bytes != 0 && bytes % 1024 == 0) {
        bytes /= 1024;
        unit++;
    }
    return g_strdup_printf("%" G_GINT64_FORMAT " %s", bytes, units[unit]);
}

char *
emit_short_address(PciAddress address)
{
    char text[PCI_ADDRESS_SIZE];
    return g_strdup(pci_address_text(address, text) + strlen("0000:"));
}

static const char *
class_words(guint32 class_code)
{
    static const struct {
        guint32 class_code;
        const char *words;
    } classes[] = {
        {0x0600, "host bridge"}, {0x0601, "ISA bridge"}, {0x0106, "SATA"},
        {0x0c05, "SMBus"},       {0x0806, "IOMMU"},
    };
    for (guint i = 0; i < G_N_ELEMENTS(classes); i++)
        if (classes[i].class_code == class_code >> 8)
            return classes[i].words;
    return "";
}

/* An id is by default a path; below its parent only its end is news. */
char *
emit_short_id(const PlanFunction *function, const char *above)
{
    if (function->role == PLAN_BUILTIN)
        return g_strdup("(built in)");
    if (function->role == PLAN_VF)
        return g_strdup("(virtual function)");
    gsize length = above ? strlen(above) : 0;
    if (length > 0 && g_str_has_prefix(function->id, above) &&
        function->id[length] == '.')
        return g_strdup(function->id + length + 1);
    return g_strdup(function->id);
}

char *
emit_function_model(const PlanFunction *function)
{
    if (function->driver && function->role != PLAN_VF)
        return g_strdup(function->driver);
    return g_strdup_printf("%04x:%04x", function->vendor, function->device);
}

char *
emit_group(int group)
{
    return group == PLAN_NONE ? g_strdup("") : g_strdup_printf("group %d", group);
}

char *
emit_counted(guint count, const char *noun)
{
    return g_strdup_printf("%u %s%s", count, noun, count == 1 ? "" : "s");
}

char *
emit_bus_range(int first, int last)
{
    if (first == last)
        return g_strdup_printf("bus %02x", first);
    return g_strdup_printf("buses %02x-%02x", first, last);
}

char *
emit_function_detail(const PlanFunction *function)
{
    if (function->role == PLAN_BUILTIN)
        return g_strdup(class_words(function->class_code));
    if (function->role == PLAN_EXPANDER)
        return emit_bus_range(function->secondary, function->subordinate);
    if (emit_is_channel(function))
        return g_strdup("hostbed's channel");
    if (emit_is_image(function))
        return g_strdup("the image's disk");
    if (function->size_bytes > 0)
        return emit_size_text(function->size_bytes);
    if (plan_is_joined(function))
        return g_strdup_printf("%s on %s as %s", function->mac, function->network,
                               function->ipv4);
    if (function->mac && function->network)
        return g_strdup_printf("%s on %s", function->mac, function->network);
    if (function->mac)
        return g_strdup(function->mac);
    if (function->ipv4)
        return g_strdup_printf("as %s", function->ipv4);
    if (function->secondary != PLAN_NONE && function->children->len == 0)
        return g_strdup("empty");
    return g_strdup("");
}

static void
append_hugepages(GString *text, const PlanCell *cell)
{
    for (guint i = 0; i < cell->hugepages->len; i++) {
        const PlanHugepages *pages = &g_array_index(cell->hugepages, PlanHugepages, i);
        g_autofree char *size = emit_size_text(pages->page_bytes);
        g_string_append_printf(text, "%s%" G_GINT64_FORMAT " × %s",
                               i ? " and " : ", with ", pages->count, size);
    }
    if (cell->hugepages->len > 0)
        g_string_append(text, " huge pages");
}

char *
emit_cell_title(const PlanCell *cell)
{
    g_autofree char *plain = g_strdup_printf("cell%d", cell->index);
    GString *text = g_string_new(NULL);
    g_string_printf(text, "cell %d", cell->index);
    if (!g_str_equal(cell->id, plain))
        g_string_append_printf(text, " %s", cell->id);
    if (cell->node == PLAN_NONE)
        g_string_append(text, ", no node");
    else
        g_string_append_printf(text, ", node %d", cell->node);
    g_autofree char *cpus = emit_cpu_list(cell->cpus);
    if (cell->cpus->len == 0)
        g_string_append(text, ": no CPUs");
    else
        g_string_append_printf(text, cell->cpus->len > 1 ? ": CPUs %s" : ": CPU %s",
                               cpus);
    g_autofree char *memory = emit_size_text(cell->memory_bytes);
    g_string_append_printf(text, ", %s", cell->memory_bytes > 0 ? memory : "no memory");
    append_hugepages(text, cell);
    return g_string_free(text, FALSE);
}

char *
emit_host_title(const Plan *plan)
{
    return g_strdup_printf("%s: host %s", plan->lab_name, plan->host_id);
}

char *
emit_host_detail(const Plan *plan)
{
    g_autofree char *memory = emit_size_text(plan->memory_bytes);
    g_autofree char *cpus = emit_counted(plan->cpu_count, "CPU");
    g_autofree char *cells = emit_counted(plan->cells->len, "cell");
    g_autofree char *groups = emit_counted(plan->groups->len, "group");
    GString *text = g_string_new(NULL);
    g_string_printf(text, "%s  ·  %s  ·  %s in %s  ·  ", plan->machine, cpus, memory,
                    cells);
    if (plan->iommu.model == LAB_IOMMU_NONE)
        g_string_append(text, "no IOMMU");
    else
        g_string_append_printf(text, "%s IOMMU, %s",
                               lab_iommu_model_name(plan->iommu.model), groups);
    if (plan->os != NULL)
        g_string_append_printf(text, "  ·  %s", plan->os_name ? plan->os_name : plan->os);
    if (plan->image != NULL && plan->image->from != NULL)
        g_string_append_printf(text, "  ·  image %s", plan->image->from);
    if (plan->tainted)
        g_string_append(text, "  ·  tainted by raw arguments");
    return g_string_free(text, FALSE);
}

char *
emit_distances(const Plan *plan)
{
    if (!plan->distances_given)
        return NULL;
    GString *out = g_string_new("Distances from the cell on the left to\n      ");
    for (guint i = 0; i < plan->cells->len; i++)
        g_string_append_printf(out, "%4u", i);
    g_string_append_c(out, '\n');
    for (guint i = 0; i < plan->cells->len; i++) {
        const PlanCell *cell = g_ptr_array_index(plan->cells, i);
        g_string_append_printf(out, "  %4u", i);
        for (guint j = 0; j < cell->distances->len; j++)
            g_string_append_printf(out, "%4d", g_array_index(cell->distances, int, j));
        g_string_append_c(out, '\n');
    }
    return g_string_free(out, FALSE);
}

char *
emit_attributes(const Plan *plan)
{
    if (plan->interconnects->len == 0)
        return NULL;
    GString *out = g_string_new("Memory as seen from cell to cell\n");
    for (guint i = 0; i < plan->interconnects->len; i++) {
        const LabInterconnect *entry = g_ptr_array_index(plan->interconnects, i);
        g_autofree char *bandwidth = emit_size_text(entry->value);
        g_autofree char *latency =
            g_strdup_printf("%" G_GINT64_FORMAT " ns", entry->value);
        g_string_append_printf(
            out, "  %4d → %-4d %-6s %-9s %s%s", entry->initiator, entry->target,
            entry->type, entry->is_bandwidth ? "bandwidth" : "latency",
            entry->is_bandwidth ? bandwidth : latency, entry->is_bandwidth ? "/s" : "");
        if (entry->cache > 0)
            g_string_append_printf(out, " (cache level %d)", entry->cache);
        g_string_append_c(out, '\n');
    }
    return g_string_free(out, FALSE);
}

char *
emit_names(const Plan *plan)
{
    gsize width = 0;
    if (plan->names->len == 0)
        return NULL;
    GString *out = g_string_new("Names of the hosts that its networks join\n");
    for (guint i = 0; i < plan->names->len; i++) {
        const PlanName *name = plan->names->pdata[i];
        width = MAX(width, strlen(name->address));
    }
    for (guint i = 0; i < plan->names->len; i++) {
        const PlanName *name = plan->names->pdata[i];
        g_string_append_printf(out, "  %-*s  %s\n", (int)width, name->address,
                               name->names);
    }
    return g_string_free(out, FALSE);
}

static void
append_passages(GString *out, const Plan *plan, const PlanUplink *uplink)
{
    for (guint i = 0; i < uplink->services->len; i++) {
        const PlanPassage *service = uplink->services->pdata[i];
        g_string_append_printf(out, "  %s:%d on %s is %s of the machine\n", uplink->door,
                               service->port, uplink->network, service->to);
    }
    for (guint i = 0; i < uplink->forwards->len; i++) {
        const PlanPassage *forward = uplink->forwards->pdata[i];
        if (g_str_equal(forward->host, plan->host_id))
            g_string_append_printf(out, "  %s of the machine is port %d here\n",
                                   forward->to, forward->port);
    }
}

char *
emit_uplinks(const Plan *plan)
{
    if (plan->uplinks->len == 0)
        return NULL;
    GString *out = g_string_new("What leads out of its networks and into them\n");
    for (guint i = 0; i < plan->uplinks->len; i++) {
        const PlanUplink *uplink = plan->uplinks->pdata[i];
        if (uplink->nat)
            g_string_append_printf(out, "  all outside by %s and %s of %s, names by %s\n",
                                   uplink->ipv4, uplink->ipv6, uplink->network,
                                   uplink->dns);
        append_passages(out, plan, uplink);
    }
    return g_string_free(out, FALSE);
}
