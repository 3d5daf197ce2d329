/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Asks an emulator what it can do. Every device model is plugged into a port of a stopped
 * machine and read as firmware would read it, so that what is recorded is what the guest
 * sees; no guest code runs. An emulator may die at any question (a device whose module
 * does not fit aborts it): then the question is dropped and a new one is started.
 */
#include "emulator-probe.h"

#include <string.h>
#include <sys/socket.h>

#include "child.h"
#include "error.h"
#include "qmp.h"

/* How many deaths of the emulator we accept before the rest stays unknown. */
#define DEATHS_MAX 24
/* Ports of the machine that devices are plugged into: eight a slot, slots 1 to 28. */
#define PORTS_MAX 224
/* Where the machine's configuration space is mapped for reading what is beyond 256 bytes
 * (q35's PCIEXBAR, register 0x60 of the host bridge). */
#define ECAM_BASE 0xb0000000u

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

typedef struct {
    const char *binary;
    const char *const *data_dirs;
    guint answer_ms;
    Child *child;
    Qmp *qmp;
    guint deaths;
} Probe;

/* ---- one emulator process
 * ------------------------------------------------------------------ */

static void
probe_stop(Probe *probe)
{
    g_clear_pointer(&probe->qmp, qmp_free);
    g_clear_pointer(&probe->child, child_free);
}

/* What went wrong in the emulator's own words, if it said any. */
static void
probe_explain(Probe *probe, GError **error, const GError *failure)
{
    int code;
    gboolean ended = child_wait(probe->child, 200, &code);
    g_autofree char *words = child_complaint(probe->child);
    g_autofree char *end = ended ? g_strdup_printf(code < 0 ? "signal %d ended it"
                                                            : "it ended with status %d",
                                                   ABS(code))
                                 : g_strdup(failure->message);
    g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE,
                "%s did not answer as QEMU does: %s%s%s", probe->binary, end,
                *words ? ", saying: " : " and said nothing on standard error", words);
}

static GPtrArray *
probe_arguments(const Probe *probe, GPtrArray *devices)
{
    GPtrArray *argv = g_ptr_array_new();
    g_ptr_array_add(argv, (gpointer)probe->binary);
    for (guint i = 0; probe->data_dirs && probe->data_dirs[i]; i++) {
        g_ptr_array_add(argv, (gpointer) "-L");
        g_ptr_array_add(argv, (gpointer)probe->data_dirs[i]);
    }
    static const char *const fixed[] = {
        "-nodefaults",
        "-no-user-config",
        "-display",
        "none",
        "-machine",
        "q35,accel=tcg:kvm",
        "-m",
        "64",
        "-S",
        "-chardev",
        "socket,id=qmp,fd=3",
        "-mon",
        "chardev=qmp,mode=control",
    };
    for (guint i = 0; i < G_N_ELEMENTS(fixed); i++)
        g_ptr_array_add(argv, (gpointer)fixed[i]);
    for (guint i = 0; devices && i < devices->len; i++) {
        g_ptr_array_add(argv, (gpointer) "-device");
        g_ptr_array_add(argv, g_ptr_array_index(devices, i));
    }
    g_ptr_array_add(argv, NULL);
    return argv;
}

/* A stopped q35 with DEVICES (char *, values of -device; NULL: none). */
static gboolean
probe_start(Probe *probe, GPtrArray *devices, GError **error)
{
    int pair[2];
    probe_stop(probe);
    if (g_cancellable_set_error_if_cancelled(g_cancellable_get_current(), error))
        return FALSE;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
        g_set_error_literal(error, HB_ERROR, HB_INFRASTRUCTURE,
                            "cannot make a pair of sockets");
        return FALSE;
    }
    g_autoptr(GPtrArray) argv = probe_arguments(probe, devices);
    probe->qmp = qmp_new(pair[0]);
    probe->child = child_start((const char *const *)argv->pdata, pair[1], FALSE, error);
    if (!probe->child)
        return FALSE;
    g_autoptr(GError) failure = NULL;
    if (qmp_connect(probe->qmp, probe->answer_ms, &failure))
        return TRUE;
    probe_explain(probe, error, failure);
    return FALSE;
}

