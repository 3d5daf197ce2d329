/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Plan → the emulator's arguments, a list from beginning to end. What the emulator takes
 * as JSON is JSON, so that no comma in a value is ever a separator; where it takes only
 * key=value, commas are doubled.
 */
#include <string.h>

#include "emit-parts.h"
#include "emit.h"
#include "wire.h"

/* What is not in the plan, as words: a start fills them from EmitRuntime, a print with
 * placeholders. NULL leaves the option out. */
typedef struct {
    const char *accel;
    const char *firmware, *firmware_vars;
    const char *kernel, *initrd, *root, *cmdline_extra;
    const char *const *disk_files; /* as in EmitRuntime */
    const char *qmp_fd, *agent_fd, *console_fd;
    GStrv memory_fds; /* one for each cell with memory, in order */
    const char *capture_dir;
    gboolean clone, copy_on_write, memory_readonly, sandbox;
} Words;

/* The list being written. Its elements are options: argument vectors of one or two words.
 */
typedef struct {
    const Plan *plan;
    const Words *words;
    GPtrArray *options; /* GStrv */
} Writer;

static void
add(Writer *writer, const char *name, const char *value)
{
    const char *option[] = {name, value, NULL};
    g_ptr_array_add(writer->options, g_strdupv((GStrv)option));
}

static void
add_printf(Writer *writer, const char *name, const char *format, ...) G_GNUC_PRINTF(3, 4);

static void
add_printf(Writer *writer, const char *name, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    g_autofree char *value = g_strdup_vprintf(format, args);
    va_end(args);
    add(writer, name, value);
}

/* Takes OBJECT. */
static void
add_json(Writer *writer, const char *name, JsonObject *object)
{
    g_autoptr(JsonNode) node = json_node_init_object(json_node_alloc(), object);
    json_object_unref(object);
    g_autofree char *text = json_to_string(node, FALSE);
    add(writer, name, text);
}

static char *
double_commas(const char *text)
{
    g_auto(GStrv) parts = g_strsplit(text, ",", -1);
    return g_strjoinv(",,", parts);
}

static JsonObject *
object_new(const char *type_key, const char *type, const char *id_key, const char *id)
{
    JsonObject *object = json_object_new();
    json_object_set_string_member(object, type_key, type);
    if (id)
        json_object_set_string_member(object, id_key, id);
    return object;
}

static void
set_properties(JsonObject *object, const GPtrArray *properties)
{
    for (guint i = 0; i < properties->len; i++) {
        const PlanProperty *property = g_ptr_array_index(properties, i);
        json_object_set_member(object, property->name, json_node_copy(property->value));
    }
}

/* ---- the machine
 * -------------------------------------------------------------------------- */

static gboolean
has_attributes(const Plan *plan)
{
    for (guint i = 0; i < plan->cells->len; i++)
        if (((const PlanCell *)g_ptr_array_index(plan->cells, i))->caches->len > 0)
            return TRUE;
    return plan->interconnects->len > 0;
}

static void
write_firmware(Writer *writer, GString *machine)
{
    const struct {
        const char *file, *node, *property;
        gboolean read_only;
    } parts[] = {
        {writer->words->firmware, "hostbed-firmware", "pflash0", TRUE},
        {writer->words->firmware_vars, "hostbed-firmware-vars", "pflash1", FALSE},
    };
    for (guint i = 0; i < G_N_ELEMENTS(parts) && parts[i].file; i++) {
        JsonObject *file = object_new("driver", "file", NULL, NULL);
        json_object_set_string_member(file, "filename", parts[i].file);
        JsonObject *node = object_new("driver", "raw", "node-name", parts[i].node);
        json_object_set_boolean_member(node, "read-only", parts[i].read_only);
        json_object_set_object_member(node, "file", file);
        add_json(writer, "-blockdev", node);
        g_string_append_printf(machine, ",%s=%s", parts[i].property, parts[i].node);
    }
}

static gboolean
is_emulation(const Writer *writer)
{
    return g_strcmp0(writer->words->accel, "kvm") != 0;
}

