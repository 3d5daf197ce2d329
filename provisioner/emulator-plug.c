/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Every model in a machine, to be read there: plugged into a port of one that is stopped
 * or, where it must be there from the start, in a machine of its own.
 */
#include "emulator-ask.h"

#include <string.h>

#include "json-line.h"

/* Ports of the machine that devices are plugged into: eight a slot, slots 1 to 28. */
#define PORTS_MAX 224
/* Where the machine's configuration space is mapped for reading what is beyond 256 bytes
 * (q35's PCIEXBAR, register 0x60 of the host bridge). */
#define ECAM_BASE 0xb0000000u

static gboolean
is_builtin(const Emulator *emulator, guint slot, guint function)
{
    for (guint i = 0; i < emulator->builtin->len; i++) {
        const EmulatorBuiltin *builtin = g_ptr_array_index(emulator->builtin, i);
        if ((guint)builtin->slot == slot && (guint)builtin->function == function)
            return TRUE;
    }
    return FALSE;
}

/* ---- plugging each model into a port
 * ----------------------------------------------------------- */

/* Without something from outside these fail anyway, or reach for it. */
static gboolean
needs_outside(const char *name)
{
    return g_str_has_prefix(name, "vfio-") || g_str_has_prefix(name, "vhost-") ||
           g_str_has_prefix(name, "xen-") || g_str_has_prefix(name, "virtio-input-host");
}

static char *
device_json(const char *driver, const char *id, const char *bus, const char *address)
{
    g_autoptr(JsonNode) node = json_node_new(JSON_NODE_OBJECT);
    JsonObject *object = probe_argument("driver", driver);
    json_object_set_string_member(object, "id", id);
    json_object_set_string_member(object, "bus", bus);
    json_object_set_string_member(object, "addr", address);
    if (g_str_has_prefix(driver, "pcie-root-port")) {
        json_object_set_int_member(object, "chassis", 1);
        json_object_set_int_member(object, "slot", g_ascii_strtoll(id + 1, NULL, 10));
        json_object_set_boolean_member(object, "multifunction", TRUE);
    }
    json_node_take_object(node, object);
    return json_to_string(node, FALSE);
}

/* COUNT ports "p0", "p1", … as values of -device. */
static GPtrArray *
port_arguments(guint count)
{
    GPtrArray *devices = g_ptr_array_new_with_free_func(g_free);
    for (guint i = 0; i < count; i++) {
        g_autofree char *id = g_strdup_printf("p%u", i);
        g_autofree char *address = g_strdup_printf("%x.%u", 1 + i / 8, i % 8);
        g_ptr_array_add(devices, device_json("pcie-root-port", id, "pcie.0", address));
    }
    return devices;
}

static void
number_ports(Probe *probe, guint count)
{
    for (guint i = 0; i < count; i++)
        probe_number_bridge(probe, 0, 1 + i / 8, i % 8, i + 1, i + 1);
}

/* What the model cannot do without: a disk of zeros, a number of its own. */
static JsonObject *
plug_arguments(Probe *probe, const EmulatorDevice *device, guint port)
{
    g_autofree char *bus = g_strdup_printf("p%u", port);
    g_autofree char *id = g_strdup_printf("d%u", port);
    JsonObject *args = probe_argument("driver", device->name);
    json_object_set_string_member(args, "bus", bus);
    json_object_set_string_member(args, "id", id);
    if (g_hash_table_contains(device->properties, "chassis")) {
        json_object_set_int_member(args, "chassis", 2);
        if (g_hash_table_contains(device->properties, "slot"))
            json_object_set_int_member(args, "slot", port);
    }
    if (g_hash_table_contains(device->properties, "chassis_nr"))
        json_object_set_int_member(args, "chassis_nr", 3);
    if (g_hash_table_contains(device->properties, "serial"))
        json_object_set_string_member(args, "serial", "probe");
    if (g_hash_table_contains(device->properties, "drive")) {
        g_autofree char *node = g_strdup_printf("n%u", port);
        JsonObject *disk = probe_argument("driver", "null-co");
        json_object_set_string_member(disk, "node-name", node);
        json_object_set_int_member(disk, "size", 1024 * 1024);
        g_autoptr(JsonNode) made = probe_ask(probe, "blockdev-add", disk, NULL);
        if (made)
            json_object_set_string_member(args, "drive", node);
    }
    return args;
}

/* The device is behind port PORT, on bus PORT + 1. */
static gboolean
plug(Probe *probe, EmulatorDevice *device, guint port)
{
    JsonObject *args = plug_arguments(probe, device, port);
    if (!probe->qmp) {
        json_object_unref(args);
        return FALSE;
    }
    g_autoptr(JsonNode) plugged = probe_ask(probe, "device_add", args, NULL);
    if (!plugged)
        return FALSE;
    probe_read_class_interface(probe, port + 1, 0, 0, device);
    return TRUE;
}

