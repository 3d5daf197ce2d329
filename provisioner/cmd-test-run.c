/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Runs hosts, each in a process of its own, as many at a time as may be. What comes
 * of them is gathered and told.
 */
#include "cmd-test-run.h"

#include <errno.h>
#include <glib-unix.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "log-dir.h"
#include "resources.h"

/* Workers end by themselves at the deadline; one that does not is ended. */
#define DEADLINE_GRACE_MS 30000

/* ---- labs
 * ---------------------------------------------------------------------------------------------
 */

static gboolean start_hosts(Run *run);

/* The report of LAB, made anew of its hosts' parts. */
static void
gather(TestLab *lab)
{
    g_autoptr(GPtrArray) parts = g_ptr_array_new();
    for (guint i = 0; i < lab->hosts->len; i++)
        g_ptr_array_add(parts, ((TestHost *)lab->hosts->pdata[i])->part);
    report_gather(lab->report, parts);
    if (lab->report->started_us)
        lab->report->duration_us = g_get_real_time() - lab->report->started_us;
}

static void
add_failure(Run *run, Report *report, const char *host, const char *name, Outcome outcome,
            const char *message)
{
    CaseResult *result = case_result_new(host, "host", name, outcome);
    case_result_set_message(result, "%s", message);
    g_ptr_array_add(report->results, result);
    run_print_cases(run, report, report->results->len - 1);
}

/* No result, or none but skips of what was asked for by name: nothing was tested. */
static void
refuse_silence(Run *run, TestLab *lab)
{
    if (!lab->report->complete || report_outcome(lab->report) != OUTCOME_FAIL ||
        report_count(lab->report).failed > 0)
        return;
    add_failure(run, lab->report, "-", "tests were run", OUTCOME_FAIL,
                lab->report->results->len > 0 ? "all that was selected was skipped"
                                              : "no test was run");
}

/* HOST will do no more; the last one ends its lab. */
static void
end_host(Run *run, TestLab *lab, TestHost *host)
{
    host->done = lab->done = TRUE;
    for (guint i = 0; i < lab->hosts->len; i++)
        lab->done &= ((const TestHost *)lab->hosts->pdata[i])->done;
    gather(lab);
    if (lab->done)
        refuse_silence(run, lab);
}

/* HOST is not started. */
static void
fail_host(Run *run, TestLab *lab, TestHost *host, Outcome outcome, const char *message)
{
    add_failure(run, host->part, host->id, "start", outcome, message);
    host->part->complete = TRUE;
    end_host(run, lab, host);
}

static TestHost *
host_of(const Run *run, const Job *job, TestLab **lab)
{
    for (guint i = 0; i < run->labs->len; i++) {
        *lab = run->labs->pdata[i];
        for (guint j = 0; j < (*lab)->hosts->len; j++) {
            TestHost *host = (*lab)->hosts->pdata[j];
            if (host->job == job)
                return host;
        }
    }
    g_assert_not_reached();
}

static void
on_step(Job *job, const char *what, gpointer user_data)
{
    Run *run = user_data;
    TestLab *lab;
    const TestHost *host = host_of(run, job, &lab);
    g_free(run->activity);
    run->activity = lab->hosts->len > 1
                        ? g_strdup_printf("%s/%s: %s", lab->name, host->id, what)
                        : g_strdup_printf("%s: %s", lab->name, what);
    if (run->options->verbose) {
        run_clear_line(run);
        fprintf(stderr, "hostbed: %s\n", run->activity);
    }
    run_show_line(run);
}

/* That a host will be no clone is of interest to who waits for it now. */
static void
on_facts(Job *job, gpointer user_data)
{
    Run *run = user_data;
    TestLab *lab;
    TestHost *host = host_of(run, job, &lab);
    gboolean more = host->part->template && run->options->verbose;
    if (run->options->quiet || !(host->part->cold || more))
        return;
    char *line = run_template_line(lab, host);
    if (g_strcmp0(line, host->told) != 0) {
        run_clear_line(run);
        fputs(line, stderr);
        run_show_line(run);
    }
    g_free(host->told);
    host->told = line;
}

/* What a process tells of itself is of no host by name; two of a lab may do so. */
static void
name_host(CaseResult *result, const TestHost *host)
{
    if (!g_str_equal(result->host, "-"))
        return;
    g_free(result->host);
    result->host = g_strdup(host->id);
}

static void
on_results(Job *job, guint first, gpointer user_data)
{
    Run *run = user_data;
    TestLab *lab;
    const TestHost *host = host_of(run, job, &lab);
    for (guint i = first; i < host->part->results->len; i++)
        name_host(host->part->results->pdata[i], host);
    run_print_cases(run, host->part, first);
    gather(lab);
    run_save_reports(run, FALSE);
    run_show_line(run);
}

