/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Asks an emulator what it can do. Every device model is plugged into a port of a stopped
 * machine and read as firmware would read it, so that what is recorded is what the guest
 * sees; no guest code runs. An emulator may die at any question (a device whose module
 * does not fit aborts it): then the question is dropped and a new one is started.
 */
#include "emulator-probe.h"

#include <string.h>

#include "emulator-ask.h"
#include "error.h"
#include "json-line.h"

/* Models that are not PCI devices but that hostbed or a lab may name. */
static const char *const other_devices[] = {
    "amd-iommu",      "intel-iommu", "isa-debug-exit", "isa-serial", "nvdimm",
    "nvme-ns",        "nvme-subsys", "pc-dimm",        "pvpanic",    "virtconsole",
    "virtserialport", "vmcoreinfo",  "vmgenid",        NULL,
};

/* Asked for one by one when the emulator cannot even list its types: Debian's aborts when
 * the modules of another version lie in its folder. */
static const char *const common_devices[] = {
    "AMDVI-PCI",
    "e1000",
    "e1000e",
    "edu",
    "i82801b11-bridge",
    "igb",
    "igbvf",
    "ioh3420",
    "megasas",
    "nvme",
    "pci-bridge",
    "pci-serial",
    "pci-testdev",
    "pcie-pci-bridge",
    "pcie-root-port",
    "pvpanic-pci",
    "pxb-pcie",
    "qemu-xhci",
    "rtl8139",
    "virtio-balloon-pci",
    "virtio-blk-pci",
    "virtio-iommu-pci",
    "virtio-net-pci",
    "virtio-rng-pci",
    "virtio-scsi-pci",
    "virtio-serial-pci",
    "vmxnet3",
    "x3130-upstream",
    "xio3130-downstream",
    NULL,
};

/* The same for -object. */
static const char *const common_objects[] = {
    "acpi-generic-initiator",
    "iommufd",
    "iothread",
    "memory-backend-file",
    "memory-backend-memfd",
    "memory-backend-ram",
    "rng-builtin",
    "rng-random",
    "throttle-group",
    NULL,
};

/* ---- lists of names
 * -------------------------------------------------------------------------- */

/* The member KEY of each element of COMMAND's answer goes to SET. */
static gboolean
ask_names(Probe *probe, const char *command, JsonObject *args, const char *key,
          GHashTable *set, GError **error)
{
    g_autoptr(JsonNode) result = probe_ask(probe, command, args, error);
    if (!result)
        return FALSE;
    JsonArray *array = json_line_as_array(result);
    for (guint i = 0; i < reply_length(array); i++) {
        const char *name = reply_string(json_line_element(array, i), key);
        if (reply_is_name(name))
            g_hash_table_add(set, g_strdup(name));
    }
    return TRUE;
}

static gboolean
ask_types(Probe *probe, const char *implements, GHashTable *set, GError **error)
{
    JsonObject *args = probe_argument("implements", implements);
    json_object_set_boolean_member(args, "abstract", FALSE);
    return ask_names(probe, "qom-list-types", args, "name", set, error);
}

static gboolean
ask_version(Probe *probe, Emulator *emulator, GError **error)
{
    g_autoptr(JsonNode) target = probe_ask(probe, "query-target", NULL, error);
    const char *arch = target ? reply_string(json_line_as_object(target), "arch") : NULL;
    if (!target)
        return FALSE;
    if (g_strcmp0(arch, "x86_64") != 0) {
        g_set_error(error, HB_ERROR, HB_UNSUPPORTED,
                    "%s emulates %s; hostbed needs one that emulates x86_64",
                    probe->binary, arch ? arch : "nothing known");
        return FALSE;
    }
    g_autoptr(JsonNode) result = probe_ask(probe, "query-version", NULL, error);
    if (!result)
        return FALSE;
    JsonObject *version = reply_object(json_line_as_object(result), "qemu");
    emulator->version = g_strdup_printf("%d.%d.%d", (int)reply_int(version, "major"),
                                        (int)reply_int(version, "minor"),
                                        (int)reply_int(version, "micro"));
    return TRUE;
}

