/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Plan → domain XML for libvirt. Every element that libvirt has a word for is said in
 * that word; properties that it has none for go through <qemu:override>, devices through
 * <qemu:commandline>. What cannot be said at all is refused by emit_libvirt_check().
 *
 * The tree is built with libxml2, which does all escaping. Measured with libvirt 9.0.
 */
#include <string.h>

#include "autoptr.h"
#include "emit-parts.h"
#include "emit.h"
#include "wire.h"

#define QEMU_NAMESPACE "http://libvirt.org/schemas/domain/qemu/1.0"
#define HOST_NAMESPACE "urn:hostbed:host:1"

typedef struct {
    const Plan *plan;
    const char *accel;
    xmlNode *domain;
    xmlNode *devices;
    xmlNode *overrides;   /* made when the first one is needed */
    xmlNode *commandline; /* the same */
    xmlNs *qemu;
    gboolean links_by_arg; /* some memory attributes go through the command line */
    GHashTable *indexes;   /* id of a bridge or expander → index of its controller */
} Writer;

static gboolean
is_emulation(const Writer *writer)
{
    return !g_str_equal(writer->accel, "kvm");
}

/* ---- XML
 * ----------------------------------------------------------------------------------- */

static xmlNode *
element(xmlNode *parent, const char *name)
{
    return xmlNewChild(parent, NULL, BAD_CAST name, NULL);
}

static xmlNode *
element_text(xmlNode *parent, const char *name, const char *text)
{
    return xmlNewTextChild(parent, NULL, BAD_CAST name, BAD_CAST text);
}

static void
attribute(xmlNode *node, const char *name, const char *value)
{
    xmlNewProp(node, BAD_CAST name, BAD_CAST value);
}

static void
attribute_int(xmlNode *node, const char *name, gint64 value)
{
    char text[24];
    g_snprintf(text, sizeof text, "%" G_GINT64_FORMAT, value);
    attribute(node, name, text);
}

static xmlNode *
element_int(xmlNode *parent, const char *name, gint64 value)
{
    char text[24];
    g_snprintf(text, sizeof text, "%" G_GINT64_FORMAT, value);
    return element_text(parent, name, text);
}

/* Bytes as libvirt takes them: KiB where that is exact. */
static void
attribute_size(xmlNode *node, const char *name, gint64 bytes)
{
    gboolean whole = bytes % 1024 == 0;
    attribute_int(node, name, whole ? bytes / 1024 : bytes);
    attribute(node, "unit", whole ? "KiB" : "b");
}

/* ---- names
 * --------------------------------------------------------------------------------- */

/* libvirt keeps an alias of ours only if it begins with "ua-" and has no other sign than
 * letters, digits, "-" and "_"; ids may have dots. No two ids get the same alias. */
static char *
alias_of(const char *id)
{
    GString *alias = g_string_new("ua-");
    for (const char *p = id; *p; p++) {
        if (*p == '.')
            g_string_append_c(alias, '_');
        else if (*p == '_')
            g_string_append(alias, "-u");
        else if (*p == '-')
            g_string_append(alias, "--");
        else
            g_string_append_c(alias, *p);
    }
    return g_string_free(alias, FALSE);
}

static void
write_alias(xmlNode *node, const char *id)
{
    g_autofree char *alias = alias_of(id);
    attribute(element(node, "alias"), "name", alias);
}

/* The emulator's bus as it is called when libvirt starts it. */
static char *
bus_name(const char *bus)
{
    return g_str_equal(bus, "pcie.0") ? g_strdup(bus) : alias_of(bus);
}

static void
write_address(Writer *writer, xmlNode *node, const PlanFunction *function)
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
    xmlNode *address = element(node, "address");
    attribute(address, "type", "pci");
    attribute(address, "domain", "0x0000");
    for (guint i = 0; i < G_N_ELEMENTS(parts); i++) {
        char text[8];
        g_snprintf(text, sizeof text, "0x%x", parts[i].value);
        attribute(address, parts[i].name, text);
    }
    if (function->multifunction)
        attribute(address, "multifunction", "on");
}

/* ---- what libvirt has no word for
 * ----------------------------------------------------------- */

static xmlNode *
override_of(Writer *writer, const char *id)
{
    if (!writer->overrides)
        writer->overrides =
            xmlNewChild(writer->domain, writer->qemu, BAD_CAST "override", NULL);
    xmlNode *device =
        xmlNewChild(writer->overrides, writer->qemu, BAD_CAST "device", NULL);
    g_autofree char *alias = alias_of(id);
    attribute(device, "alias", alias);
    return xmlNewChild(device, writer->qemu, BAD_CAST "frontend", NULL);
}

