/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Devices of the domain: their names and addresses, and what libvirt has no word for.
 */
#include <string.h>

#include "emit-libvirt.h"
#include "emit-parts.h"
#include "libvirt-alias.h"
#include "wire.h"

/* ---- names
 * --------------------------------------------------------------------------------- */

static void
write_alias(xmlNode *node, const char *id)
{
    g_autofree char *alias = libvirt_alias(id);
    libvirt_attribute(libvirt_element(node, "alias"), "name", alias);
}

static void
write_address(LibvirtWriter *writer, xmlNode *node, const PlanFunction *function)
{
    gpointer index = g_hash_table_lookup(writer->indexes, function->bus);
    const struct {
        const char *name;
        guint value;
    } parts[] = {
        {"bus", GPOINTER_TO_UINT(index)},
        {"slot", function->address.slot},
        {"function", function->address.function},
    };
    xmlNode *address = libvirt_element(node, "address");
    libvirt_attribute(address, "type", "pci");
    libvirt_attribute(address, "domain", "0x0000");
    for (guint i = 0; i < G_N_ELEMENTS(parts); i++) {
        char text[8];
        g_snprintf(text, sizeof text, "0x%x", parts[i].value);
        libvirt_attribute(address, parts[i].name, text);
    }
    if (function->multifunction)
        libvirt_attribute(address, "multifunction", "on");
}

/* ---- what libvirt has no word for
 * ----------------------------------------------------------- */

static xmlNode *
override_of(LibvirtWriter *writer, const char *alias)
{
    if (!writer->overrides)
        writer->overrides =
            xmlNewChild(writer->domain, writer->qemu, BAD_CAST "override", NULL);
    xmlNode *device =
        xmlNewChild(writer->overrides, writer->qemu, BAD_CAST "device", NULL);
    libvirt_attribute(device, "alias", alias);
    return xmlNewChild(device, writer->qemu, BAD_CAST "frontend", NULL);
}

void
libvirt_write_alias_override(LibvirtWriter *writer, xmlNode **frontend, const char *alias,
                             const char *name, const char *type, const char *value)
{
    if (!*frontend)
        *frontend = override_of(writer, alias);
    xmlNode *node = xmlNewChild(*frontend, writer->qemu, BAD_CAST "property", NULL);
    libvirt_attribute(node, "name", name);
    libvirt_attribute(node, "type", type);
    if (value)
        libvirt_attribute(node, "value", value);
}

void
libvirt_write_override(LibvirtWriter *writer, xmlNode **frontend, const char *id,
                       const char *name, const char *type, const char *value)
{
    g_autofree char *alias = libvirt_alias(id);
    libvirt_write_alias_override(writer, frontend, alias, name, type, value);
}

static void
write_property(LibvirtWriter *writer, xmlNode **frontend, const char *id,
               const PlanProperty *property)
{
    GType type = json_node_get_value_type(property->value);
    if (type == G_TYPE_BOOLEAN) {
        gboolean value = json_node_get_boolean(property->value);
        libvirt_write_override(writer, frontend, id, property->name, "bool",
                               value ? "true" : "false");
        return;
    }
    g_autofree char *text = emit_property_text(property);
    gboolean is_number = type == G_TYPE_INT64;
    libvirt_write_override(writer, frontend, id, property->name,
                           !is_number                               ? "string"
                           : json_node_get_int(property->value) < 0 ? "signed"
                                                                    : "unsigned",
                           text);
}

void
libvirt_write_arg(LibvirtWriter *writer, const char *value)
{
    if (!writer->commandline)
        writer->commandline =
            xmlNewChild(writer->domain, writer->qemu, BAD_CAST "commandline", NULL);
    xmlNode *arg = xmlNewChild(writer->commandline, writer->qemu, BAD_CAST "arg", NULL);
    libvirt_attribute(arg, "value", value);
}

void
libvirt_write_json_arg(LibvirtWriter *writer, const char *option, JsonObject *object)
{
    g_autoptr(JsonNode) node = json_node_init_object(json_node_alloc(), object);
    json_object_unref(object);
    g_autofree char *text = json_to_string(node, FALSE);
    libvirt_write_arg(writer, option);
    libvirt_write_arg(writer, text);
}

/* The properties that are not among NATIVE, which the element's own words have said. */
static void
write_overrides(LibvirtWriter *writer, const PlanFunction *function,
                const char *const *native)
{
    xmlNode *frontend = NULL;
    for (guint i = 0; i < function->properties->len; i++) {
        const PlanProperty *property = g_ptr_array_index(function->properties, i);
        if (!g_strv_contains(native, property->name))
            write_property(writer, &frontend, function->id, property);
    }
    /* A NIC without a network has no peer: libvirt's type='null' makes libvirt 9.0 crash,
     * so the network that it insists on is made and left unconnected. */
    if (function->mac && !function->network)
        libvirt_write_override(writer, &frontend, function->id, "netdev", "remove", NULL);
    else if (function->mac && writer->start) {
        g_autofree char *netdev = libvirt_write_netdev(writer, function);
        libvirt_write_override(writer, &frontend, function->id, "netdev", "string",
                               netdev);
    }
}