static gboolean
all_done(const Run *run)
{
    for (guint i = 0; i < run->labs->len; i++) {
        if (!((TestLab *)run->labs->pdata[i])->done)
            return FALSE;
    }
    return TRUE;
}

static gboolean
on_job_idle(gpointer job)
{
    job_free(job);
    return G_SOURCE_REMOVE;
}

static void
on_ended(Job *job, gpointer user_data)
{
    Run *run = user_data;
    TestLab *lab;
    TestHost *host = host_of(run, job, &lab);
    host->job = NULL;
    run_take_places(run, host, &(JobPlaces){0});
    schedule_leave(&run->schedule, host->memory_bytes);
    end_host(run, lab, host);
    g_idle_add(on_job_idle, job); /* it still is on the stack */
    run_save_reports(run, FALSE);
    start_hosts(run);
}

static void
on_places(Job *job, const JobPlaces *places, gpointer user_data)
{
    Run *run = user_data;
    TestLab *lab;
    run_take_places(run, host_of(run, job, &lab), places);
    start_hosts(run);
}

static const JobWatch watch = {.step = on_step,
                               .results = on_results,
                               .facts = on_facts,
                               .places = on_places,
                               .ended = on_ended};

static void
start_host(Run *run, TestLab *lab, TestHost *host)
{
    g_auto(GStrv) argv = test_worker_command(run->options, lab, host);
    g_autoptr(GError) error = NULL;
    host->part->started_us = g_get_real_time();
    if (!lab->begun)
        lab->report->started_us = host->part->started_us;
    lab->begun = TRUE;
    host->allowed = 1;
    host->job = job_start((const char *const *)argv, NULL, host->part,
                          run->options->verbose, &watch, run, &error);
    if (!host->job) {
        schedule_leave(&run->schedule, host->memory_bytes);
        fail_host(run, lab, host, OUTCOME_INFRASTRUCTURE, error->message);
    }
}

static void
start_if_possible(Run *run, TestLab *lab, TestHost *host)
{
    gboolean late = run->deadline_us && g_get_monotonic_time() >= run->deadline_us;
    if (host->done || host->job)
        return;
    if (run->interrupts > 0) {
        host->part->status = HB_INTERRUPTED;
        end_host(run, lab, host);
    } else if (late) {
        fail_host(run, lab, host, OUTCOME_TIMEOUT,
                  "not run: the deadline of the run had passed");
    } else if (schedule_enter(&run->schedule, host->memory_bytes)) {
        start_host(run, lab, host);
    }
}

/* Starts what may run now; FALSE, and the end of the main loop, when all is done. */
static gboolean
start_hosts(Run *run)
{
    for (guint i = 0; i < run->labs->len; i++) {
        TestLab *lab = run->labs->pdata[i];
        for (guint j = 0; j < lab->hosts->len; j++)
            start_if_possible(run, lab, lab->hosts->pdata[j]);
    }
    run_share_places(run);
    run_show_line(run);
    if (!all_done(run))
        return TRUE;
    g_main_loop_quit(run->loop);
    return FALSE;
}

/* ---- ends
 * ------------------------------------------------------------------------------------------------
 */

static void
signal_jobs(const Run *run, int signal_number)
{
    for (guint i = 0; i < run->labs->len; i++) {
        const TestLab *lab = run->labs->pdata[i];
        for (guint j = 0; j < lab->hosts->len; j++) {
            const TestHost *host = lab->hosts->pdata[j];
            if (host->job)
                job_signal(host->job, signal_number);
        }
    }
}

/* The first asks the workers to end in order, the second ends them. */
static gboolean
on_signal(gpointer user_data)
{
    Run *run = user_data;
    run->interrupts++;
    if (!run->options->quiet && run->interrupts == 1) {
        run_clear_line(run);
        fputs("hostbed: interrupted, ending the hosts\n", stderr);
    }
    signal_jobs(run, run->interrupts == 1 ? SIGTERM : SIGKILL);
    start_hosts(run);
    return G_SOURCE_CONTINUE;
}

static gboolean
on_overdue(gpointer user_data)
{
    signal_jobs(user_data, SIGKILL);
    return G_SOURCE_CONTINUE;
}

/* What never fits is a failure of its host at once; the others run. */
static void
admit_host(Run *run, TestLab *lab, TestHost *host)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *name = lab->hosts->len > 1
                                ? g_strdup_printf("%s/%s", lab->name, host->id)
                                : g_strdup(lab->name);
    if (schedule_admit(&run->schedule, name, host->memory_bytes, &error))
        return;
    fprintf(stderr, "hostbed: %s\n", error->message);
    fail_host(run, lab, host, OUTCOME_INFRASTRUCTURE, error->message);
}

