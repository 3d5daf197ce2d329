/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * hostbed up: reads the lab, so that what is wrong with it is told here, then leaves it
 * to a supervisor (cmd-up-serve.c), and tells how it does until its hosts are up.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli-trace.h"
#include "cmd-live.h"
#include "json-line.h"
#include "live-dir.h"
#include "live-serve.h"
#include "cli-connect.h"
#include "cli-wait.h"
#include "log-dir.h"
#include "template-store.h"

/* A supervisor that goes down while another comes up lets go of the lab's name. */
#define TRIES 50
/* For a start that is interrupted to end. */
#define LEAVE_MS 20000
/* Who waits sees the time go by. */
#define TICK_MS 1000

typedef struct {
    CliMachine machine;
    CliTrace trace;
    char *name, *log_dir, *connect;
    GStrv with, copies, modules;
    gboolean persistent, warm, even_if_different, verbose;
} UpOptions;

static void
options_clear(UpOptions *options)
{
    cli_machine_clear(&options->machine);
    cli_trace_clear(&options->trace);
    g_free(options->name);
    g_free(options->log_dir);
    g_free(options->connect);
    g_strfreev(options->with);
    g_strfreev(options->copies);
    g_strfreev(options->modules);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(UpOptions, options_clear)

/* One call of this command. */
typedef struct {
    const UpOptions *options;
    const char *file; /* of the lab, absolute */
    char *digest;     /* of what is in it */
    char *name;       /* what the lab will be called */
    char *emulator;
    GStrv hosts;
    char *dir; /* of all labs */
    gint64 start_us;
    gboolean shown; /* a line of progress, to be written over */
    char *doing;    /* as was told last, where that is shown; or NULL */
} Up;

static gboolean
parse(int *argc, char ***argv, UpOptions *options, int *status)
{
    const GOptionEntry entries[] = {
        {"name", 0, 0, G_OPTION_ARG_STRING, &options->name,
         "What the lab is called while it is up (default: its name)", "NAME"},
        {"with", 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &options->with,
         "Put another program into the hosts, with its libraries; may be repeated",
         "PROGRAM"},
        {"copy", 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &options->copies,
         "Put a file or folder into the hosts; may be repeated", "PATH[:TARGET]"},
        {"module", 0, 0, G_OPTION_ARG_STRING_ARRAY, &options->modules,
         "Load a kernel module in the hosts, with what it needs", "NAME"},
        {"log-dir", 0, 0, G_OPTION_ARG_FILENAME, &options->log_dir,
         "Keep the lab's logs in a new folder in DIR", "DIR"},
        {"warm", 0, 0, G_OPTION_ARG_NONE, &options->warm,
         "Take clones of templates that are kept; make and keep those if need be", NULL},
        {"even-if-different", 0, 0, G_OPTION_ARG_NONE, &options->even_if_different,
         "Bring hosts up that differ from what was asked for, too", NULL},
        {"verbose", 'v', 0, G_OPTION_ARG_NONE, &options->verbose,
         "Tell on standard error what is being done", NULL},
        CLI_CONNECT_ENTRY(&options->connect),
        {"persistent", 0, 0, G_OPTION_ARG_NONE, &options->persistent,
         "Have libvirt keep the hosts defined when they are down (--connect)", NULL},
        CLI_TRACE_ENTRIES(&options->trace),
        G_OPTION_ENTRY_NULL,
    };
    if (!cli_parse("up", argc, argv, entries, &options->machine, status))
        return FALSE;
    if (options->persistent && !options->connect)
        *status =
            cli_fail_with(HB_USAGE, "--persistent has libvirt keep the hosts defined, "
                                    "so --connect has to say which");
    return (!options->persistent || options->connect) &&
           cli_connect_is_address(options->connect, status) &&
           (!options->warm || cli_connect_is_cold(options->connect, status));
}

/* ---- the order
 * --------------------------------------------------------------------------------------
 */

static void
set_strings(JsonObject *object, const char *member, const char *const *strings,
            char *(*make)(const char *string))
{
    JsonArray *array = json_array_new();
    for (; strings && *strings; strings++) {
        g_autofree char *string = make ? make(*strings) : g_strdup(*strings);
        json_array_add_string_element(array, string);
    }
    json_object_set_array_member(object, member, array);
}

/* The supervisor has another working directory. */
static char *
absolute(const char *path)
{
    g_autofree char *here = g_get_current_dir();
    return g_path_is_absolute(path) ? g_strdup(path) : g_build_filename(here, path, NULL);
}

/* Names without a slash are looked for in PATH. */
static char *
absolute_program(const char *name)
{
    return strchr(name, '/') ? absolute(name) : g_strdup(name);
}

static void
set_path(JsonObject *object, const char *member, const char *path)
{
    g_autofree char *whole = path ? absolute(path) : NULL;
    if (whole)
        json_object_set_string_member(object, member, whole);
}

static JsonObject *
make_order(const Up *up)
{
    const UpOptions *options = up->options;
    JsonObject *order = live_call_request("up", NULL);
    json_object_set_string_member(order, "name", up->name);
    json_object_set_string_member(order, "file", up->file);
    json_object_set_string_member(order, "digest", up->digest);
    json_object_set_string_member(order, "emulator", up->emulator);
    if (options->machine.accel)
        json_object_set_string_member(order, "accel", options->machine.accel);
    if (options->connect)
        json_object_set_string_member(order, "connect", options->connect);
    set_path(order, "kernel", options->machine.kernel);
    set_path(order, "log-dir", options->log_dir);
    set_strings(order, "with", (const char *const *)options->with, absolute_program);
    set_strings(order, "copies", (const char *const *)options->copies, absolute);
    set_strings(order, "modules", (const char *const *)options->modules, NULL);
    set_strings(order, "hosts", (const char *const *)up->hosts, NULL);
    json_object_set_boolean_member(order, "persistent", options->persistent);
    json_object_set_boolean_member(order, "warm", options->warm);
    json_object_set_boolean_member(order, "even-if-different",
                                   options->even_if_different);
    set_path(order, "trace-file", options->trace.file);
    json_object_set_boolean_member(order, "trace", options->trace.on);
    return order;
}

/* ---- the supervisor
 * --------------------------------------------------------------------------------- */

/* In the child, which has nothing but FD of what is open here; does not return. It is
 * nobody's child, in a session of its own, and called by its own name. */
static void
become_supervisor(int fd, char *const *argv)
{
    static const char program[] = "/proc/self/exe";
    setsid();
    if (fork() != 0)
        _exit(0);
    int null = open("/dev/null", O_RDWR);
    dup2(null, STDIN_FILENO);
    dup2(null, STDOUT_FILENO);
    dup2(null, STDERR_FILENO);
    if (fd == SUPERVISOR_FD)
        fcntl(fd, F_SETFD, 0);
    else
        dup2(fd, SUPERVISOR_FD);
    execv(program, argv);
    _exit(127);
}

/* Starts one; the connection to it, or -1. */
static int
start_supervisor(const Up *up, GError **error)
{
    int fds[2];
    char *argv[] = {(char *)SUPERVISOR_NAME, up->name, NULL};
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0) {
        g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE, "cannot make a channel: %s",
                    g_strerror(errno));
        return -1;
    }
    pid_t child = fork();
    if (child == 0)
        become_supervisor(fds[1], argv);
    close(fds[1]);
    if (child > 0) {
        while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
            ;
        return fds[0];
    }
    g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE, "cannot start a supervisor: %s",
                g_strerror(errno));
    close(fds[0]);
    return -1;
}

