/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "report.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const ReportFormat report_formats[] = {
    {"tap", report_write_tap},
    {"junit", report_write_junit},
    {"json", report_write_json},
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

static void
gather_part(Report *whole, const Report *part)
{
    for (guint i = 0; i < part->results->len; i++)
        g_ptr_array_add(whole->results, case_result_copy(part->results->pdata[i]));
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

const char *
report_case_details(const CaseResult *result)
{
    if (!result->output || !*result->output)
        return NULL;
    gsize line = strcspn(result->output, "\n");
    gboolean is_one_line = strcmp(result->output + line, "\n") == 0;
    /* The message may go on, with the place in the lab. */
    gboolean repeats = is_one_line && line > 0 && result->message &&
                       strncmp(result->output, result->message, line) == 0 &&
                       strchr(";", result->message[line]);
    return repeats ? NULL : result->output;
}

/* ---- files
 * ------------------------------------------------------------------------------------ */

static gboolean
fail_errno(GError **error, const char *filename, const char *what)
{
    int saved = errno;
    g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE, "%s: %s: %s", filename, what,
                g_strerror(saved));
    return FALSE;
}

static gboolean
write_all(int fd, const GString *text)
{
    gsize done = 0;
    while (done < text->len) {
        ssize_t written = write(fd, text->str + done, text->len - done);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return FALSE;
        done += (gsize)written;
    }
    return TRUE;
}

static gboolean
write_in_place(const char *filename, const GString *text, GError **error)
{
    int fd = open(filename, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return fail_errno(error, filename, "cannot be opened");
    gboolean ok = write_all(fd, text) || fail_errno(error, filename, "cannot be written");
    close(fd);
    return ok;
}

/* The copy has a name of its own for two system calls only, and always the same one, so
 * that a kill leaves nothing, and at worst something that the next run replaces. */
static gboolean
replace_by(int fd, const char *copy, const char *filename, GError **error)
{
    g_autofree char *handle = g_strdup_printf("/proc/self/fd/%d", fd);
    unlink(copy);
    if (linkat(AT_FDCWD, handle, AT_FDCWD, copy, AT_SYMLINK_FOLLOW) != 0)
        return fail_errno(error, copy, "cannot be made");
    if (rename(copy, filename) == 0)
        return TRUE;
    fail_errno(error, filename, "cannot be replaced");
    unlink(copy);
    return FALSE;
}

static gboolean
write_copy(const char *filename, const GString *text, GError **error)
{
    g_autofree char *directory = g_path_get_dirname(filename);
    g_autofree char *base = g_path_get_basename(filename);
    g_autofree char *copy = g_strdup_printf("%s/.%s.new", directory, base);
    int fd = open(directory, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666);
    if (fd >= 0) {
        gboolean ok =
            (write_all(fd, text) || fail_errno(error, filename, "cannot be written")) &&
            replace_by(fd, copy, filename, error);
        close(fd);
        return ok;
    }
    /* Not every file system has files without a name. */
    fd = open(copy, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (fd < 0)
        return fail_errno(error, filename, "cannot be made");
    gboolean ok = write_all(fd, text) && close(fd) == 0 && rename(copy, filename) == 0;
    if (!ok) {
        fail_errno(error, filename, "cannot be written");
        unlink(copy);
    }
    return ok;
}

gboolean
report_save(const ReportFormat *format, const GPtrArray *reports, const char *filename,
            GError **error)
{
    g_autoptr(GString) text = g_string_new(NULL);
    format->write(reports, text);
    struct stat info;
    if (stat(filename, &info) == 0 && !S_ISREG(info.st_mode))
        return write_in_place(filename, text, error);
    /* Through a symbolic link the file is replaced, not the link. */
    char *real = realpath(filename, NULL);
    g_autofree char *target = g_strdup(real);
    free(real);
    return write_copy(target ? target : filename, text, error);
}
