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
    if (function->size_bytes > 0)
        return emit_size_text(function->size_bytes);
    if (function->mac && function->network)
        return g_strdup_printf("%s on %s", function->mac, function->network);
    if (function->mac)
        return g_strdup(function->mac);
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
