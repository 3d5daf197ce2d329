/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "template-key.h"

#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#include "config.h"
#include "digest.h"
#include "emit.h"
#include "error.h"
#include "launch-firmware.h"
#include "printable.h"

/* Counts up when what is kept, or what a key is made of, changes its meaning. */
#define REVISION "1"
/* Between the arguments, which have none of it. */
#define NEXT_ARGUMENT "\\n"

/* ---- inputs
 * ---------------------------------------------------------------------------------------
 */

static void
input_free(gpointer data)
{
    TemplateInput *input = data;
    g_free(input->name);
    g_free(input->value);
    g_free(input);
}

GPtrArray *
template_inputs_new(void)
{
    return g_ptr_array_new_with_free_func(input_free);
}

void
template_inputs_add(GPtrArray *inputs, const char *name, const char *value)
{
    TemplateInput *input = g_new0(TemplateInput, 1);
    input->name = g_strdup(name);
    input->value = g_strdup(value);
    g_ptr_array_add(inputs, input);
}

const char *
template_inputs_find(const GPtrArray *inputs, const char *name)
{
    for (guint i = 0; i < inputs->len; i++) {
        const TemplateInput *input = inputs->pdata[i];
        if (g_str_equal(input->name, name))
            return input->value;
    }
    return NULL;
}

char *
template_inputs_key(const GPtrArray *inputs)
{
    g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
    for (guint i = 0; i < inputs->len; i++) {
        const TemplateInput *input = inputs->pdata[i];
        /* With their NULs, so that they cannot run into each other. */
        g_checksum_update(sum, (const guchar *)input->name,
                          (gssize)strlen(input->name) + 1);
        g_checksum_update(sum, (const guchar *)input->value,
                          (gssize)strlen(input->value) + 1);
    }
    return g_strdup(g_checksum_get_string(sum));
}

static char *
digest_of_manifest(const char *manifest)
{
    return g_compute_checksum_for_string(G_CHECKSUM_SHA256, manifest ? manifest : "", -1);
}

guint
template_inputs_steps(const GPtrArray *inputs)
{
    guint steps = 0;
    for (guint i = 0; i < inputs->len; i++)
        steps += g_str_has_prefix(((const TemplateInput *)inputs->pdata[i])->name,
                                  TEMPLATE_STEP_PREFIX);
    return steps;
}

const char *
template_inputs_command(const GPtrArray *inputs)
{
    g_autofree char *none = digest_of_manifest(NULL);
    return g_strcmp0(template_inputs_find(inputs, "manifest"), none) == 0 ? "run"
                                                                          : "test";
}

/* ---- this machine
 * ----------------------------------------------------------------------------------
 */

static const char *const machine_facts[] = {
    "vendor_id", "cpu family", "model", "model name", "stepping", "microcode", "flags"};

/* The value of "NAME<blanks>: VALUE" of the first CPU, or "". */
static char *
cpu_fact(const char *cpuinfo, const char *name)
{
    g_auto(GStrv) lines = g_strsplit(cpuinfo, "\n", 64);
    for (guint i = 0; lines[i]; i++) {
        char *colon = strchr(lines[i], ':');
        if (!colon)
            continue;
        *colon = '\0';
        if (g_str_equal(g_strstrip(lines[i]), name))
            return g_strdup(g_strstrip(colon + 1));
    }
    return g_strdup("");
}

void
template_inputs_add_machine(GPtrArray *inputs, const char *cpuinfo,
                            const char *host_kernel)
{
    for (gsize i = 0; i < G_N_ELEMENTS(machine_facts); i++) {
        g_autofree char *name = g_strconcat("machine ", machine_facts[i], NULL);
        g_autofree char *value = cpu_fact(cpuinfo, machine_facts[i]);
        template_inputs_add(inputs, name, value);
    }
    template_inputs_add(inputs, "machine kernel", host_kernel);
}

