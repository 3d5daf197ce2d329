/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cmd-run.h"

#include <stdio.h>
#include <unistd.h>

#include "boot-warm.h"
#include "emit.h"
#include "lab-boot.h"
#include "wrap.h"

/* ---- the command
 * --------------------------------------------------------------------------------------------
 */

/* Binds what the command wants; its arguments and environment with what is then known. */
static gboolean
prepare_command(RunSession *session, GStrv *argv, GStrv *env, GError **error)
{
    g_auto(GStrv) asked = run_environment(session->options);
    if (session->bindings->asked > 0)
        run_step("binding functions", session);
    if (!wrap_bind(&session_single_driver, session->boot, session->bindings, error) ||
        (session->outbox &&
         !wrap_prepare_out(&session_single_driver, session->boot, error)))
        return FALSE;
    *argv = bindings_fill(session->bindings, session->argv, error);
    *env = wrap_environment(session->bindings, session->outbox != NULL,
                            (const char *const *)asked);
    return *argv != NULL;
}

static gboolean
run_command(RunSession *session, GuestExit *result, GError **error)
{
    g_auto(GStrv) argv = NULL;
    g_auto(GStrv) env = NULL;
    if (!prepare_command(session, &argv, &env, error))
        return FALSE;
    GuestCommand command = {
        .argv = (const char *const *)argv,
        .cwd = session->options->program.chdir,
        .core_dumps = session->outbox != NULL,
        .env = (const char *const *)env,
        .tty = session->options->tty,
        .stdin_fd = STDIN_FILENO,
        .stdout_fd = STDOUT_FILENO,
        .stderr_fd = STDERR_FILENO,
        .timeout_ms = session->deadline_us ? run_time_left_ms(session) : 0,
    };
    run_clear_progress(session);
    session->command_runs = TRUE;
    run_make_raw(session);
    run_first_size(&command);
    gboolean ok = guest_run(session->boot->guest, &command, result,
                            boot_cancellable(session->boot), error);
    run_restore_terminal(session);
    session->command_runs = FALSE;
    if (!ok)
        boot_explain(session->boot, error);
    return ok;
}

/* Brings the results. What the command said with its status outweighs that some are
 * missing. */
static void
collect(const RunSession *session, const GuestExit *result, GError **error)
{
    Outbox *outbox = session->outbox;
    if (!outbox)
        return;
    g_autoptr(GError) failure = NULL;
    gboolean ok =
        wrap_collect_out(&session_single_driver, session->boot, outbox, &failure);
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
report_boot(const RunSession *session)
{
    const Boot *boot = session->boot;
    const char *trouble;
    if (boot->retried)
        fprintf(stderr,
                "hostbed: warning: the host was started twice; the first time: %s\n",
                boot->retried);
    for (guint i = 0; (trouble = guest_hello_nth(boot->guest, "trouble", i)); i++)
        fprintf(stderr, "hostbed: warning: in the host: %s\n", trouble);
    if (!session->options->verbose)
        return;
    fprintf(stderr, "hostbed: %s; kernel %s (%s); up after %.2f s\n", boot->accel->reason,
            boot->kernel->release, boot->kernel->origin,
            (double)boot->boot_us / G_USEC_PER_SEC);
    /* Of others it is not known yet whether they stay. */
    if (session->keep_logs || session->options->log_dir)
        fprintf(stderr, "hostbed: logs: %s\n", boot->log_dir);
}

int
run_finish(RunSession *session, const GuestExit *result, const GError *error)
{
    run_clear_progress(session);
    double limit_s = session->options->timeout_s;
    g_autofree char *logs =
        session->log_dir ? g_strconcat("; logs: ", session->log_dir, NULL) : g_strdup("");
    if (session->timed_out)
        return cli_fail_with(HB_TIMEOUT,
                             "the host was not up within the %g s of --timeout%s",
                             limit_s, logs);
    if (error && error->code == HB_INTERRUPTED && session->options->ends_silently)
        return HB_INTERRUPTED;
    if (error)
        return cli_fail(error);
    if (result->timed_out)
        return cli_fail_with(HB_TIMEOUT, "'%s' was ended after the %g s of --timeout%s",
                             session->argv[0], limit_s, logs);
    return result->signal != 0 ? 128 + result->signal : result->status;
}

/* --module, and what --bind needs. */
static GStrv
wanted_modules(const RunSession *session)
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

static void
tell_warm(BootWarmKind kind, const char *text, gpointer user_data)
{
    RunSession *session = user_data;
    gboolean is_warning = kind == BOOT_WARM_WARNING;
    if (!is_warning && !session->options->verbose && !isatty(STDERR_FILENO))
        return;
    run_clear_progress(session);
    fprintf(stderr, "hostbed: %s%s\n", is_warning ? "warning: " : "", text);
}

/* What leads out of the host's networks belongs to them as one. */
static Boot *
boot_led_out(RunSession *session, const BootOptions *options, LabBoot **lab,
             GError **error)
{
    if (session->options->warm)
        tell_warm(BOOT_WARM_NOTE, "no template, since its networks lead out", session);
    *lab = lab_boot(options, NULL, error);
    return *lab ? lab_boot_own(*lab) : NULL;
}

/* ---- the host
 * --------------------------------------------------------------------------------------
 */

void
run_host_init(RunHost *host, const RunSession *session, const Plan *plan,
              const char *emulator, Accel accel)
{
    const RunOptions *options = session->options;
    host->modules = wanted_modules(session);
    host->commands[0] = session->argv[0];
    host->commands[1] = NULL;
    host->boot = (BootOptions){
        .plan = plan,
        .emulator = emulator,
        .connect = options->connect,
        .accel = accel,
        .kernel = options->machine.kernel,
        .programs = (const char *const *)options->program.with,
        .copies = (const char *const *)options->program.copies,
        .commands = host->commands,
        .folder = options->program.chdir,
        .modules = (const char *const *)host->modules,
        .tools = session->argv[0] && image_command_wants_tools(session->argv),
        .capture = options->capture,
        .once = options->no_retry,
        .interrupt = session->interrupt,
    };
}

void
run_host_clear(RunHost *host)
{
    g_clear_pointer(&host->modules, g_strfreev);
}

int
run_in_host(RunSession *session, const Plan *plan, const char *emulator, Accel accel,
            const char *log_dir)
{
    const RunOptions *options = session->options;
    g_auto(RunHost) host = {0};
    run_host_init(&host, session, plan, emulator, accel);
    host.boot.log_dir = log_dir;
    host.boot.step = run_step;
    host.boot.user_data = session;
    GuestExit result = {0};
    g_autoptr(GError) error = NULL;
    LabBoot *lab = NULL;
    if (plan->uplinks->len > 0)
        session->boot = boot_led_out(session, &host.boot, &lab, &error);
    else
        session->boot = options->warm ? boot_warm(&host.boot, tell_warm, &error)
                                      : boot_host(&host.boot, &error);
    if (session->boot) {
        session->guest = session->boot->guest;
        run_clear_progress(session);
        session->keep_logs = session->boot->retried != NULL || options->capture;
        report_boot(session);
        if (run_command(session, &result, &error))
            collect(session, &result, &error);
        if (options->capture)
            tell_captured(plan, session->boot->log_dir);
        if (lab)
            session->boot = NULL;
        else
            g_clear_pointer(&session->boot, boot_free);
        lab_boot_free(lab);
    }
    if (error ? error->code != HB_INTERRUPTED : result.timed_out)
        session->keep_logs = TRUE;
    return run_finish(session, &result, error);
}
