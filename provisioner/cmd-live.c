/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cmd-live.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "cli-progress.h"
#include "cli-wait.h"
#include "json-line.h"
#include "live-dir.h"

/* A supervisor that says nothing for so long hangs, or was stopped. */
#define PATIENCE_MS 30000

gboolean
cmd_live_find(const char *name, GPtrArray **labs, LiveName *found, GError **error)
{
    *labs = live_lab_read_all(error);
    if (!*labs || !live_name_host(*labs, name, found, error))
        return FALSE;
    if (!found->lab->dead)
        return TRUE;
    g_set_error(error, HB_ERROR, HB_FAIL,
                "the lab '%s' is dead: %s; 'hostbed down %s' clears it", found->lab->name,
                found->lab->dead, found->lab->name);
    return FALSE;
}

/* "alive" says just that. */
static void
on_event(const char *event, const char *text, gpointer user_data)
{
    if (!g_str_equal(event, "alive"))
        cli_wait_clear();
    if (g_str_equal(event, "step"))
        cli_progress_step(user_data, text);
    else if (!g_str_equal(event, "alive"))
        fprintf(stderr, "hostbed: %s: %s\n", event, text);
}

int
cmd_live_ask(const LiveName *name, JsonObject *request, JsonObject **answer,
             GError **error)
{
    g_autofree char *dir = live_dir(FALSE, error);
    g_autoptr(CliProgress) progress = cli_progress_new();
    const LiveCall call = {
        .timeout_ms = PATIENCE_MS, .event = on_event, .user_data = progress};
    int fd = dir ? live_connect(dir, name->lab->name, error) : -1;
    if (fd < 0) {
        json_object_unref(request);
        return -1;
    }
    json_object_set_string_member(request, "host", name->host->name);
    g_autofree char *what =
        g_strdup_printf("waiting for %s/%s", name->lab->name, name->host->name);
    /* Who runs a command tells that himself. */
    gboolean is_told = g_strcmp0(json_line_string(request, "request"), "agent") == 0;
    CliWait *wait = is_told ? NULL : cli_wait_new(what);
    g_autoptr(JsonObject) reply = live_call(fd, request, &call, error);
    cli_wait_free(wait);
    cli_progress_end(progress, reply != NULL);
    if (!reply) {
        close(fd);
        return -1;
    }
    if (answer)
        *answer = g_steal_pointer(&reply);
    return fd;
}

/* ---- what a host is like
 * ------------------------------------------------------------------------------------ */

Report *
cmd_live_report(const LiveName *name, JsonObject *answer, GError **error)
{
    g_autoptr(Report) report = report_new(name->lab->name);
    JsonArray *results = json_line_array(answer, "results");
    for (guint i = 0; results && i < json_array_get_length(results); i++) {
        g_autoptr(JsonObject) empty = json_object_new();
        JsonObject *object = json_line_element(results, i);
        CaseResult *result = report_case_from_json(object ? object : empty, error);
        if (!result)
            return NULL;
        g_ptr_array_add(report->results, result);
    }
    report->log_dir = g_strdup(name->host->logs);
    report->complete = TRUE;
    return g_steal_pointer(&report);
}

void
cmd_live_print_differences(const Report *report)
{
    for (guint i = 0; i < report->results->len; i++) {
        const CaseResult *result = report->results->pdata[i];
        if (!outcome_is_bad(result->outcome))
            continue;
        const char *more = NULL;
        g_autofree char *reason = report_case_reason(result, &more);
        fprintf(stderr, "hostbed: difference: %s: %s\n", result->name, reason);
    }
}

void
cmd_live_print(void)
{
    signal(SIGPIPE, SIG_DFL);
}

gboolean
cmd_live_answer(const char *host, JsonObject *request, JsonObject **answer, int *status)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) labs = NULL;
    LiveName name;
    int fd = -1;
    signal(SIGPIPE, SIG_IGN);
    g_autoptr(CliInterrupt) interrupt = cli_interrupt_new();
    if (cmd_live_find(host, &labs, &name, &error))
        fd = cmd_live_ask(&name, request, answer, &error);
    else
        json_object_unref(request);
    cmd_live_print();
    *status = fd >= 0 ? HB_OK : cli_fail(error);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

/* What differs is told; returns the exit status. */
static int
finish(const LiveName *name, JsonObject *answer)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Report) report = cmd_live_report(name, answer, &error);
    if (!report)
        return cli_fail(error);
    cmd_live_print_differences(report);
    ReportCount count = report_count(report);
    if (count.failed == 0)
        return (int)report_status(report);
    return cli_fail_with((HbStatus)report_status(report),
                         "%s is not the host that it is to be: it differs in %u thing%s; "
                         "'hostbed verify %s' tells all",
                         name->host->name, count.failed, count.failed == 1 ? "" : "s",
                         name->host->name);
}

int
cmd_live_change(const char *host, JsonObject *request,
                void (*print)(const LiveName *name, JsonObject *answer))
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) labs = NULL;
    g_autoptr(JsonObject) answer = NULL;
    LiveName name;
    signal(SIGPIPE, SIG_IGN);
    if (!cmd_live_find(host, &labs, &name, &error)) {
        json_object_unref(request);
        return cli_fail(error);
    }
    g_autoptr(CliInterrupt) interrupt = cli_interrupt_new();
    int fd = cmd_live_ask(&name, request, &answer, &error);
    if (fd < 0)
        return cli_fail(error);
    close(fd);
    print(&name, answer);
    /* What it was not told it cannot be compared with. */
    if (json_object_get_boolean_member_with_default(answer, "untold", FALSE))
        return HB_OK;
    return finish(&name, answer);
}
