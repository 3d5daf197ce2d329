/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The host of a session: started, started again when it was lost, and compared with its
 * manifest each time.
 */
#include <string.h>
#include <sys/stat.h>

#include "compare.h"
#include "error.h"
#include "log-dir.h"
#include "session-private.h"

/* ---- logs
 * ---------------------------------------------------------------------------------------
 */

void
session_choose_log_dir(Session *session, const char *name)
{
    g_free(session->log_dir);
    session->log_dir = g_build_filename(session->options->log_dir, name, NULL);
    mkdir(session->log_dir, 0700);
}

/* The first start writes into the host's folder, a later one into one of its own below
 * it. */
static void
choose_log_dir(Session *session)
{
    const SessionUnit *unit = session->options->unit;
    g_autofree char *name =
        unit ? g_strdup_printf("start-%u.%u", unit->number, session->starts)
        : session->starts == 1 ? NULL
                               : g_strdup_printf("start-%u", session->starts);
    session_choose_log_dir(session, name);
}

/* ---- the host
 * ------------------------------------------------------------------------------------ */

void
session_stop_host(Session *session)
{
    g_clear_pointer(&session->host, session->options->driver->stop);
}

gboolean
session_is_final(const Session *session, const GError *error)
{
    HbStatus status = hb_error_status(error);
    return session->late || status == HB_UNSUPPORTED || status == HB_USAGE ||
           status == HB_INFRASTRUCTURE || status == HB_INTERRUPTED;
}

static void
tell_flaky_start(Session *session, const char *why)
{
    CaseResult *result = session_case(session, SESSION_HOST_SUITE, "boot", OUTCOME_PASS);
    session_make_flaky(result, "started only when tried again", why);
    session_deliver_one(session, result);
}

static gboolean
start_host(Session *session, GError **error)
{
    const SessionOptions *options = session->options;
    g_autoptr(GError) first = NULL;
    for (guint try = 0;; try++) {
        g_autoptr(GError) failure = NULL;
        session->starts++;
        choose_log_dir(session);
        session->host = options->driver->start(options, session_wants_template(session),
                                               session->log_dir, &failure);
        if (session->host)
            break;
        if (try >= options->retries || session_is_final(session, failure)) {
            g_propagate_error(error, g_steal_pointer(&failure));
            return FALSE;
        }
        if (!first)
            first = g_steal_pointer(&failure);
    }
    if (options->driver->boot_us)
        session->boot_us = options->driver->boot_us(session->host);
    const char *why = first ? first->message : options->driver->retried(session->host);
    if (why)
        tell_flaky_start(session, why);
    if (options->started)
        options->started(session->host, options->user_data);
    return TRUE;
}

/* ---- the check
 * ------------------------------------------------------------------------------------ */

static GPtrArray *
compare_host(Session *session, GError **error)
{
    const SessionOptions *options = session->options;
    gint64 before = g_get_monotonic_time();
    g_autofree char *observation = options->driver->observe(session->host, error);
    if (!observation)
        return NULL;
    const char *manifest = options->manifest;
    g_autofree char *diff = compare_diff(manifest, observation);
    log_dir_put(session->log_dir, "manifest", manifest, 0600);
    log_dir_put(session->log_dir, "observation", observation, 0600);
    log_dir_put(session->log_dir, "manifest.diff", diff, 0600);
    const Plan *plan = options->plan;
    GPtrArray *results = compare_manifest(plan->host_id, manifest, observation,
                                          (plan->tainted ? COMPARE_TAINTED : 0) |
                                              (plan->image ? COMPARE_SYSTEM : 0));
    session_tell_places(session, results);
    /* One observation serves all cases; each has its share of the time. */
    gint64 share = (g_get_monotonic_time() - before) / results->len;
    for (guint i = 0; i < results->len; i++)
        ((CaseResult *)results->pdata[i])->duration_us = share;
    return results;
}

GPtrArray *
session_check_host(Session *session, GError **error)
{
    const SessionOptions *options = session->options;
    session_step(session, COMPARE_SUITE);
    g_autoptr(GBytes) manifest =
        g_bytes_new_static(options->manifest, strlen(options->manifest));
    GPtrArray *results = NULL;
    if (options->driver->put(session->host, SUITE_MANIFEST_PATH, 0444, manifest, error))
        results = compare_host(session, error);
    if (!results)
        session_stop_host(session);
    return results;
}

