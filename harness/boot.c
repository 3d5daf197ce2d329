/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "boot-private.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"
#include "libexec.h"
#include "probes.h"
#include "sparse.h"
#include "template-key.h"

#define AGENT_LOG_MAX_BYTES (4 * 1024 * 1024)

void
boot_step(const BootOptions *options, const char *what)
{
    if (options->step)
        options->step(what, options->user_data);
}

void
boot_step_before(const BootOptions *options, const char *what)
{
    if (!options->prepared)
        boot_step(options, what);
}

/* ---- the recipe
 * ------------------------------------------------------------------------------------ */

static void
close_fd(gpointer fd)
{
    close(*(int *)fd);
}

static void
recipe_clear(gpointer data)
{
    BootRecipe *recipe = data;
    g_clear_pointer(&recipe->memory_fds, g_array_unref);
    g_clear_pointer(&recipe->disk_fds, g_array_unref);
    if (recipe->origin) {
        boot_recipe_unref(recipe->origin);
        return;
    }
    g_free(recipe->emulator);
    g_free(recipe->connect);
    g_free(recipe->kernel_file);
    g_free(recipe->initrd_file);
    g_free(recipe->root_words);
    g_free(recipe->image_file);
    g_free(recipe->cmdline);
    g_strfreev(recipe->extra_args);
    g_clear_pointer(&recipe->inputs, g_ptr_array_unref);
    accel_verdict_free(recipe->accel);
    kernel_free(recipe->kernel);
}

void
boot_recipe_unref(BootRecipe *recipe)
{
    g_rc_box_release_full(recipe, recipe_clear);
}

GArray *
boot_fds_new(void)
{
    GArray *fds = g_array_new(FALSE, FALSE, sizeof(int));
    g_array_set_clear_func(fds, close_fd);
    return fds;
}

/* Memory of its own for each cell, zeroes: what a start before has left is nobody's.
 * NULL: there is none. */
static GArray *
make_memory(const BootRecipe *recipe, GError **error)
{
    g_autoptr(GArray) fds = boot_fds_new();
    for (guint i = 0; i < recipe->plan->cells->len; i++) {
        const PlanCell *cell = recipe->plan->cells->pdata[i];
        if (!cell->backend)
            continue;
        int fd = memfd_create(cell->backend, MFD_CLOEXEC | MFD_ALLOW_SEALING);
        if (fd >= 0)
            g_array_append_val(fds, fd);
        if (fd < 0 || ftruncate(fd, cell->memory_bytes) != 0) {
            g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE,
                        "cannot make memory for cell %d: %s", cell->index,
                        g_strerror(errno));
            return NULL;
        }
    }
    return g_steal_pointer(&fds);
}

gboolean
boot_open_memory(BootRecipe *recipe, GError **error)
{
    g_clear_pointer(&recipe->memory_fds, g_array_unref);
    recipe->memory_fds = make_memory(recipe, error);
    return recipe->memory_fds != NULL;
}

static gboolean
copy_memory(const GArray *from, const GArray *to, GError **error)
{
    for (guint i = 0; i < to->len; i++) {
        int fd = g_array_index(to, int, i);
        struct stat file = {0};
        fstat(fd, &file);
        if (!sparse_duplicate(g_array_index(from, int, i), fd, file.st_size, error))
            return FALSE;
    }
    return TRUE;
}

BootRecipe *
boot_recipe_again(BootRecipe *recipe)
{
    BootRecipe *copy = g_rc_box_new0(BootRecipe);
    *copy = *recipe;
    copy->origin = g_rc_box_acquire(recipe->origin ? recipe->origin : recipe);
    copy->inputs = NULL;
    copy->memory_readonly = FALSE;
    copy->memory_fds = copy->disk_fds = NULL;
    return copy;
}

BootRecipe *
boot_recipe_bare(BootRecipe *recipe, GError **error)
{
    g_autoptr(BootRecipe) bare = boot_recipe_again(recipe);
    if (recipe->disk_fds && !(bare->disk_fds = boot_copy_fds(recipe->disk_fds, error)))
        return NULL;
    if (bare->disk_fds)
        g_array_set_size(bare->disk_fds, 1);
    return g_steal_pointer(&bare);
}

