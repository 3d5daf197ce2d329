/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The process that runs one host, or several one after the other, what happens told to
 * whoever started us. SIGTERM ends it in order: the host first, then the last line.
 */
#include "cmd-test-worker.h"

#include <fcntl.h>
#include <glib-unix.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "bind.h"
#include "cli-connect.h"
#include "emit.h"
#include "lab-boot.h"
#include "log-dir.h"
#include "memory-file.h"
#include "qmp-trace.h"
#include "session.h"

/* Should the orderly end hang, this ends us, and the emulator with us. */
#define END_SECONDS 20

static gboolean
on_signal(gpointer interrupt)
{
    alarm(END_SECONDS);
    g_cancellable_cancel(interrupt);
    return G_SOURCE_CONTINUE;
}

static void
on_started(const void *host, gpointer user_data)
{
    const TestWorker *worker = user_data;
    const Boot *boot = lab_boot_own(host);
    g_autofree char *emulator = g_strdup_printf("QEMU %s (%s)", worker->emulator->version,
                                                worker->emulator->binary);
    g_autofree char *accel =
        g_strdup_printf("%s: %s", accel_name(boot->accel->accel), boot->accel->reason);
    const JobFacts facts = {
        .emulator = emulator,
        .accel = accel,
        .kernel = boot->kernel->release,
        .log_dir = worker->log_dir,
    };
    job_tell_facts(worker->options->worker_fd, &facts);
}

static void
on_frozen(gboolean cold, const char *how, gpointer user_data)
{
    const TestWorker *worker = user_data;
    const JobFacts facts = {.cold = cold ? how : NULL, .template = cold ? NULL : how};
    job_tell_facts(worker->options->worker_fd, &facts);
}

static void
on_step(const char *what, gpointer user_data)
{
    const TestWorker *worker = user_data;
    job_tell_step(worker->options->worker_fd, what);
}

static void
on_results(const GPtrArray *results, gpointer user_data)
{
    const TestWorker *worker = user_data;
    job_tell_results(worker->options->worker_fd, results);
}

/* const Suite *, of the units that are HOST's. */
static GPtrArray *
suites_of(const TestOptions *options, const char *host)
{
    GPtrArray *list = g_ptr_array_new();
    g_autofree char *prefix = g_strconcat(host, "/", NULL);
    for (guint i = 0; options->worker_units && options->worker_units[i]; i++) {
        if (!g_str_has_prefix(options->worker_units[i], prefix))
            continue;
        const char *name = options->worker_units[i] + strlen(prefix);
        const Suite *suite = suite_find(name);
        if (!suite)
            suite = suite_find_in(options->foreign, name);
        if (suite)
            g_ptr_array_add(list, (gpointer)suite);
    }
    return list;
}

static char *
manifest_for(const TestOptions *options, const Plan *plan, GError **error)
{
    char *text = NULL;
    if (options->manifest)
        return g_file_get_contents(options->manifest, &text, NULL, error) ? text : NULL;
    GString *out = g_string_new(NULL);
    emit_manifest(plan, out);
    return g_string_free(out, FALSE);
}

SessionOptions
test_session_for(const TestOptions *options, const Plan *plan, const char *emulator)
{
    return (SessionOptions){
        .plan = plan,
        .driver = &session_boot_driver,
        .emulator = emulator,
        .connect = options->connect,
        .accel = options->accel,
        .kernel = options->machine.kernel,
        .modules = (const char *const *)options->modules,
        .extra_args = (const char *const *)options->extra_args,
        .programs = (const char *const *)options->program.with,
        .copies = (const char *const *)options->program.copies,
        .folder = options->program.chdir,
        .prepare = options->prepare,
        .capture = options->capture,
        .keep = options->keep,
    };
}

/* A session of one host, with logs in a folder of its own. */
static HbStatus
run_session(TestWorker *worker, SessionOptions *session, GError **error)
{
    const TestOptions *options = worker->options;
    g_autofree char *name =
        g_strdup_printf("%s-%s", options->worker_name, session->plan->host_id);
    LogDir *logs = log_dir_open(options->log_dir, name, error);
    if (!logs)
        return HB_INFRASTRUCTURE;
    session->log_dir = worker->log_dir = log_dir_path(logs);
    job_tell_facts(options->worker_fd, &(JobFacts){.log_dir = worker->log_dir});
    g_autoptr(JobOrders) orders = NULL;
    if (options->worker_jobs && worker->lab_fd >= 0) {
        session->jobs = &test_jobs;
        orders = job_orders_new(options->worker_fd, test_hear_places, worker);
    }
    HbStatus status = session_run(session);
    /* Where nothing was started there is nothing to read; rmdir() leaves what is. */
    if (rmdir(worker->log_dir) == 0)
        job_tell_facts(options->worker_fd, &(JobFacts){.log_dir = ""});
    worker->log_dir = NULL;
    log_dir_close(logs, TRUE);
    return status;
}

