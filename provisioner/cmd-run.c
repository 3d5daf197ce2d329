/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * hostbed run: one command in a throw-away host, as if it ran here. Its streams are ours,
 * its exit status is ours, and a signal for us is one for it.
 */
#include <errno.h>
#include <glib-unix.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "bind.h"
#include "boot.h"
#include "cli-program.h"
#include "cli.h"
#include "emit.h"
#include "log-dir.h"
#include "outbox.h"
#include "resources.h"
#include "schedule.h"
#include "template.h"
#include "template-store.h"
#include "wrap.h"

/* Who waits longer than this is told what for, if it is a person. */
#define PATIENCE_MS 2000
#define PROGRESS_MS 1000

typedef struct {
    CliMachine machine;
    CliProgram program;
    char *host, *log_dir;
    GStrv modules;
    double timeout_s;
    gboolean tty, capture, no_retry, warm, verbose;
} Options;

static void
options_clear(Options *options)
{
    cli_machine_clear(&options->machine);
    cli_program_clear(&options->program);
    g_free(options->host);
    g_free(options->log_dir);
    g_strfreev(options->modules);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Options, options_clear)

/* One call of this command. */
typedef struct {
    const Options *options;
    const char *const *argv;      /* of the command inside, as given */
    Bindings *bindings;           /* NULL until the lab is planned */
    Outbox *outbox;               /* of --out, or NULL */
    gint64 start_us, deadline_us; /* 0: none */
    Boot *boot;                   /* NULL until the host is up */
    GCancellable *interrupt;      /* ends the host */
    gboolean command_runs, command_was_signalled, timed_out;
    gboolean keep_logs; /* something happened that a person may want to understand */
    const char *doing;  /* for the progress line; static */
    gboolean progress_shown;
    struct termios terminal; /* as it was */
    gboolean terminal_is_raw;
} Session;

/* ---- progress
 * --------------------------------------------------------------------------------------
 */

static void
clear_progress(Session *session)
{
    if (session->progress_shown)
        fputs("\r\033[K", stderr);
    session->progress_shown = FALSE;
}

static gboolean
on_progress(gpointer user_data)
{
    Session *session = user_data;
    gint64 passed_us = g_get_monotonic_time() - session->start_us;
    if (passed_us < PATIENCE_MS * 1000LL || session->command_runs)
        return G_SOURCE_CONTINUE;
    fprintf(stderr, "\r\033[Khostbed: %s, %.0f s", session->doing,
            (double)passed_us / G_USEC_PER_SEC);
    session->progress_shown = TRUE;
    return G_SOURCE_CONTINUE;
}

static void
on_step(const char *what, gpointer user_data)
{
    Session *session = user_data;
    session->doing = what;
    if (session->options->verbose)
        fprintf(stderr, "hostbed: [%.3f s] %s\n",
                (double)(g_get_monotonic_time() - session->start_us) / G_USEC_PER_SEC,
                what);
}

/* ---- signals and deadlines
 * ----------------------------------------------------------------------------- */

/* The first Ctrl-C is for the command; who presses it again wants out. */
static gboolean
on_sigint(gpointer user_data)
{
    Session *session = user_data;
    if (session->command_runs && !session->command_was_signalled) {
        session->command_was_signalled = TRUE;
        guest_signal(session->boot->guest, SIGINT);
    } else {
        g_cancellable_cancel(session->interrupt);
    }
    return G_SOURCE_CONTINUE;
}

static gboolean
on_end_signal(gpointer user_data)
{
    Session *session = user_data;
    g_cancellable_cancel(session->interrupt);
    return G_SOURCE_CONTINUE;
}

static gboolean
on_resize(gpointer user_data)
{
    Session *session = user_data;
    struct winsize size;
    if (session->command_runs && ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0)
        guest_resize(session->boot->guest, size.ws_row, size.ws_col);
    return G_SOURCE_CONTINUE;
}

/* Once, when the command has just been started. */
static gboolean
on_first_size(gpointer user_data)
{
    on_resize(user_data);
    return G_SOURCE_REMOVE;
}