BootRecipe *
boot_recipe_copy(BootRecipe *recipe, GError **error)
{
    g_autoptr(BootRecipe) copy = boot_recipe_again(recipe);
    copy->memory_fds = make_memory(recipe, error);
    if (recipe->disk_fds && !(copy->disk_fds = boot_copy_fds(recipe->disk_fds, error)))
        return NULL;
    if (!copy->memory_fds || !copy_memory(recipe->memory_fds, copy->memory_fds, error))
        return NULL;
    return g_steal_pointer(&copy);
}

/* ---- kernel and image
 * -------------------------------------------------------------------------------- */

static GPtrArray *
wanted_modules(const BootOptions *options)
{
    GPtrArray *names = g_ptr_array_new();
    for (guint i = 0; i < options->plan->modules->len; i++)
        g_ptr_array_add(names, options->plan->modules->pdata[i]);
    for (guint i = 0; options->modules && options->modules[i]; i++)
        g_ptr_array_add(names, (char *)options->modules[i]);
    return names;
}

static gboolean
make_parts(BootRecipe *recipe, const BootOptions *options, GError **error)
{
    const char *asked = options->kernel ? options->kernel : options->plan->kernel;
    boot_step_before(options, "building the image");
    recipe->kernel = kernel_find(asked, error);
    if (!recipe->kernel)
        return FALSE;
    recipe->kernel_file = options->plan->firmware == LAB_FIRMWARE_EFI
                              ? kernel_efi_file(recipe->kernel, error)
                              : kernel_boot_file(recipe->kernel, error);
    if (!recipe->kernel_file)
        return FALSE;
    g_autofree char *agent = libexec_path("hostbed-agent");
    g_autofree char *suites = options->suites ? libexec_path("suites") : NULL;
    g_autofree char *inner = options->inner ? libexec_path("hostbed-guest") : NULL;
    g_autoptr(GPtrArray) modules = wanted_modules(options);
    const ImageOptions image = {
        .kernel = recipe->kernel,
        .modules = modules,
        .optional_modules = options->plan->optional_modules,
        .programs = options->programs,
        .copies = options->copies,
        .commands = options->commands,
        .later = options->later,
        .folder = options->folder,
        .tools = options->tools,
        .vfio = options->vfio,
        .kvm = options->kvm,
        .inner_init = inner,
        .agent = agent,
        .suites_dir = suites,
        .memory_bytes = options->plan->memory_bytes,
    };
    recipe->initrd_file = image_build(&image, error);
    return recipe->initrd_file != NULL;
}

/* ---- one start
 * --------------------------------------------------------------------------------------------
 */

/* The firmware's debug port: off at first, because it costs time; on when a host is
 * started again and its firmware may have to be asked why. Who is another user, or on
 * another machine, cannot write it where the logs are. */
static GStrv
start_args(const BootOptions *options, const char *log_dir, gboolean again)
{
    g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
    if (options->extra_args)
        g_strv_builder_addv(builder, (const char **)options->extra_args);
    if (again && !options->connect) {
        g_auto(GStrv) parts = g_strsplit(log_dir, ",", -1);
        g_autofree char *escaped = g_strjoinv(",,", parts);
        g_autofree char *chardev = g_strdup_printf(
            "file,id=hostbed-firmware,path=%s/" BOOT_FIRMWARE_LOG, escaped);
        g_strv_builder_add_many(builder, "-chardev", chardev, "-device",
                                "isa-debugcon,iobase=0x402,chardev=hostbed-firmware",
                                NULL);
    }
    return g_strv_builder_end(builder);
}

/* A quiet kernel boots faster; one that is started again because it hung says all it can.
 */
static char *
start_cmdline(const BootOptions *options, gboolean again)
{
    const char *extra = options->cmdline_extra ? options->cmdline_extra : "";
    return again ? g_strconcat("loglevel=7 ", extra, NULL) : g_strdup(extra);
}

void
boot_stop(Boot *boot)
{
    g_clear_pointer(&boot->guest, guest_free);
    g_clear_pointer(&boot->machine, machine_free);
    g_clear_pointer(&boot->agent_log, log_file_free);
    g_clear_pointer(&boot->log_dir, g_free);
    g_clear_pointer(&boot->disk_fds, g_array_unref);
}

char *
boot_port_name(const Plan *plan, const PlanFunction *nic)
{
    return g_strdup_printf("%s/%s", plan->host_id, nic->id);
}