/* NULL also when the emulator has died; then later calls fail too. */
static JsonNode *
ask(Probe *probe, const char *command, JsonObject *arguments, GError **error)
{
    g_autoptr(GError) failure = NULL;
    if (!probe->qmp) {
        if (arguments)
            json_object_unref(arguments);
        g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE,
                    "%s did not answer as QEMU does: it ended while it was asked",
                    probe->binary);
        return NULL;
    }
    JsonNode *result =
        qmp_call(probe->qmp, command, arguments, -1, probe->answer_ms, &failure);
    if (result)
        return result;
    if (g_error_matches(failure, HB_ERROR, HB_EMULATOR_DIED)) {
        probe->deaths++;
        probe_explain(probe, error, failure);
        probe_stop(probe);
        return NULL;
    }
    g_propagate_error(error, g_steal_pointer(&failure));
    return NULL;
}

static JsonObject *
arguments(const char *name, const char *value)
{
    JsonObject *object = json_object_new();
    json_object_set_string_member(object, name, value);
    return object;
}

/* ---- JSON that we did not write
 * --------------------------------------------------------------- */

static JsonArray *
as_array(JsonNode *node)
{
    return node && JSON_NODE_HOLDS_ARRAY(node) ? json_node_get_array(node) : NULL;
}

static JsonObject *
as_object(JsonNode *node)
{
    return node && JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL;
}

static JsonObject *
element(JsonArray *array, guint index)
{
    return as_object(json_array_get_element(array, index));
}

static guint
length(JsonArray *array)
{
    return array ? json_array_get_length(array) : 0;
}

static JsonNode *
member(JsonObject *object, const char *name)
{
    return object ? json_object_get_member(object, name) : NULL;
}

static const char *
string_member(JsonObject *object, const char *name)
{
    JsonNode *node = member(object, name);
    return node && json_node_get_value_type(node) == G_TYPE_STRING
               ? json_node_get_string(node)
               : NULL;
}

static gint64
int_member(JsonObject *object, const char *name)
{
    JsonNode *node = member(object, name);
    return node && JSON_NODE_HOLDS_VALUE(node) ? json_node_get_int(node) : 0;
}

static gboolean
bool_member(JsonObject *object, const char *name)
{
    JsonNode *node = member(object, name);
    return node && JSON_NODE_HOLDS_VALUE(node) && json_node_get_boolean(node);
}

/* A name that can stand in our files, where spaces and '=' separate. */
static gboolean
is_name(const char *text)
{
    return text && *text && strlen(text) < 128 && !strpbrk(text, " =\t\r\n") &&
           g_utf8_validate(text, -1, NULL);
}

/* ---- lists of names
 * -------------------------------------------------------------------------- */

/* The member KEY of each element of COMMAND's answer goes to SET. */
static gboolean
ask_names(Probe *probe, const char *command, JsonObject *args, const char *key,
          GHashTable *set, GError **error)
{
    g_autoptr(JsonNode) result = ask(probe, command, args, error);
    if (!result)
        return FALSE;
    JsonArray *array = as_array(result);
    for (guint i = 0; i < length(array); i++) {
        const char *name = string_member(element(array, i), key);
        if (is_name(name))
            g_hash_table_add(set, g_strdup(name));
    }
    return TRUE;
}

static gboolean
ask_types(Probe *probe, const char *implements, GHashTable *set, GError **error)
{
    JsonObject *args = arguments("implements", implements);
    json_object_set_boolean_member(args, "abstract", FALSE);
    return ask_names(probe, "qom-list-types", args, "name", set, error);
}

