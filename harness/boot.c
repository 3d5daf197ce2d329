/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "boot.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "error.h"
#include "install-paths.h"
#include "printable.h"
#include "wire.h"

/* A host that shows no progress for so long stands still. A loop computes, so its time is
 * up early; a host that waits for a processor on a busy machine does not compute, so it
 * gets more. */
#define STALL_BUSY_MS 20000
/* … and for each function more: an emulator that maps the BARs of a hundred NICs takes
 * half a minute (QEMU 10.0, emulation, two cores) in which the kernel stands at one
 * instruction. */
#define STALL_FUNCTION_MS 300
#define STALL_IDLE_MS 60000
#define TICK_MS 500
#define AGENT_LOG_MAX_BYTES (4 * 1024 * 1024)
#define FIRMWARE_LOG "firmware.log"

/* What a start needs and both starts share. */
typedef struct {
    const BootOptions *options;
    char *kernel, *initrd;
} Parts;

static void
parts_clear(Parts *parts)
{
    g_free(parts->kernel);
    g_free(parts->initrd);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Parts, parts_clear)

static void
step(const BootOptions *options, const char *what)
{
    if (options->step)
        options->step(what, options->user_data);
}

/* ---- kernel and image
 * -------------------------------------------------------------------------------- */

/* A built or installed file of ours that runs inside. */
static char *
libexec_path(const char *name)
{
    const char *dir = g_getenv("HOSTBED_LIBEXEC_DIR");
    return g_build_filename(dir && *dir ? dir : PKGLIBEXECDIR, name, NULL);
}

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
make_parts(Boot *boot, Parts *parts, GError **error)
{
    const BootOptions *options = parts->options;
    const char *asked = options->kernel ? options->kernel : options->plan->kernel;
    step(options, "building the image");
    boot->kernel = kernel_find(asked, error);
    if (!boot->kernel)
        return FALSE;
    parts->kernel = options->plan->firmware == LAB_FIRMWARE_EFI
                        ? kernel_efi_file(boot->kernel, error)
                        : kernel_boot_file(boot->kernel, error);
    if (!parts->kernel)
        return FALSE;
    g_autofree char *agent = libexec_path("hostbed-agent");
    g_autofree char *suites = options->suites ? libexec_path("suites") : NULL;
    g_autoptr(GPtrArray) modules = wanted_modules(options);
    const ImageOptions image = {
        .kernel = boot->kernel,
        .modules = modules,
        .optional_modules = options->plan->optional_modules,
        .programs = options->programs,
        .copies = options->copies,
        .commands = options->commands,
        .folder = options->folder,
        .tools = options->tools,
        .vfio = options->vfio,
        .kvm = options->kvm,
        .agent = agent,
        .suites_dir = suites,
        .memory_bytes = options->plan->memory_bytes,
    };
    parts->initrd = image_build(&image, error);
    return parts->initrd != NULL;
}

/* ---- the agent's log
 * ----------------------------------------------------------------------------------- */

static const char *
frame_name(guint type)
{
    switch ((HbFrame)type) {
    case HB_FRAME_HELLO:
        return "HELLO";
    case HB_FRAME_STDOUT:
        return "STDOUT";
    case HB_FRAME_STDERR:
        return "STDERR";
    case HB_FRAME_EXIT:
        return "EXIT";
    case HB_FRAME_OBSERVATION:
        return "OBSERVATION";
    case HB_FRAME_FAILED:
        return "FAILED";
    case HB_FRAME_DONE:
        return "DONE";
    case HB_FRAME_DATA:
        return "DATA";
    case HB_FRAME_RUN:
        return "RUN";
    case HB_FRAME_STDIN:
        return "STDIN";
    case HB_FRAME_SIGNAL:
        return "SIGNAL";
    case HB_FRAME_OBSERVE:
        return "OBSERVE";
    case HB_FRAME_PUT:
        return "PUT";
    case HB_FRAME_GET:
        return "GET";
    case HB_FRAME_RESIZE:
        return "RESIZE";
    case HB_FRAME_CREDIT:
        return "CREDIT";
    case HB_FRAME_PING:
        return "PING";
    case HB_FRAME_PONG:
        return "PONG";
    }
    return "?";
}