static void
write_disk(LibvirtWriter *writer, const PlanFunction *function, JsonObject *device)
{
    if (function->size_bytes <= 0 || json_object_has_member(device, "drive"))
        return;
    g_autofree char *name = emit_disk_name(function->id);
    JsonObject *disk = json_object_new();
    json_object_set_string_member(disk, "driver", "null-co");
    json_object_set_string_member(disk, "node-name", name);
    json_object_set_boolean_member(disk, "read-zeroes", TRUE);
    json_object_set_int_member(disk, "size", function->size_bytes);
    libvirt_write_json_arg(writer, "-blockdev", disk);
    json_object_set_string_member(device, "drive", name);
}

static void
write_raw_device(LibvirtWriter *writer, const PlanFunction *function)
{
    char addr[8];
    g_snprintf(addr, sizeof addr, "%02x.%x", function->address.slot,
               function->address.function);
    g_autofree char *alias = libvirt_alias(function->id);
    g_autofree char *bus = libvirt_alias_of_bus(function->bus);
    JsonObject *device = json_object_new();
    json_object_set_string_member(device, "driver", function->driver);
    json_object_set_string_member(device, "id", alias);
    json_object_set_string_member(device, "bus", bus);
    json_object_set_string_member(device, "addr", addr);
    for (guint i = 0; i < function->properties->len; i++) {
        const PlanProperty *property = g_ptr_array_index(function->properties, i);
        json_object_set_member(device, property->name, json_node_copy(property->value));
    }
    write_disk(writer, function, device);
    if (function->network && writer->start && !json_object_has_member(device, "netdev")) {
        g_autofree char *netdev = libvirt_write_netdev(writer, function);
        json_object_set_string_member(device, "netdev", netdev);
    }
    libvirt_write_json_arg(writer, "-device", device);
}

/* ---- devices
 * ------------------------------------------------------------------------------- */

static const char *
property_text(const PlanFunction *function, const char *name, char **text)
{
    const PlanProperty *property = emit_property(function->properties, name);
    g_free(*text);
    *text = property ? emit_property_text(property) : NULL;
    return *text;
}

static xmlNode *
write_controller(LibvirtWriter *writer, const PlanFunction *function, const char *model)
{
    xmlNode *controller = libvirt_element(writer->devices, "controller");
    libvirt_attribute(controller, "type", "pci");
    gpointer index = g_hash_table_lookup(writer->indexes, function->id);
    libvirt_attribute_int(controller, "index", GPOINTER_TO_INT(index));
    libvirt_attribute(controller, "model", model);
    libvirt_attribute(libvirt_element(controller, "model"), "name", function->driver);
    return controller;
}

static void
finish_device(LibvirtWriter *writer, xmlNode *node, const PlanFunction *function,
              const char *const *native)
{
    write_alias(node, function->id);
    write_address(writer, node, function);
    write_overrides(writer, function, native);
}

static void
write_expander(LibvirtWriter *writer, const PlanFunction *function)
{
    static const char *const native[] = {"bus_nr", "numa_node", "multifunction", NULL};
    xmlNode *controller = write_controller(writer, function, "pcie-expander-bus");
    xmlNode *target = libvirt_element(controller, "target");
    libvirt_attribute_int(target, "busNr", function->secondary);
    if (function->cell != PLAN_NONE)
        libvirt_element_int(target, "node", function->cell);
    finish_device(writer, controller, function, native);
}

static void
write_port(LibvirtWriter *writer, const PlanFunction *function)
{
    static const char *const native[] = {"chassis", "port", "hotplug", "multifunction",
                                         NULL};
    /* Slot 0 is what the emulator takes when it is told none, as libvirt does. */
    static const char *const native_0[] = {"chassis",       "port", "hotplug",
                                           "multifunction", "slot", NULL};
    xmlNode *controller = write_controller(writer, function,
                                           function->role == PLAN_ROOT_PORT
                                               ? "pcie-root-port"
                                               : "pcie-switch-downstream-port");
    xmlNode *target = libvirt_element(controller, "target");
    g_autofree char *text = NULL;
    libvirt_attribute_int(target, "chassis", function->chassis);
    if (property_text(function, "port", &text))
        libvirt_attribute(target, "port", text);
    if (property_text(function, "hotplug", &text))
        libvirt_attribute(target, "hotplug", text);
    finish_device(writer, controller, function,
                  function->port_slot > 0 ? native : native_0);
}