/* While the command runs, guest_run() keeps the time. */
static gboolean
on_deadline(gpointer user_data)
{
    Session *session = user_data;
    if (!session->command_runs) {
        session->timed_out = TRUE;
        g_cancellable_cancel(session->interrupt);
    }
    return G_SOURCE_REMOVE;
}

static guint
time_left_ms(const Session *session)
{
    gint64 left_us = session->deadline_us - g_get_monotonic_time();
    return (guint)CLAMP(left_us / 1000, 1, G_MAXINT);
}

/* ---- terminal
 * ---------------------------------------------------------------------------------------------
 */

/* Keys go to the command as they are: its own terminal, inside, makes Ctrl-C a signal. */
static void
make_raw(Session *session)
{
    if (!session->options->tty || tcgetattr(STDIN_FILENO, &session->terminal) != 0)
        return;
    struct termios raw = session->terminal;
    cfmakeraw(&raw);
    session->terminal_is_raw = tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) == 0;
}

static void
restore_terminal(Session *session)
{
    if (session->terminal_is_raw)
        tcsetattr(STDIN_FILENO, TCSADRAIN, &session->terminal);
    session->terminal_is_raw = FALSE;
}

/* ---- the command
 * --------------------------------------------------------------------------------------------
 */

/* --env, and TERM for a terminal. */
static GStrv
command_environment(const Options *options)
{
    g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
    g_auto(GStrv) asked = cli_program_environment(&options->program);
    const char *term = g_getenv("TERM");
    g_autofree char *term_word = g_strconcat("TERM=", term ? term : "dumb", NULL);
    if (options->tty)
        g_strv_builder_add(builder, term_word);
    g_strv_builder_addv(builder, (const char **)asked);
    return g_strv_builder_end(builder);
}

/* Binds what the command wants; its arguments and environment with what is then known. */
static gboolean
prepare_command(Session *session, GStrv *argv, GStrv *env, GError **error)
{
    g_auto(GStrv) asked = command_environment(session->options);
    if (session->bindings->asked > 0)
        on_step("binding functions", session);
    if (!wrap_bind(&session_boot_driver, session->boot, session->bindings, error) ||
        (session->outbox &&
         !wrap_prepare_out(&session_boot_driver, session->boot, error)))
        return FALSE;
    *argv = bindings_fill(session->bindings, session->argv, error);
    *env = wrap_environment(session->bindings, session->outbox != NULL,
                            (const char *const *)asked);
    return *argv != NULL;
}

static gboolean
run_command(Session *session, GuestExit *result, GError **error)
{
    g_auto(GStrv) argv = NULL;
    g_auto(GStrv) env = NULL;
    if (!prepare_command(session, &argv, &env, error))
        return FALSE;
    const GuestCommand command = {
        .argv = (const char *const *)argv,
        .cwd = session->options->program.chdir,
        .core_dumps = session->outbox != NULL,
        .env = (const char *const *)env,
        .tty = session->options->tty,
        .stdin_fd = STDIN_FILENO,
        .stdout_fd = STDOUT_FILENO,
        .stderr_fd = STDERR_FILENO,
        .timeout_ms = session->deadline_us ? time_left_ms(session) : 0,
    };
    clear_progress(session);
    session->command_runs = TRUE;
    make_raw(session);
    if (session->options->tty)
        g_idle_add(on_first_size, session);
    gboolean ok = guest_run(session->boot->guest, &command, result,
                            boot_cancellable(session->boot), error);
    restore_terminal(session);
    session->command_runs = FALSE;
    if (!ok)
        boot_explain(session->boot, error);
    return ok;
}

/* Brings the results. What the command said with its status outweighs that some are
 * missing. */
static void
collect(const Session *session, const GuestExit *result, GError **error)
{
    Outbox *outbox = session->outbox;
    if (!outbox)
        return;
    g_autoptr(GError) failure = NULL;
    gboolean ok = wrap_collect_out(&session_boot_driver, session->boot, outbox, &failure);
    g_autofree char *left = outbox_left(outbox);
    const GPtrArray *cores = outbox_cores(outbox);
    for (guint i = 0; i < cores->len; i++)
        fprintf(stderr, "hostbed: core dump: %s\n", (char *)cores->pdata[i]);
    if (left)
        fprintf(stderr, "hostbed: warning: %s\n", left);
    if (ok)
        return;
    if (result->status == 0 && !result->timed_out)
        g_propagate_error(error, g_steal_pointer(&failure));
    else
        fprintf(stderr, "hostbed: warning: %s\n", failure->message);
}

