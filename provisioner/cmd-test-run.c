/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Runs hosts, each in a process of its own, as many at a time as may be. TAP goes to
 * standard output as results come, reports are replaced then, progress goes to standard
 * error.
 */
#include "cmd-test.h"

#include <errno.h>
#include <glib-unix.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "log-dir.h"
#include "report.h"
#include "resources.h"
#include "schedule.h"

/* Workers end by themselves at the deadline; one that does not is ended. */
#define DEADLINE_GRACE_MS 30000

typedef struct {
    const TestOptions *options;
    GPtrArray *labs;    /* TestLab */
    GPtrArray *reports; /* Report, borrowed, one per lab */
    Schedule schedule;
    GMainLoop *loop;
    gint64 started_us, deadline_us; /* monotonic; deadline 0: none */
    guint expected;                 /* results, as far as is known before the run */
    guint tap_count;
    guint interrupts;     /* SIGINT and SIGTERM so far */
    gboolean tap;         /* TAP goes to standard output */
    gboolean status_line; /* progress is a line that is rewritten */
    gboolean line_shown, colour;
    char *activity;     /* what was begun last */
    GError *save_error; /* the first */
} Run;

/* ---- progress
 * -------------------------------------------------------------------------------------
 */

static void
clear_line(Run *run)
{
    if (run->line_shown)
        fputs("\r\033[K", stderr);
    run->line_shown = FALSE;
}

static guint
terminal_columns(void)
{
    struct winsize size;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 10 ? size.ws_col
                                                                            : 80;
}

static ReportCount
count_all(const Run *run)
{
    ReportCount all = {0};
    for (guint i = 0; i < run->reports->len; i++) {
        ReportCount one = report_count(run->reports->pdata[i]);
        all.total += one.total;
        all.passed += one.passed;
        all.failed += one.failed;
        all.skipped += one.skipped;
        all.flaky += one.flaky;
    }
    return all;
}

static void
show_line(Run *run)
{
    if (!run->status_line)
        return;
    guint done = 0;
    for (guint i = 0; i < run->labs->len; i++)
        done += ((TestLab *)run->labs->pdata[i])->done;
    ReportCount count = count_all(run);
    g_autofree char *text =
        g_strdup_printf("[%u/%u] %u of %u: %u passed, %u failed  %s", done,
                        run->labs->len, count.total, MAX(run->expected, count.total),
                        count.passed, count.failed, run->activity ? run->activity : "");
    g_autofree char *fitting = g_utf8_substring(
        text, 0, MIN(g_utf8_strlen(text, -1), (glong)terminal_columns() - 1));
    fprintf(stderr, "\r\033[K%s", fitting);
    fflush(stderr);
    run->line_shown = TRUE;
}

/* Where to look for why a host failed. */
static void
print_logs(const TestLab *lab)
{
    for (guint i = 0; i < lab->hosts->len; i++) {
        const TestHost *host = lab->hosts->pdata[i];
        if (host->part->log_dir && report_count(host->part).failed > 0)
            fprintf(stderr, "hostbed: logs of %s/%s: %s\n", lab->name, host->id,
                    host->part->log_dir);
    }
}

/* Why it took longer than it might, or shared what others changed; with --keep, what is
 * kept. */
static void
print_templates(const TestLab *lab, gboolean keep)
{
    for (guint i = 0; i < lab->hosts->len; i++) {
        const TestHost *host = lab->hosts->pdata[i];
        if (keep && host->part->template)
            fprintf(stderr, "hostbed: template of %s/%s: %s\n", lab->name, host->id,
                    host->part->template);
        if (host->part->cold)
            fprintf(stderr, "hostbed: %s/%s is no clone of a template: %s\n", lab->name,
                    host->id, host->part->cold);
    }
}