static void
write_machine(Writer *writer)
{
    const Plan *plan = writer->plan;
    g_autofree char *type = double_commas(plan->machine);
    g_autoptr(GString) machine = g_string_new(type);
    for (guint i = 0; i < plan->machine_properties->len; i++) {
        const PlanProperty *property = g_ptr_array_index(plan->machine_properties, i);
        g_autofree char *text = emit_property_text(property);
        g_autofree char *value = double_commas(text);
        g_string_append_printf(machine, ",%s=%s", property->name, value);
    }
    if (has_attributes(plan) && !emit_property(plan->machine_properties, "hmat"))
        g_string_append(machine, ",hmat=on");
    if (is_emulation(writer) && plan->tcg_without_smm)
        g_string_append(machine, ",smm=off");
    write_firmware(writer, machine);
    add(writer, "-machine", machine->str);
    /* One thread for all CPUs: with one for each, now and then a CPU never sees the end
     * of an interrupt again, see docs/facts.rst. */
    const char *accel = writer->words->accel;
    if (accel)
        add(writer, "-accel", g_str_equal(accel, "tcg") ? "tcg,thread=single" : accel);
}

static void
write_identity(Writer *writer)
{
    g_autofree char *lab = double_commas(writer->plan->lab_name);
    g_autofree char *host = double_commas(writer->plan->host_id);
    add_printf(writer, "-name", "guest=%s/%s", lab, host);
    add(writer, "-no-user-config", NULL);
    add(writer, "-nodefaults", NULL);
    add(writer, "-display", "none");
    /* A reset ends the emulator, so that a host which restarted is never taken for one
     * that did not; so does a panic, which is told first. */
    add(writer, "-action", "reboot=shutdown,shutdown=poweroff,panic=shutdown");
    if (writer->words->sandbox)
        add(writer, "-sandbox",
            "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny");
}

static void
write_cpu(Writer *writer)
{
    const Plan *plan = writer->plan;
    g_autoptr(GString) cpu = g_string_new(plan->cpu_model);
    if (is_emulation(writer) && plan->tcg_cpu_vendor)
        g_string_append_printf(cpu, ",vendor=%s", plan->tcg_cpu_vendor);
    if (is_emulation(writer) && plan->tcg_cpu_features)
        g_string_append_printf(cpu, ",%s", plan->tcg_cpu_features);
    for (guint i = 0; i < plan->cpu_features->len; i++) {
        const LabCpuFeature *feature = g_ptr_array_index(plan->cpu_features, i);
        g_string_append_printf(cpu, ",%s=%s", feature->name,
                               feature->disabled ? "off" : "on");
    }
    add(writer, "-cpu", cpu->str);
    add_printf(writer, "-smp",
               "cpus=%u,maxcpus=%u,sockets=%d,dies=%d,cores=%d,threads=%d",
               plan->cpu_count, plan->cpu_count, plan->sockets, plan->dies, plan->cores,
               plan->threads);
}

/* ---- memory and cells
 * --------------------------------------------------------------------- */

static void
write_memory(Writer *writer)
{
    const Plan *plan = writer->plan;
    guint with_memory = 0;
    if (plan->memory_bytes % 1024 == 0)
        add_printf(writer, "-m", "size=%" G_GINT64_FORMAT "k", plan->memory_bytes / 1024);
    else
        add_printf(writer, "-m", "size=%" G_GINT64_FORMAT "b", plan->memory_bytes);
    for (guint i = 0; i < plan->cells->len; i++) {
        const PlanCell *cell = g_ptr_array_index(plan->cells, i);
        if (!cell->backend)
            continue;
        GStrv fds = writer->words->memory_fds;
        JsonObject *backend =
            object_new("qom-type", fds ? "memory-backend-file" : "memory-backend-ram",
                       "id", cell->backend);
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
        add_json(writer, "-object", backend);
    }
}

static void
write_node(Writer *writer, const PlanCell *cell)
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
    add(writer, "-numa", node->str);
}

static void
write_distances(Writer *writer)
{
    const Plan *plan = writer->plan;
    for (guint i = 0; plan->distances_given && i < plan->cells->len; i++) {
        const PlanCell *cell = g_ptr_array_index(plan->cells, i);
        for (guint j = 0; j < cell->distances->len; j++)
            add_printf(writer, "-numa", "dist,src=%u,dst=%u,val=%d", i, j,
                       g_array_index(cell->distances, int, j));
    }
}

/* Takes VALUE. */
static void
write_numa(Writer *writer, char *value)
{
    add(writer, "-numa", value);
    g_free(value);
}

/* The emulator wants each of these complete before the next: nodes, distances, latency
 * and bandwidth, caches. */
