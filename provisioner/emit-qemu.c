/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Plan → the emulator's arguments, a list from beginning to end. What the emulator takes
 * as JSON is JSON, so that no comma in a value is ever a separator; where it takes only
 * key=value, commas are doubled.
 */
#include <string.h>

#include "emit-parts.h"
#include "emit-qemu.h"

void
qemu_add(QemuWriter *writer, const char *name, const char *value)
{
    const char *option[] = {name, value, NULL};
    g_ptr_array_add(writer->options, g_strdupv((GStrv)option));
}

void
qemu_add_printf(QemuWriter *writer, const char *name, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    g_autofree char *value = g_strdup_vprintf(format, args);
    va_end(args);
    qemu_add(writer, name, value);
}

void
qemu_add_json(QemuWriter *writer, const char *name, JsonObject *object)
{
    g_autoptr(JsonNode) node = json_node_init_object(json_node_alloc(), object);
    json_object_unref(object);
    g_autofree char *text = json_to_string(node, FALSE);
    qemu_add(writer, name, text);
}

static char *
double_commas(const char *text)
{
    g_auto(GStrv) parts = g_strsplit(text, ",", -1);
    return g_strjoinv(",,", parts);
}

JsonObject *
qemu_object_new(const char *type_key, const char *type, const char *id_key,
                const char *id)
{
    JsonObject *object = json_object_new();
    json_object_set_string_member(object, type_key, type);
    if (id)
        json_object_set_string_member(object, id_key, id);
    return object;
}

void
qemu_set_properties(JsonObject *object, const GPtrArray *properties)
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
write_firmware(QemuWriter *writer, GString *machine)
{
    const struct {
        const char *file, *node, *property;
        gboolean read_only;
    } parts[] = {
        {writer->words->firmware, "hostbed-firmware", "pflash0", TRUE},
        {writer->words->firmware_vars, "hostbed-firmware-vars", "pflash1", FALSE},
    };
    for (guint i = 0; i < G_N_ELEMENTS(parts) && parts[i].file; i++) {
        JsonObject *file = qemu_object_new("driver", "file", NULL, NULL);
        json_object_set_string_member(file, "filename", parts[i].file);
        JsonObject *node = qemu_object_new("driver", "raw", "node-name", parts[i].node);
        json_object_set_boolean_member(node, "read-only", parts[i].read_only);
        json_object_set_object_member(node, "file", file);
        qemu_add_json(writer, "-blockdev", node);
        g_string_append_printf(machine, ",%s=%s", parts[i].property, parts[i].node);
    }
}

static gboolean
is_emulation(const QemuWriter *writer)
{
    return g_strcmp0(writer->words->accel, "kvm") != 0;
}

static void
write_machine(QemuWriter *writer)
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
    qemu_add(writer, "-machine", machine->str);
    /* One thread for all CPUs: with one for each, now and then a CPU never sees the end
     * of an interrupt again, see docs/facts.rst. */
    const char *accel = writer->words->accel;
    if (accel)
        qemu_add(writer, "-accel",
                 g_str_equal(accel, "tcg") ? "tcg,thread=single" : accel);
}

char *
emit_qemu_name(const char *lab_name, const char *host_id)
{
    g_autofree char *lab = double_commas(lab_name);
    g_autofree char *host = double_commas(host_id);
    return g_strdup_printf("guest=%s/%s", lab, host);
}

static void
write_identity(QemuWriter *writer)
{
    const Plan *plan = writer->plan;
    g_autofree char *name = emit_qemu_name(plan->lab_name, plan->host_id);
    qemu_add(writer, "-name", name);
    qemu_add(writer, "-no-user-config", NULL);
    qemu_add(writer, "-nodefaults", NULL);
    qemu_add(writer, "-display", "none");
    /* A reset ends the emulator, so that a host which restarted is never taken for one
     * that did not; so does a panic, which is told first. */
    qemu_add(writer, "-action", "reboot=shutdown,shutdown=poweroff,panic=shutdown");
    if (writer->words->sandbox)
        qemu_add(
            writer, "-sandbox",
            "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny");
}