static HbStatus
run_host(TestWorker *worker, const Plan *plan, const Plan *machine,
         const GPtrArray *machines, const Selection *selection, GCancellable *interrupt,
         GError **error)
{
    const TestOptions *options = worker->options;
    g_autoptr(GPtrArray) list = suites_of(options, plan->host_id);
    if (list->len == 0)
        return HB_OK;
    g_autoptr(Bindings) bindings =
        bindings_new(plan, (const char *const *)options->program.bind, error);
    if (!bindings)
        return HB_INFRASTRUCTURE;
    g_auto(GStrv) env = cli_program_environment(&options->program);
    g_autofree char *folder =
        g_strdup_printf("%s-%s", options->worker_name, plan->host_id);
    g_autofree char *out = options->program.out
                               ? g_build_filename(options->program.out, folder, NULL)
                               : NULL;
    g_autofree char *manifest = manifest_for(options, plan, error);
    if (!manifest)
        return HB_INFRASTRUCTURE;
    g_autoptr(GPtrArray) peers = plan_peers(machine, machines);
    SessionOptions session = test_session_for(options, machine, worker->emulator->binary);
    session.peers = peers;
    session.lab = options->worker_name;
    session.manifest = manifest;
    session.env = (const char *const *)env;
    session.bindings = bindings;
    session.out = out;
    session.suites = list;
    session.selection = selection;
    session.retries = (guint)options->retry;
    session.case_timeout_ms =
        options->case_timeout < 0 ? -1 : (gint64)(options->case_timeout * 1000);
    session.once = options->no_retry;
    session.no_skip = options->no_skip;
    session.even_if_different = options->even_if_different;
    session.isolation = options->isolation;
    session.cold = options->cold || options->connect;
    session.check_clones = options->check_clones;
    session.deadline_us = options->deadline_us;
    session.interrupt = interrupt;
    session.started = on_started;
    session.step = on_step;
    session.frozen = on_frozen;
    session.results = on_results;
    session.user_data = worker;
    if (options->connect && list->len > 1)
        on_frozen(TRUE, "libvirt starts it (--connect)", worker);
    return options->worker_template >= 0 ? test_run_units(worker, &session, error)
                                         : run_session(worker, &session, error);
}

static const Plan *
plan_of_host(const GPtrArray *plans, const char *host)
{
    for (guint i = 0; i < plans->len; i++) {
        const Plan *plan = plans->pdata[i];
        if (g_str_equal(plan->host_id, host))
            return plan;
    }
    return plans->pdata[0];
}

/* Findings were printed by whoever started us. PATH: where to read it, if not in
 * FILENAME. *KEPT, unless NULL: of a file with the text, or -1. */
static GPtrArray *
plan_quietly(const TestWorker *worker, const char *filename, const char *path, int *kept,
             GError **error)
{
    g_autoptr(Findings) findings = findings_new();
    g_autoptr(GString) text = lab_read(path ? path : filename, findings);
    /* For processes of units, which plan what we did; without it there are none. */
    if (text && kept)
        *kept = memory_file_new("lab", text->str, text->len, NULL);
    g_autoptr(Lab) lab =
        text ? lab_parse_text(text->str, text->len, filename, findings) : NULL;
    PlanBackend backend = cli_connect_backend(worker->options->connect);
    GPtrArray *plans =
        lab ? plan_lab(lab, worker->emulator, NULL, backend, findings) : NULL;
    if (!plans) {
        g_autofree char *why = findings_to_text(findings);
        g_set_error(error, HB_ERROR, HB_USAGE, "%s cannot be planned: %s", filename, why);
    }
    return plans;
}

static HbStatus
run_hosts(TestWorker *worker, const char *filename, GCancellable *interrupt,
          GError **error)
{
    const TestOptions *options = worker->options;
    g_autoptr(GPtrArray) plans =
        plan_quietly(worker, filename, options->worker_lab,
                     options->worker_jobs ? &worker->lab_fd : NULL, error);
    g_autoptr(Selection) selection =
        plans ? selection_new((const char *const *)options->patterns, error) : NULL;
    if (!selection)
        return HB_INFRASTRUCTURE;
    g_autoptr(GPtrArray) machines = NULL;
    if (options->started_as) {
        machines = plan_quietly(worker, options->started_as, NULL, NULL, error);
        if (!machines)
            return HB_INFRASTRUCTURE;
    }
    HbStatus worst = HB_OK;
    for (guint i = 0; i < plans->len && worst != HB_INTERRUPTED; i++) {
        const Plan *plan = plans->pdata[i];
        const Plan *machine = machines ? plan_of_host(machines, plan->host_id) : plan;
        HbStatus status = run_host(worker, plan, machine, machines ? machines : plans,
                                   selection, interrupt, error);
        if (*error)
            return status;
        worst = outcome_worst_status(worst, status);
    }
    return worst;
}

int
test_worker(const TestOptions *options, const char *filename)
{
    int unopened;
    fcntl(options->worker_fd, F_SETFD, FD_CLOEXEC);
    /* Who started us has begun the trace, and would have told that it cannot be. */
    cli_trace_open(&options->trace, FALSE, &unopened);
    qmp_trace_call_lab(options->worker_name);
    g_autoptr(GCancellable) interrupt = g_cancellable_new();
    g_unix_signal_add(SIGTERM, on_signal, interrupt);
    g_unix_signal_add(SIGINT, on_signal, interrupt);
    g_cancellable_push_current(interrupt);
    g_autoptr(GError) error = NULL;
    g_autoptr(Emulator) emulator = cli_emulator(&options->machine, &error);
    TestWorker worker = {
        .options = options, .emulator = emulator, .lab_fd = -1, .places = {.may = 1}};
    HbStatus status =
        emulator ? run_hosts(&worker, filename, interrupt, &error) : HB_INFRASTRUCTURE;
    if (error) {
        g_autoptr(GPtrArray) results = case_results_new();
        CaseResult *result =
            case_result_new("-", SESSION_HOST_SUITE, "worker", outcome_from_error(error));
        case_result_set_message(result, "%s", error->message);
        g_ptr_array_add(results, result);
        job_tell_results(options->worker_fd, results);
    }
    g_cancellable_pop_current(interrupt);
    if (worker.lab_fd >= 0)
        close(worker.lab_fd);
    job_tell_end(options->worker_fd, status);
    return HB_OK;
}