static gboolean
ask_version(Probe *probe, Emulator *emulator, GError **error)
{
    g_autoptr(JsonNode) target = ask(probe, "query-target", NULL, error);
    const char *arch = target ? string_member(as_object(target), "arch") : NULL;
    if (!target)
        return FALSE;
    if (g_strcmp0(arch, "x86_64") != 0) {
        g_set_error(error, HB_ERROR, HB_UNSUPPORTED,
                    "%s emulates %s; hostbed needs one that emulates x86_64",
                    probe->binary, arch ? arch : "nothing known");
        return FALSE;
    }
    g_autoptr(JsonNode) result = ask(probe, "query-version", NULL, error);
    if (!result)
        return FALSE;
    JsonObject *version = as_object(member(as_object(result), "qemu"));
    emulator->version = g_strdup_printf("%d.%d.%d", (int)int_member(version, "major"),
                                        (int)int_member(version, "minor"),
                                        (int)int_member(version, "micro"));
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
    JsonObject *args = arguments("type", "full");
    json_object_set_object_member(args, "model", arguments("name", "max"));
    g_autoptr(JsonNode) result = ask(probe, "query-cpu-model-expansion", args, error);
    if (!result)
        return FALSE;
    JsonObject *model = as_object(member(as_object(result), "model"));
    JsonObject *properties = as_object(member(model, "props"));
    if (!bool_member(properties, "x2apic"))
        emulator->max_cpus = MIN(emulator->max_cpus, 255);
    g_autoptr(GList) names = properties ? json_object_get_members(properties) : NULL;
    for (GList *name = names; name; name = name->next) {
        JsonNode *value = member(properties, name->data);
        if (is_name(name->data) && json_node_get_value_type(value) == G_TYPE_BOOLEAN)
            g_hash_table_add(emulator->cpu_features, g_strdup(name->data));
    }
    g_hash_table_remove(emulator->cpu_features, "realized"); /* of any device */
    return TRUE;
}

static gboolean
ask_machine(Probe *probe, Emulator *emulator, GError **error)
{
    g_autoptr(JsonNode) result = ask(probe, "query-machines", NULL, error);
    if (!result)
        return FALSE;
    JsonArray *machines = as_array(result);
    for (guint i = 0; i < length(machines); i++) {
        JsonObject *machine = element(machines, i);
        const char *name = string_member(machine, "name");
        if (!is_name(name))
            continue;
        if (g_str_has_prefix(name, "pc-q35-"))
            g_hash_table_add(emulator->machines, g_strdup(name));
        if (g_strcmp0(string_member(machine, "alias"), "q35") != 0)
            continue;
        emulator->default_machine = g_strdup(name);
        emulator->max_cpus = (int)CLAMP(int_member(machine, "cpu-max"), 1, G_MAXINT);
    }
    if (!emulator->default_machine) {
        g_set_error(error, HB_ERROR, HB_UNSUPPORTED, "%s has no machine 'q35'",
                    probe->binary);
        return FALSE;
    }
    g_autofree char *type = g_strconcat(emulator->default_machine, "-machine", NULL);
    return ask_names(probe, "qom-list-properties", arguments("typename", type), "name",
                     emulator->machine_properties, error);
}

/* ---- functions of the machine
 * ------------------------------------------------------------------ */

static void
read_bars(JsonArray *regions, GArray *bars)
{
    for (guint i = 0; i < length(regions); i++) {
        JsonObject *region = element(regions, i);
        EmulatorBar bar = {
            .index = (int)CLAMP(int_member(region, "bar"), 0, 6),
            .is_io = g_strcmp0(string_member(region, "type"), "io") == 0,
            .is_64bit = bool_member(region, "mem_type_64"),
            .is_prefetchable = bool_member(region, "prefetch"),
            .size_bytes = (guint64)int_member(region, "size"),
        };
        g_array_append_val(bars, bar);
    }
}

/* FUNCTION is an element of query-pci's answer. The interface byte of the class is not in
 * it. */