static void
write_cpu(QemuWriter *writer)
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
    qemu_add(writer, "-cpu", cpu->str);
    qemu_add_printf(writer, "-smp",
                    "cpus=%u,maxcpus=%u,sockets=%d,dies=%d,cores=%d,threads=%d",
                    plan->cpu_count, plan->cpu_count, plan->sockets, plan->dies,
                    plan->cores, plan->threads);
}

/* ---- channels
 * ------------------------------------------------------------------------------ */

static void
write_channels(QemuWriter *writer)
{
    const QemuWords *words = writer->words;
    if (words->qmp_fd) {
        qemu_add_printf(writer, "-chardev", "socket,id=hostbed-qmp,fd=%s", words->qmp_fd);
        qemu_add(writer, "-mon", "chardev=hostbed-qmp,mode=control");
    }
    if (words->console_fd) {
        qemu_add_printf(writer, "-chardev", "socket,id=hostbed-console,fd=%s",
                        words->console_fd);
        qemu_add(writer, "-serial", "chardev:hostbed-console");
    }
    if (words->agent_fd)
        qemu_add_printf(writer, "-chardev", "socket,id=hostbed-agent,fd=%s",
                        words->agent_fd);
}

/* ---- the whole
 * ----------------------------------------------------------------------------- */

static void
write_kernel(QemuWriter *writer)
{
    const QemuWords *words = writer->words;
    if (!words->kernel)
        return;
    qemu_add(writer, "-kernel", words->kernel);
    if (words->initrd)
        qemu_add(writer, "-initrd", words->initrd);
    g_autoptr(GString) cmdline = g_string_new(NULL);
    if (is_emulation(writer))
        g_string_append_printf(cmdline, "%s ", writer->plan->tcg_cmdline);
    g_string_append_printf(cmdline, "%s %s", writer->plan->direct_cmdline,
                           writer->plan->cmdline);
    if (words->root && *words->root)
        g_string_append_printf(cmdline, " %s", words->root);
    if (words->cmdline_extra && *words->cmdline_extra)
        g_string_append_printf(cmdline, " %s", words->cmdline_extra);
    qemu_add(writer, "-append", cmdline->str);
}

static void
add_captured(gpointer writer, const char *option, JsonObject *object)
{
    qemu_add_json(writer, option, object);
}

static void
write_captures(QemuWriter *writer)
{
    const EmitCapture capture = {.dir = writer->words->capture_dir,
                                 .has_ports = writer->words->port_fds != NULL,
                                 .add = add_captured,
                                 .writer = writer};
    emit_captures(writer->plan, &capture);
}

/* GPtrArray of GStrv, one for each option. */
static GPtrArray *
write_options(const Plan *plan, const QemuWords *words)
{
    GPtrArray *options = g_ptr_array_new_with_free_func((GDestroyNotify)g_strfreev);
    QemuWriter writer = {plan, words, options};
    write_identity(&writer);
    write_machine(&writer);
    write_cpu(&writer);
    qemu_write_memory(&writer);
    qemu_write_cells(&writer);
    write_channels(&writer);
    qemu_write_functions(&writer);
    write_captures(&writer);
    qemu_write_generic_initiators(&writer);
    JsonObject *panic = qemu_object_new("driver", "pvpanic", NULL, NULL);
    qemu_add_json(&writer, "-device", panic);
    /* A number that each emulator draws for itself; the guest sees it change. */
    if (plan->has_generation_id)
        qemu_add_json(&writer, "-device",
                      qemu_object_new("driver", "vmgenid", "guid", "auto"));
    write_kernel(&writer);
    if (words->clone) {
        qemu_add(&writer, "-incoming", "defer");
        qemu_add(&writer, "-S", NULL);
    }
    for (guint i = 0; i < plan->raw_args->len; i++)
        qemu_add(&writer, g_ptr_array_index(plan->raw_args, i), NULL);
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
descriptors(const GArray *fds)
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
    g_auto(GStrv) memory_fds = descriptors(runtime->memory_fds);
    g_auto(GStrv) port_fds = descriptors(runtime->port_fds);
    const QemuWords words = {
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
        .port_fds = port_fds,
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
    const QemuWords words = {
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