/* ---- what it tells
 * ---------------------------------------------------------------------------------- */

static void
clear_progress(Up *up)
{
    if (up->shown)
        fputs("\r\033[K", stderr);
    up->shown = FALSE;
}

static double
passed_s(const Up *up)
{
    return (double)(g_get_monotonic_time() - up->start_us) / G_USEC_PER_SEC;
}

static void
show_progress(Up *up)
{
    fprintf(stderr, "hostbed: %s, %.0f s", up->doing, passed_s(up));
    up->shown = TRUE;
}

static void
on_event(const char *event, const char *text, gpointer user_data)
{
    Up *up = user_data;
    if (g_str_equal(event, "alive"))
        return;
    clear_progress(up);
    if (g_str_equal(event, "qmp")) {
        fprintf(stderr, "%s\n", text);
    } else if (!g_str_equal(event, "step")) {
        fprintf(stderr, "hostbed: %s: %s\n", event, text);
    } else if (up->options->verbose) {
        fprintf(stderr, "hostbed: [%.3f s] %s\n", passed_s(up), text);
    } else if (cli_rewrites_lines(STDERR_FILENO)) {
        g_free(up->doing);
        up->doing = g_strdup(text);
        show_progress(up);
    }
}

static gboolean
on_tick(gpointer user_data)
{
    Up *up = user_data;
    if (up->doing) {
        clear_progress(up);
        show_progress(up);
    }
    return G_SOURCE_CONTINUE;
}