static void
write_cells(Writer *writer)
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

/* ---- channels
 * ------------------------------------------------------------------------------ */

static void
write_channels(Writer *writer)
{
    const Words *words = writer->words;
    if (words->qmp_fd) {
        add_printf(writer, "-chardev", "socket,id=hostbed-qmp,fd=%s", words->qmp_fd);
        add(writer, "-mon", "chardev=hostbed-qmp,mode=control");
    }
    if (words->console_fd) {
        add_printf(writer, "-chardev", "socket,id=hostbed-console,fd=%s",
                   words->console_fd);
        add(writer, "-serial", "chardev:hostbed-console");
    }
    if (words->agent_fd)
        add_printf(writer, "-chardev", "socket,id=hostbed-agent,fd=%s", words->agent_fd);
}

static void
write_agent_port(Writer *writer, const PlanFunction *function)
{
    if (!writer->words->agent_fd || !emit_is_channel(function))
        return;
    g_autofree char *bus = g_strconcat(function->id, ".0", NULL);
    JsonObject *port = object_new("driver", "virtserialport", "bus", bus);
    json_object_set_string_member(port, "chardev", "hostbed-agent");
    json_object_set_string_member(port, "name", HB_WIRE_PORT);
    add_json(writer, "-device", port);
}

/* ---- PCI
 * ----------------------------------------------------------------------------------- */

static void
add_hub_port(Writer *writer, const char *id, guint hub, const char *peer)
{
    JsonObject *netdev = object_new("type", "hubport", "id", id);
    json_object_set_int_member(netdev, "hubid", hub);
    if (peer)
        json_object_set_string_member(netdev, "netdev", peer);
    add_json(writer, "-netdev", netdev);
}

/* A port of the network's hub sees each frame once. It needs a peer that takes frames, or
 * gets none: a port of a hub of its own, on which another one leads nowhere. */
static void
write_capture(Writer *writer, const char *network, guint hub, guint sink)
{
    g_autofree char *end = g_strdup_printf("hostbed-sink-end-%u", hub);
    g_autofree char *peer = g_strdup_printf("hostbed-sink-%u", hub);
    g_autofree char *port = g_strdup_printf("hostbed-capture-%u", hub);
    g_autofree char *id = g_strdup_printf("hostbed-dump-%u", hub);
    g_autofree char *file = emit_capture_file(writer->words->capture_dir, network);
    add_hub_port(writer, end, sink, NULL);
    add_hub_port(writer, peer, sink, NULL);
    add_hub_port(writer, port, hub, peer);
    JsonObject *dump = object_new("qom-type", "filter-dump", "id", id);
    json_object_set_string_member(dump, "netdev", port);
    json_object_set_string_member(dump, "file", file);
    json_object_set_int_member(dump, "maxlen", EMIT_CAPTURE_MAX);
    add_json(writer, "-object", dump);
}

static void
write_captures(Writer *writer)
{
    if (!writer->words->capture_dir)
        return;
    g_autoptr(GPtrArray) networks = plan_networks(writer->plan);
    for (guint hub = 0; hub < networks->len; hub++)
        write_capture(writer, networks->pdata[hub], hub, networks->len + hub);
}

/* Networks are numbered in the order of their names. */
static guint
hub_of(const Plan *plan, const char *network)
{
    guint hub = 0;
    g_autoptr(GPtrArray) networks = plan_networks(plan);
    g_ptr_array_find_with_equal_func(networks, network, g_str_equal, &hub);
    return hub;
}