static void
read_function(JsonObject *function, EmulatorDevice *device)
{
    JsonObject *id = as_object(member(function, "id"));
    JsonObject *class_info = as_object(member(function, "class_info"));
    device->vendor = (guint16)int_member(id, "vendor");
    device->device = (guint16)int_member(id, "device");
    device->subsystem_vendor = (guint16)int_member(id, "subsystem-vendor");
    device->subsystem = (guint16)int_member(id, "subsystem");
    device->class_code = (guint32)(int_member(class_info, "class") & 0xffff) << 8;
    g_array_set_size(device->bars, 0);
    read_bars(as_array(member(function, "regions")), device->bars);
    device->is_probed = TRUE;
}

/* The last number that the human monitor prints; G_MAXUINT32 if it prints none, which is
 * also what an absent function reads as. */
static guint32 monitor(Probe *probe, const char *format, ...) G_GNUC_PRINTF(2, 3);

static guint32
monitor(Probe *probe, const char *format, ...)
{
    va_list words;
    va_start(words, format);
    g_autofree char *line = g_strdup_vprintf(format, words);
    va_end(words);
    if (!probe->qmp)
        return G_MAXUINT32;
    g_autoptr(JsonNode) result =
        ask(probe, "human-monitor-command", arguments("command-line", line), NULL);
    const char *text = result && json_node_get_value_type(result) == G_TYPE_STRING
                           ? json_node_get_string(result)
                           : "";
    const char *number = g_strrstr(text, "0x");
    return number ? (guint32)g_ascii_strtoull(number, NULL, 16) : G_MAXUINT32;
}

/* PCI configuration mechanism #1 (PCI Local Bus 3.0, 3.2.2.3.2). */
static guint32
select_register(guint bus, guint slot, guint function, guint offset)
{
    return 0x80000000u | bus << 16 | slot << 11 | function << 8 | offset;
}

static guint32
config_read(Probe *probe, guint bus, guint slot, guint function, guint offset)
{
    monitor(probe, "o /4 0xcf8 0x%x", select_register(bus, slot, function, offset));
    return monitor(probe, "i /4x 0xcfc");
}

static void
config_write(Probe *probe, guint bus, guint slot, guint function, guint offset,
             guint32 value)
{
    monitor(probe, "o /4 0xcf8 0x%x", select_register(bus, slot, function, offset));
    monitor(probe, "o /4 0xcfc 0x%x", value);
}

/* Makes SECONDARY the bus below a bridge, as firmware would. */
static void
number_bridge(Probe *probe, guint bus, guint slot, guint function, guint secondary,
              guint subordinate)
{
    config_write(probe, bus, slot, function, 0x18,
                 bus | secondary << 8 | subordinate << 16);
}

static void
read_class_interface(Probe *probe, guint bus, guint slot, guint function,
                     EmulatorDevice *device)
{
    guint32 class_revision = config_read(probe, bus, slot, function, 8);
    if (class_revision != G_MAXUINT32)
        device->class_code |= class_revision >> 8 & 0xff;
}

/* The functions on bus 0 in query-pci's answer; an expander's bus may come first. */
static JsonArray *
root_functions(JsonNode *result)
{
    JsonArray *buses = as_array(result);
    for (guint i = 0; i < length(buses); i++)
        if (int_member(element(buses, i), "bus") == 0)
            return as_array(member(element(buses, i), "devices"));
    return NULL;
}

static gboolean
ask_builtin(Probe *probe, Emulator *emulator, GError **error)
{
    g_autoptr(JsonNode) result = ask(probe, "query-pci", NULL, error);
    if (!result)
        return FALSE;
    JsonArray *functions = root_functions(result);
    for (guint i = 0; i < length(functions); i++) {
        JsonObject *function = element(functions, i);
        guint slot = int_member(function, "slot") & 31;
        guint number = int_member(function, "function") & 7;
        EmulatorDevice *device = emulator_device_new(NULL);
        device->is_pci = TRUE;
        read_function(function, device);
        read_class_interface(probe, 0, slot, number, device);
        g_ptr_array_add(emulator->builtin,
                        emulator_builtin_new((int)slot, (int)number, device));
    }
    return TRUE;
}

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

