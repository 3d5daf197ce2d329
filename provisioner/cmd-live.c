/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cmd-live.h"

#include <stdio.h>
#include <unistd.h>

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

int
cmd_live_ask(const LiveName *name, JsonObject *request, JsonObject **answer,
             GError **error)
{
    g_autofree char *dir = live_dir(FALSE, error);
    const LiveCall call = {.timeout_ms = PATIENCE_MS};
    int fd = dir ? live_connect(dir, name->lab->name, error) : -1;
    if (fd < 0) {
        json_object_unref(request);
        return -1;
    }
    json_object_set_string_member(request, "host", name->host->name);
    g_autoptr(JsonObject) reply = live_call(fd, request, &call, error);
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
    JsonNode *node = json_object_get_member(answer, "results");
    JsonArray *results =
        node && JSON_NODE_HOLDS_ARRAY(node) ? json_node_get_array(node) : NULL;
    for (guint i = 0; results && i < json_array_get_length(results); i++) {
        JsonNode *element = json_array_get_element(results, i);
        g_autoptr(JsonObject) empty = json_object_new();
        JsonObject *object =
            JSON_NODE_HOLDS_OBJECT(element) ? json_node_get_object(element) : empty;
        CaseResult *result = report_case_from_json(object, error);
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
