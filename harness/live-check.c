/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A host that is up, compared with its manifest.
 */
#include "compare.h"
#include "emit.h"
#include "error.h"
#include "live-private.h"

GPtrArray *
live_host_compare(Host *host, GError **error)
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
    log_dir_put(host->log_dir, "manifest", manifest->str, 0600);
    log_dir_put(host->log_dir, "observation", observation, 0600);
    return compare_manifest(plan->host_id, manifest->str, observation,
                            (plan->tainted ? COMPARE_TAINTED : 0) |
                                (plan->image ? COMPARE_SYSTEM : 0));
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
                count, count == 1 ? "" : "s", host->log_dir);
    return FALSE;
}