static void
write_override(Writer *writer, xmlNode **frontend, const char *id, const char *name,
               const char *type, const char *value)
{
    if (!*frontend)
        *frontend = override_of(writer, id);
    xmlNode *node = xmlNewChild(*frontend, writer->qemu, BAD_CAST "property", NULL);
    attribute(node, "name", name);
    attribute(node, "type", type);
    if (value)
        attribute(node, "value", value);
}

static void
write_property(Writer *writer, xmlNode **frontend, const char *id,
               const PlanProperty *property)
{
    GType type = json_node_get_value_type(property->value);
    if (type == G_TYPE_BOOLEAN) {
        gboolean value = json_node_get_boolean(property->value);
        write_override(writer, frontend, id, property->name, "bool",
                       value ? "true" : "false");
        return;
    }
    g_autofree char *text = emit_property_text(property);
    gboolean is_number = type == G_TYPE_INT64;
    write_override(writer, frontend, id, property->name,
                   !is_number                               ? "string"
                   : json_node_get_int(property->value) < 0 ? "signed"
                                                            : "unsigned",
                   text);
}

/* The properties that are not among NATIVE, which the element's own words have said. */
static void
write_overrides(Writer *writer, const PlanFunction *function, const char *const *native)
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
        write_override(writer, &frontend, function->id, "netdev", "remove", NULL);
}

static void
write_arg(Writer *writer, const char *value)
{
    if (!writer->commandline)
        writer->commandline =
            xmlNewChild(writer->domain, writer->qemu, BAD_CAST "commandline", NULL);
    xmlNode *arg = xmlNewChild(writer->commandline, writer->qemu, BAD_CAST "arg", NULL);
    attribute(arg, "value", value);
}

/* Takes OBJECT. */
static void
write_json_arg(Writer *writer, const char *option, JsonObject *object)
{
    g_autoptr(JsonNode) node = json_node_init_object(json_node_alloc(), object);
    json_object_unref(object);
    g_autofree char *text = json_to_string(node, FALSE);
    write_arg(writer, option);
    write_arg(writer, text);
}

static void
write_disk(Writer *writer, const char *alias, const PlanFunction *function,
           JsonObject *device)
{
    if (function->size_bytes <= 0 || json_object_has_member(device, "drive"))
        return;
    g_autofree char *name = emit_disk_name(alias);
    JsonObject *disk = json_object_new();
    json_object_set_string_member(disk, "driver", "null-co");
    json_object_set_string_member(disk, "node-name", name);
    json_object_set_boolean_member(disk, "read-zeroes", TRUE);
    json_object_set_int_member(disk, "size", function->size_bytes);
    write_json_arg(writer, "-blockdev", disk);
    json_object_set_string_member(device, "drive", name);
}

static void
write_raw_device(Writer *writer, const PlanFunction *function)
{
    char addr[8];
    g_snprintf(addr, sizeof addr, "%02x.%x", function->address.slot,
               function->address.function);
    g_autofree char *alias = alias_of(function->id);
    g_autofree char *bus = bus_name(function->bus);
    JsonObject *device = json_object_new();
    json_object_set_string_member(device, "driver", function->driver);
    json_object_set_string_member(device, "id", alias);
    json_object_set_string_member(device, "bus", bus);
    json_object_set_string_member(device, "addr", addr);
    for (guint i = 0; i < function->properties->len; i++) {
        const PlanProperty *property = g_ptr_array_index(function->properties, i);
        json_object_set_member(device, property->name, json_node_copy(property->value));
    }
    write_disk(writer, alias, function, device);
    write_json_arg(writer, "-device", device);
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
write_controller(Writer *writer, const PlanFunction *function, const char *model)
{
    xmlNode *controller = element(writer->devices, "controller");
    attribute(controller, "type", "pci");
    gpointer index = g_hash_table_lookup(writer->indexes, function->id);
    attribute_int(controller, "index", GPOINTER_TO_INT(index));
    attribute(controller, "model", model);
    attribute(element(controller, "model"), "name", function->driver);
    return controller;
}

static void
finish_device(Writer *writer, xmlNode *node, const PlanFunction *function,
              const char *const *native)
{
    write_alias(node, function->id);
    write_address(writer, node, function);
    write_overrides(writer, function, native);
}

static void
write_expander(Writer *writer, const PlanFunction *function)
{
    static const char *const native[] = {"bus_nr", "numa_node", "multifunction", NULL};
    xmlNode *controller = write_controller(writer, function, "pcie-expander-bus");
    xmlNode *target = element(controller, "target");
    attribute_int(target, "busNr", function->secondary);
    if (function->cell != PLAN_NONE)
        element_int(target, "node", function->cell);
    finish_device(writer, controller, function, native);
}

static void
write_port(Writer *writer, const PlanFunction *function)
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
    xmlNode *target = element(controller, "target");
    g_autofree char *text = NULL;
    attribute_int(target, "chassis", function->chassis);
    if (property_text(function, "port", &text))
        attribute(target, "port", text);
    if (property_text(function, "hotplug", &text))
        attribute(target, "hotplug", text);
    finish_device(writer, controller, function,
                  function->port_slot > 0 ? native : native_0);
}

