/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * PCI functions, with what stands behind them: networks, disks, the agent.
 */
#include "emit-parts.h"
#include "emit-qemu.h"
#include "wire.h"

/* A port of a network that joins hosts. */
JsonObject *
emit_qemu_port(const PlanFunction *nic, const char *fd)
{
    g_autofree char *id = emit_netdev_id(nic);
    JsonObject *netdev = qemu_object_new("type", "dgram", "id", id);
    JsonObject *local = qemu_object_new("type", "fd", NULL, NULL);
    json_object_set_string_member(local, "str", fd);
    json_object_set_object_member(netdev, "local", local);
    return netdev;
}

JsonObject *
emit_qemu_hub(const PlanFunction *nic, guint hub)
{
    g_autofree char *id = emit_netdev_id(nic);
    return emit_hub_port(id, hub);
}

static JsonObject *
port_of(const QemuWriter *writer, const PlanFunction *function)
{
    guint index = 0;
    g_autoptr(GPtrArray) joined = plan_joined(writer->plan);
    g_ptr_array_find(joined, function, &index);
    return emit_qemu_port(function, writer->words->port_fds[index]);
}

/* No network, no peer: a NIC without one has no netdev at all. */
static void
write_network(QemuWriter *writer, const PlanFunction *function, JsonObject *device)
{
    if (!function->network || json_object_has_member(device, "netdev"))
        return;
    g_autofree char *id = emit_netdev_id(function);
    qemu_add_json(
        writer, "-netdev",
        writer->words->port_fds && plan_is_joined(function)
            ? port_of(writer, function)
            : emit_qemu_hub(function, emit_hub_of(writer->plan, function->network)));
    json_object_set_string_member(device, "netdev", id);
}

static char *
layer_name(guint index)
{
    return g_strdup_printf(EMIT_IMAGE_NODE "%u", index);
}

/* One of the files that the disk of an image consists of, INDEX from the bottom. What it
 * is based on is said here and not taken from the file, whoever made that. Nobody else
 * has the file open for writing, and nobody needs what is written after the host's end.
 */
static void
write_layer(QemuWriter *writer, guint index, gboolean read_only)
{
    g_autofree char *name = layer_name(index);
    g_autofree char *below = index > 0 ? layer_name(index - 1) : NULL;
    JsonObject *file = qemu_object_new("driver", "file", NULL, NULL);
    json_object_set_string_member(file, "filename", writer->words->disk_files[index]);
    json_object_set_string_member(file, "locking", "off");
    JsonObject *layer = qemu_object_new("driver", "qcow2", "node-name", name);
    json_object_set_boolean_member(layer, "read-only", read_only);
    if (!read_only) {
        JsonObject *cache = json_object_new();
        json_object_set_boolean_member(cache, "no-flush", TRUE);
        json_object_set_object_member(layer, "cache", cache);
        json_object_set_string_member(layer, "discard", "unmap");
    }
    json_object_set_object_member(layer, "file", file);
    if (below)
        json_object_set_string_member(layer, "backing", below);
    else
        json_object_set_null_member(layer, "backing");
    qemu_add_json(writer, "-blockdev", layer);
}

static void
write_image(QemuWriter *writer, const PlanFunction *function, JsonObject *device)
{
    const char *const *files = writer->words->disk_files;
    if (!files || !emit_is_image(function))
        return;
    guint count = g_strv_length((GStrv)files);
    for (guint i = 0; i < count; i++)
        write_layer(writer, i, i + 1 < count);
    g_autofree char *top = layer_name(count - 1);
    json_object_set_string_member(device, "drive", top);
}

gboolean
emit_qemu_is_image(const PlanFunction *function)
{
    return emit_is_image(function);
}

char *
emit_qemu_disk_node(const PlanFunction *function, guint files)
{
    return emit_is_image(function) ? layer_name(files - 1) : emit_disk_name(function->id);
}

/* A disk that reads as zeroes and keeps nothing: there is no file to leave behind. */
static JsonObject *
disk_of(const PlanFunction *function, const char *name)
{
    JsonObject *disk = qemu_object_new("driver", "null-co", "node-name", name);
    json_object_set_boolean_member(disk, "read-zeroes", TRUE);
    json_object_set_int_member(disk, "size", function->size_bytes);
    return disk;
}

static void
write_disk(QemuWriter *writer, const PlanFunction *function, JsonObject *device)
{
    if (function->size_bytes <= 0 || json_object_has_member(device, "drive"))
        return;
    g_autofree char *name = emit_disk_name(function->id);
    qemu_add_json(writer, "-blockdev", disk_of(function, name));
    json_object_set_string_member(device, "drive", name);
}