static void
tell_forwards(const LiveHost *host, const char *name)
{
    for (guint i = 0; i < host->forwards->len; i++) {
        const LiveForward *forward = host->forwards->pdata[i];
        printf("  %s is port %d of %s\n", forward->to, forward->port, name);
    }
}

static void
tell_up(Up *up, gboolean already)
{
    g_autoptr(GPtrArray) labs = live_lab_read_all(NULL);
    const LiveLab *lab = labs ? live_name_lab(labs, up->name) : NULL;
    clear_progress(up);
    if (already)
        printf("%s is up already\n", up->name);
    else
        printf("%s is up after %.2f s\n", up->name, passed_s(up));
    for (guint i = 0; lab && i < lab->hosts->len; i++) {
        g_autofree char *name = live_name_of(labs, lab, lab->hosts->pdata[i]);
        printf("  hostbed exec %s -- COMMAND\n", name);
        tell_forwards(lab->hosts->pdata[i], name);
    }
    printf("  hostbed down %s\n", up->name);
}

/* ---- asking
 * -----------------------------------------------------------------------------------------
 */

/* What was begun for us alone ends. */
static void
leave(Up *up, int fd)
{
    clear_progress(up);
    g_autoptr(CliInterrupt) again = cli_interrupt_new();
    g_autoptr(CliWait) wait = cli_wait_new("taking the lab down");
    gboolean is_down = live_call_leave(fd, LEAVE_MS);
    cli_wait_clear();
    if (!is_down)
        fprintf(stderr,
                "hostbed: %s is still going down; 'hostbed list' tells when it is gone\n",
                up->name);
}

/* One that has the lab is asked, else one is started. *HELD: neither, for one came
 * meanwhile, or was just about to go. */
static JsonObject *
ask_once(Up *up, gboolean *held, GError **error)
{
    const LiveCall call = {.event = on_event, .user_data = up, .held = held};
    gboolean there = live_is_held(up->dir, up->name);
    *held = FALSE;
    int fd = there ? live_connect(up->dir, up->name, error) : start_supervisor(up, error);
    if (fd < 0) {
        *held = there;
        return NULL;
    }
    g_autoptr(GError) failure = NULL;
    JsonObject *answer = live_call(fd, make_order(up), &call, &failure);
    if (failure && failure->code == HB_INTERRUPTED)
        leave(up, fd);
    close(fd);
    if (!answer) {
        *held |=
            there && !live_is_held(up->dir, up->name) && failure->code != HB_INTERRUPTED;
        g_propagate_error(error, g_steal_pointer(&failure));
    }
    return answer;
}

static JsonObject *
ask(Up *up, GError **error)
{
    for (int i = 0;; i++) {
        gboolean held;
        g_autoptr(GError) failure = NULL;
        JsonObject *answer = ask_once(up, &held, &failure);
        if (answer || !held || i == TRIES) {
            if (!answer)
                g_propagate_error(error, g_steal_pointer(&failure));
            return answer;
        }
    }
}

/* ---- the lab
 * ----------------------------------------------------------------------------------------
 */

/* FALSE: a host of --hosts is none; *STATUS. */
static gboolean
check_hosts(const Up *up, const GPtrArray *plans, int *status)
{
    for (char **name = up->hosts; name && *name; name++) {
        gboolean found = FALSE;
        g_autoptr(GString) names = g_string_new(NULL);
        for (guint i = 0; i < plans->len; i++) {
            const Plan *plan = plans->pdata[i];
            found |= g_str_equal(plan->host_id, *name);
            g_string_append_printf(names, "%s%s", i > 0 ? ", " : "", plan->host_id);
        }
        if (found)
            continue;
        *status = cli_fail_with(HB_USAGE, "the lab has no host '%s'; it has: %s", *name,
                                names->str);
        return FALSE;
    }
    return TRUE;
}

/* A name is one of a folder, too. */
static gboolean
is_name(const char *name)
{
    return g_ascii_isalnum(*name) && strlen(name) <= 100 &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                        "0123456789._-") == strlen(name);
}

/* Whether what is up already was started by whom these options name, if they name one. */
static gboolean
is_started_by(const Up *up)
{
    g_autoptr(GPtrArray) labs = live_lab_read_all(NULL);
    const LiveLab *lab = labs ? live_name_lab(labs, up->name) : NULL;
    return !up->options->connect || !lab ||
           g_strcmp0(lab->connect, up->options->connect) == 0;
}