static void
admit_hosts(Run *run)
{
    for (guint i = 0; i < run->labs->len; i++) {
        TestLab *lab = run->labs->pdata[i];
        for (guint j = 0; j < lab->hosts->len; j++)
            admit_host(run, lab, lab->hosts->pdata[j]);
    }
}

/* Once: the logs of all hosts are on one disk. */
static HbStatus
check_logs(const Run *run, HbStatus status)
{
    for (guint i = 0; i < run->labs->len; i++) {
        const TestLab *lab = run->labs->pdata[i];
        for (guint j = 0; j < lab->hosts->len; j++) {
            const char *path = ((const TestHost *)lab->hosts->pdata[j])->part->log_dir;
            g_autofree char *lost = path ? log_dir_lost(path) : NULL;
            if (lost)
                return (HbStatus)cli_check_logs(path, run->options->log_dir != NULL,
                                                (int)status);
        }
    }
    return status;
}

static int
finish(Run *run)
{
    run_clear_line(run);
    HbStatus status = HB_OK;
    for (guint i = 0; i < run->reports->len; i++)
        status = outcome_worst_status(status, report_status(run->reports->pdata[i]));
    run_save_reports(run, TRUE);
    g_autoptr(GString) text = g_string_new(NULL);
    report_tap_end(run->reports, run->tap_count, text);
    run_print_tap(run, text);
    if (!run->options->quiet)
        run_print_summary(run);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        status = outcome_worst_status(
            status,
            (HbStatus)cli_fail_with(HB_INFRASTRUCTURE, "standard output is not whole: %s",
                                    g_strerror(errno)));
        clearerr(stdout); /* told */
    }
    status = check_logs(run, status);
    if (run->save_error)
        status = outcome_worst_status(status, (HbStatus)cli_fail(run->save_error));
    return (int)(run->interrupts ? HB_INTERRUPTED : status);
}

static void
run_loop(Run *run)
{
    guint sources[] = {
        g_unix_signal_add(SIGINT, on_signal, run),
        g_unix_signal_add(SIGTERM, on_signal, run),
        cli_watch_signal(SIGHUP, on_signal, run),
    };
    guint overdue = 0;
    if (run->deadline_us) {
        gint64 left_ms = (run->deadline_us - run->started_us) / 1000 + DEADLINE_GRACE_MS;
        overdue = g_timeout_add((guint)CLAMP(left_ms, 0, G_MAXINT), on_overdue, run);
    }
    if (start_hosts(run))
        g_main_loop_run(run->loop);
    for (guint i = 0; i < G_N_ELEMENTS(sources); i++)
        g_clear_handle_id(&sources[i], g_source_remove);
    if (overdue)
        g_source_remove(overdue);
    while (g_main_context_iteration(NULL, FALSE))
        ; /* jobs that are still to be released */
}

static guint
count_expected(const GPtrArray *labs, const Selection *selection)
{
    guint expected = 0;
    for (guint i = 0; i < labs->len; i++) {
        const TestLab *lab = labs->pdata[i];
        for (guint j = 0; j < lab->units->len; j++)
            expected += selection_count(selection, lab->units->pdata[j]);
    }
    return expected;
}

static void
set_up(Run *run)
{
    const TestOptions *options = run->options;
    g_autoptr(Resources) resources = resources_read("");
    run->started_us = g_get_monotonic_time();
    run->deadline_us = options->deadline_us;
    run->tap = test_streams(options) == 0;
    run->status_line = cli_rewrites_lines(STDERR_FILENO) && !options->quiet &&
                       !options->verbose && !cli_trace_is_on_terminal(&options->trace);
    run->colour = cli_colour(STDERR_FILENO);
    run->schedule =
        (Schedule){.places = options->jobs > 0 ? (guint)options->jobs : resources->cpus,
                   .memory_bytes = resources->usable_bytes};
    gint64 now_us = g_get_real_time();
    for (guint i = 0; i < run->labs->len; i++) {
        Report *report = ((TestLab *)run->labs->pdata[i])->report;
        report->started_us = now_us; /* until its first host is started */
        g_ptr_array_add(run->reports, report);
    }
}

int
test_run(const TestOptions *options, GPtrArray *labs, const Selection *selection)
{
    g_autoptr(GPtrArray) reports = g_ptr_array_new();
    g_autoptr(GMainLoop) loop = g_main_loop_new(NULL, FALSE);
    Run run = {.options = options, .labs = labs, .reports = reports, .loop = loop};
    set_up(&run);
    run.expected = count_expected(labs, selection);
    run_save_reports(&run, FALSE);
    /* A report that cannot be written is known before the hours of a run, not after. */
    if (run.save_error) {
        int status = cli_fail(run.save_error);
        g_clear_error(&run.save_error);
        return status;
    }
    run_print_start(&run);
    admit_hosts(&run);
    run_loop(&run);
    int status = finish(&run);
    g_clear_error(&run.save_error);
    g_free(run.activity);
    return status;
}
