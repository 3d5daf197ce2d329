/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "template-key.h"

#include <string.h>
#include <sys/utsname.h>

#include "config.h"
#include "digest.h"
#include "emit.h"
#include "error.h"
#include "launch-firmware.h"

/* Counts up when what is kept, or what a key is made of, changes its meaning. */
#define REVISION "1"

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

void
template_inputs_add_this_machine(GPtrArray *inputs)
{
    struct utsname names;
    g_autofree char *cpuinfo = NULL;
    g_file_get_contents("/proc/cpuinfo", &cpuinfo, NULL, NULL);
    g_autofree char *kernel =
        uname(&names) == 0 ? g_strconcat(names.release, " ", names.version, NULL) : NULL;
    template_inputs_add_machine(inputs, cpuinfo ? cpuinfo : "", kernel ? kernel : "");
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
            return g_strdup_printf(
                "it was made under KVM on another machine, whose %s is '%.60s'; here it "
                "is '%.60s'",
                here->name + strlen("machine "), there ? there : "", here->value);
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
    const EmitRuntime runtime = {
        .accel = accel_name(recipe->accel->accel),
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

/* A file or folder that ARGUMENT names, or NULL. */
static char *
file_named_by(const char *argument)
{
    g_auto(GStrv) words = g_strsplit_set(argument, ",=:\" ", -1);
    for (guint i = 0; words[i]; i++) {
        const char *path = words[i];
        if (strchr(path, '/') && !g_str_has_prefix(path, "/proc/self/fd/") &&
            !g_str_has_prefix(path, "/dev/") && g_file_test(path, G_FILE_TEST_EXISTS))
            return g_strdup(path);
    }
    return NULL;
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
        g_string_append_printf(text, "%s%s", i > 0 ? "\\n" : "", word);
    }
    template_inputs_add(inputs, "arguments", text->str);
    return TRUE;
}

static gboolean
add_file(GPtrArray *inputs, const char *name, const char *path, GError **error)
{
    g_autofree char *digest = digest_file(path, error);
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
    g_autofree char *asked =
        g_compute_checksum_for_string(G_CHECKSUM_SHA256, manifest ? manifest : "", -1);
    template_inputs_add(inputs, "hostbed", PACKAGE_VERSION "/" REVISION);
    template_inputs_add(inputs, "accelerator", accel_name(recipe->accel->accel));
    template_inputs_add(inputs, "manifest", asked);
    if (!add_emulator(inputs, recipe, error) ||
        !add_file(inputs, "kernel", recipe->kernel_file, error) ||
        !add_file(inputs, "initramfs", recipe->initrd_file, error) ||
        !add_arguments(inputs, recipe, error))
        return NULL;
    if (recipe->accel->accel == ACCEL_KVM)
        template_inputs_add_this_machine(inputs);
    return g_steal_pointer(&inputs);
}
