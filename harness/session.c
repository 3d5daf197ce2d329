/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "session.h"

#include "error.h"
#include "session-private.h"

gboolean
session_interrupted(const Session *session)
{
    return g_cancellable_is_cancelled(session->options->interrupt) && !session->late;
}

void
session_step(const Session *session, const char *what)
{
    if (session->options->step)
        session->options->step(what, session->options->user_data);
}

CaseResult *
session_not_run(const Session *session, const Suite *suite, const char *only,
                Outcome outcome, const char *why)
{
    CaseResult *result =
        session_case(session, suite->name, only ? only : "[suite]", outcome);
    case_result_set_message(result, "%s", why);
    return result;
}

static void
deliver_not_run(Session *session, const Suite *suite, Outcome outcome, const char *why)
{
    session_deliver_one(session, session_not_run(session, suite, NULL, outcome, why));
}

/* FALSE: no host came, which is told. */
static gboolean
have_host(Session *session, HbStatus *status)
{
    g_autoptr(GError) error = NULL;
    if (session_ensure_host(session, &error))
        return TRUE;
    *status = session_interrupted(session) ? HB_INTERRUPTED : HB_OK;
    if (*status == HB_INTERRUPTED)
        return FALSE;
    CaseResult *result =
        session_case(session, SESSION_HOST_SUITE,
                     session->unprepared ? "prepare" : "boot", OUTCOME_FAIL);
    session_set_verdict(session, result, error);
    if (hb_error_status(error) == HB_UNSUPPORTED && !session->late)
        *status = HB_UNSUPPORTED;
    session_deliver_one(session, result);
    return FALSE;
}

/* FALSE: the session ends here, with STATUS. */
static gboolean
do_suite(Session *session, guint index, HbStatus *status)
{
    const Suite *suite = session->options->suites->pdata[index];
    g_autofree char *unmet = suite_unmet(suite, session->options->plan);
    if (unmet) {
        deliver_not_run(session, suite, OUTCOME_SKIP, unmet);
        return TRUE;
    }
    if (session->late) {
        deliver_not_run(session, suite, OUTCOME_TIMEOUT, SESSION_NOT_RUN_LATE);
        return TRUE;
    }
    session_want(session, suite, NULL);
    if (!have_host(session, status))
        return session->late;
    if (suite->is_check)
        return TRUE;
    if (!session_host_counts(session)) {
        deliver_not_run(session, suite, OUTCOME_SKIP, SESSION_NOT_RUN_DIFFERS);
        return TRUE;
    }
    if (session->template && session_splits(session)) {
        *status = session_run_units(session, index);
        return FALSE;
    }
    if (!session_isolates_cases(session, suite))
        session_step(session, suite->name);
    GPtrArray *results = session_run_suite(session, suite);
    if (!results) {
        *status = HB_INTERRUPTED;
        return FALSE;
    }
    session_deliver(session, results);
    session_isolate(session);
    return TRUE;
}

static gboolean
on_deadline(gpointer user_data)
{
    Session *session = user_data;
    session->late = TRUE;
    g_cancellable_cancel(session->options->interrupt);
    return G_SOURCE_CONTINUE; /* removed by whoever added it */
}

static guint
watch_deadline(Session *session)
{
    gint64 left_us = session->options->deadline_us - g_get_monotonic_time();
    if (session->options->deadline_us == 0)
        return 0;
    if (left_us <= 0) {
        session->late = TRUE;
        return 0;
    }
    return g_timeout_add((guint)MIN(left_us / 1000 + 1, G_MAXINT), on_deadline, session);
}

HbStatus
session_run(const SessionOptions *options)
{
    Session session = {.options = options};
    HbStatus status = HB_OK;
    if (options->origin) {
        session.template = options->origin->template;
        session.frozen_observation = g_strdup(options->origin->observation);
        session.boot_us = options->origin->boot_us;
        /* What is prepared was, before the template that we are given was frozen. */
        session.checked = session.looked = session.prepared = TRUE;
    }
    guint source = watch_deadline(&session);
    for (guint i = 0; i < options->suites->len; i++) {
        if (session_interrupted(&session)) {
            status = HB_INTERRUPTED;
            break;
        }
        if (!do_suite(&session, i, &status))
            break;
    }
    session_stop_host(&session);
    session_discard_template(&session);
    if (source)
        g_source_remove(source);
    g_clear_pointer(&session.prepares, g_ptr_array_unref);
    g_free(session.log_dir);
    g_free(session.trouble);
    g_free(session.how);
    return status;
}