static void
report_boot(const Session *session)
{
    const Boot *boot = session->boot;
    const char *trouble;
    if (boot->retried)
        fprintf(stderr,
                "hostbed: warning: the host was started twice; the first time: %s\n",
                boot->retried);
    for (guint i = 0; (trouble = guest_hello_nth(boot->guest, "trouble", i)); i++)
        fprintf(stderr, "hostbed: warning: in the host: %s\n", trouble);
    if (session->options->verbose)
        fprintf(stderr, "hostbed: %s; kernel %s (%s); up after %.2f s; logs: %s\n",
                boot->accel->reason, boot->kernel->release, boot->kernel->origin,
                (double)boot->boot_us / G_USEC_PER_SEC, boot->log_dir);
}

/* RESULT may be NULL where there is an ERROR. */
static int
finish(Session *session, const GuestExit *result, const GError *error)
{
    clear_progress(session);
    double limit_s = session->options->timeout_s;
    if (session->timed_out)
        return cli_fail_with(HB_TIMEOUT,
                             "the host was not up within the %g s of --timeout", limit_s);
    if (error)
        return cli_fail(error);
    if (result->timed_out)
        return cli_fail_with(HB_TIMEOUT, "'%s' was ended after the %g s of --timeout",
                             session->argv[0], limit_s);
    return result->signal != 0 ? 128 + result->signal : result->status;
}

/* --module, and what --bind needs. */
static GStrv
wanted_modules(const Session *session)
{
    g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
    if (session->options->modules)
        g_strv_builder_addv(builder, (const char **)session->options->modules);
    if (session->bindings->asked > 0)
        g_strv_builder_add(builder, BIND_MODULE);
    return g_strv_builder_end(builder);
}

static void
tell_captured(const Plan *plan, const char *dir)
{
    g_autoptr(GPtrArray) networks = plan_networks(plan);
    for (guint i = 0; i < networks->len; i++) {
        g_autofree char *file = emit_capture_file(dir, networks->pdata[i]);
        fprintf(stderr, "hostbed: captured: %s\n", file);
    }
}

/* --capture of nothing is a mistake. */
static gboolean
check_capture(const Options *options, const Plan *plan, GError **error)
{
    g_autoptr(GPtrArray) networks = plan_networks(plan);
    if (!options->capture || networks->len > 0)
        return TRUE;
    g_set_error(error, HB_ERROR, HB_USAGE,
                "--capture: no NIC of the host '%s' is on a network; <nic network='…'> "
                "puts it on one",
                plan->host_id);
    return FALSE;
}

/* ---- templates
 * --------------------------------------------------------------------------------------
 */

/* Says what became of TEMPLATE (NULL: it is gone), and forgets it unless the TROUBLE,
 * which REASON says, passes. */
static void
give_up_kept(const Template *template, const char *trouble, const GError *reason)
{
    gboolean stays = template && template_store_is_passing(reason);
    fprintf(stderr, "hostbed: warning: the template that was kept %s: %s\n",
            stays ? "is not used this time" : "is thrown away, and made anew",
            trouble ? trouble : reason->message);
    if (template && !stays)
        template_forget(template);
}

/* A clone of the template that is kept. NULL: there is none that lives; without ERROR one
 * is to be made. */
static Boot *
clone_kept(Session *session, const BootOptions *options, GError **error)
{
    g_autofree char *trouble = NULL;
    g_autoptr(GError) reason = NULL;
    g_autoptr(Template) template = template_kept(options, NULL, &trouble);
    Boot *boot =
        template ? template_clone(template, options->log_dir, session->interrupt, &reason)
                 : NULL;
    if (boot || (!template && !trouble))
        return boot;
    if (reason && g_cancellable_is_cancelled(session->interrupt)) {
        g_propagate_error(error, g_steal_pointer(&reason));
        return NULL;
    }
    clear_progress(session);
    give_up_kept(template, trouble, reason);
    return NULL;
}

