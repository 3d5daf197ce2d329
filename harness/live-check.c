/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A host that is up, compared with its manifest.
 */
#include "compare.h"
#include "emit.h"
#include "error.h"
#include "live-private.h"
#include "report.h"

/* Without UNTOLD that is so but for what has left and nobody has told the host. */
static GPtrArray *
compare(Host *host, gboolean untold, GError **error)
{
    const Plan *plan = host->plan;
    g_autoptr(GString) manifest = g_string_new(NULL);
    emit_manifest(plan, manifest);
    g_autofree char *observation =
        guest_observe(host->boot->guest, boot_cancellable(host->boot), error);
    if (!observation) {
        boot_explain(host->boot, error);
        return NULL;
    }
    log_dir_put(host->boot->log_dir, "manifest", manifest->str, 0600);
    log_dir_put(host->boot->log_dir, "observation", observation, 0600);
    g_auto(GStrv) ports = live_surprise_untold_ports(host);
    g_autofree char *known =
        untold ? g_steal_pointer(&observation)
               : compare_forget_behind(observation, (const char *const *)ports);
    return compare_manifest(plan->host_id, manifest->str, known,
                            (plan->tainted ? COMPARE_TAINTED : 0) |
                                (plan->image ? COMPARE_SYSTEM : 0) |
                                (host->plugged ? COMPARE_PLUGGED : 0));
}

GPtrArray *
live_host_compare(Host *host, GError **error)
{
    return compare(host, TRUE, error);
}

static guint
tell_differences(Host *host, const GPtrArray *results)
{
    guint count = 0;
    for (guint i = 0; i < results->len; i++) {
        const CaseResult *result = results->pdata[i];
        if (!outcome_is_bad(result->outcome))
            continue;
        g_autofree char *text = g_strdup_printf(
            "%s: %s%s%s", result->name, result->message ? result->message : "it differs",
            result->output ? "\n" : "", result->output ? result->output : "");
        live_host_warn(host, "difference", g_strchomp(text));
        count++;
    }
    return count;
}

gboolean
live_host_check(Host *host, GError **error)
{
    live_host_step("comparing it with its manifest", host);
    g_autoptr(GPtrArray) results = live_host_compare(host, error);
    if (!results)
        return FALSE;
    guint count = tell_differences(host, results);
    if (count == 0 || host->server->options->even_if_different)
        return TRUE;
    g_set_error(error, HB_ERROR, HB_FAIL,
                "it is not the host that was asked for: it differs in %u thing%s "
                "(--even-if-different has it all the same); logs: %s",
                count, count == 1 ? "" : "s", host->boot->log_dir);
    return FALSE;
}

/* ---- what comes and goes
 * ------------------------------------------------------------------------------------ */

/* From the emulator's word to the driver it takes one to two seconds under plain
 * emulation; a busy machine is slow. */
#define SEEN_MS 60000
#define TURN_MS 50

static gboolean
has_differences(const GPtrArray *results)
{
    for (guint i = 0; i < results->len; i++)
        if (outcome_is_bad(((const CaseResult *)results->pdata[i])->outcome))
            return TRUE;
    return FALSE;
}

GPtrArray *
live_check_until_same(Host *host, GError **error)
{
    gint64 end_us = g_get_monotonic_time() + (gint64)SEEN_MS * 1000;
    for (;;) {
        g_autoptr(GPtrArray) results = compare(host, FALSE, error);
        if (!results || !has_differences(results) || g_get_monotonic_time() > end_us)
            return g_steal_pointer(&results);
        /* No event tells when a guest's driver has done. */
        live_emulator_wait(host, TURN_MS, NULL, NULL);
    }
}

JsonObject *
live_check_answer(const GPtrArray *results)
{
    JsonArray *array = json_array_new();
    for (guint i = 0; i < results->len; i++)
        json_array_add_object_element(array, report_case_to_json(results->pdata[i]));
    JsonObject *answer = json_object_new();
    json_object_set_array_member(answer, "results", array);
    return answer;
}