static gint
by_text(gconstpointer a, gconstpointer b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* "kvm_intel/nested=Y kvm_intel/…": which of them may be read depends on who we are. */
static void
add_parameters(GPtrArray *lines, const char *modules, const char *module)
{
    g_autofree char *path = g_build_filename(modules, module, "parameters", NULL);
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    const char *name;
    while (dir && (name = g_dir_read_name(dir))) {
        g_autofree char *file = g_build_filename(path, name, NULL);
        g_autofree char *value = NULL;
        if (g_file_get_contents(file, &value, NULL, NULL))
            g_ptr_array_add(lines,
                            g_strdup_printf("%s/%s=%s", module, name, g_strstrip(value)));
    }
}

void
template_inputs_add_kvm(GPtrArray *inputs, const char *modules)
{
    static const char *const names[] = {"kvm", "kvm_amd", "kvm_intel"};
    g_autoptr(GPtrArray) lines = g_ptr_array_new_with_free_func(g_free);
    for (gsize i = 0; i < G_N_ELEMENTS(names); i++)
        add_parameters(lines, modules, names[i]);
    g_ptr_array_sort(lines, by_text);
    g_ptr_array_add(lines, NULL);
    g_autofree char *text = g_strjoinv(" ", (char **)lines->pdata);
    template_inputs_add(inputs, "machine KVM", text);
}

void
template_inputs_add_this_machine(GPtrArray *inputs)
{
    struct utsname names;
    g_autofree char *cpuinfo = NULL;
    g_file_get_contents("/proc/cpuinfo", &cpuinfo, NULL, NULL);
    g_autofree char *kernel =
        uname(&names) == 0 ? g_strconcat(names.release, " ", names.version, NULL) : NULL;
    template_inputs_add_machine(inputs, cpuinfo ? cpuinfo : "", kernel ? kernel : "");
    template_inputs_add_kvm(inputs, "/sys/module");
}

/* What came with an archive is somebody else's text. */
static char *
another_machine(const char *name, const char *there, const char *here)
{
    g_autofree char *its = printable(there ? there : "", there ? strlen(there) : 0, 60);
    g_autofree char *ours = printable(here, strlen(here), 60);
    return g_strdup_printf("it was made under KVM on another machine, whose %s is '%s'; "
                           "here it is '%s'",
                           name + strlen("machine "), its, ours);
}

char *
template_inputs_obstacle(const GPtrArray *inputs, const GPtrArray *machine)
{
    if (g_strcmp0(template_inputs_find(inputs, "accelerator"), "tcg") == 0)
        return NULL;
    for (guint i = 0; i < machine->len; i++) {
        const TemplateInput *here = machine->pdata[i];
        const char *there = template_inputs_find(inputs, here->name);
        if (g_strcmp0(there, here->value) != 0)
            return another_machine(here->name, there, here->value);
    }
    return NULL;
}

/* ---- the host
 * --------------------------------------------------------------------------------------
 */

/* The arguments of the first start, with place-holders for all that says nothing of the
 * host: where files are, and numbers of descriptors. */
static GStrv
arguments_of(const BootRecipe *recipe)
{
    const Plan *plan = recipe->plan;
    gboolean efi = plan->firmware == LAB_FIRMWARE_EFI;
    g_autoptr(GArray) memory_fds = g_array_new(FALSE, FALSE, sizeof(int));
    for (guint i = 0; i < plan->cells->len; i++) {
        int fd = 10 + (int)i;
        if (((const PlanCell *)plan->cells->pdata[i])->backend)
            g_array_append_val(memory_fds, fd);
    }
    static const char *const disk_files[] = {"@IMAGE@", "@OVERLAY@", NULL};
    const EmitRuntime runtime = {
        .accel = accel_name(recipe->accel->accel),
        .disk_files = plan->image ? disk_files : NULL,
        .firmware_file = efi ? "@FIRMWARE@" : NULL,
        .firmware_vars_file = efi ? "@FIRMWARE_VARS@" : NULL,
        .kernel = "@KERNEL@",
        .initrd = "@INITRD@",
        .cmdline_extra = recipe->cmdline,
        .qmp_fd = 3,
        .agent_fd = 4,
        .console_fd = 5,
        .capture_dir = recipe->capture ? "@LOGS@" : NULL,
        .memory_fds = memory_fds,
        .sandbox = TRUE,
    };
    g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
    g_auto(GStrv) args = emit_qemu_args(plan, &runtime);
    g_strv_builder_addv(builder, (const char **)args);
    if (recipe->extra_args)
        g_strv_builder_addv(builder, (const char **)recipe->extra_args);
    return g_strv_builder_end(builder);
}

/* Also a folder; a device is what it is by its name. */
static gboolean
is_file(const char *path)
{
    struct stat st;
    return strchr(path, '/') && !g_str_has_prefix(path, "/proc/self/fd/") &&
           stat(path, &st) == 0 && !S_ISCHR(st.st_mode) && !S_ISBLK(st.st_mode);
}

/* A file or folder that a part of WORD between these SEPARATORS names, or NULL. */
static char *
file_between(const char *word, const char *separators)
{
    g_auto(GStrv) parts = g_strsplit_set(word, separators, -1);
    for (guint i = 0; parts[i]; i++)
        if (is_file(parts[i]))
            return g_strdup(parts[i]);
    return NULL;
}

static char *file_in_json(JsonNode *node);

static char *
file_in_members(JsonObject *object)
{
    JsonObjectIter iter;
    JsonNode *member;
    char *file = NULL;
    json_object_iter_init(&iter, object);
    while (!file && json_object_iter_next(&iter, NULL, &member))
        file = file_in_json(member);
    return file;
}

/* Whole texts, which may have what else separates words. */
static char *
file_in_json(JsonNode *node)
{
    if (JSON_NODE_HOLDS_OBJECT(node))
        return file_in_members(json_node_get_object(node));
    if (JSON_NODE_HOLDS_ARRAY(node)) {
        g_autoptr(GList) elements = json_array_get_elements(json_node_get_array(node));
        char *file = NULL;
        for (GList *at = elements; at && !file; at = at->next)
            file = file_in_json(at->data);
        return file;
    }
    const char *text = json_node_get_value_type(node) == G_TYPE_STRING
                           ? json_node_get_string(node)
                           : NULL;
    return text && is_file(text) ? g_strdup(text) : NULL;
}

/* A file or folder that ARGUMENT names, or NULL. */
static char *
file_named_by(const char *argument)
{
    char *file = is_file(argument) ? g_strdup(argument) : NULL;
    g_autoptr(JsonNode) node = *argument == '{' ? json_from_string(argument, NULL) : NULL;
    if (!file && node)
        file = file_in_json(node);
    if (!file)
        file = file_between(argument, "=,");
    return file ? file : file_between(argument, ",=:\" ");
}

/* Properties that name files, which the emulator looks for in folders of its own, too. */
static const char *const file_properties[] = {"romfile",  "file",     "filename", "path",
                                              "mem-path", "firmware", NULL};

/* What of the plan's functions depends on more than its words, one sentence, or changes
 * what a template is made of; NULL: nothing. */
static char *
obstacle_in(const Plan *plan)
{
    for (guint i = 0; i < plan->functions->len; i++) {
        const PlanFunction *function = plan->functions->pdata[i];
        /* It would give back pages of the file behind the memory, which others share. */
        if (function->driver && g_str_has_prefix(function->driver, "virtio-balloon"))
            return g_strdup_printf("%s gives memory back that a template shares",
                                   function->id);
        for (guint j = 0; j < function->properties->len; j++) {
            const PlanProperty *property = function->properties->pdata[j];
            const char *text = json_node_get_value_type(property->value) == G_TYPE_STRING
                                   ? json_node_get_string(property->value)
                                   : NULL;
            if (text && *text && g_strv_contains(file_properties, property->name))
                return g_strdup_printf("the property '%s' of %s names %s, which may "
                                       "change",
                                       property->name, function->id, text);
        }
    }
    return NULL;
}

static gboolean
check_plan(const Plan *plan, GError **error)
{
    g_autofree char *obstacle = obstacle_in(plan);
    if (obstacle)
        g_set_error_literal(error, HB_ERROR, HB_UNSUPPORTED, obstacle);
    return obstacle == NULL;
}

static gboolean
add_arguments(GPtrArray *inputs, const BootRecipe *recipe, GError **error)
{
    g_auto(GStrv) args = arguments_of(recipe);
    g_autoptr(GString) text = g_string_new(NULL);
    for (guint i = 0; args[i]; i++) {
        gboolean is_cmdline = i > 0 && g_str_equal(args[i - 1], "-append");
        g_autofree char *file = is_cmdline ? NULL : file_named_by(args[i]);
        if (file) {
            g_set_error(error, HB_ERROR, HB_UNSUPPORTED,
                        "the emulator's arguments name %s, which may change", file);
            return FALSE;
        }
        g_autofree char *word = g_strescape(args[i], NULL);
        g_string_append_printf(text, "%s%s", i > 0 ? NEXT_ARGUMENT : "", word);
    }
    template_inputs_add(inputs, "arguments", text->str);
    return TRUE;
}

/* What stands before it are words of ours. */
gboolean
template_inputs_are_of(const GPtrArray *inputs, const char *lab, const char *host,
                       gboolean is_peer)
{
    g_autofree char *input =
        is_peer ? g_strconcat(host, ": arguments", NULL) : g_strdup("arguments");
    const char *arguments = template_inputs_find(inputs, input);
    if (!arguments)
        return TRUE;
    g_autofree char *name = emit_qemu_name(lab, host);
    g_autofree char *escaped = g_strescape(name, NULL);
    g_auto(GStrv) words = g_strsplit(arguments, NEXT_ARGUMENT, -1);
    char **word = words;
    while (*word && !g_str_equal(*word, "-name"))
        word++;
    return *word && g_strcmp0(word[1], escaped) == 0;
}

/* PATH NULL: the host has none. */
static gboolean
add_file(GPtrArray *inputs, const char *name, const char *path, GError **error)
{
    g_autofree char *digest = path ? digest_file(path, error) : g_strdup("none");
    if (digest)
        template_inputs_add(inputs, name, digest);
    return digest != NULL;
}

static gboolean
add_emulator(GPtrArray *inputs, const BootRecipe *recipe, GError **error)
{
    g_autofree char *program = NULL, *firmware = NULL;
    if (!emulator_digests(recipe->emulator, &program, &firmware, error))
        return FALSE;
    template_inputs_add(inputs, "emulator", program);
    template_inputs_add(inputs, "firmware", firmware);
    const char *code, *vars;
    return recipe->plan->firmware != LAB_FIRMWARE_EFI ||
           (firmware_efi_paths(&code, &vars, error) &&
            add_file(inputs, "efi", code, error) &&
            add_file(inputs, "efi variables", vars, error));
}

GPtrArray *
template_key_inputs(const BootRecipe *recipe, const char *manifest, GError **error)
{
    g_autoptr(GPtrArray) inputs = template_inputs_new();
    g_autofree char *asked = digest_of_manifest(manifest);
    template_inputs_add(inputs, "hostbed", PACKAGE_VERSION "/" REVISION);
    template_inputs_add(inputs, "accelerator", accel_name(recipe->accel->accel));
    template_inputs_add(inputs, "manifest", asked);
    if (!check_plan(recipe->plan, error) || !add_emulator(inputs, recipe, error) ||
        !add_file(inputs, "kernel", recipe->kernel_file, error) ||
        !add_file(inputs, "initramfs", recipe->initrd_file, error) ||
        (recipe->plan->image && !add_file(inputs, "image", recipe->image_file, error)) ||
        !add_arguments(inputs, recipe, error))
        return NULL;
    if (recipe->accel->accel == ACCEL_KVM)
        template_inputs_add_this_machine(inputs);
    return g_steal_pointer(&inputs);
}