/* What belongs to the flow of a stream would bury the rest; its end is of interest. */
static gboolean
is_flow(guint type, gsize length)
{
    return type == HB_FRAME_CREDIT ||
           (length > 0 && (type == HB_FRAME_STDOUT || type == HB_FRAME_STDERR ||
                           type == HB_FRAME_STDIN || type == HB_FRAME_DATA));
}

static void
on_frame(gboolean to_guest, guint type, guint channel, const guint8 *payload,
         gsize length, gpointer user_data)
{
    if (is_flow(type, length))
        return;
    gboolean has_text = type == HB_FRAME_HELLO || type == HB_FRAME_FAILED ||
                        type == HB_FRAME_RUN || type == HB_FRAME_PUT ||
                        type == HB_FRAME_GET;
    g_autofree char *text = has_text ? printable(payload, length, 2000) : NULL;
    log_file_line(user_data, "%s %s channel %u, %zu bytes%s%s", to_guest ? "->" : "<-",
                  frame_name(type), channel, length, text ? ": " : "", text ? text : "");
}

/* ---- waiting for HELLO
 * ----------------------------------------------------------------------------------- */

typedef struct {
    Machine *machine;
    GCancellable *end; /* of the wait: the host is gone, or it stands still */
    guint stall_ms;    /* or 0 */
    guint64 progress;  /* at the last turn that saw some */
    guint still_ms;    /* since then, in turns: we may have been stopped ourselves */
    gint64 cpu_us;     /* the emulator's time then */
    guint busy_ms;     /* so long may it compute at one place */
    gboolean stalled;
} Watch;

static gboolean
stands_still(const Watch *watch)
{
    if (watch->stall_ms > 0)
        return watch->still_ms >= watch->stall_ms;
    gint64 computed_us = machine_cpu_time_us(watch->machine) - watch->cpu_us;
    return watch->still_ms >= MAX(STALL_IDLE_MS, 2 * watch->busy_ms) ||
           (watch->still_ms >= watch->busy_ms && computed_us >= watch->busy_ms * 1000LL);
}

static gboolean
on_tick(gpointer user_data)
{
    Watch *watch = user_data;
    guint64 progress = machine_progress(watch->machine);
    watch->still_ms += TICK_MS;
    if (progress != watch->progress) {
        watch->progress = progress;
        watch->still_ms = 0;
        watch->cpu_us = machine_cpu_time_us(watch->machine);
    } else if (stands_still(watch)) {
        watch->stalled = TRUE;
        g_cancellable_cancel(watch->end);
    }
    return G_SOURCE_CONTINUE;
}

static void
on_gone(GCancellable *gone, gpointer user_data)
{
    g_cancellable_cancel(user_data);
}

/* The end of a file, as much as fits; the host can write there without end. */
static gboolean
read_tail(const char *path, char *text, gsize size)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return FALSE;
    if (fseek(file, -(long)(size - 1), SEEK_END) != 0)
        rewind(file);
    text[fread(text, 1, size - 1, file)] = '\0';
    fclose(file);
    return TRUE;
}

/* The last line that the firmware wrote to its debug port, or NULL. */
static char *
firmware_words(const char *log_dir)
{
    g_autofree char *path = g_build_filename(log_dir, FIRMWARE_LOG, NULL);
    char text[4096];
    if (!read_tail(path, text, sizeof text))
        return NULL;
    g_strchomp(text);
    const char *newline = strrchr(text, '\n');
    const char *line = newline ? newline + 1 : text;
    return *line ? printable(line, strlen(line), 200) : NULL;
}