/* ---- properties
 * ----------------------------------------------------------------------------------- */

static void
ask_properties(Probe *probe, EmulatorDevice *device)
{
    g_autoptr(JsonNode) result =
        ask(probe, "device-list-properties", arguments("typename", device->name), NULL);
    JsonArray *array = result ? as_array(result) : NULL;
    for (guint i = 0; i < length(array); i++) {
        const char *name = string_member(element(array, i), "name");
        const char *type = string_member(element(array, i), "type");
        if (is_name(name))
            g_hash_table_insert(device->properties, g_strdup(name),
                                g_strdup(is_name(type) ? type : "str"));
    }
}

/* Starts a new emulator after a death, unless it has died too often. */
static gboolean
probe_revive(Probe *probe, GPtrArray *devices)
{
    return probe->qmp ||
           (probe->deaths < DEATHS_MAX && probe_start(probe, devices, NULL));
}

static int
compare_names(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static GPtrArray *
sorted(GHashTable *names)
{
    GPtrArray *array = g_ptr_array_new();
    GHashTableIter iter;
    gpointer name;
    g_hash_table_iter_init(&iter, names);
    while (g_hash_table_iter_next(&iter, &name, NULL))
        g_ptr_array_add(array, name);
    g_ptr_array_sort(array, compare_names);
    return array;
}

/* A name for which the emulator dies stays without properties; one that it does not know
 * is no device. */
static void
ask_devices(Probe *probe, GHashTable *names, gboolean is_pci, Emulator *emulator)
{
    g_autoptr(GPtrArray) order = sorted(names);
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
    JsonObject *object = arguments("driver", driver);
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
        number_bridge(probe, 0, 1 + i / 8, i % 8, i + 1, i + 1);
}

/* What the model cannot do without: a disk of zeros, a number of its own. */
static JsonObject *
plug_arguments(Probe *probe, const EmulatorDevice *device, guint port)
{
    g_autofree char *bus = g_strdup_printf("p%u", port);
    g_autofree char *id = g_strdup_printf("d%u", port);
    JsonObject *args = arguments("driver", device->name);
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
        JsonObject *disk = arguments("driver", "null-co");
        json_object_set_string_member(disk, "node-name", node);
        json_object_set_int_member(disk, "size", 1024 * 1024);
        g_autoptr(JsonNode) made = ask(probe, "blockdev-add", disk, NULL);
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
    g_autoptr(JsonNode) plugged = ask(probe, "device_add", args, NULL);
    if (!plugged)
        return FALSE;
    read_class_interface(probe, port + 1, 0, 0, device);
    return TRUE;
}

/* Offset of the PCI Express capability ID of the function in slot 0 of BUS, or 0 (PCI
 * Express 4.0, 7.6.3: 20 bits of next pointer and version, 16 of ID). */
static guint
find_extended_capability(Probe *probe, guint bus, guint id)
{
    guint offset = 0x100;
    for (int i = 0; i < 64 && offset >= 0x100; i++) {
        guint32 header = monitor(probe, "xp /1wx 0x%x", ECAM_BASE + (bus << 20) + offset);
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
    guint32 id = monitor(probe, "xp /1wx 0x%x", base + 0x18);
    read_function(function, vf);
    vf->vendor = pf->vendor;
    vf->device = (guint16)(id >> 16);
    vf->class_code = pf->class_code;
    for (guint i = 0; i < vf->bars->len; i++) {
        EmulatorBar *bar = &g_array_index(vf->bars, EmulatorBar, i);
        guint32 value = monitor(probe, "xp /1wx 0x%x", base + 0x24 + 4 * bar->index);
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
        read_function(function, device);
        device->class_code |= interface & 0xff;
        return;
    }
    if (int_member(as_object(member(function, "id")), "vendor") == 0xffff)
        read_virtual_function(probe, device, bus, function, emulator);
}

/* All functions behind the ports, in the order of their numbers. */
static void
read_plugged(Probe *probe, GPtrArray *models, Emulator *emulator)
{
    g_autoptr(JsonNode) result = ask(probe, "query-pci", NULL, NULL);
    JsonArray *ports = result ? root_functions(result) : NULL;
    for (guint i = 0; i < length(ports); i++) {
        JsonObject *bridge = as_object(member(element(ports, i), "pci_bridge"));
        JsonArray *functions = as_array(member(bridge, "devices"));
        guint bus = (guint)int_member(as_object(member(bridge, "bus")), "secondary");
        for (guint j = 0; j < length(functions); j++)
            take_function(probe, models, bus, element(functions, j), emulator);
    }
}

/* The models that one machine has ports for. */
static void
plug_models(Probe *probe, GPtrArray *models, Emulator *emulator)
{
    g_autoptr(GPtrArray) ports = port_arguments(models->len);
    /* A model that kills the emulator is left out; the others start again. */
    while (probe->deaths < DEATHS_MAX && probe_start(probe, ports, NULL)) {
        number_ports(probe, models->len);
        config_write(probe, 0, 0, 0, 0x60, ECAM_BASE | 1);
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

static void
plug_all(Probe *probe, Emulator *emulator)
{
    g_autoptr(GPtrArray) names = sorted(emulator->devices);
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
    const char *id = string_member(function, "qdev_id");
    guint slot = int_member(function, "slot") & 31;
    guint number = int_member(function, "function") & 7;
    return g_strcmp0(id, "probe") == 0 ||
           (bus == 0 && (!id || !*id) && !is_builtin(emulator, slot, number));
}

static JsonObject *
find_wanted(const Emulator *emulator, JsonArray *functions, guint bus, guint *found_bus)
{
    for (guint i = 0; i < length(functions); i++) {
        JsonObject *function = element(functions, i);
        JsonObject *bridge = as_object(member(function, "pci_bridge"));
        guint secondary =
            (guint)int_member(as_object(member(bridge, "bus")), "secondary");
        JsonObject *below = find_wanted(emulator, as_array(member(bridge, "devices")),
                                        secondary, found_bus);
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
        number_bridge(probe, i, i == 0 ? 3 : 0, 0, i + 1, cold->bridges);
    g_autoptr(JsonNode) result = probe->qmp ? ask(probe, "query-pci", NULL, NULL) : NULL;
    JsonArray *functions = result ? root_functions(result) : NULL;
    guint bus = 0;
    JsonObject *function = find_wanted(emulator, functions, 0, &bus);
    if (!function)
        return;
    read_function(function, device);
    read_class_interface(probe, bus, int_member(function, "slot") & 31,
                         int_member(function, "function") & 7, device);
}

static void
start_cold(Probe *probe, Emulator *emulator)
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
        g_autoptr(JsonNode) known = ask(probe, "qom-list-properties",
                                        arguments("typename", common_objects[i]), NULL);
        if (known)
            g_hash_table_add(emulator->objects, g_strdup(common_objects[i]));
    }
}

static gboolean
ask_everything(Probe *probe, Emulator *emulator, GError **error)
{
    if (!probe_start(probe, NULL, error) || !ask_version(probe, emulator, error) ||
        !ask_machine(probe, emulator, error) || !ask_builtin(probe, emulator, error) ||
        !ask_cpus(probe, emulator, error))
        return FALSE;
    ask_all_devices(probe, emulator);
    if (!probe_revive(probe, NULL))
        return probe_start(probe, NULL, error);
    ask_objects(probe, emulator);
    plug_all(probe, emulator);
    start_cold(probe, emulator);
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