/* Makes a template of *BOOT and keeps it; *BOOT is then a clone of it. What cannot be
 * frozen or kept serves the command all the same. */
static void
freeze_and_keep(Session *session, Boot **boot, GError **error)
{
    g_autoptr(GError) reason = NULL;
    g_autofree char *log_dir = g_build_filename((*boot)->log_dir, "clone", NULL);
    on_step("keeping the template", session);
    g_autoptr(Template) template = template_freeze(boot, &reason);
    if (!template && !*boot) {
        g_propagate_error(error, g_steal_pointer(&reason));
        return;
    }
    if (!template || !template_keep(template, NULL, &reason)) {
        clear_progress(session);
        fprintf(stderr, "hostbed: warning: the host is not kept: %s\n", reason->message);
    }
    if (!template)
        return;
    mkdir(log_dir, 0700);
    *boot = template_clone(template, log_dir, session->interrupt, error);
}

static Boot *
boot_warm(Session *session, const BootOptions *options, GError **error)
{
    /* For any command, so that more of them find the same template. */
    BootOptions warm = *options;
    warm.tools = warm.freezable = warm.keep = TRUE;
    g_autoptr(GError) failure = NULL;
    on_step("looking for a template", session);
    Boot *boot = clone_kept(session, &warm, &failure);
    if (failure) {
        g_propagate_error(error, g_steal_pointer(&failure));
        return NULL;
    }
    if (boot)
        return boot;
    boot = boot_host(&warm, error);
    if (boot)
        freeze_and_keep(session, &boot, error);
    return boot;
}

/* ---- the host
 * --------------------------------------------------------------------------------------
 */

/* Boots PLAN and runs the command in it; the host is gone when this returns. */
static int
run_in_host(Session *session, const Plan *plan, const char *emulator, Accel accel,
            const char *log_dir)
{
    const Options *options = session->options;
    g_auto(GStrv) modules = wanted_modules(session);
    const char *const started[] = {session->argv[0], NULL};
    const BootOptions boot_options = {
        .plan = plan,
        .emulator = emulator,
        .accel = accel,
        .kernel = options->machine.kernel,
        .programs = (const char *const *)options->program.with,
        .copies = (const char *const *)options->program.copies,
        .commands = started,
        .folder = options->program.chdir,
        .modules = (const char *const *)modules,
        .tools = image_command_wants_tools(session->argv),
        .log_dir = log_dir,
        .capture = options->capture,
        .once = options->no_retry,
        .interrupt = session->interrupt,
        .step = on_step,
        .user_data = session,
    };
    GuestExit result = {0};
    g_autoptr(GError) error = NULL;
    session->boot = options->warm ? boot_warm(session, &boot_options, &error)
                                  : boot_host(&boot_options, &error);
    if (session->boot) {
        clear_progress(session);
        report_boot(session);
        session->keep_logs = session->boot->retried != NULL || options->capture;
        if (run_command(session, &result, &error))
            collect(session, &result, &error);
        if (options->capture)
            tell_captured(plan, session->boot->log_dir);
        g_clear_pointer(&session->boot, boot_free);
    }
    if (error ? error->code != HB_INTERRUPTED : result.timed_out)
        session->keep_logs = TRUE;
    return finish(session, &result, error);
}

/* ---- what is asked
 * ---------------------------------------------------------------------------------------------
 */

/* The host that --host names, or the only one; NULL: *STATUS is set. */
static const Plan *
choose_host(const GPtrArray *plans, const char *name, int *status)
{
    g_autoptr(GString) names = g_string_new(NULL);
    for (guint i = 0; i < plans->len; i++) {
        const Plan *plan = plans->pdata[i];
        if (name ? g_str_equal(plan->host_id, name) : plans->len == 1)
            return plan;
        g_string_append_printf(names, "%s%s", i > 0 ? ", " : "", plan->host_id);
    }
    if (name)
        *status = cli_fail_with(HB_USAGE, "the lab has no host '%s'; it has: %s", name,
                                names->str);
    else
        *status =
            cli_fail_with(HB_USAGE, "the lab has %u hosts; name one with --host: %s",
                          plans->len, names->str);
    return NULL;
}