static void
set_hang(Boot *boot, const Watch *watch, GError **error)
{
    const char *words = machine_last_words(boot->machine);
    g_autofree char *where = machine_whereabouts(boot->machine);
    g_autofree char *firmware = words ? NULL : firmware_words(boot->log_dir);
    g_autoptr(GString) text = g_string_new(NULL);
    g_string_printf(text, "the host stood still for %u s before its agent spoke",
                    watch->still_ms / 1000);
    if (where)
        g_string_append_printf(text, ", %s", where);
    if (words)
        g_string_append_printf(text, "; its console said last: %s", words);
    else
        g_string_append_printf(text, "; its kernel said nothing%s%s",
                               firmware ? ", its firmware last: " : "",
                               firmware ? firmware : "");
    g_string_append_printf(text, "; logs: %s", boot->log_dir);
    g_set_error_literal(error, HB_ERROR, HB_GUEST_HANG, text->str);
}

static gboolean
wait_for_hello(Boot *boot, const BootOptions *options, GError **error)
{
    g_autoptr(GCancellable) end = g_cancellable_new();
    GCancellable *gone = machine_gone(boot->machine);
    Watch watch = {.machine = boot->machine,
                   .end = end,
                   .stall_ms = options->stall_ms,
                   .busy_ms =
                       STALL_BUSY_MS + STALL_FUNCTION_MS * options->plan->functions->len};
    gulong id = g_cancellable_connect(gone, G_CALLBACK(on_gone), end, NULL);
    guint ticker = g_timeout_add(TICK_MS, on_tick, &watch);
    machine_sample(boot->machine, TRUE);
    g_autoptr(GError) reason = NULL;
    gboolean met = guest_wait_hello(boot->guest, end, &reason);
    machine_sample(boot->machine, FALSE);
    g_source_remove(ticker);
    g_cancellable_disconnect(gone, id);
    if (met)
        return TRUE;
    if (watch.stalled) {
        set_hang(boot, &watch, error);
        machine_note(boot->machine, "%s", (*error)->message);
        return FALSE;
    }
    boot_explain(boot, &reason);
    g_propagate_error(error, g_steal_pointer(&reason));
    return FALSE;
}

/* ---- one start
 * --------------------------------------------------------------------------------------------
 */

/* The firmware's debug port: off at first, because it costs time; on when a host is
 * started again and its firmware may have to be asked why. */
static GStrv
start_args(const BootOptions *options, const char *log_dir, gboolean again)
{
    g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
    if (options->extra_args)
        g_strv_builder_addv(builder, (const char **)options->extra_args);
    if (again) {
        g_auto(GStrv) parts = g_strsplit(log_dir, ",", -1);
        g_autofree char *escaped = g_strjoinv(",,", parts);
        g_autofree char *chardev =
            g_strdup_printf("file,id=hostbed-firmware,path=%s/" FIRMWARE_LOG, escaped);
        g_strv_builder_add_many(builder, "-chardev", chardev, "-device",
                                "isa-debugcon,iobase=0x402,chardev=hostbed-firmware",
                                NULL);
    }
    return g_strv_builder_end(builder);
}

static void
stop(Boot *boot)
{
    g_clear_pointer(&boot->guest, guest_free);
    g_clear_pointer(&boot->machine, machine_free);
    g_clear_pointer(&boot->agent_log, log_file_free);
    g_clear_pointer(&boot->log_dir, g_free);
}

/* A quiet kernel boots faster; one that is started again because it hung says all it can.
 */
static char *
start_cmdline(const BootOptions *options, gboolean again)
{
    const char *extra = options->cmdline_extra ? options->cmdline_extra : "";
    return again ? g_strconcat("loglevel=7 ", extra, NULL) : g_strdup(extra);
}