/* The largest model is asked, but all models share one list of what can be switched.
 * More than 255 CPUs need x2APIC, which the emulation lacks in older emulators. */
static gboolean
ask_cpus(Probe *probe, Emulator *emulator, GError **error)
{
    if (!ask_names(probe, "query-cpu-definitions", NULL, "name", emulator->cpu_models,
                   error))
        return FALSE;
    JsonObject *args = probe_argument("type", "full");
    json_object_set_object_member(args, "model", probe_argument("name", "max"));
    g_autoptr(JsonNode) result =
        probe_ask(probe, "query-cpu-model-expansion", args, error);
    if (!result)
        return FALSE;
    JsonObject *model = reply_object(json_line_as_object(result), "model");
    JsonObject *properties = reply_object(model, "props");
    if (!reply_bool(properties, "x2apic"))
        emulator->max_cpus = MIN(emulator->max_cpus, 255);
    g_autoptr(GList) names = properties ? json_object_get_members(properties) : NULL;
    for (GList *name = names; name; name = name->next) {
        JsonNode *value = json_object_get_member(properties, name->data);
        if (reply_is_name(name->data) &&
            json_node_get_value_type(value) == G_TYPE_BOOLEAN)
            g_hash_table_add(emulator->cpu_features, g_strdup(name->data));
    }
    g_hash_table_remove(emulator->cpu_features, "realized"); /* of any device */
    return TRUE;
}

static gboolean
ask_machine(Probe *probe, Emulator *emulator, GError **error)
{
    g_autoptr(JsonNode) result = probe_ask(probe, "query-machines", NULL, error);
    if (!result)
        return FALSE;
    JsonArray *machines = json_line_as_array(result);
    for (guint i = 0; i < reply_length(machines); i++) {
        JsonObject *machine = json_line_element(machines, i);
        const char *name = reply_string(machine, "name");
        if (!reply_is_name(name))
            continue;
        if (g_str_has_prefix(name, "pc-q35-"))
            g_hash_table_add(emulator->machines, g_strdup(name));
        if (g_strcmp0(reply_string(machine, "alias"), "q35") != 0)
            continue;
        emulator->default_machine = g_strdup(name);
        emulator->max_cpus = (int)CLAMP(reply_int(machine, "cpu-max"), 1, G_MAXINT);
    }
    if (!emulator->default_machine) {
        g_set_error(error, HB_ERROR, HB_UNSUPPORTED, "%s has no machine 'q35'",
                    probe->binary);
        return FALSE;
    }
    g_autofree char *type = g_strconcat(emulator->default_machine, "-machine", NULL);
    return ask_names(probe, "qom-list-properties", probe_argument("typename", type),
                     "name", emulator->machine_properties, error);
}

/* ---- properties
 * ----------------------------------------------------------------------------------- */

static void
ask_properties(Probe *probe, EmulatorDevice *device)
{
    g_autoptr(JsonNode) result = probe_ask(
        probe, "device-list-properties", probe_argument("typename", device->name), NULL);
    JsonArray *array = result ? json_line_as_array(result) : NULL;
    for (guint i = 0; i < reply_length(array); i++) {
        const char *name = reply_string(json_line_element(array, i), "name");
        const char *type = reply_string(json_line_element(array, i), "type");
        if (reply_is_name(name))
            g_hash_table_insert(device->properties, g_strdup(name),
                                g_strdup(reply_is_name(type) ? type : "str"));
    }
}

/* A name for which the emulator dies stays without properties; one that it does not know
 * is no device. */