/* No network, no peer: a NIC without one has no netdev at all. */
static void
write_network(Writer *writer, const PlanFunction *function, JsonObject *device)
{
    if (!function->network || json_object_has_member(device, "netdev"))
        return;
    g_autofree char *id = g_strconcat("hostbed-net-", function->id, NULL);
    add_hub_port(writer, id, hub_of(writer->plan, function->network), NULL);
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
write_layer(Writer *writer, guint index, gboolean read_only)
{
    g_autofree char *name = layer_name(index);
    g_autofree char *below = index > 0 ? layer_name(index - 1) : NULL;
    JsonObject *file = object_new("driver", "file", NULL, NULL);
    json_object_set_string_member(file, "filename", writer->words->disk_files[index]);
    json_object_set_string_member(file, "locking", "off");
    JsonObject *layer = object_new("driver", "qcow2", "node-name", name);
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
    add_json(writer, "-blockdev", layer);
}

static void
write_image(Writer *writer, const PlanFunction *function, JsonObject *device)
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

/* A disk that reads as zeroes and keeps nothing: there is no file to leave behind. */
static void
write_disk(Writer *writer, const PlanFunction *function, JsonObject *device)
{
    if (function->size_bytes <= 0 || json_object_has_member(device, "drive"))
        return;
    g_autofree char *name = emit_disk_name(function->id);
    JsonObject *disk = object_new("driver", "null-co", "node-name", name);
    json_object_set_boolean_member(disk, "read-zeroes", TRUE);
    json_object_set_int_member(disk, "size", function->size_bytes);
    add_json(writer, "-blockdev", disk);
    json_object_set_string_member(device, "drive", name);
}

JsonObject *
emit_qemu_device(const PlanFunction *function)
{
    char addr[8];
    g_snprintf(addr, sizeof addr, "%02x.%x", function->address.slot,
               function->address.function);
    JsonObject *device = object_new("driver", function->driver, "id", function->id);
    json_object_set_string_member(device, "bus", function->bus);
    json_object_set_string_member(device, "addr", addr);
    set_properties(device, function->properties);
    return device;
}

static void
write_function(Writer *writer, const PlanFunction *function)
{
    JsonObject *device = emit_qemu_device(function);
    write_network(writer, function, device);
    write_disk(writer, function, device);
    write_image(writer, function, device);
    add_json(writer, "-device", device);
    write_agent_port(writer, function);
}

/* The IOMMU comes first, since devices ask for it when they are made. Guest addresses are
 * in an order in which each bus exists before something is plugged into it. */
static void
write_functions(Writer *writer)
{
    const Plan *plan = writer->plan;
    if (plan->iommu.driver) {
        JsonObject *device = object_new("driver", plan->iommu.driver, NULL, NULL);
        set_properties(device, plan->iommu.properties);
        add_json(writer, "-device", device);
    }
    for (int first = TRUE; first >= FALSE; first--)
        for (guint i = 0; i < plan->functions->len; i++) {
            const PlanFunction *function = g_ptr_array_index(plan->functions, i);
            if (emit_is_plugged(function) && emit_is_iommu(function) == first)
                write_function(writer, function);
        }
}

static void
write_generic_initiators(Writer *writer)
{
    for (guint i = 0; i < writer->plan->cells->len; i++) {
        const PlanCell *cell = g_ptr_array_index(writer->plan->cells, i);
        if (!cell->generic_initiator)
            continue;
        g_autofree char *id = g_strdup_printf("hostbed-initiator-%d", cell->index);
        JsonObject *object = object_new("qom-type", "acpi-generic-initiator", "id", id);
        json_object_set_string_member(object, "pci-dev", cell->generic_initiator);
        json_object_set_int_member(object, "node", cell->index);
        add_json(writer, "-object", object);
    }
}

/* ---- the whole
 * ----------------------------------------------------------------------------- */

static void
write_kernel(Writer *writer)
{
    const Words *words = writer->words;
    if (!words->kernel)
        return;
    add(writer, "-kernel", words->kernel);
    if (words->initrd)
        add(writer, "-initrd", words->initrd);
    g_autoptr(GString) cmdline = g_string_new(NULL);
    if (is_emulation(writer))
        g_string_append_printf(cmdline, "%s ", writer->plan->tcg_cmdline);
    g_string_append_printf(cmdline, "%s %s", writer->plan->direct_cmdline,
                           writer->plan->cmdline);
    if (words->root && *words->root)
        g_string_append_printf(cmdline, " %s", words->root);
    if (words->cmdline_extra && *words->cmdline_extra)
        g_string_append_printf(cmdline, " %s", words->cmdline_extra);
    add(writer, "-append", cmdline->str);
}

/* GPtrArray of GStrv, one for each option. */
static GPtrArray *
write_options(const Plan *plan, const Words *words)
{
    GPtrArray *options = g_ptr_array_new_with_free_func((GDestroyNotify)g_strfreev);
    Writer writer = {plan, words, options};
    write_identity(&writer);
    write_machine(&writer);
    write_cpu(&writer);
    write_memory(&writer);
    write_cells(&writer);
    write_channels(&writer);
    write_functions(&writer);
    write_captures(&writer);
    write_generic_initiators(&writer);
    JsonObject *panic = object_new("driver", "pvpanic", NULL, NULL);
    add_json(&writer, "-device", panic);
    /* A number that each emulator draws for itself; the guest sees it change. */
    if (plan->has_generation_id)
        add_json(&writer, "-device", object_new("driver", "vmgenid", "guid", "auto"));
    write_kernel(&writer);
    if (words->clone) {
        add(&writer, "-incoming", "defer");
        add(&writer, "-S", NULL);
    }
    for (guint i = 0; i < plan->raw_args->len; i++)
        add(&writer, g_ptr_array_index(plan->raw_args, i), NULL);
    return options;
}

char *
emit_capture_file(const char *dir, const char *network)
{
    return g_strdup_printf("%s/%s.pcap", dir, network);
}

static char *
descriptor(int fd)
{
    return fd >= 0 ? g_strdup_printf("%d", fd) : NULL;
}

static GStrv
memory_descriptors(const GArray *fds)
{
    if (!fds)
        return NULL;
    g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
    for (guint i = 0; i < fds->len; i++) {
        g_autofree char *fd = descriptor(g_array_index(fds, int, i));
        g_strv_builder_add(builder, fd);
    }
    return g_strv_builder_end(builder);
}

GStrv
emit_qemu_args(const Plan *plan, const EmitRuntime *runtime)
{
    g_autofree char *qmp_fd = descriptor(runtime->qmp_fd);
    g_autofree char *agent_fd = descriptor(runtime->agent_fd);
    g_autofree char *console_fd = descriptor(runtime->console_fd);
    g_auto(GStrv) memory_fds = memory_descriptors(runtime->memory_fds);
    const Words words = {
        .accel = runtime->accel,
        .firmware = runtime->firmware_file,
        .firmware_vars = runtime->firmware_vars_file,
        .kernel = runtime->kernel,
        .initrd = runtime->initrd,
        .root = runtime->root_words,
        .disk_files = runtime->disk_files,
        .cmdline_extra = runtime->cmdline_extra,
        .qmp_fd = qmp_fd,
        .agent_fd = agent_fd,
        .console_fd = console_fd,
        .memory_fds = memory_fds,
        .capture_dir = runtime->capture_dir,
        .clone = runtime->clone,
        .copy_on_write = runtime->copy_on_write,
        .memory_readonly = runtime->memory_readonly,
        .sandbox = runtime->sandbox,
    };
    g_autoptr(GPtrArray) options = write_options(plan, &words);
    g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
    for (guint i = 0; i < options->len; i++)
        g_strv_builder_addv(builder, g_ptr_array_index(options, i));
    return g_strv_builder_end(builder);
}

/* As a person would type it: words that need no quotes have none. */
static void
append_word(GString *out, const char *word)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
        "@%+=:,./_-";
    if (*word && strspn(word, plain) == strlen(word)) {
        g_string_append(out, word);
        return;
    }
    g_autofree char *quoted = g_shell_quote(word);
    g_string_append(out, quoted);
}

