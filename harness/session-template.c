/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Hosts that are clones: the first one is started, checked and frozen, and whoever wants
 * a host of its own gets one restored from that. What was compared with its manifest is
 * the template, so that clones need not be.
 */
#include <string.h>

#include "error.h"
#include "session-private.h"

/* Those that will have a host; it takes as long to freeze one as to clone it. */
static guint
programs_to_run(const Session *session)
{
    guint programs = 0;
    const SessionOptions *options = session->options;
    for (guint i = 0; i < options->suites->len; i++) {
        const Suite *suite = options->suites->pdata[i];
        g_autofree char *unmet =
            suite->is_check ? NULL : suite_unmet(suite, options->plan);
        programs += !suite->is_check && !unmet;
    }
    return programs;
}

gboolean
session_wants_template(const Session *session)
{
    const SessionOptions *options = session->options;
    if (options->cold || session->cold || !options->driver->freeze ||
        options->isolation == SESSION_ISOLATE_NONE)
        return FALSE;
    guint programs = programs_to_run(session);
    return programs > 1 || (programs == 1 && options->isolation == SESSION_ISOLATE_CASE);
}

static void
tell(const Session *session, const char *how)
{
    if (session->options->frozen)
        session->options->frozen(session->cold, how, session->options->user_data);
}

void
session_freeze_host(Session *session)
{
    g_autoptr(GError) error = NULL;
    session_step(session, "freezing the host");
    gint64 before = g_get_monotonic_time();
    session->template = session->options->driver->freeze(&session->host, &error);
    double seconds = (double)(g_get_monotonic_time() - before) / G_USEC_PER_SEC;
    session->cold = session->template == NULL;
    g_autofree char *how =
        session->cold ? g_strdup_printf("it cannot be frozen: %s", error->message)
                      : g_strdup_printf("frozen in %.2f s", seconds);
    tell(session, how);
}

/* Tells only what is wrong. */
static gboolean
check_clone(Session *session, GError **error)
{
    if (!session->options->check_clones)
        return TRUE;
    g_autoptr(GPtrArray) results = session_compare_host(session, error);
    for (guint i = 0; results && i < results->len; i++) {
        const CaseResult *result = results->pdata[i];
        if (!outcome_is_bad(result->outcome))
            continue;
        g_set_error(error, HB_ERROR, HB_FAIL, "it is not the host that was frozen: %s",
                    result->message ? result->message : result->name);
        return FALSE;
    }
    return results != NULL;
}

gboolean
session_clone_host(Session *session)
{
    if (!session->template)
        return FALSE;
    const SessionOptions *options = session->options;
    g_autoptr(GError) error = NULL;
    session->starts++;
    g_autofree char *name = g_strdup_printf("clone-%u", session->starts - 1);
    session_choose_log_dir(session, name);
    session->host = options->driver->clone(session->template, session->log_dir,
                                           options->interrupt, &error);
    if (session->host && check_clone(session, &error))
        return TRUE;
    session_stop_host(session);
    if (session_interrupted(session) || session->late)
        return FALSE;
    /* A template that gives no host is of no use to anybody. */
    session_discard_template(session);
    session->cold = TRUE;
    g_autofree char *how = g_strdup_printf("a clone did not live: %s", error->message);
    CaseResult *result = session_case(session, SESSION_HOST_SUITE, "clone", OUTCOME_PASS);
    session_make_flaky(result, "a clone did not live, and a host was started",
                       error->message);
    session_deliver_one(session, result);
    tell(session, how);
    return FALSE;
}

void
session_isolate(Session *session)
{
    SessionIsolation isolation = session->options->isolation;
    if (session->template || isolation == SESSION_ISOLATE_SUITE ||
        isolation == SESSION_ISOLATE_CASE)
        session_stop_host(session);
}

gboolean
session_isolates_cases(const Session *session, const Suite *suite)
{
    return session->options->isolation == SESSION_ISOLATE_CASE && !suite->command &&
           !suite->plugs;
}

void
session_discard_template(Session *session)
{
    g_clear_pointer(&session->template, session->options->driver->discard);
}
