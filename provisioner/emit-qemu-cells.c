/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Cells: their memory, their distances, what their devices tell of them.
 */
#include "emit-parts.h"
#include "emit-qemu.h"

static void
write_size(QemuWriter *writer)
{
    const Plan *plan = writer->plan;
    g_autoptr(GString) size = g_string_new(NULL);
    if (plan->memory_bytes % 1024 == 0)
        g_string_printf(size, "size=%" G_GINT64_FORMAT "k", plan->memory_bytes / 1024);
    else
        g_string_printf(size, "size=%" G_GINT64_FORMAT "b", plan->memory_bytes);
    if (plan->memory_slots > 0)
        g_string_append_printf(size, ",slots=%d,maxmem=%" G_GINT64_FORMAT "k",
                               plan->memory_slots, plan->max_memory_bytes / 1024);
    qemu_add(writer, "-m", size->str);
}

void
qemu_write_memory(QemuWriter *writer)
{
    const Plan *plan = writer->plan;
    guint with_memory = 0;
    write_size(writer);
    for (guint i = 0; i < plan->cells->len; i++) {
        const PlanCell *cell = g_ptr_array_index(plan->cells, i);
        if (!cell->backend)
            continue;
        GStrv fds = writer->words->memory_fds;
        JsonObject *backend = qemu_object_new(
            "qom-type", fds ? "memory-backend-file" : "memory-backend-ram", "id",
            cell->backend);
        json_object_set_int_member(backend, "size", cell->memory_bytes);
        if (fds) {
            g_autofree char *path =
                g_strdup_printf("/proc/self/fd/%s", fds[with_memory++]);
            json_object_set_string_member(backend, "mem-path", path);
            json_object_set_boolean_member(backend, "share",
                                           !writer->words->copy_on_write);
            /* Of a copy that shares almost all nothing can be set aside beforehand. */
            if (writer->words->copy_on_write)
                json_object_set_boolean_member(backend, "reserve", FALSE);
            /* The file is, the copy is not. */
            if (writer->words->memory_readonly) {
                json_object_set_boolean_member(backend, "readonly", TRUE);
                json_object_set_string_member(backend, "rom", "off");
            }
        }
        qemu_add_json(writer, "-object", backend);
    }
}

static void
write_node(QemuWriter *writer, const PlanCell *cell)
{
    g_autoptr(GString) node = g_string_new(NULL);
    g_string_printf(node, "node,nodeid=%d", cell->index);
    if (cell->cpus->len > 0) {
        g_autofree char *list = emit_cpu_list(cell->cpus);
        g_auto(GStrv) ranges = g_strsplit(list, ",", -1);
        for (guint i = 0; ranges[i]; i++)
            g_string_append_printf(node, ",cpus=%s", ranges[i]);
    }
    if (cell->backend)
        g_string_append_printf(node, ",memdev=%s", cell->backend);
    qemu_add(writer, "-numa", node->str);
}

static void
write_distances(QemuWriter *writer)
{
    const Plan *plan = writer->plan;
    for (guint i = 0; plan->distances_given && i < plan->cells->len; i++) {
        const PlanCell *cell = g_ptr_array_index(plan->cells, i);
        for (guint j = 0; j < cell->distances->len; j++)
            qemu_add_printf(writer, "-numa", "dist,src=%u,dst=%u,val=%d", i, j,
                            g_array_index(cell->distances, int, j));
    }
}

/* Takes VALUE. */
static void
write_numa(QemuWriter *writer, char *value)
{
    qemu_add(writer, "-numa", value);
    g_free(value);
}

/* The emulator wants each of these complete before the next: nodes, distances, latency
 * and bandwidth, caches. */
void
qemu_write_cells(QemuWriter *writer)
{
    const Plan *plan = writer->plan;
    for (guint i = 0; i < plan->cells->len; i++)
        write_node(writer, g_ptr_array_index(plan->cells, i));
    write_distances(writer);
    for (guint i = 0; i < plan->interconnects->len; i++)
        write_numa(writer, emit_numa_link(g_ptr_array_index(plan->interconnects, i)));
    for (guint i = 0; i < plan->cells->len; i++) {
        const PlanCell *cell = g_ptr_array_index(plan->cells, i);
        for (guint j = 0; j < cell->caches->len; j++)
            write_numa(writer, emit_numa_cache(cell, g_ptr_array_index(cell->caches, j)));
    }
}

void
qemu_write_generic_initiators(QemuWriter *writer)
{
    for (guint i = 0; i < writer->plan->cells->len; i++) {
        const PlanCell *cell = g_ptr_array_index(writer->plan->cells, i);
        if (!cell->generic_initiator)
            continue;
        g_autofree char *id = g_strdup_printf("hostbed-initiator-%d", cell->index);
        JsonObject *object =
            qemu_object_new("qom-type", "acpi-generic-initiator", "id", id);
        json_object_set_string_member(object, "pci-dev", cell->generic_initiator);
        json_object_set_int_member(object, "node", cell->index);
        qemu_add_json(writer, "-object", object);
    }
}