/* The emulator's ends of the ports that BOOT's NICs have; NULL: there are none. */
static GArray *
connect_ports(const Boot *boot, GError **error)
{
    const Plan *plan = boot->recipe->plan;
    g_autoptr(GPtrArray) nics = plan_joined(plan);
    g_autoptr(GArray) fds = boot_fds_new();
    for (guint i = 0; i < nics->len; i++) {
        const PlanFunction *nic = nics->pdata[i];
        g_autofree char *name = boot_port_name(plan, nic);
        int fd = segments_connect(boot->segments, nic->network, name, error);
        if (fd < 0)
            return NULL;
        g_array_append_val(fds, fd);
    }
    return g_steal_pointer(&fds);
}

gboolean
boot_start(Boot *boot, const char *log_dir, gboolean clone, GCancellable *interrupt,
           GError **error)
{
    const BootRecipe *recipe = boot->recipe;
    g_autoptr(GArray) port_fds = boot->segments ? connect_ports(boot, error) : NULL;
    if (boot->segments && !port_fds)
        return FALSE;
    const MachineOptions machine = {
        .plan = recipe->plan,
        .emulator = recipe->emulator,
        .connect = recipe->connect,
        .persistent = recipe->persistent,
        .accel = accel_name(recipe->accel->accel),
        .kernel = recipe->kernel_file,
        .initrd = recipe->initrd_file,
        .root_words = recipe->root_words,
        .cmdline_extra = recipe->cmdline,
        .disk_fds = boot->disk_fds,
        .memory_fds = recipe->memory_fds,
        .port_fds = port_fds,
        .clone = clone,
        .copy_on_write = boot->shares_memory,
        .memory_readonly = clone && recipe->memory_readonly,
        .log_dir = log_dir,
        .capture = recipe->capture,
        .extra_args = (const char *const *)recipe->extra_args,
        .interrupt = interrupt,
    };
    boot->log_dir = g_strdup(log_dir);
    boot->agent_log = log_file_open(log_dir, "agent.log", AGENT_LOG_MAX_BYTES, error);
    if (!boot->agent_log)
        return FALSE;
    boot->start_us = g_get_monotonic_time();
    boot->machine = machine_start(&machine, error);
    if (!boot->machine)
        return FALSE;
    boot->guest = guest_new(machine_take_agent_fd(boot->machine));
    guest_set_trace(boot->guest, boot_log_frame, boot->agent_log);
    return TRUE;
}

static gboolean
start(Boot *boot, const BootOptions *options, const char *log_dir, gboolean again,
      GError **error)
{
    BootRecipe *recipe = boot->recipe;
    g_strfreev(recipe->extra_args);
    recipe->extra_args = start_args(options, log_dir, again);
    g_free(recipe->cmdline);
    recipe->cmdline = start_cmdline(options, again);
    g_clear_pointer(&recipe->inputs, g_ptr_array_unref);
    if (options->keep)
        recipe->inputs = template_key_inputs(recipe, NULL, NULL);
    if (options->freezable && !boot_open_memory(recipe, error))
        return FALSE;
    boot_step(options, again ? "starting the host again" : "starting the host");
    return boot_take_disk(boot, options->disk_fds, error) &&
           boot_start(boot, log_dir, FALSE, options->interrupt, error);
}

static gboolean
meet(Boot *boot, const BootOptions *options, GError **error)
{
    boot_step(options, "waiting for the host");
    if (!boot_wait_hello(boot, options->stall_ms, error))
        return FALSE;
    boot->boot_us = g_get_monotonic_time() - boot->start_us;
    machine_note(boot->machine, "the agent said HELLO after %.3f s",
                 (double)boot->boot_us / G_USEC_PER_SEC);
    PROBE4(agent_hello, boot->recipe->plan->lab_name, boot->recipe->plan->host_id,
           (int)machine_pid(boot->machine), boot->boot_us);
    return boot_load_modules(boot, options->modules, error);
}

static gboolean
start_again(Boot *boot, const BootOptions *options, GError **error)
{
    g_autofree char *log_dir = g_build_filename(options->log_dir, "retry", NULL);
    boot_stop(boot);
    if (mkdir(log_dir, 0700) != 0) {
        g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE, "cannot make %s: %s", log_dir,
                    g_strerror(errno));
        return FALSE;
    }
    g_autoptr(GError) reason = NULL;
    if (start(boot, options, log_dir, TRUE, &reason) && meet(boot, options, &reason))
        return TRUE;
    g_set_error(error, reason->domain, reason->code,
                "%s; it was the second start, and at the first %s", reason->message,
                boot->retried);
    return FALSE;
}