static void
ask_devices(Probe *probe, GHashTable *names, gboolean is_pci, Emulator *emulator)
{
    g_autoptr(GPtrArray) order = probe_sorted(names);
    for (guint i = 0; i < order->len && probe_revive(probe, NULL); i++) {
        EmulatorDevice *device = emulator_device_new(g_ptr_array_index(order, i));
        device->is_pci = is_pci;
        ask_properties(probe, device);
        if (g_hash_table_size(device->properties) > 0)
            emulator_add_device(emulator, device);
        else
            emulator_device_free(device);
    }
}

static GHashTable *
names_of(const char *const *names)
{
    GHashTable *set = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    for (guint i = 0; names[i]; i++)
        g_hash_table_add(set, g_strdup(names[i]));
    return set;
}

/* ---- all of it
 * ----------------------------------------------------------------------------------------
 */

static void
ask_all_devices(Probe *probe, Emulator *emulator)
{
    g_autoptr(GHashTable) types = names_of((const char *const[]){NULL});
    g_autoptr(GHashTable) others = names_of(other_devices);
    if (!ask_types(probe, "pci-device", types, NULL)) {
        g_hash_table_unref(types);
        types = names_of(common_devices);
    }
    ask_devices(probe, types, TRUE, emulator);
    ask_devices(probe, others, FALSE, emulator);
}

static void
ask_objects(Probe *probe, Emulator *emulator)
{
    if (ask_types(probe, "user-creatable", emulator->objects, NULL))
        return;
    for (guint i = 0; common_objects[i] && probe_revive(probe, NULL); i++) {
        g_autoptr(JsonNode) known =
            probe_ask(probe, "qom-list-properties",
                      probe_argument("typename", common_objects[i]), NULL);
        if (known)
            g_hash_table_add(emulator->objects, g_strdup(common_objects[i]));
    }
}

static gboolean
ask_everything(Probe *probe, Emulator *emulator, GError **error)
{
    if (!probe_start(probe, NULL, error) || !ask_version(probe, emulator, error) ||
        !ask_machine(probe, emulator, error) ||
        !probe_ask_builtin(probe, emulator, error) || !ask_cpus(probe, emulator, error))
        return FALSE;
    ask_all_devices(probe, emulator);
    if (!probe_revive(probe, NULL))
        return probe_start(probe, NULL, error);
    ask_objects(probe, emulator);
    probe_plug_all(probe, emulator);
    probe_start_cold(probe, emulator);
    return TRUE;
}

/* Its channel ends with it, so whoever waits for an answer waits no longer. */
static void
on_interrupt(GCancellable *interrupt, gpointer user_data)
{
    const Probe *probe = user_data;
    if (probe->child)
        child_kill(probe->child);
}

static gboolean
ask_interruptibly(Probe *probe, Emulator *emulator, GError **error)
{
    g_autoptr(GError) failure = NULL;
    GCancellable *interrupt = g_cancellable_get_current();
    gulong id = 0;
    if (interrupt)
        id = g_cancellable_connect(interrupt, G_CALLBACK(on_interrupt), probe, NULL);
    gboolean done = ask_everything(probe, emulator, &failure);
    g_cancellable_disconnect(interrupt, id);
    if (g_cancellable_is_cancelled(interrupt)) {
        g_set_error(error, HB_ERROR, HB_INTERRUPTED,
                    "interrupted while %s was asked what it can do", probe->binary);
        return FALSE;
    }
    if (failure)
        g_propagate_error(error, g_steal_pointer(&failure));
    return done;
}

Emulator *
emulator_ask(const char *binary, const char *const *data_dirs, guint answer_ms,
             GError **error)
{
    Probe probe = {.binary = binary, .data_dirs = data_dirs, .answer_ms = answer_ms};
    g_autoptr(Emulator) emulator = emulator_new();
    gboolean done = ask_interruptibly(&probe, emulator, error);
    probe_stop(&probe);
    if (!done)
        return NULL;
    emulator->binary = g_strdup(binary);
    return g_steal_pointer(&emulator);
}
