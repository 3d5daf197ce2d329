/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "report.h"

#include <string.h>

#include "replace-file.h"
#include "unpack.h"

const ReportFormat report_formats[] = {
    {"tap", report_write_tap},
    {"junit", report_write_junit},
    {"json", report_write_json},
    {"html", report_write_html},
    {NULL, NULL},
};

const ReportFormat *
report_format(const char *name)
{
    for (const ReportFormat *format = report_formats; format->name; format++) {
        if (g_str_equal(format->name, name))
            return format;
    }
    return NULL;
}

Report *
report_new(const char *lab)
{
    Report *report = g_new0(Report, 1);
    report->lab = outcome_text(lab, -1, FALSE);
    report->results = case_results_new();
    return report;
}

void
report_free(Report *report)
{
    if (!report)
        return;
    g_ptr_array_unref(report->results);
    g_free(report->lab);
    g_free(report->emulator);
    g_free(report->accel);
    g_free(report->template);
    g_free(report->cold);
    g_free(report->kernel);
    g_free(report->log_dir);
    g_free(report);
}

static void
keep_first(char **where, const char *value)
{
    if (!*where)
        *where = g_strdup(value);
}

static int
compare_order(gconstpointer a, gconstpointer b)
{
    const CaseResult *one = *(CaseResult *const *)a, *other = *(CaseResult *const *)b;
    return one->order < other->order ? -1 : one->order > other->order;
}

static void
gather_part(Report *whole, const Report *part)
{
    g_autoptr(GPtrArray) sorted = g_ptr_array_copy(part->results, NULL, NULL);
    g_ptr_array_set_free_func(sorted, NULL); /* the part's */
    g_ptr_array_sort(sorted, compare_order);
    for (guint i = 0; i < sorted->len; i++)
        g_ptr_array_add(whole->results, case_result_copy(sorted->pdata[i]));
    keep_first(&whole->emulator, part->emulator);
    keep_first(&whole->accel, part->accel);
    keep_first(&whole->template, part->template);
    keep_first(&whole->cold, part->cold);
    keep_first(&whole->kernel, part->kernel);
    if (part->started_us && (!whole->started_us || part->started_us < whole->started_us))
        whole->started_us = part->started_us;
    /* A part that this machine cannot run does not hide that another failed. */
    HbStatus status = part->status;
    if (status == HB_OK && part->results->len > 0)
        status = outcome_status(report_outcome(part));
    whole->status = outcome_worst_status(whole->status, status);
    whole->complete &= part->complete;
}

void
report_gather(Report *whole, const GPtrArray *parts)
{
    g_ptr_array_set_size(whole->results, 0);
    g_clear_pointer(&whole->log_dir, g_free);
    /* Of these the last word counts. */
    g_clear_pointer(&whole->template, g_free);
    g_clear_pointer(&whole->cold, g_free);
    whole->status = HB_OK;
    whole->complete = TRUE;
    for (guint i = 0; i < parts->len; i++) {
        const Report *part = parts->pdata[i];
        gather_part(whole, part);
        if (report_count(part).failed > 0)
            keep_first(&whole->log_dir, part->log_dir);
    }
    for (guint i = 0; i < parts->len; i++)
        keep_first(&whole->log_dir, ((const Report *)parts->pdata[i])->log_dir);
}

Outcome
report_outcome(const Report *report)
{
    if (report->results->len == 0)
        return OUTCOME_FAIL;
    Outcome worst = OUTCOME_SKIP;
    for (guint i = 0; i < report->results->len; i++)
        worst = outcome_worst(worst, ((CaseResult *)report->results->pdata[i])->outcome);
    return worst == OUTCOME_SKIP && report->selected ? OUTCOME_FAIL : worst;
}

HbStatus
report_status(const Report *report)
{
    if (report->status == HB_INTERRUPTED)
        return HB_INTERRUPTED;
    /* What the machine cannot do is told by a result that fails; the status says why. */
    if (report->status != HB_OK)
        return report->status;
    return outcome_status(report_outcome(report));
}

ReportCount
report_count(const Report *report)
{
    ReportCount count = {.total = report->results->len};
    for (guint i = 0; i < report->results->len; i++) {
        const CaseResult *result = report->results->pdata[i];
        count.passed += result->outcome == OUTCOME_PASS;
        count.skipped += result->outcome == OUTCOME_SKIP;
        count.failed += outcome_is_bad(result->outcome);
        count.flaky += result->flaky;
    }
    return count;
}

char *
report_case_name(const Report *report, const CaseResult *result)
{
    return g_strjoin("/", report->lab, result->host, result->suite, result->name, NULL);
}

/* Whether MESSAGE begins with the LENGTH bytes of LINE and says all of it: it may go on,
 * with the place in the lab, or how many more there are. */
static gboolean
repeats(const char *message, const char *line, gsize length)
{
    return message && length > 0 && strncmp(line, message, length) == 0 &&
           (strchr(";", message[length]) || g_str_has_prefix(message + length, " (and "));
}

const char *
report_case_details(const CaseResult *result)
{
    const char *output = result->output ? result->output : "";
    gsize line = strcspn(output, "\n");
    if (repeats(result->message, output, line))
        output += line + (output[line] == '\n');
    return *output ? output : NULL;
}

/* A line of TAP's diagnostics, or of other words, without what stands around it. NULL:
 * it says nothing ("---"). */
static char *
words_of_line(const char *line, gsize length)
{
    g_autofree char *text = g_strndup(line, length);
    const char *words = g_str_has_prefix(text, "#") ? text + 1 : text;
    for (const char *p = words; *p; p++)
        if (g_ascii_isalnum(*p) || (guchar)*p >= 0x80)
            return g_strstrip(g_strdup(words));
    return NULL;
}

char *
report_case_reason(const CaseResult *result, const char **more)
{
    *more = report_case_details(result);
    if (result->message)
        return g_strdup(result->message);
    if (!*more)
        return g_strdup("no reason was given");
    gsize line = strcspn(*more, "\n");
    char *words = words_of_line(*more, line);
    if (!words)
        return g_strdup("what was printed of it follows");
    const char *rest = *more + line;
    rest += *rest == '\n';
    *more = *rest ? rest : NULL;
    return words;
}

gboolean
report_save(const ReportFormat *format, const GPtrArray *reports, const char *filename,
            GError **error)
{
    g_autoptr(GString) text = g_string_new(NULL);
    format->write(reports, text);
    g_autoptr(ReplaceFile) file = replace_file_new(filename, error);
    return file && unpack_write_all(file->fd, text->str, text->len, filename, error) &&
           replace_file_commit(file, error);
}