static void
write_upstream(Writer *writer, const PlanFunction *function)
{
    static const char *const native[] = {"multifunction", NULL};
    xmlNode *controller = write_controller(writer, function, "pcie-switch-upstream-port");
    finish_device(writer, controller, function, native);
}

/* The models whose PCI nature libvirt 9.0 knows; it would put others on a conventional
 * bus. */
static const char *
interface_model(const PlanFunction *function)
{
    if (!function->mac)
        return NULL;
    if (g_str_equal(function->driver, "e1000e"))
        return "e1000e";
    return g_str_equal(function->driver, "virtio-net-pci") ? "virtio" : NULL;
}

static void
write_interface(Writer *writer, const PlanFunction *function)
{
    static const char *const native[] = {"mac", "romfile", "multifunction", NULL};
    xmlNode *interface = element(writer->devices, "interface");
    attribute(interface, "type", function->network ? "network" : "user");
    attribute(element(interface, "mac"), "address", function->mac);
    if (function->network)
        attribute(element(interface, "source"), "network", function->network);
    attribute(element(interface, "model"), "type", interface_model(function));
    const PlanProperty *rom = emit_property(function->properties, "romfile");
    if (rom) {
        g_autofree char *file = emit_property_text(rom);
        attribute(element(interface, "rom"), *file ? "file" : "enabled",
                  *file ? file : "no");
    }
    finish_device(writer, interface, function, native);
}

/* hostbed's own channel, so that its agent is reached in a host that libvirt started too.
 */
static void
write_channel(Writer *writer, const PlanFunction *function)
{
    static const char *const native[] = {"multifunction", NULL};
    xmlNode *controller = element(writer->devices, "controller");
    attribute(controller, "type", "virtio-serial");
    attribute(controller, "index", "0");
    finish_device(writer, controller, function, native);

    xmlNode *channel = element(writer->devices, "channel");
    attribute(channel, "type", "unix");
    xmlNode *target = element(channel, "target");
    attribute(target, "type", "virtio");
    attribute(target, "name", HB_WIRE_PORT);
}

static void
write_function(Writer *writer, const PlanFunction *function)
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
    if (interface_model(function))
        write_interface(writer, function);
    else if (emit_is_channel(function))
        write_channel(writer, function);
    else if (!emit_is_iommu(function))
        write_raw_device(writer, function);
}