static gboolean
parse_options(int *argc, char **argv, Options *options, Accel *accel, int *before,
              int *status)
{
    const GOptionEntry own[] = {
        {"host", 0, 0, G_OPTION_ARG_STRING, &options->host,
         "The host of the lab to use (default: the only one)", "NAME"},
        {"module", 0, 0, G_OPTION_ARG_STRING_ARRAY, &options->modules,
         "Load a kernel module in the host, with what it needs", "NAME"},
        {"tty", 't', 0, G_OPTION_ARG_NONE, &options->tty, "Give the command a terminal",
         NULL},
        {"timeout", 0, 0, G_OPTION_ARG_DOUBLE, &options->timeout_s,
         "End it after so long, boot included (status 4)", "SECONDS"},
        {"log-dir", 0, 0, G_OPTION_ARG_FILENAME, &options->log_dir,
         "Keep the host's logs in a new folder in DIR", "DIR"},
        {"capture", 0, 0, G_OPTION_ARG_NONE, &options->capture,
         "Keep what passes on the host's networks, NETWORK.pcap beside the logs", NULL},
        {"no-retry", 0, 0, G_OPTION_ARG_NONE, &options->no_retry,
         "A host that hangs when it is started is not started again", NULL},
        {"warm", 0, 0, G_OPTION_ARG_NONE, &options->warm,
         "Run in a clone of the template that is kept; make and keep one if need be",
         NULL},
        {"verbose", 'v', 0, G_OPTION_ARG_NONE, &options->verbose,
         "Tell on standard error what is being done", NULL},
        G_OPTION_ENTRY_NULL,
    };
    g_autofree GOptionEntry *entries = cli_program_entries(own, &options->program);
    if (!cli_parse_divided("run", argc, argv, entries, &options->machine, before, status))
        return FALSE;
    *accel = cli_accel(&options->machine);
    g_autoptr(GError) error = NULL;
    if (options->warm && template_store_maximum(&error) < 0) {
        *status = cli_fail(error);
        return FALSE;
    }
    if (!cli_program_check(&options->program, status))
        return FALSE;
    if (!(options->timeout_s >= 0 && options->timeout_s <= 1e6)) { /* nan is neither */
        *status =
            cli_fail_with(HB_USAGE, "--timeout takes seconds, from 0 (none) to 1000000");
        return FALSE;
    }
    return TRUE;
}

static void
watch_signals(Session *session)
{
    signal(SIGPIPE, SIG_IGN);
    g_unix_signal_add(SIGINT, on_sigint, session);
    g_unix_signal_add(SIGTERM, on_end_signal, session);
    cli_watch_signal(SIGHUP, on_end_signal, session);
    g_unix_signal_add(SIGWINCH, on_resize, session);
    if (!session->options->verbose && cli_rewrites_lines(STDERR_FILENO))
        g_timeout_add(PROGRESS_MS, on_progress, session);
    if (session->options->timeout_s > 0) {
        session->deadline_us =
            session->start_us + (gint64)(session->options->timeout_s * G_USEC_PER_SEC);
        g_timeout_add(time_left_ms(session), on_deadline, session);
    }
}

static int
run_with_log(Session *session, const Plan *plan, const char *emulator, Accel accel)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *name = g_strdup_printf("%s-%s", plan->lab_name, plan->host_id);
    LogDir *log_dir = log_dir_open(session->options->log_dir, name, &error);
    if (!log_dir)
        return cli_fail(error);
    int status = run_in_host(session, plan, emulator, accel, log_dir_path(log_dir));
    if (session->options->log_dir || session->keep_logs)
        status = cli_check_logs(log_dir_path(log_dir), session->options->log_dir != NULL,
                                status);
    log_dir_close(log_dir, session->keep_logs);
    return status;
}

/* Before anything is started: the machine would end the emulator, or swap for hours. */
static gboolean
check_memory(const Plan *plan, GError **error)
{
    g_autoptr(Resources) resources = resources_read("");
    const Schedule schedule = {.memory_bytes = resources->usable_bytes};
    return schedule_admit(&schedule, plan->lab_name, plan_memory_needed(plan), error);
}