static gboolean
start(Boot *boot, const Parts *parts, const char *log_dir, gboolean again, GError **error)
{
    const BootOptions *options = parts->options;
    g_auto(GStrv) args = start_args(options, log_dir, again);
    g_autofree char *cmdline = start_cmdline(options, again);
    const MachineOptions machine = {
        .plan = options->plan,
        .emulator = options->emulator,
        .accel = accel_name(boot->accel->accel),
        .kernel = parts->kernel,
        .initrd = parts->initrd,
        .cmdline_extra = cmdline,
        .log_dir = log_dir,
        .capture = options->capture,
        .extra_args = (const char *const *)args,
        .interrupt = options->interrupt,
    };
    boot->log_dir = g_strdup(log_dir);
    boot->agent_log = log_file_open(log_dir, "agent.log", AGENT_LOG_MAX_BYTES, error);
    if (!boot->agent_log)
        return FALSE;
    step(options, again ? "starting the host again" : "starting the host");
    gint64 start_us = g_get_monotonic_time();
    boot->machine = machine_start(&machine, error);
    if (!boot->machine)
        return FALSE;
    boot->guest = guest_new(machine_take_agent_fd(boot->machine));
    guest_set_trace(boot->guest, on_frame, boot->agent_log);
    step(options, "waiting for the host");
    if (!wait_for_hello(boot, options, error))
        return FALSE;
    boot->boot_us = g_get_monotonic_time() - start_us;
    machine_note(boot->machine, "the agent said HELLO after %.3f s",
                 (double)boot->boot_us / G_USEC_PER_SEC);
    return TRUE;
}

static gboolean
start_again(Boot *boot, const Parts *parts, GError **error)
{
    g_autofree char *log_dir = g_build_filename(parts->options->log_dir, "retry", NULL);
    stop(boot);
    if (mkdir(log_dir, 0700) != 0) {
        g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE, "cannot make %s: %s", log_dir,
                    g_strerror(errno));
        return FALSE;
    }
    g_autoptr(GError) reason = NULL;
    if (start(boot, parts, log_dir, TRUE, &reason))
        return TRUE;
    g_set_error(error, reason->domain, reason->code,
                "%s; it was the second start, and at the first %s", reason->message,
                boot->retried);
    return FALSE;
}

/* Some machines are beyond plain emulation; the planner knows which and why. */
static gboolean
check_accel(const Boot *boot, const Plan *plan, GError **error)
{
    if (plan->needs_kvm == NULL || boot->accel->accel == ACCEL_KVM)
        return TRUE;
    g_set_error(error, HB_ERROR, HB_UNSUPPORTED,
                "%s:%d: %s; here there is only emulation: %s", plan->needs_kvm_pos.file,
                plan->needs_kvm_pos.line, plan->needs_kvm, boot->accel->reason);
    return FALSE;
}

/* KVM is tried while the image is made, and its guests are gone when this returns. */
static gboolean
prepare(Boot *boot, Parts *parts, GError **error)
{
    const BootOptions *options = parts->options;
    g_autoptr(AccelProof) proof = accel_begin(options->accel, options->emulator);
    if (!make_parts(boot, parts, error))
        return FALSE;
    step(options, "trying whether KVM works");
    boot->accel = accel_end(proof, error);
    return boot->accel && check_accel(boot, options->plan, error);
}

Boot *
boot_host(const BootOptions *options, GError **error)
{
    g_autoptr(Boot) boot = g_new0(Boot, 1);
    g_auto(Parts) parts = {.options = options};
    g_autoptr(GError) hang = NULL;
    if (!prepare(boot, &parts, error))
        return NULL;
    if (start(boot, &parts, options->log_dir, FALSE, &hang))
        return g_steal_pointer(&boot);
    if (options->once || !g_error_matches(hang, HB_ERROR, HB_GUEST_HANG)) {
        g_propagate_error(error, g_steal_pointer(&hang));
        return NULL;
    }
    boot->retried = g_strdup(hang->message);
    return start_again(boot, &parts, error) ? g_steal_pointer(&boot) : NULL;
}

void
boot_free(Boot *boot)
{
    if (!boot)
        return;
    stop(boot);
    accel_verdict_free(boot->accel);
    kernel_free(boot->kernel);
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