static void
print_summary(const Run *run)
{
    ReportCount count = count_all(run);
    gboolean bad = count.failed > 0 || count.total == 0 || run->interrupts > 0;
    const char *start = run->colour ? (bad ? "\033[1;31m" : "\033[1;32m") : "";
    const char *end = run->colour ? "\033[0m" : "";
    fprintf(stderr, "hostbed: %s%u passed, %u failed, %u skipped%s", start, count.passed,
            count.failed, count.skipped, end);
    if (count.flaky)
        fprintf(stderr, ", %u of the passed flaky", count.flaky);
    fprintf(stderr, " in %.1f s\n",
            (double)(g_get_monotonic_time() - run->started_us) / 1e6);
    for (guint i = 0; i < run->labs->len; i++) {
        print_templates(run->labs->pdata[i], run->options->keep);
        print_logs(run->labs->pdata[i]);
    }
}

/* ---- reports
 * ----------------------------------------------------------------------------------------
 */

static void
save_to(Run *run, const char *format, const char *filename, gboolean is_end)
{
    gboolean to_stdout = g_strcmp0(filename, "-") == 0;
    if (!filename || (to_stdout && !is_end))
        return;
    g_autoptr(GError) error = NULL;
    if (to_stdout) {
        g_autoptr(GString) text = g_string_new(NULL);
        report_format(format)->write(run->reports, text);
        fwrite(text->str, 1, text->len, stdout);
    } else if (!report_save(report_format(format), run->reports, filename, &error) &&
               !run->save_error) {
        run->save_error = g_steal_pointer(&error);
    }
}

static void
save_reports(Run *run, gboolean is_end)
{
    save_to(run, "junit", run->options->junit, is_end);
    save_to(run, "json", run->options->json, is_end);
}

static void
print_tap(Run *run, const GString *text)
{
    if (!run->tap)
        return;
    clear_line(run);
    fwrite(text->str, 1, text->len, stdout);
    fflush(stdout);
}

static void
print_cases(Run *run, const Report *report, guint first)
{
    g_autoptr(GString) text = g_string_new(NULL);
    for (guint i = first; i < report->results->len; i++)
        report_tap_case(report, report->results->pdata[i], ++run->tap_count, text);
    print_tap(run, text);
}

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
    print_cases(run, report, report->results->len - 1);
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
        clear_line(run);
        fprintf(stderr, "hostbed: %s\n", run->activity);
    }
    show_line(run);
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
    print_cases(run, host->part, first);
    gather(lab);
    save_reports(run, FALSE);
    show_line(run);
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
    schedule_leave(&run->schedule, host->memory_bytes);
    host->job = NULL;
    end_host(run, lab, host);
    g_idle_add(on_job_idle, job); /* it still is on the stack */
    save_reports(run, FALSE);
    start_hosts(run);
}

static const JobWatch watch = {.step = on_step, .results = on_results, .ended = on_ended};

static void
add_option(GStrvBuilder *argv, const char *name, const char *value)
{
    if (!value)
        return;
    g_autofree char *option = g_strdup_printf("--%s=%s", name, value);
    g_strv_builder_add(argv, option);
}

static void
add_options(GStrvBuilder *argv, const char *name, char *const *values)
{
    for (guint i = 0; values && values[i]; i++)
        add_option(argv, name, values[i]);
}