void
emit_qemu(const Plan *plan, GString *out)
{
    static const char *const disk_files[] = {"@IMAGE@", "@OVERLAY@", NULL};
    gboolean efi = plan->firmware == LAB_FIRMWARE_EFI;
    gboolean loader = plan->image != NULL && plan->image->loader;
    const Words words = {
        .accel = "@ACCEL@",
        .firmware = efi ? "@FIRMWARE@" : NULL,
        .firmware_vars = efi ? "@FIRMWARE_VARS@" : NULL,
        .kernel = loader ? NULL : "@KERNEL@",
        .initrd = "@INITRD@",
        .root = plan->image != NULL ? "@ROOT@" : NULL,
        .disk_files = disk_files,
        .qmp_fd = "@QMP@",
        .agent_fd = "@AGENT@",
        .console_fd = "@CONSOLE@",
        .sandbox = TRUE,
    };
    g_autoptr(GPtrArray) options = write_options(plan, &words);
    for (guint i = 0; i < options->len; i++) {
        GStrv option = g_ptr_array_index(options, i);
        append_word(out, option[0]);
        if (option[1]) {
            g_string_append_c(out, ' ');
            append_word(out, option[1]);
        }
        g_string_append(out, i + 1 < options->len ? " \\\n" : "\n");
    }
}