/* Offset of the PCI Express capability ID of the function in slot 0 of BUS, or 0 (PCI
 * Express 4.0, 7.6.3: 20 bits of next pointer and version, 16 of ID). */
static guint
find_extended_capability(Probe *probe, guint bus, guint id)
{
    guint offset = 0x100;
    for (int i = 0; i < 64 && offset >= 0x100; i++) {
        guint32 header =
            probe_monitor(probe, "xp /1wx 0x%x", ECAM_BASE + (bus << 20) + offset);
        if (header == G_MAXUINT32 || header == 0)
            return 0;
        if ((header & 0xffff) == id)
            return offset;
        offset = header >> 20 & 0xffc;
    }
    return 0;
}

/* What the virtual functions of PF are: their IDs stand in its SR-IOV capability (Single
 * Root I/O Virtualization 1.1, 3.3), their BARs' sizes in FUNCTION, the first of them. */
static void
read_virtual_function(Probe *probe, const EmulatorDevice *pf, guint bus,
                      JsonObject *function, Emulator *emulator)
{
    g_autofree char *name = g_strconcat(pf->name, "vf", NULL);
    EmulatorDevice *vf = g_hash_table_lookup(emulator->devices, name);
    guint capability = vf ? find_extended_capability(probe, bus, 0x10) : 0;
    if (!capability || vf->is_probed)
        return;
    guint32 base = ECAM_BASE + (bus << 20) + capability;
    guint32 id = probe_monitor(probe, "xp /1wx 0x%x", base + 0x18);
    probe_read_function(function, vf);
    vf->vendor = pf->vendor;
    vf->device = (guint16)(id >> 16);
    vf->class_code = pf->class_code;
    for (guint i = 0; i < vf->bars->len; i++) {
        EmulatorBar *bar = &g_array_index(vf->bars, EmulatorBar, i);
        guint32 value =
            probe_monitor(probe, "xp /1wx 0x%x", base + 0x24 + 4 * bar->index);
        bar->is_64bit = (value & 7) == 4;
        bar->is_prefetchable = (value & 9) == 8;
    }
}

/* FUNCTION was found on BUS; its model is the one plugged there. */
static void
take_function(Probe *probe, GPtrArray *models, guint bus, JsonObject *function,
              Emulator *emulator)
{
    EmulatorDevice *device =
        bus >= 1 && bus <= models->len ? g_ptr_array_index(models, bus - 1) : NULL;
    if (!device)
        return;
    if (!device->is_probed) {
        guint32 interface = device->class_code;
        probe_read_function(function, device);
        device->class_code |= interface & 0xff;
        return;
    }
    if (reply_int(reply_object(function, "id"), "vendor") == 0xffff)
        read_virtual_function(probe, device, bus, function, emulator);
}

/* All functions behind the ports, in the order of their numbers. */
static void
read_plugged(Probe *probe, GPtrArray *models, Emulator *emulator)
{
    g_autoptr(JsonNode) result = probe_ask(probe, "query-pci", NULL, NULL);
    JsonArray *ports = result ? probe_root_functions(result) : NULL;
    for (guint i = 0; i < reply_length(ports); i++) {
        JsonObject *bridge = reply_object(json_line_element(ports, i), "pci_bridge");
        JsonArray *functions = reply_array(bridge, "devices");
        guint bus = (guint)reply_int(reply_object(bridge, "bus"), "secondary");
        for (guint j = 0; j < reply_length(functions); j++)
            take_function(probe, models, bus, json_line_element(functions, j), emulator);
    }
}

/* The models that one machine has ports for. */
static void
plug_models(Probe *probe, GPtrArray *models, Emulator *emulator)
{
    g_autoptr(GPtrArray) ports = port_arguments(models->len);
    /* A model that kills the emulator is left out; the others start again. */
    while (probe->deaths < PROBE_DEATHS_MAX && probe_start(probe, ports, NULL)) {
        number_ports(probe, models->len);
        probe_config_write(probe, 0, 0, 0, 0x60, ECAM_BASE | 1);
        for (guint i = 0; i < models->len && probe->qmp; i++) {
            EmulatorDevice *device = g_ptr_array_index(models, i);
            if (device && !plug(probe, device, i))
                g_ptr_array_index(models, i) = NULL;
        }
        if (!probe->qmp)
            continue;
        read_plugged(probe, models, emulator);
        if (probe->qmp)
            return;
    }
}