/* Some machines are beyond plain emulation; the planner knows which and why. */
static gboolean
check_accel(const BootRecipe *recipe, GError **error)
{
    const Plan *plan = recipe->plan;
    if (plan->needs_kvm == NULL || recipe->accel->accel == ACCEL_KVM)
        return TRUE;
    g_set_error(error, HB_ERROR, HB_UNSUPPORTED,
                "%s:%d: %s; here there is only emulation: %s", plan->needs_kvm_pos.file,
                plan->needs_kvm_pos.line, plan->needs_kvm, recipe->accel->reason);
    return FALSE;
}

/* KVM is tried while the micro image is made, and its guests are gone when this returns.
 * An image of an operating system is prepared by a machine of its own, who is told. */
static gboolean
prepare(BootRecipe *recipe, const BootOptions *options, GError **error)
{
    gboolean is_micro = !options->plan->image;
    g_autoptr(AccelProof) proof = accel_begin(options->accel, options->emulator);
    if (is_micro && !make_parts(recipe, options, error))
        return FALSE;
    if (options->accel != ACCEL_TCG)
        boot_step_before(options, "trying whether KVM works");
    recipe->accel = accel_end(proof, error);
    return recipe->accel && check_accel(recipe, error) &&
           (is_micro || boot_take_image(recipe, options, error));
}

BootRecipe *
boot_recipe_new(const BootOptions *options, GError **error)
{
    g_autoptr(BootRecipe) recipe = g_rc_box_new0(BootRecipe);
    recipe->plan = options->plan;
    recipe->emulator = g_strdup(options->emulator);
    recipe->connect = g_strdup(options->connect);
    recipe->persistent = options->persistent;
    recipe->capture = options->capture;
    recipe->extra_args = start_args(options, NULL, FALSE);
    recipe->cmdline = start_cmdline(options, FALSE);
    return prepare(recipe, options, error) ? g_steal_pointer(&recipe) : NULL;
}

Boot *
boot_begin(const BootOptions *options, GError **error)
{
    g_autoptr(Boot) boot = g_new0(Boot, 1);
    boot->segments = options->segments;
    boot->recipe = boot_recipe_new(options, error);
    if (!boot->recipe)
        return NULL;
    boot->accel = boot->recipe->accel;
    boot->kernel = boot->recipe->kernel;
    return start(boot, options, options->log_dir, FALSE, error) ? g_steal_pointer(&boot)
                                                                : NULL;
}

gboolean
boot_meet(Boot *boot, const BootOptions *options, GError **error)
{
    g_autoptr(GError) hang = NULL;
    if (meet(boot, options, &hang)) {
        PROBE4(boot_ended, options->plan->lab_name, options->plan->host_id,
               (int)machine_pid(boot->machine), g_get_monotonic_time() - boot->start_us);
        return TRUE;
    }
    if (options->once || !g_error_matches(hang, HB_ERROR, HB_GUEST_HANG)) {
        g_propagate_error(error, g_steal_pointer(&hang));
        return FALSE;
    }
    boot->retried = g_strdup(hang->message);
    return start_again(boot, options, error);
}

Boot *
boot_host(const BootOptions *options, GError **error)
{
    g_autoptr(Boot) boot = boot_begin(options, error);
    return boot && boot_meet(boot, options, error) ? g_steal_pointer(&boot) : NULL;
}

void
boot_free(Boot *boot)
{
    if (!boot)
        return;
    boot_stop(boot);
    g_clear_pointer(&boot->recipe, boot_recipe_unref);
    g_free(boot->retried);
    g_free(boot);
}

GCancellable *
boot_cancellable(Boot *boot)
{
    return machine_gone(boot->machine);
}

void
boot_explain(Boot *boot, GError **error)
{
    int code = (*error)->domain == HB_ERROR ? (*error)->code : HB_INFRASTRUCTURE;
    const GError *failure = machine_failure(boot->machine);
    if (!failure && (code == HB_EMULATOR_DIED || code == HB_FAIL))
        failure = machine_settle(boot->machine);
    if (failure && code != HB_USAGE) {
        g_clear_error(error);
        *error = g_error_copy(failure);
    } else if (code == HB_GUEST_HANG) {
        const char *words = machine_last_words(boot->machine);
        g_autofree char *text = g_strdup_printf("%s%s%s; logs: %s", (*error)->message,
                                                words ? "; its console said last: " : "",
                                                words ? words : "", boot->log_dir);
        g_clear_error(error);
        g_set_error_literal(error, HB_ERROR, HB_GUEST_HANG, text);
    }
}
