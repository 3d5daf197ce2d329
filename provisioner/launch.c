/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launch-private.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <fcntl.h>

#include "domain-place.h"
#include "error.h"
#include "launch-child.h"
#include "launch-firmware.h"
#include "probes.h"

/* Devices are made before the emulator greets: 0.1 s for a few, seconds for hundreds on a
 * busy machine. */
#define GREETING_MS 60000
/* What the host boots may have a slow way to libvirt; and who does not answer on it is
 * found out by the connection itself. */
#define LIBVIRT_GREETING_MS 900000
/* libvirt gives an emulator 15 s after SIGTERM. */
#define DOMAIN_END_MS 20000
#define LOG_MAX_BYTES (16 * 1024 * 1024)
#define CONSOLE_LOG_MAX_BYTES (64 * 1024 * 1024)

/* The ends of the channels; -1: not open, or handed over. */
typedef struct {
    int qmp[2], agent[2], console[2], errors[2]; /* ours, the emulator's */
    int firmware_vars, domain;
} Channels;

static void
close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void
close_theirs(Channels *channels)
{
    close_fd(&channels->qmp[1]);
    close_fd(&channels->agent[1]);
    close_fd(&channels->console[1]);
    close_fd(&channels->errors[1]);
    close_fd(&channels->firmware_vars);
    close_fd(&channels->domain);
}

static void
channels_clear(Channels *channels)
{
    close_theirs(channels);
    close_fd(&channels->qmp[0]);
    close_fd(&channels->agent[0]);
    close_fd(&channels->console[0]);
    close_fd(&channels->errors[0]);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Channels, channels_clear)

static gboolean
channels_open(Channels *channels, GError **error)
{
    const int kind = SOCK_STREAM | SOCK_CLOEXEC;
    if (socketpair(AF_UNIX, kind, 0, channels->qmp) == 0 &&
        socketpair(AF_UNIX, kind, 0, channels->agent) == 0 &&
        socketpair(AF_UNIX, kind, 0, channels->console) == 0 &&
        pipe2(channels->errors, O_CLOEXEC) == 0)
        return TRUE;
    g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE, "cannot make a channel: %s",
                g_strerror(errno));
    return FALSE;
}

static int
take_fd(int *fd)
{
    int taken = *fd;
    *fd = -1;
    return taken;
}

/* ---- arguments
 * --------------------------------------------------------------------------------------
 */

/* An emulator that goes to the background is out of our hands. */
static gboolean
check_raw_args(const Plan *plan, GError **error)
{
    for (guint i = 0; i < plan->raw_args->len; i++) {
        const char *argument = plan->raw_args->pdata[i];
        if (g_str_equal(argument, "-daemonize") || g_str_equal(argument, "--daemonize")) {
            g_set_error(error, HB_ERROR, HB_USAGE,
                        "the raw argument '%s' would leave an emulator behind; remove it",
                        argument);
            return FALSE;
        }
    }
    return TRUE;
}

static GStrv
build_argv(const MachineOptions *options, const EmitRuntime *runtime)
{
    g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
    g_auto(GStrv) args = emit_qemu_args(options->plan, runtime);
    g_strv_builder_add(builder, options->emulator);
    for (const char *const *dir = options->data_dirs; dir && *dir; dir++)
        g_strv_builder_add_many(builder, "-L", *dir, NULL);
    g_strv_builder_addv(builder, (const char **)args);
    if (options->extra_args)
        g_strv_builder_addv(builder, (const char **)options->extra_args);
    return g_strv_builder_end(builder);
}

/* A description of memory is made anew for each device of a state that is read, and glibc
 * gives the old one's pages back and asks for them again: 40,000 of them, one by one, in
 * a clone of the article's machine (docs/facts.rst). Large pages spare it most of that.
 */
#define LARGE_PAGES "GLIBC_TUNABLES=glibc.malloc.hugetlb=1"

static void
add_variables(GStrvBuilder *builder, const char *const *names)
{
    for (; *names; names++) {
        const char *value = g_getenv(*names);
        g_autofree char *word = value ? g_strconcat(*names, "=", value, NULL) : NULL;
        if (word)
            g_strv_builder_add(builder, word);
    }
}

/* What an emulator may want, and nothing of the user's that its log would give away. */
static GStrv
build_environment(const MachineOptions *options)
{
    static const char *const names[] = {"PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH",
                                        NULL};
    g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
    g_strv_builder_add(builder, "LC_ALL=C");
    add_variables(builder, names);
    if (options->connect)
        add_variables(builder, machine_domain_environment);
    g_strv_builder_add(builder, LARGE_PAGES);
    return g_strv_builder_end(builder);
}