JsonObject *
emit_qemu_device(const PlanFunction *function)
{
    char addr[8];
    g_snprintf(addr, sizeof addr, "%02x.%x", function->address.slot,
               function->address.function);
    JsonObject *device = qemu_object_new("driver", function->driver, "id", function->id);
    json_object_set_string_member(device, "bus", function->bus);
    json_object_set_string_member(device, "addr", addr);
    qemu_set_properties(device, function->properties);
    return device;
}

static void
add_command(GPtrArray *commands, const char *name, JsonObject *arguments)
{
    EmitCommand *command = g_new(EmitCommand, 1);
    *command = (EmitCommand){name, arguments};
    g_ptr_array_add(commands, command);
}

static void
command_free(gpointer data)
{
    EmitCommand *command = data;
    json_object_unref(command->arguments);
    g_free(command);
}

GPtrArray *
emit_qemu_plug(const PlanFunction *function, JsonObject *netdev)
{
    GPtrArray *commands = g_ptr_array_new_with_free_func(command_free);
    JsonObject *device = emit_qemu_device(function);
    if (function->network) {
        g_autofree char *id = emit_netdev_id(function);
        if (netdev)
            add_command(commands, "netdev_add", netdev);
        json_object_set_string_member(device, "netdev", id);
    }
    if (function->size_bytes > 0) {
        g_autofree char *name = emit_disk_name(function->id);
        add_command(commands, "blockdev-add", disk_of(function, name));
        json_object_set_string_member(device, "drive", name);
    }
    add_command(commands, "device_add", device);
    return commands;
}

GPtrArray *
emit_qemu_clear(const PlanFunction *function, gboolean keep_network)
{
    GPtrArray *commands = g_ptr_array_new_with_free_func(command_free);
    if (function->network && !keep_network) {
        g_autofree char *id = emit_netdev_id(function);
        add_command(commands, "netdev_del", qemu_object_new("id", id, NULL, NULL));
    }
    if (function->size_bytes > 0) {
        g_autofree char *name = emit_disk_name(function->id);
        add_command(commands, "blockdev-del",
                    qemu_object_new("node-name", name, NULL, NULL));
    }
    return commands;
}

GPtrArray *
emit_qemu_plug_memory(const PlanMemory *memory)
{
    GPtrArray *commands = g_ptr_array_new_with_free_func(command_free);
    JsonObject *backend =
        qemu_object_new("qom-type", "memory-backend-ram", "id", memory->backend);
    json_object_set_int_member(backend, "size", memory->size_bytes);
    JsonObject *module = qemu_object_new("driver", "pc-dimm", "id", memory->id);
    json_object_set_string_member(module, "memdev", memory->backend);
    json_object_set_int_member(module, "node", memory->cell);
    add_command(commands, "object-add", backend);
    add_command(commands, "device_add", module);
    return commands;
}

GPtrArray *
emit_qemu_clear_memory(const PlanMemory *memory)
{
    GPtrArray *commands = g_ptr_array_new_with_free_func(command_free);
    add_command(commands, "object-del",
                qemu_object_new("id", memory->backend, NULL, NULL));
    return commands;
}

static void
write_agent_port(QemuWriter *writer, const PlanFunction *function)
{
    if (!writer->words->agent_fd || !emit_is_channel(function))
        return;
    g_autofree char *bus = g_strconcat(function->id, ".0", NULL);
    JsonObject *port = qemu_object_new("driver", "virtserialport", "bus", bus);
    json_object_set_string_member(port, "chardev", "hostbed-agent");
    json_object_set_string_member(port, "name", HB_WIRE_PORT);
    qemu_add_json(writer, "-device", port);
}

static void
write_function(QemuWriter *writer, const PlanFunction *function)
{
    JsonObject *device = emit_qemu_device(function);
    write_network(writer, function, device);
    write_disk(writer, function, device);
    write_image(writer, function, device);
    qemu_add_json(writer, "-device", device);
    write_agent_port(writer, function);
}

/* The IOMMU comes first, since devices ask for it when they are made. Guest addresses are
 * in an order in which each bus exists before something is plugged into it. */
void
qemu_write_functions(QemuWriter *writer)
{
    const Plan *plan = writer->plan;
    if (plan->iommu.driver) {
        JsonObject *device = qemu_object_new("driver", plan->iommu.driver, NULL, NULL);
        qemu_set_properties(device, plan->iommu.properties);
        qemu_add_json(writer, "-device", device);
    }
    for (int first = TRUE; first >= FALSE; first--)
        for (guint i = 0; i < plan->functions->len; i++) {
            const PlanFunction *function = g_ptr_array_index(plan->functions, i);
            if (emit_is_plugged(function) && emit_is_iommu(function) == first)
                write_function(writer, function);
        }
}