static void
write_upstream(LibvirtWriter *writer, const PlanFunction *function)
{
    static const char *const native[] = {"multifunction", NULL};
    xmlNode *controller = write_controller(writer, function, "pcie-switch-upstream-port");
    finish_device(writer, controller, function, native);
}

const char *
libvirt_interface_model(const PlanFunction *function)
{
    if (!function->mac)
        return NULL;
    if (g_str_equal(function->driver, "e1000e"))
        return "e1000e";
    return g_str_equal(function->driver, "virtio-net-pci") ? "virtio" : NULL;
}

static void
write_interface(LibvirtWriter *writer, const PlanFunction *function)
{
    static const char *const native[] = {"mac", "romfile", "multifunction", NULL};
    /* libvirt's own networks join domains of its machine, and this only NICs of one. */
    gboolean is_libvirts = function->network && !writer->start;
    xmlNode *interface = libvirt_element(writer->devices, "interface");
    libvirt_attribute(interface, "type", is_libvirts ? "network" : "user");
    libvirt_attribute(libvirt_element(interface, "mac"), "address", function->mac);
    if (is_libvirts)
        libvirt_attribute(libvirt_element(interface, "source"), "network",
                          function->network);
    libvirt_attribute(libvirt_element(interface, "model"), "type",
                      libvirt_interface_model(function));
    const PlanProperty *rom = emit_property(function->properties, "romfile");
    if (rom) {
        g_autofree char *file = emit_property_text(rom);
        libvirt_attribute(libvirt_element(interface, "rom"), *file ? "file" : "enabled",
                          *file ? file : "no");
    }
    finish_device(writer, interface, function, native);
}

/* hostbed's own channel, so that its agent is reached in a host that libvirt started too.
 */
static void
write_channel(LibvirtWriter *writer, const PlanFunction *function)
{
    static const char *const native[] = {"multifunction", NULL};
    xmlNode *controller = libvirt_element(writer->devices, "controller");
    libvirt_attribute(controller, "type", "virtio-serial");
    libvirt_attribute(controller, "index", "0");
    finish_device(writer, controller, function, native);

    xmlNode *channel = libvirt_element(writer->devices, "channel");
    libvirt_attribute(channel, "type", "unix");
    xmlNode *target = libvirt_element(channel, "target");
    libvirt_attribute(target, "type", "virtio");
    libvirt_attribute(target, "name", HB_WIRE_PORT);
}

/* The file that is written to, and what it is based on, the end of that, too: libvirt
 * would look for it in the files otherwise, whoever made those. */
static void
write_layers(xmlNode *disk, const char *const *files)
{
    guint count = g_strv_length((GStrv)files);
    libvirt_attribute(libvirt_element(disk, "source"), "file", files[count - 1]);
    xmlNode *above = disk;
    for (guint i = count - 1; i > 0; i--) {
        xmlNode *layer = libvirt_element(above, "backingStore");
        libvirt_attribute(layer, "type", "file");
        libvirt_attribute(libvirt_element(layer, "format"), "type", "qcow2");
        libvirt_attribute(libvirt_element(layer, "source"), "file", files[i - 1]);
        above = layer;
    }
    libvirt_element(above, "backingStore");
}

/* In a domain that is only written it is where libvirt keeps those of its domains: the
 * text knows of no cache of hostbed's. */
static void
write_source(const LibvirtWriter *writer, xmlNode *disk)
{
    if (writer->start && writer->start->disk_files) {
        write_layers(disk, writer->start->disk_files);
        return;
    }
    g_autofree char *file =
        g_strdup_printf("/var/lib/libvirt/images/%s-%s.qcow2", writer->plan->lab_name,
                        writer->plan->host_id);
    libvirt_attribute(libvirt_element(disk, "source"), "file", file);
}

/* The disk of an image. What is started needs nothing of what was written once its host
 * has ended. */
static void
write_image(LibvirtWriter *writer, const PlanFunction *function)
{
    static const char *const native[] = {"multifunction", "werror", "rerror", "bootindex",
                                         NULL};
    xmlNode *disk = libvirt_element(writer->devices, "disk");
    libvirt_attribute(disk, "type", "file");
    libvirt_attribute(disk, "device", "disk");
    xmlNode *driver = libvirt_element(disk, "driver");
    libvirt_attribute(driver, "name", "qemu");
    libvirt_attribute(driver, "type", "qcow2");
    libvirt_attribute(driver, "error_policy", "stop");
    libvirt_attribute(driver, "rerror_policy", "stop");
    libvirt_attribute(driver, "discard", "unmap");
    if (writer->start)
        libvirt_attribute(driver, "cache", "unsafe");
    write_source(writer, disk);
    xmlNode *target = libvirt_element(disk, "target");
    libvirt_attribute(target, "dev", "vda");
    libvirt_attribute(target, "bus", "virtio");
    if (emit_property(function->properties, "bootindex"))
        libvirt_attribute(libvirt_element(disk, "boot"), "order", "1");
    finish_device(writer, disk, function, native);
}