/* ---- start
 * --------------------------------------------------------------------------------------------
 */

/* By these names the emulator opens what it inherits. */
static GStrv
names_of(const GArray *fds)
{
    g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
    for (guint i = 0; i < fds->len; i++) {
        g_autofree char *name =
            g_strdup_printf("/proc/self/fd/%d", g_array_index(fds, int, i));
        g_strv_builder_add(builder, name);
    }
    return g_strv_builder_end(builder);
}

/* All that the emulator inherits. */
static GArray *
inherited(const MachineOptions *options, const Channels *channels)
{
    const int own[] = {channels->qmp[1], channels->agent[1], channels->console[1],
                       channels->firmware_vars, channels->domain};
    const GArray *const more[] = {options->memory_fds, options->disk_fds,
                                  options->port_fds};
    GArray *fds = g_array_new(FALSE, FALSE, sizeof(int));
    for (gsize i = 0; i < G_N_ELEMENTS(own); i++)
        if (own[i] >= 0)
            g_array_append_val(fds, own[i]);
    for (gsize i = 0; i < G_N_ELEMENTS(more); i++)
        if (more[i])
            g_array_append_vals(fds, more[i]->data, more[i]->len);
    return fds;
}

/* Spawns the emulator with its ends of CHANNELS; those are closed here afterwards. */
static gboolean
spawn(const MachineOptions *options, Channels *channels, LogFile *events, GPid *pid,
      GError **error)
{
    g_autofree char *firmware = NULL, *vars = NULL;
    if (options->plan->firmware == LAB_FIRMWARE_EFI && !options->connect) {
        if (!firmware_find_efi(&firmware, &channels->firmware_vars, error))
            return FALSE;
        vars = g_strdup_printf("/proc/self/fd/%d", channels->firmware_vars);
    }
    g_auto(GStrv) disk_files = options->disk_fds ? names_of(options->disk_fds) : NULL;
    const EmitRuntime runtime = {
        .accel = options->accel,
        .firmware_file = firmware,
        .firmware_vars_file = vars,
        .kernel = options->kernel,
        .initrd = options->initrd,
        .root_words = options->root_words,
        .disk_files = (const char *const *)disk_files,
        .cmdline_extra = options->cmdline_extra,
        .qmp_fd = channels->qmp[1],
        .agent_fd = channels->agent[1],
        .console_fd = channels->console[1],
        .capture_dir = options->capture ? options->log_dir : NULL,
        .memory_fds = options->memory_fds,
        .port_fds = options->port_fds,
        .clone = options->clone,
        .copy_on_write = options->copy_on_write,
        .memory_readonly = options->memory_readonly,
        .sandbox = TRUE,
    };
    g_auto(GStrv) argv = options->connect ? machine_domain_argv(options, &runtime,
                                                                &channels->domain, error)
                                          : build_argv(options, &runtime);
    if (!argv)
        return FALSE;
    g_auto(GStrv) envp = build_environment(options);
    g_autoptr(GArray) fds = inherited(options, channels);
    const LaunchChild child = {
        .argv = (const char *const *)argv,
        .envp = (const char *const *)envp,
        .fds = (const int *)(const void *)fds->data,
        .n_fds = fds->len,
        .stderr_fd = channels->errors[1],
        /* An emulated boot touches few bytes of many huge pages, and the time to clear
         * those was a tenth of it. With KVM they are what makes a guest fast. */
        .small_pages = !g_str_equal(options->accel, "kvm"),
    };
    if (!launch_child_spawn(&child, pid, error))
        return FALSE;
    if (options->connect)
        machine_write_domain_command(options);
    else
        machine_write_command(options, child.argv, child.envp, *pid);
    machine_log_command(events, child.argv, child.envp);
    close_theirs(channels);
    return TRUE;
}

static gboolean
open_logs(Machine *machine, LogFile **console, LogFile **errors, GError **error)
{
    const char *dir = machine->log_dir;
    machine->events = log_file_open(dir, "events.log", LOG_MAX_BYTES, error);
    if (machine->events)
        machine->qmp_log = log_file_open(dir, "qmp.log", LOG_MAX_BYTES, error);
    if (machine->qmp_log)
        *console = log_file_open(dir, "console.log", CONSOLE_LOG_MAX_BYTES, error);
    if (*console)
        *errors = log_file_open(dir, "emulator.stderr", LOG_MAX_BYTES, error);
    if (!*errors)
        return FALSE;
    log_file_keep_times(*console);
    log_file_keep_times(*errors);
    return TRUE;
}

