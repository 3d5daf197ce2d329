/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "session-listen.h"

#include "tail.h"

#define TAP_LOG_MAX (16 * 1024 * 1024)
#define STDERR_TAIL 4096
/* A result is told when it was there a tick before: what the program says of it follows
 * at once, and thousands are no thousand messages. */
#define TICK_MS 500

/* ---- what is heard
 * ---------------------------------------------------------------------------------- */

/* The case that runs now, where it is known. */
static void
step(const Listener *listener)
{
    guint count = tap_reader_count(listener->reader);
    if (count >= g_strv_length(listener->cases))
        return;
    g_autofree char *text =
        g_strdup_printf("%s/%s", listener->suite->name, listener->cases[count]);
    session_step(listener->session, text);
}

/* A result ends a case, and what it asks of us shows that it gets on. */
static void
restart_limit(Listener *listener)
{
    const Requests *requests = listener->requests;
    guint seen =
        tap_reader_count(listener->reader) + (requests ? requests_count(requests) : 0);
    if (listener->limit && seen != listener->seen && !case_limit_passed(listener->limit))
        case_limit_restart(listener->limit);
    listener->seen = seen;
}

static void
hear_results(Listener *listener, const guint8 *data, gsize length)
{
    guint before = tap_reader_count(listener->reader);
    tap_reader_clock(listener->reader, g_get_monotonic_time());
    tap_reader_feed(listener->reader, data, length);
    if (listener->tap_log)
        log_file_write(listener->tap_log, data, length);
    if (listener->requests)
        requests_hear(listener->requests, data, length);
    restart_limit(listener);
    if (tap_reader_count(listener->reader) != before)
        step(listener);
}

void
listener_hear(int stream, const guint8 *data, gsize length, gpointer user_data)
{
    Listener *listener = user_data;
    if (stream == 1) {
        hear_results(listener, data, length);
        return;
    }
    if (listener->stderr_log)
        log_file_write(listener->stderr_log, data, length);
    tail_add(listener->errors, data, length, STDERR_TAIL);
}

/* ---- what is told
 * ----------------------------------------------------------------------------------- */

/* Standard error goes with the last failure: it is the program's last words. */
static void
attach_errors(Listener *listener, GPtrArray *results)
{
    GString *errors = listener->errors;
    for (guint i = results->len; i > 0 && errors->len > 0; i--) {
        CaseResult *result = results->pdata[i - 1];
        if (!outcome_is_bad(result->outcome))
            continue;
        g_autofree char *stderr_text =
            outcome_text(errors->str, (gssize)errors->len, TRUE);
        const char *before = result->output ? result->output : "";
        const char *end = *before && !g_str_has_suffix(before, "\n") ? "\n" : "";
        g_autofree char *all =
            g_strconcat(before, end, "standard error:\n", stderr_text, NULL);
        case_result_set_output(result, all, -1);
        g_string_truncate(errors, 0);
    }
}

/* Takes RESULTS. */
static void
tell(Listener *listener, GPtrArray *results)
{
    GPtrArray *list = case_results_new();
    attach_errors(listener, results);
    for (guint i = 0; i < results->len; i++) {
        CaseResult *result = results->pdata[i];
        gboolean waits =
            outcome_is_bad(result->outcome) && listener->session->options->retries > 0;
        g_ptr_array_add(waits ? listener->held : list, result);
        if (!waits)
            g_ptr_array_add(listener->told, case_result_copy(result));
    }
    g_ptr_array_set_free_func(results, NULL); /* they are others' now */
    g_ptr_array_unref(results);
    session_deliver(listener->session, list);
}

static gboolean
on_tick(gpointer user_data)
{
    Listener *listener = user_data;
    guint upto = listener->had;
    listener->had = tap_reader_count(listener->reader);
    tell(listener, tap_reader_take(listener->reader, upto));
    return G_SOURCE_CONTINUE;
}

void
listener_end(Listener *listener)
{
    g_clear_handle_id(&listener->source, g_source_remove);
}

void
listener_complete(Listener *listener, GPtrArray *results)
{
    for (guint i = 0; i < listener->held->len; i++)
        g_ptr_array_insert(results, (int)i, listener->held->pdata[i]);
    g_ptr_array_set_free_func(listener->held, NULL); /* they are others' now */
    g_ptr_array_unref(listener->held);
    listener->held = case_results_new();
    attach_errors(listener, results);
}

/* ---- its life
 * --------------------------------------------------------------------------------------
 */

static LogFile *
open_log(const Session *session, const Suite *suite, guint try, const char *suffix)
{
    g_autofree char *name =
        try == 0 ? g_strdup_printf("%s.%s", suite->name, suffix)
                 : g_strdup_printf("%s.try%u.%s", suite->name, try + 1, suffix);
    return log_file_open(session->log_dir, name, TAP_LOG_MAX, NULL);
}

void
listener_open(Listener *listener, Session *session, const Suite *suite, const char *only,
              guint try, GPtrArray *told)
{
    listener->session = session;
    listener->suite = suite;
    const char *const one[] = {only, NULL};
    listener->cases =
        only ? g_strdupv((char **)one) : session_chosen_cases(session, suite);
    listener->told = told;
    listener->held = case_results_new();
    listener->reader = tap_reader_new(session->options->plan->host_id, suite->name);
    if (suite->command)
        tap_reader_allow_plain(listener->reader);
    tap_reader_clock(listener->reader, g_get_monotonic_time());
    listener->tap_log = open_log(session, suite, try, "tap");
    listener->stderr_log = open_log(session, suite, try, "stderr");
    listener->errors = g_string_new(NULL);
    if (told)
        listener->source = g_timeout_add(TICK_MS, on_tick, listener);
}

void
listener_close(Listener *listener)
{
    listener_end(listener);
    g_strfreev(listener->cases);
    tap_reader_free(listener->reader);
    g_ptr_array_unref(listener->held);
    g_clear_pointer(&listener->tap_log, log_file_free);
    g_clear_pointer(&listener->stderr_log, log_file_free);
    g_string_free(listener->errors, TRUE);
    g_clear_pointer(&listener->limit, case_limit_free);
    g_clear_pointer(&listener->requests, requests_free);
}