/* A host that runs, and what its check gave; NULL: none runs. */
static GPtrArray *
start_and_compare(Session *session, GError **error)
{
    return start_host(session, error) ? session_check_host(session, error) : NULL;
}

/* What is wrong with a host stays so, so that another one is tried. One that is wrong
 * each time is not tried more often by each suite. FALSE: none runs. */
static gboolean
retry_check(Session *session, GPtrArray *results, GError **error)
{
    guint retries = session->check_failed ? 0 : session->options->retries;
    for (guint try = 0; try < retries && session_any_bad(results); try++) {
        session_stop_host(session);
        g_autoptr(GPtrArray) again = start_and_compare(session, error);
        if (!again)
            return FALSE;
        session_merge_retry(results, again);
    }
    session->check_failed |= session_any_bad(results);
    return TRUE;
}

static gboolean
check_is_asked(const Session *session)
{
    for (guint i = 0; i < session->options->suites->len; i++) {
        if (((const Suite *)session->options->suites->pdata[i])->is_check)
            return TRUE;
    }
    return FALSE;
}

/* One of a shard without the check tells only what is wrong, too. */
void
session_deliver_check(Session *session, GPtrArray *results, gboolean is_first)
{
    if (is_first && check_is_asked(session)) {
        session_deliver(session, results);
        return;
    }
    for (guint i = 0; i < results->len;) {
        CaseResult *result = results->pdata[i];
        if (!outcome_is_bad(result->outcome)) {
            g_ptr_array_remove_index(results, i);
            continue;
        }
        if (!is_first) {
            g_autofree char *old = g_steal_pointer(&result->name);
            result->name = g_strdup_printf("%s (start %u)", old, session->starts);
        }
        i++;
    }
    session_deliver(session, results);
}

/* Prepares it, and others in its place if that fails. */
static gboolean
prepare_host(Session *session, GError **error)
{
    const GPtrArray *commands = session->options->prepare;
    guint count = commands ? commands->len : 0;
    for (guint try = 0;; try++) {
        g_autoptr(GError) failure = NULL;
        session->unprepared = !session_prepare_host(session, 0, count, &failure);
        if (!session->unprepared)
            return TRUE;
        session_stop_host(session);
        if (try >= session->options->retries || session_is_final(session, failure)) {
            g_propagate_error(error, g_steal_pointer(&failure));
            return FALSE;
        }
        session->unprepared = FALSE;
        g_autoptr(GPtrArray) results = start_and_compare(session, error);
        if (!results)
            return FALSE;
        if (session_any_bad(results)) {
            session->differs = TRUE;
            return TRUE;
        }
    }
}

gboolean
session_ensure_host(Session *session, GError **error)
{
    /* What is a clone can be made again as another. */
    if (session->host && session->template && session->given != session->wanted)
        session_stop_host(session);
    if (!session->host && !session->looked)
        session_use_kept(session);
    if (session->template && session_prepares_later(session) &&
        !session_prepare_template(session, error))
        return FALSE;
    /* Clones are for those who run suites. */
    if (session->template && session_splits(session))
        return TRUE;
    if (session->host || session_clone_host(session))
        return TRUE;
    if (session_interrupted(session)) {
        g_set_error_literal(error, HB_ERROR, HB_INTERRUPTED, "interrupted");
        return FALSE;
    }
    gboolean is_first = !session->checked;
    session->checked = TRUE;
    GPtrArray *results = start_and_compare(session, error);
    if (!results)
        return FALSE;
    gboolean runs = retry_check(session, results, error);
    session->differs = session_any_bad(results);
    session_deliver_check(session, results, is_first);
    if (!runs || !session_host_counts(session))
        return runs && (session->host || session_ensure_host(session, error));
    gboolean later = session_prepares_later(session);
    if (!later && !prepare_host(session, error))
        return FALSE;
    if (session_host_counts(session) && session_wants_template(session))
        session_freeze_host(session);
    if (later && session->host && !prepare_host(session, error))
        return FALSE;
    return runs && (session->host || session_ensure_host(session, error));
}

gboolean
session_host_counts(const Session *session)
{
    return !session->differs || session->options->even_if_different;
}