/* Models that must be there from the start, and are read from a machine of their own. The
 * function of interest is the one with id "probe", or the one on bus 0 that an
 * empty machine has not. Bridges above it are numbered from 1 downwards. */
typedef struct {
    const char *model;
    const char *needs;        /* the machine cannot be made without this device */
    const char *arguments[3]; /* values of -device */
    guint bridges;
} ColdModel;

static const ColdModel cold_models[] = {
    {"pxb-pcie", "pxb-pcie", {"pxb-pcie,id=probe,bus=pcie.0,addr=3,bus_nr=128"}, 0},
    {"virtio-iommu-pci",
     "virtio-iommu-pci",
     {"virtio-iommu-pci,id=probe,bus=pcie.0,addr=3"},
     0},
    {"AMDVI-PCI", "amd-iommu", {"amd-iommu"}, 0},
    {"xio3130-downstream",
     "xio3130-downstream",
     {"pcie-root-port,id=a,bus=pcie.0,addr=3,chassis=1",
      "x3130-upstream,id=b,bus=a,addr=0",
      "xio3130-downstream,id=probe,bus=b,addr=0,chassis=2"},
     2},
};

static gboolean
is_cold(const char *model)
{
    for (guint i = 0; i < G_N_ELEMENTS(cold_models); i++)
        if (strcmp(cold_models[i].model, model) == 0)
            return TRUE;
    return FALSE;
}

void
probe_plug_all(Probe *probe, Emulator *emulator)
{
    g_autoptr(GPtrArray) names = probe_sorted(emulator->devices);
    g_autoptr(GPtrArray) models = g_ptr_array_new();
    for (guint i = 0; i < names->len && models->len < PORTS_MAX; i++) {
        EmulatorDevice *device =
            g_hash_table_lookup(emulator->devices, g_ptr_array_index(names, i));
        if (device->is_pci && !needs_outside(device->name) && !is_cold(device->name))
            g_ptr_array_add(models, device);
    }
    plug_models(probe, models, emulator);
}

/* ---- models that must be there from the start
 * ----------------------------------------------------- */

static gboolean
is_wanted(const Emulator *emulator, JsonObject *function, guint bus)
{
    const char *id = reply_string(function, "qdev_id");
    guint slot = reply_int(function, "slot") & 31;
    guint number = reply_int(function, "function") & 7;
    return g_strcmp0(id, "probe") == 0 ||
           (bus == 0 && (!id || !*id) && !is_builtin(emulator, slot, number));
}

static JsonObject *
find_wanted(const Emulator *emulator, JsonArray *functions, guint bus, guint *found_bus)
{
    for (guint i = 0; i < reply_length(functions); i++) {
        JsonObject *function = json_line_element(functions, i);
        JsonObject *bridge = reply_object(function, "pci_bridge");
        guint secondary = (guint)reply_int(reply_object(bridge, "bus"), "secondary");
        JsonObject *below =
            find_wanted(emulator, reply_array(bridge, "devices"), secondary, found_bus);
        if (below)
            return below;
        if (is_wanted(emulator, function, bus)) {
            *found_bus = bus;
            return function;
        }
    }
    return NULL;
}

static void
read_cold(Probe *probe, const ColdModel *cold, const Emulator *emulator,
          EmulatorDevice *device)
{
    for (guint i = 0; i < cold->bridges; i++)
        probe_number_bridge(probe, i, i == 0 ? 3 : 0, 0, i + 1, cold->bridges);
    g_autoptr(JsonNode) result =
        probe->qmp ? probe_ask(probe, "query-pci", NULL, NULL) : NULL;
    JsonArray *functions = result ? probe_root_functions(result) : NULL;
    guint bus = 0;
    JsonObject *function = find_wanted(emulator, functions, 0, &bus);
    if (!function)
        return;
    probe_read_function(function, device);
    probe_read_class_interface(probe, bus, reply_int(function, "slot") & 31,
                               reply_int(function, "function") & 7, device);
}

void
probe_start_cold(Probe *probe, Emulator *emulator)
{
    for (guint i = 0; i < G_N_ELEMENTS(cold_models); i++) {
        const ColdModel *cold = &cold_models[i];
        EmulatorDevice *device = g_hash_table_lookup(emulator->devices, cold->model);
        if (!device || device->is_probed || !emulator_device(emulator, cold->needs))
            continue;
        g_autoptr(GPtrArray) devices = g_ptr_array_new();
        for (guint j = 0; j < G_N_ELEMENTS(cold->arguments) && cold->arguments[j]; j++)
            g_ptr_array_add(devices, (gpointer)cold->arguments[j]);
        if (probe_start(probe, devices, NULL))
            read_cold(probe, cold, emulator, device);
    }
}