static void
write_function(LibvirtWriter *writer, const PlanFunction *function)
{
    switch (function->role) {
    case PLAN_EXPANDER:
        write_expander(writer, function);
        return;
    case PLAN_ROOT_PORT:
    case PLAN_DOWNSTREAM:
        write_port(writer, function);
        return;
    case PLAN_UPSTREAM:
        write_upstream(writer, function);
        return;
    default:
        break;
    }
    if (libvirt_interface_model(function))
        write_interface(writer, function);
    else if (emit_is_channel(function))
        write_channel(writer, function);
    else if (emit_is_image(function))
        write_image(writer, function);
    else if (!emit_is_iommu(function))
        write_raw_device(writer, function);
}

static void
write_functions(LibvirtWriter *writer)
{
    const GPtrArray *functions = writer->plan->functions;
    xmlNode *root = libvirt_element(writer->devices, "controller");
    libvirt_attribute(root, "type", "pci");
    libvirt_attribute(root, "index", "0");
    libvirt_attribute(root, "model", "pcie-root");
    for (guint i = 0; i < functions->len; i++) {
        const PlanFunction *function = g_ptr_array_index(functions, i);
        if (function->secondary != PLAN_NONE && function->role != PLAN_BUILTIN)
            g_hash_table_insert(writer->indexes, function->id,
                                GUINT_TO_POINTER(g_hash_table_size(writer->indexes) + 1));
    }
    for (guint i = 0; i < functions->len; i++) {
        const PlanFunction *function = g_ptr_array_index(functions, i);
        if (emit_is_plugged(function))
            write_function(writer, function);
    }
}

const PlanFunction *
libvirt_virtio_iommu(const Plan *plan)
{
    for (guint i = 0; i < plan->functions->len; i++) {
        const PlanFunction *function = g_ptr_array_index(plan->functions, i);
        if (emit_is_plugged(function) && emit_is_iommu(function))
            return function;
    }
    return NULL;
}

/* The emulator's properties of an Intel IOMMU, and libvirt's words for them. */
static const char *const iommu_words[][2] = {
    {"intremap", "intremap"},  {"caching-mode", "caching_mode"}, {"eim", "eim"},
    {"device-iotlb", "iotlb"}, {"aw-bits", "aw_bits"},
};

static void
write_intel_iommu(LibvirtWriter *writer)
{
    const GPtrArray *properties = writer->plan->iommu.properties;
    xmlNode *iommu = libvirt_element(writer->devices, "iommu");
    libvirt_attribute(iommu, "model", "intel");
    xmlNode *driver = libvirt_element(iommu, "driver");
    for (guint i = 0; i < G_N_ELEMENTS(iommu_words); i++) {
        const PlanProperty *property = emit_property(properties, iommu_words[i][0]);
        g_autofree char *text = property ? emit_property_text(property) : NULL;
        if (text)
            libvirt_attribute(driver, iommu_words[i][1], text);
    }
    xmlNode *frontend = NULL;
    for (guint i = 0; i < properties->len; i++) {
        const PlanProperty *property = g_ptr_array_index(properties, i);
        gboolean said = FALSE;
        for (guint j = 0; j < G_N_ELEMENTS(iommu_words); j++)
            said = said || g_str_equal(property->name, iommu_words[j][0]);
        if (!said)
            write_property(writer, &frontend, "hostbed-iommu", property);
    }
    if (frontend)
        write_alias(iommu, "hostbed-iommu");
}

static void
write_iommu(LibvirtWriter *writer)
{
    const PlanFunction *function = libvirt_virtio_iommu(writer->plan);
    if (writer->plan->iommu.model == LAB_IOMMU_INTEL)
        write_intel_iommu(writer);
    if (!function)
        return;
    xmlNode *iommu = libvirt_element(writer->devices, "iommu");
    libvirt_attribute(iommu, "model", "virtio");
    write_address(writer, iommu, function);
}

void
libvirt_write_devices(LibvirtWriter *writer)
{
    writer->devices = libvirt_element(writer->domain, "devices");
    if (writer->start)
        libvirt_element_text(writer->devices, "emulator", writer->start->emulator);
    write_functions(writer);
    xmlNode *usb = libvirt_element(writer->devices, "controller");
    libvirt_attribute(usb, "type", "usb");
    libvirt_attribute(usb, "model", "none");
    libvirt_attribute(libvirt_element(writer->devices, "serial"), "type", "pty");
    libvirt_attribute(libvirt_element(writer->devices, "memballoon"), "model", "none");
    libvirt_attribute(libvirt_element(writer->devices, "panic"), "model", "isa");
    write_iommu(writer);
    libvirt_write_networks(writer);
}