/* The emulator runs: its channels get their readers. */
static void
attach(Machine *machine, Channels *channels, LogFile *console, LogFile *errors)
{
    machine->qmp = qmp_new(take_fd(&channels->qmp[0]));
    machine->agent_fd = take_fd(&channels->agent[0]);
    machine->console = console_new(take_fd(&channels->console[0]), console,
                                   machine_console_came, machine);
    machine->errors =
        console_new(take_fd(&channels->errors[0]), errors, machine_errors_came, machine);
    if (machine->is_told)
        console_trust(machine->errors);
    machine_watch(machine);
}

Machine *
machine_start(const MachineOptions *options, GError **error)
{
    g_auto(Channels) channels = {{-1, -1}, {-1, -1}, {-1, -1}, {-1, -1}, -1, -1};
    g_autoptr(Machine) machine = g_new0(Machine, 1);
    g_autoptr(LogFile) console = NULL;
    g_autoptr(LogFile) errors = NULL;
    machine->agent_fd = -1;
    machine->gone = g_cancellable_new();
    machine->is_told = options->connect != NULL;
    machine->has_disk_elsewhere =
        machine->is_told && !domain_place_is_own(options->connect);
    machine->emulator = machine->is_told ? g_strdup_printf("of %s", options->connect)
                                         : g_strdup(options->emulator);
    machine->log_dir = g_strdup(options->log_dir);
    machine->lab_name = g_strdup(options->plan->lab_name);
    machine->host_id = g_strdup(options->plan->host_id);
    if (options->interrupt)
        machine->interrupt = g_object_ref(options->interrupt);
    if (!check_raw_args(options->plan, error) || !channels_open(&channels, error) ||
        !open_logs(machine, &console, &errors, error) ||
        !spawn(options, &channels, machine->events, &machine->pid, error))
        return NULL;
    log_file_line(machine->events, "spawned %s as process %d", machine->emulator,
                  machine->pid);
    PROBE3(emulator_spawned, machine->lab_name, machine->host_id, (int)machine->pid);
    attach(machine, &channels, g_steal_pointer(&console), g_steal_pointer(&errors));

    g_autoptr(GError) reason = NULL;
    if (!qmp_connect(machine->qmp, machine->is_told ? LIBVIRT_GREETING_MS : GREETING_MS,
                     &reason)) {
        g_propagate_error(error, machine_start_error(machine, reason));
        return NULL;
    }
    log_file_line(machine->events, "the emulator greeted");
    PROBE3(emulator_greeted, machine->lab_name, machine->host_id, (int)machine->pid);
    return g_steal_pointer(&machine);
}

/* SIGKILL at once: there is nothing in a throw-away host that an orderly end would save,
 * and the shutdown of its NICs alone takes seconds. A domain would end some time after
 * its connection, so that one waits for libvirt. */
static void
end_child(Machine *machine)
{
    int status;
    if (machine->is_told && kill(machine->pid, SIGTERM) == 0 &&
        launch_child_reap(machine->pid, DOMAIN_END_MS, &status))
        return;
    launch_child_kill(machine->pid);
}

void
machine_free(Machine *machine)
{
    if (!machine)
        return;
    machine_unwatch(machine);
    if (machine->pid != 0) {
        end_child(machine);
        log_file_line(machine->events, "ended by hostbed");
        PROBE3(emulator_ended, machine->lab_name, machine->host_id, (int)machine->pid);
    }
    g_clear_pointer(&machine->qmp, qmp_free);
    close_fd(&machine->agent_fd);
    console_free(machine->console);
    console_free(machine->errors);
    log_file_free(machine->events);
    log_file_free(machine->qmp_log);
    g_clear_error(&machine->failure);
    g_object_unref(machine->gone);
    g_clear_pointer(&machine->waits, g_hash_table_unref);
    g_free(machine->cause_detail);
    g_free(machine->emulator);
    g_free(machine->log_dir);
    g_free(machine->lab_name);
    g_free(machine->host_id);
    g_free(machine);
}

int
machine_take_agent_fd(Machine *machine)
{
    return take_fd(&machine->agent_fd);
}

Qmp *
machine_qmp(Machine *machine)
{
    return machine->qmp;
}

GPid
machine_pid(const Machine *machine)
{
    return machine->pid;
}

void
machine_note(Machine *machine, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    g_autofree char *text = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    log_file_line(machine->events, "%s", text);
}

void
machine_set_console_listener(Machine *machine,
                             void (*listener)(const char *bytes, gsize length,
                                              gpointer user_data),
                             gpointer user_data)
{
    console_set_listener(machine->console, listener, user_data);
}

void
machine_type(Machine *machine, const void *bytes, gsize length)
{
    console_type(machine->console, bytes, length);
}