static GStrv
worker_command(const Run *run, const TestLab *lab, const TestHost *host)
{
    const TestOptions *o = run->options;
    g_autoptr(GStrvBuilder) argv = g_strv_builder_new();
    g_auto(GStrv) program = cli_program_words(&o->program);
    /* The end of the options cannot be said: more of them are to come. */
    gboolean like_option = lab->filename[0] == '-' && lab->filename[1] != '\0';
    g_autofree char *filename = g_strconcat(like_option ? "./" : "", lab->filename, NULL);
    g_strv_builder_add_many(argv, "/proc/self/exe", "test", filename, NULL);
    add_option(argv, "emulator", o->machine.emulator);
    add_option(argv, "accel", o->machine.accel);
    add_option(argv, "kernel", o->machine.kernel);
    add_option(argv, "log-dir", o->log_dir);
    add_option(argv, "manifest", o->manifest);
    add_option(argv, "started-as", o->started_as);
    add_options(argv, "module", o->modules);
    add_options(argv, "extra-arg", o->extra_args);
    add_options(argv, "suite", o->suites);
    add_options(argv, "prepare", o->prepare_commands);
    g_strv_builder_addv(argv, (const char **)program);
    g_autofree char *suite_timeout = g_strdup_printf("%.3f", o->suite_timeout);
    add_option(argv, "suite-timeout", suite_timeout);
    if (o->case_timeout >= 0) {
        g_autofree char *case_timeout = g_strdup_printf("%.3f", o->case_timeout);
        add_option(argv, "case-timeout", case_timeout);
    }
    add_options(argv, "select", o->patterns);
    add_option(argv, "worker-name", lab->name);
    add_option(argv, "worker-lab", lab->path);
    for (guint i = 0; i < lab->units->len; i++) {
        const Unit *unit = lab->units->pdata[i];
        if (!g_str_equal(unit->host, host->id))
            continue;
        g_autofree char *name = g_strdup_printf("%s/%s", unit->host, unit->suite->name);
        add_option(argv, "worker-unit", name);
    }
    g_autofree char *retry = g_strdup_printf("%d", o->retry);
    add_option(argv, "retry", retry);
    g_autofree char *deadline = g_strdup_printf("%" G_GINT64_FORMAT, run->deadline_us);
    add_option(argv, "worker-deadline", deadline);
    if (o->no_retry)
        g_strv_builder_add(argv, "--no-retry");
    if (o->capture)
        g_strv_builder_add(argv, "--capture");
    add_option(argv, "isolate", o->isolate_text);
    if (o->cold)
        g_strv_builder_add(argv, "--cold");
    if (o->keep)
        g_strv_builder_add(argv, "--keep");
    if (o->check_clones)
        g_strv_builder_add(argv, "--check-clones");
    if (o->no_skip)
        g_strv_builder_add(argv, "--no-skip");
    if (o->even_if_different)
        g_strv_builder_add(argv, "--even-if-different");
    return g_strv_builder_end(argv);
}

static void
start_host(Run *run, TestLab *lab, TestHost *host)
{
    g_auto(GStrv) argv = worker_command(run, lab, host);
    g_autoptr(GError) error = NULL;
    host->part->started_us = g_get_real_time();
    if (!lab->begun)
        lab->report->started_us = host->part->started_us;
    lab->begun = TRUE;
    host->job = job_start((const char *const *)argv, host->part, run->options->verbose,
                          &watch, run, &error);
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
    show_line(run);
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
        clear_line(run);
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

static void
print_start(Run *run)
{
    g_autoptr(GString) text = g_string_new(NULL);
    report_tap_head(text);
    print_tap(run, text);
    for (guint i = 0; i < run->labs->len; i++)
        print_cases(run, ((TestLab *)run->labs->pdata[i])->report, 0);
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
    clear_line(run);
    HbStatus status = HB_OK;
    for (guint i = 0; i < run->reports->len; i++)
        status = outcome_worst_status(status, report_status(run->reports->pdata[i]));
    save_reports(run, TRUE);
    g_autoptr(GString) text = g_string_new(NULL);
    report_tap_end(run->reports, run->tap_count, text);
    print_tap(run, text);
    if (!run->options->quiet)
        print_summary(run);
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
    run->tap = g_strcmp0(options->junit, "-") != 0 && g_strcmp0(options->json, "-") != 0;
    run->status_line =
        cli_rewrites_lines(STDERR_FILENO) && !options->quiet && !options->verbose;
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
    save_reports(&run, FALSE);
    /* A report that cannot be written is known before the hours of a run, not after. */
    if (run.save_error) {
        int status = cli_fail(run.save_error);
        g_clear_error(&run.save_error);
        return status;
    }
    print_start(&run);
    admit_hosts(&run);
    run_loop(&run);
    int status = finish(&run);
    g_clear_error(&run.save_error);
    g_free(run.activity);
    return status;
}