static int
bring_up(Up *up, const GPtrArray *plans)
{
    g_autoptr(GError) error = NULL;
    const Plan *first = plans->pdata[0];
    int status;
    up->name = g_strdup(up->options->name ? up->options->name : first->lab_name);
    if (!is_name(up->name))
        return cli_fail_with(HB_USAGE,
                             "'%s' is no name for a lab that is up: at most 100 letters, "
                             "digits, '.', '_' and '-'; --name gives it another",
                             up->name);
    if (!check_hosts(up, plans, &status))
        return status;
    for (guint i = 0; i < plans->len; i++)
        if (!cli_connect_check(up->options->connect, plans->pdata[i], &status))
            return status;
    up->dir = live_dir(TRUE, &error);
    g_autoptr(Findings) findings = findings_new();
    /* What is up needs them no more. */
    if (up->dir && !live_is_held(up->dir, up->name))
        cli_check_images(plans, FINDING_ERROR, findings);
    if (!findings_ok(findings))
        return cli_findings(findings);
    guint ticks = g_timeout_add(TICK_MS, on_tick, up);
    g_autoptr(JsonObject) answer = up->dir ? ask(up, &error) : NULL;
    g_source_remove(ticks);
    clear_progress(up);
    if (!answer)
        return cli_fail(error);
    JsonNode *already = json_object_get_member(answer, "already");
    if (already && json_node_get_boolean(already) && !is_started_by(up))
        return cli_fail_with(HB_USAGE,
                             "%s is up already, and not by libvirt at %s; 'hostbed down "
                             "%s' ends it",
                             up->name, up->options->connect, up->name);
    tell_up(up, already && json_node_get_boolean(already));
    return HB_OK;
}

static int
up_file(Up *up, const char *filename)
{
    int status;
    g_autoptr(GError) error = NULL;
    g_autofree char *file = g_canonicalize_filename(filename, NULL);
    g_autoptr(CliInterrupt) interrupt = cli_interrupt_new();
    g_autoptr(Findings) findings = findings_new();
    g_autoptr(GString) text = lab_read(filename, findings);
    if (!text)
        return g_cancellable_is_cancelled(g_cancellable_get_current())
                   ? HB_INTERRUPTED
                   : cli_findings(findings);
    up->file = file;
    up->digest =
        g_compute_checksum_for_string(G_CHECKSUM_SHA256, text->str, (gssize)text->len);
    g_autoptr(Emulator) emulator = cli_emulator(&up->options->machine, &error);
    if (!emulator)
        return cli_fail(error);
    up->emulator = absolute_program(emulator->binary);
    g_autoptr(GPtrArray) plans =
        cli_plan(filename, emulator, cli_connect_backend(up->options->connect), &status);
    status = plans ? bring_up(up, plans) : status;
    up->file = NULL;
    return status;
}

/* That it cannot be written is told here, and not by the supervisor, which writes it. */
static gboolean
check_trace(const UpOptions *options, const char *lab, int *status)
{
    const CliTrace in_file = {.file = options->trace.file};
    const CliFile files[] = {{"the lab", lab, FALSE},
                             {"--trace-qmp", options->trace.file, TRUE}};
    return cli_check_files(files, G_N_ELEMENTS(files), status) &&
           cli_trace_open(&in_file, TRUE, status);
}

int
cmd_up(int argc, char **argv)
{
    int status;
    g_auto(UpOptions) options = {0};
    g_autoptr(GError) error = NULL;
    if (!parse(&argc, &argv, &options, &status))
        return status;
    if (argc < 2)
        return cli_fail_with(HB_USAGE, "name a lab: hostbed up LAB [HOST…]");
    if (g_str_equal(argv[1], "-"))
        return cli_fail_with(HB_USAGE, "a lab that is to be up is a file, which may be "
                                       "read again; '-' is none");
    if (options.warm && template_store_maximum(&error) < 0)
        return cli_fail(error);
    if (!check_trace(&options, argv[1], &status))
        return status;
    signal(SIGPIPE, SIG_IGN);
    Up up = {.options = &options, .start_us = g_get_monotonic_time()};
    up.hosts = g_strdupv(argv + 2);
    status = up_file(&up, argv[1]);
    g_strfreev(up.hosts);
    g_free(up.doing);
    g_free(up.digest);
    g_free(up.name);
    g_free(up.emulator);
    g_free(up.dir);
    return status;
}