static void
write_functions(Writer *writer)
{
    const GPtrArray *functions = writer->plan->functions;
    xmlNode *root = element(writer->devices, "controller");
    attribute(root, "type", "pci");
    attribute(root, "index", "0");
    attribute(root, "model", "pcie-root");
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

static const PlanFunction *
virtio_iommu(const Plan *plan)
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
write_intel_iommu(Writer *writer)
{
    const GPtrArray *properties = writer->plan->iommu.properties;
    xmlNode *iommu = element(writer->devices, "iommu");
    attribute(iommu, "model", "intel");
    xmlNode *driver = element(iommu, "driver");
    for (guint i = 0; i < G_N_ELEMENTS(iommu_words); i++) {
        const PlanProperty *property = emit_property(properties, iommu_words[i][0]);
        g_autofree char *text = property ? emit_property_text(property) : NULL;
        if (text)
            attribute(driver, iommu_words[i][1], text);
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
write_iommu(Writer *writer)
{
    const PlanFunction *function = virtio_iommu(writer->plan);
    if (writer->plan->iommu.model == LAB_IOMMU_INTEL)
        write_intel_iommu(writer);
    if (!function)
        return;
    xmlNode *iommu = element(writer->devices, "iommu");
    attribute(iommu, "model", "virtio");
    write_address(writer, iommu, function);
}

static void
write_devices(Writer *writer)
{
    writer->devices = element(writer->domain, "devices");
    write_functions(writer);
    xmlNode *usb = element(writer->devices, "controller");
    attribute(usb, "type", "usb");
    attribute(usb, "model", "none");
    attribute(element(writer->devices, "serial"), "type", "pty");
    attribute(element(writer->devices, "memballoon"), "model", "none");
    attribute(element(writer->devices, "panic"), "model", "isa");
    write_iommu(writer);
}

/* ---- cells
 * --------------------------------------------------------------------------------- */

static void
write_distances(Writer *writer, xmlNode *node, const PlanCell *cell)
{
    if (!writer->plan->distances_given)
        return;
    xmlNode *distances = element(node, "distances");
    for (guint i = 0; i < cell->distances->len; i++) {
        xmlNode *sibling = element(distances, "sibling");
        attribute_int(sibling, "id", i);
        attribute_int(sibling, "value", g_array_index(cell->distances, int, i));
    }
}

static void
write_cache(xmlNode *node, const LabCache *cache)
{
    xmlNode *child = element(node, "cache");
    attribute_int(child, "level", cache->level);
    attribute(child, "associativity", cache->associativity);
    attribute(child, "policy", cache->policy);
    attribute_size(element(child, "size"), "value", cache->size_bytes);
    xmlNode *line = element(child, "line");
    attribute_int(line, "value", cache->line_bytes);
    attribute(line, "unit", "b");
}

static void
write_cell(Writer *writer, xmlNode *numa, const PlanCell *cell)
{
    xmlNode *node = element(numa, "cell");
    attribute_int(node, "id", cell->index);
    if (cell->cpus->len > 0) {
        g_autofree char *cpus = emit_cpu_list(cell->cpus);
        attribute(node, "cpus", cpus);
    }
    attribute_size(node, "memory", cell->memory_bytes);
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

/* libvirt calls the way back of a link "already defined" (virDomainNumaDefValidate), so
 * the emulator is told of it; and of the caches too then, since they come after all
 * links. */
static gboolean
has_way_back(const Plan *plan)
{
    for (guint i = 0; i < plan->interconnects->len; i++)
        if (is_way_back(g_ptr_array_index(plan->interconnects, i), plan->interconnects))
            return TRUE;
    return FALSE;
}

static void
write_numa_args(Writer *writer)
{
    const Plan *plan = writer->plan;
    for (guint i = 0; i < plan->interconnects->len; i++) {
        const LabInterconnect *entry = g_ptr_array_index(plan->interconnects, i);
        if (!is_way_back(entry, plan->interconnects))
            continue;
        g_autofree char *value = emit_numa_link(entry);
        write_arg(writer, "-numa");
        write_arg(writer, value);
    }
    for (guint i = 0; i < plan->cells->len; i++) {
        const PlanCell *cell = g_ptr_array_index(plan->cells, i);
        for (guint j = 0; j < cell->caches->len; j++) {
            g_autofree char *value =
                emit_numa_cache(cell, g_ptr_array_index(cell->caches, j));
            write_arg(writer, "-numa");
            write_arg(writer, value);
        }
    }
}

static void
write_interconnects(xmlNode *numa, const GPtrArray *entries)
{
    if (entries->len == 0)
        return;
    xmlNode *parent = element(numa, "interconnects");
    for (guint i = 0; i < entries->len; i++) {
        const LabInterconnect *entry = g_ptr_array_index(entries, i);
        if (is_way_back(entry, entries))
            continue;
        xmlNode *node = element(parent, entry->is_bandwidth ? "bandwidth" : "latency");
        attribute_int(node, "initiator", entry->initiator);
        attribute_int(node, "target", entry->target);
        if (entry->cache > 0)
            attribute_int(node, "cache", entry->cache);
        attribute(node, "type", entry->type);
        if (entry->is_bandwidth)
            attribute_size(node, "value", entry->value);
        else
            attribute_int(node, "value", entry->value);
    }
}

static void
write_cpu_model(const Plan *plan, xmlNode *cpu)
{
    if (g_str_equal(plan->cpu_model, "max")) {
        attribute(cpu, "mode", "maximum");
    } else if (g_str_equal(plan->cpu_model, "host")) {
        attribute(cpu, "mode", "host-passthrough");
    } else {
        attribute(cpu, "mode", "custom");
        attribute(cpu, "match", "exact");
        attribute(cpu, "check", "none");
        attribute(element_text(cpu, "model", plan->cpu_model), "fallback", "forbid");
    }
}

static void
write_cpu(Writer *writer)
{
    const Plan *plan = writer->plan;
    xmlNode *cpu = element(writer->domain, "cpu");
    write_cpu_model(plan, cpu);
    xmlNode *topology = element(cpu, "topology");
    attribute_int(topology, "sockets", plan->sockets);
    attribute_int(topology, "dies", plan->dies);
    attribute_int(topology, "cores", plan->cores);
    attribute_int(topology, "threads", plan->threads);
    for (guint i = 0; i < plan->cpu_features->len; i++) {
        const LabCpuFeature *feature = g_ptr_array_index(plan->cpu_features, i);
        xmlNode *node = element(cpu, "feature");
        attribute(node, "policy", feature->disabled ? "disable" : "require");
        attribute(node, "name", feature->name);
    }
    xmlNode *numa = element(cpu, "numa");
    for (guint i = 0; i < plan->cells->len; i++)
        write_cell(writer, numa, g_ptr_array_index(plan->cells, i));
    write_interconnects(numa, plan->interconnects);
    if (writer->links_by_arg)
        write_numa_args(writer);
}

/* ---- the domain
 * ---------------------------------------------------------------------------- */

/* The lab as its author wrote it: libvirt keeps one element of each foreign namespace. */
static void
write_lab(Writer *writer, xmlNode *metadata)
{
    if (!writer->plan->lab_source)
        return;
    gsize length;
    const char *text = g_bytes_get_data(writer->plan->lab_source, &length);
    g_autoptr(xmlDoc) source =
        xmlReadMemory(text, (int)length, NULL, NULL,
                      XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
    xmlNode *lab = source ? xmlDocGetRootElement(source) : NULL;
    if (lab && lab->ns)
        xmlAddChild(metadata, xmlDocCopyNode(lab, writer->domain->doc, 1));
}

/* Which of the lab's hosts this is, and the words that its kernel needs, however it is
 * booted. */
static char *
kernel_command_line(const Writer *writer)
{
    const Plan *plan = writer->plan;
    return is_emulation(writer) ? g_strconcat(plan->tcg_cmdline, " ", plan->cmdline, NULL)
                                : g_strdup(plan->cmdline);
}

static void
write_metadata(Writer *writer)
{
    xmlNode *metadata = element(writer->domain, "metadata");
    xmlNode *host = xmlNewChild(metadata, NULL, BAD_CAST "host", NULL);
    xmlNs *namespace = xmlNewNs(host, BAD_CAST HOST_NAMESPACE, BAD_CAST "hostbed");
    xmlSetNs(host, namespace);
    attribute(host, "id", writer->plan->host_id);
    g_autofree char *cmdline = kernel_command_line(writer);
    xmlNewTextChild(host, namespace, BAD_CAST "cmdline", BAD_CAST cmdline);
    write_lab(writer, metadata);
}

static void
write_os(Writer *writer)
{
    const Plan *plan = writer->plan;
    xmlNode *os = element(writer->domain, "os");
    if (plan->firmware == LAB_FIRMWARE_EFI)
        attribute(os, "firmware", "efi");
    xmlNode *type = element_text(os, "type", "hvm");
    attribute(type, "arch", "x86_64");
    attribute(type, "machine", plan->machine);
    if (plan->kernel) {
        element_text(os, "kernel", plan->kernel);
        g_autofree char *cmdline = kernel_command_line(writer);
        element_text(os, "cmdline", cmdline);
    }
}

static const PlanProperty *
irqchip(const Plan *plan)
{
    const PlanProperty *property =
        emit_property(plan->machine_properties, "kernel-irqchip");
    return property ? property
                    : emit_property(plan->machine_properties, "kernel_irqchip");
}

static void
write_features(Writer *writer)
{
    xmlNode *features = element(writer->domain, "features");
    element(features, "acpi");
    element(features, "apic");
    g_autofree char *value =
        irqchip(writer->plan) ? emit_property_text(irqchip(writer->plan)) : NULL;
    if (g_strcmp0(value, "split") == 0)
        attribute(element(features, "ioapic"), "driver", "qemu");
    if (is_emulation(writer) && writer->plan->tcg_without_smm)
        attribute(element(features, "smm"), "state", "off");
}

static void
write_domain(Writer *writer)
{
    const Plan *plan = writer->plan;
    g_autofree char *name = g_strdup_printf("%s-%s", plan->lab_name, plan->host_id);
    attribute(writer->domain, "type", is_emulation(writer) ? "qemu" : "kvm");
    element_text(writer->domain, "name", name);
    write_metadata(writer);
    xmlNode *memory =
        element_int(writer->domain, "memory", (plan->memory_bytes + 1023) / 1024);
    attribute(memory, "unit", "KiB");
    element_int(writer->domain, "vcpu", plan->cpu_count);
    write_os(writer);
    write_features(writer);
    write_cpu(writer);
    element_text(writer->domain, "on_poweroff", "destroy");
    element_text(writer->domain, "on_reboot", "destroy");
    element_text(writer->domain, "on_crash", "destroy");
    write_devices(writer);
    for (guint i = 0; i < plan->raw_args->len; i++)
        write_arg(writer, g_ptr_array_index(plan->raw_args, i));
}

void
emit_libvirt(const Plan *plan, GString *out)
{
    emit_libvirt_for(plan, "kvm", out);
}

void
emit_libvirt_for(const Plan *plan, const char *accel, GString *out)
{
    g_autoptr(xmlDoc) document = xmlNewDoc(BAD_CAST "1.0");
    g_autoptr(GHashTable) indexes = g_hash_table_new(g_str_hash, g_str_equal);
    Writer writer = {.plan = plan,
                     .accel = accel,
                     .indexes = indexes,
                     .links_by_arg = has_way_back(plan)};
    writer.domain = xmlNewDocNode(document, NULL, BAD_CAST "domain", NULL);
    xmlDocSetRootElement(document, writer.domain);
    writer.qemu = xmlNewNs(writer.domain, BAD_CAST QEMU_NAMESPACE, BAD_CAST "qemu");
    write_domain(&writer);

    g_autoptr(xmlBuffer) buffer = xmlBufferCreate();
    xmlNodeDump(buffer, document, writer.domain, 0, 1);
    g_string_append_len(out, (const char *)xmlBufferContent(buffer),
                        xmlBufferLength(buffer));
    g_string_append_c(out, '\n');
}

/* ---- what cannot be said
 * ------------------------------------------------------------------- */

static void
check_cells(const Plan *plan, Findings *findings)
{
    for (guint i = 0; i < plan->cells->len; i++) {
        const PlanCell *cell = g_ptr_array_index(plan->cells, i);
        if (cell->memory_bytes == 0)
            findings_add(
                findings, FINDING_UNSUPPORTED, cell->pos, "libvirt-memory",
                "libvirt gives every cell a memory backend, which the emulator refuses "
                "when it is empty; give cell %s memory, or start the lab by hostbed",
                cell->id);
        else if (cell->memory_bytes % 1024 != 0)
            findings_add(
                findings, FINDING_UNSUPPORTED, cell->pos, "libvirt-memory",
                "libvirt counts memory in KiB; give cell %s a whole number of them",
                cell->id);
    }
}

static void
check_iommu(const Plan *plan, Findings *findings)
{
    if (plan->iommu.model == LAB_IOMMU_AMD)
        findings_add(
            findings, FINDING_UNSUPPORTED, plan->pos, "libvirt-iommu",
            "libvirt has no word for the amd IOMMU; use intel or virtio, or start the "
            "lab by hostbed");
}

/* A device that libvirt does not know of cannot be joined to one of its networks. */
static void
check_networks(const Plan *plan, Findings *findings)
{
    for (guint i = 0; i < plan->functions->len; i++) {
        const PlanFunction *function = g_ptr_array_index(plan->functions, i);
        if (function->network && !interface_model(function))
            findings_add(
                findings, FINDING_UNSUPPORTED, function->pos, "libvirt-network",
                "libvirt does not know the NIC model %s, so %s cannot join network %s; "
                "use e1000e or virtio, or leave the network out",
                function->driver, function->id, function->network);
    }
}

static void
check_machine(const Plan *plan, Findings *findings)
{
    for (guint i = 0; i < plan->machine_properties->len; i++) {
        const PlanProperty *property = g_ptr_array_index(plan->machine_properties, i);
        if (property != irqchip(plan) && !g_str_equal(property->name, "hmat"))
            findings_add(
                findings, FINDING_UNSUPPORTED, plan->pos, "libvirt-machine",
                "libvirt has no word for the machine's property %s; leave out what "
                "needs it, or start the lab by hostbed",
                property->name);
    }
}

void
emit_libvirt_check(const Plan *plan, Findings *findings)
{
    check_cells(plan, findings);
    check_iommu(plan, findings);
    check_networks(plan, findings);
    check_machine(plan, findings);
}
