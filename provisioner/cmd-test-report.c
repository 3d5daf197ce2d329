/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cmd-test-run.h"

#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* ---- progress
 * -------------------------------------------------------------------------------------
 */

void
run_clear_line(Run *run)
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

void
run_show_line(Run *run)
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

/* Why it took longer than it might, or shared what others changed. */
char *
run_template_line(const TestLab *lab, const TestHost *host)
{
    GString *text = g_string_new(NULL);
    if (host->part->template)
        g_string_append_printf(text, "hostbed: template of %s/%s: %s\n", lab->name,
                               host->id, host->part->template);
    if (host->part->cold)
        g_string_append_printf(text, "hostbed: %s/%s is no clone of a template: %s\n",
                               lab->name, host->id, host->part->cold);
    return g_string_free(text, FALSE);
}

/* With --keep also what is kept. */
static void
print_templates(const TestLab *lab, gboolean keep)
{
    for (guint i = 0; i < lab->hosts->len; i++) {
        const TestHost *host = lab->hosts->pdata[i];
        if (!keep && !host->part->cold)
            continue;
        g_autofree char *line = run_template_line(lab, host);
        fputs(line, stderr);
    }
}

/* What the stream of results would have told, where another report has its place. */
static void
print_failures(const Run *run, const Report *report)
{
    for (guint i = 0; !run->tap && i < report->results->len; i++) {
        const CaseResult *result = report->results->pdata[i];
        if (!outcome_is_bad(result->outcome))
            continue;
        const char *more = NULL;
        g_autofree char *name = report_case_name(report, result);
        g_autofree char *reason = report_case_reason(result, &more);
        fprintf(stderr, "hostbed: %s: %s: %s\n", name, outcome_name(result->outcome),
                reason);
    }
}

void
run_print_summary(const Run *run)
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
        print_failures(run, ((TestLab *)run->labs->pdata[i])->report);
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

void
run_save_reports(Run *run, gboolean is_end)
{
    save_to(run, "junit", run->options->junit, is_end);
    save_to(run, "json", run->options->json, is_end);
    save_to(run, "html", run->options->html, is_end);
}

void
run_print_tap(Run *run, const GString *text)
{
    if (!run->tap)
        return;
    run_clear_line(run);
    fwrite(text->str, 1, text->len, stdout);
    fflush(stdout);
}

void
run_print_cases(Run *run, const Report *report, guint first)
{
    g_autoptr(GString) text = g_string_new(NULL);
    for (guint i = first; i < report->results->len; i++)
        report_tap_case(report, report->results->pdata[i], ++run->tap_count, text);
    run_print_tap(run, text);
}

void
run_print_start(Run *run)
{
    g_autoptr(GString) text = g_string_new(NULL);
    report_tap_head(text);
    run_print_tap(run, text);
    for (guint i = 0; i < run->labs->len; i++)
        run_print_cases(run, ((TestLab *)run->labs->pdata[i])->report, 0);
}