/* What --bind means in PLAN. Place-holders of the command that nothing stands for are
 * told before anything is started. */
static Bindings *
bind_for_command(const Session *session, const Plan *plan, GError **error)
{
    g_autoptr(Bindings) bindings =
        bindings_new(plan, (const char *const *)session->options->program.bind, error);
    g_auto(GStrv) trial = bindings ? bindings_fill(bindings, session->argv, error) : NULL;
    return trial ? g_steal_pointer(&bindings) : NULL;
}

static int
run_lab(Session *session, const char *filename, Accel accel)
{
    const Options *options = session->options;
    int status;
    g_autoptr(GError) error = NULL;
    g_autoptr(Emulator) emulator = cli_emulator(&options->machine, &error);
    if (!emulator)
        return finish(session, NULL, error);
    g_autoptr(GPtrArray) plans = cli_plan(filename, emulator, PLAN_FOR_QEMU, &status);
    const Plan *plan = plans ? choose_host(plans, options->host, &status) : NULL;
    if (!plan && status == HB_INTERRUPTED) {
        g_set_error_literal(&error, HB_ERROR, HB_INTERRUPTED,
                            "interrupted while the lab was read");
        return finish(session, NULL, error);
    }
    if (!plan)
        return status;
    g_autoptr(Bindings) bindings = bind_for_command(session, plan, &error);
    if (!bindings || !check_capture(options, plan, &error) || !check_memory(plan, &error))
        return cli_fail(error);
    const char *out = options->program.out;
    g_autoptr(Outbox) outbox = out ? outbox_open(out, &error) : NULL;
    if (out && !outbox)
        return cli_fail(error);
    session->bindings = bindings;
    session->outbox = outbox;
    status = run_with_log(session, plan, emulator->binary, accel);
    session->bindings = NULL;
    session->outbox = NULL;
    return status;
}

/* Without "--" an option behind the command would be taken for one of ours. */
static gboolean
options_may_be_the_commands(char **argv)
{
    guint words = 0;
    gboolean option_behind = FALSE;
    for (char **arg = argv + 1; *arg; arg++) {
        if (g_str_equal(*arg, "--") || g_str_equal(*arg, "--help") ||
            g_str_equal(*arg, "-h"))
            return FALSE;
        option_behind = option_behind || (words >= 2 && **arg == '-');
        words += **arg != '-';
    }
    return option_behind;
}

int
cmd_run(int argc, char **argv)
{
    int status, before = 0;
    Accel accel;
    g_auto(Options) options = {0};
    gboolean ambiguous = options_may_be_the_commands(argv);
    if (!ambiguous && !parse_options(&argc, argv, &options, &accel, &before, &status))
        return status;
    if (ambiguous || before > 1)
        return cli_fail_with(HB_USAGE,
                             "put '--' before the command, so that its options "
                             "stay its own: hostbed run LAB -- COMMAND [ARGUMENT…]");
    /* A lab with a dash needs a "--" of its own: run -- -lab.xml -- COMMAND */
    int command = before == 0 && argc > 2 && strcmp(argv[2], "--") == 0 ? 3 : 2;
    if (argc <= command)
        return cli_fail_with(HB_USAGE, "name a lab and a command: "
                                       "hostbed run LAB -- COMMAND [ARGUMENT…]");
    if (*argv[command] == '\0')
        return cli_fail_with(HB_USAGE, "the command's name is empty");

    /* It keeps its place, so that is what it is called in the host. */
    g_autofree char *program =
        strchr(argv[command], '/') && g_file_test(argv[command], G_FILE_TEST_IS_REGULAR)
            ? g_canonicalize_filename(argv[command], NULL)
            : NULL;
    if (program)
        argv[command] = program;
    g_autoptr(GCancellable) interrupt = g_cancellable_new();
    Session session = {.options = &options,
                       .argv = (const char *const *)argv + command,
                       .start_us = g_get_monotonic_time(),
                       .interrupt = interrupt,
                       .doing = "reading the lab"};
    watch_signals(&session);
    g_cancellable_push_current(interrupt);
    status = run_lab(&session, argv[1], accel);
    g_cancellable_pop_current(interrupt);
    return status;
}
