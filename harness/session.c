/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "session.h"

#include <string.h>
#include <sys/stat.h>

#include "compare.h"
#include "error.h"
#include "tap.h"

#define TAP_LOG_MAX (16 * 1024 * 1024)
#define STDERR_TAIL 4096

typedef struct {
    const SessionOptions *options;
    void *host; /* NULL: not started, or ended */
    guint starts;
    char *log_dir; /* of the present start */
    gboolean late; /* the deadline passed */
} Session;

/* ---- results
 * ----------------------------------------------------------------------------------- */

static CaseResult *
new_case(const Session *session, const char *suite, const char *name, Outcome outcome)
{
    return case_result_new(session->options->plan->host_id, suite, name, outcome);
}

static gboolean
is_about_the_run(const CaseResult *result)
{
    return *result->name == '[' || g_str_equal(result->suite, COMPARE_SUITE) ||
           g_str_equal(result->suite, SESSION_HOST_SUITE);
}

/* What was not asked for is still told when it says that the rest means nothing. */
static gboolean
is_wanted(const Session *session, const CaseResult *result)
{
    const SessionOptions *options = session->options;
    if (selection_has_case(options->selection, options->lab, result->host, result->suite,
                           result->name))
        return TRUE;
    if (*result->name == '[' && selection_has_suite(options->selection, options->lab,
                                                    result->host, result->suite))
        return TRUE;
    return is_about_the_run(result) && (outcome_is_bad(result->outcome) || result->flaky);
}

static void
refuse_skip(CaseResult *result)
{
    g_autofree char *reason = g_steal_pointer(&result->message);
    result->outcome = OUTCOME_FAIL;
    case_result_set_message(result, "skipped, which --no-skip forbids: %s",
                            reason ? reason : "");
}

/* Takes RESULTS. */
static void
deliver(Session *session, GPtrArray *results)
{
    for (guint i = 0; i < results->len;) {
        CaseResult *result = results->pdata[i];
        if (!is_wanted(session, result)) {
            g_ptr_array_remove_index(results, i);
            continue;
        }
        if (session->options->no_skip && result->outcome == OUTCOME_SKIP)
            refuse_skip(result);
        i++;
    }
    if (results->len > 0)
        session->options->results(results, session->options->user_data);
    g_ptr_array_unref(results);
}

/* Takes RESULT. */
static void
deliver_one(Session *session, CaseResult *result)
{
    GPtrArray *results = case_results_new();
    g_ptr_array_add(results, result);
    deliver(session, results);
}

static gboolean
interrupted(const Session *session)
{
    return g_cancellable_is_cancelled(session->options->interrupt) && !session->late;
}

static void
set_verdict(const Session *session, CaseResult *result, const GError *error)
{
    if (session->late) {
        result->outcome = OUTCOME_TIMEOUT;
        case_result_set_message(result, "the deadline of the run passed");
    } else {
        result->outcome = outcome_from_error(error);
        case_result_set_message(result, "%s", error->message);
    }
}

static CaseResult *
find_case(const GPtrArray *results, const CaseResult *like)
{
    for (guint i = 0; i < results->len; i++) {
        CaseResult *result = results->pdata[i];
        if (g_str_equal(result->name, like->name) &&
            g_str_equal(result->suite, like->suite))
            return result;
    }
    return NULL;
}

static void
make_flaky(CaseResult *result, const char *how, const char *why)
{
    g_autofree char *reason = g_strdup(why);
    result->outcome = OUTCOME_PASS;
    result->flaky = TRUE;
    case_result_set_message(result, "%s%s%s", how, reason ? ": " : "",
                            reason ? reason : "");
}

void
session_merge_retry(GPtrArray *results, const GPtrArray *again)
{
    guint first_count = results->len;
    for (guint i = 0; i < first_count; i++) {
        CaseResult *result = results->pdata[i];
        const CaseResult *other = find_case(again, result);
        /* "[program]" is there only when something was wrong */
        gboolean passes = other ? other->outcome == OUTCOME_PASS : *result->name == '[';
        if (outcome_is_bad(result->outcome) && passes)
            make_flaky(result, "passed only when tried again; first it failed",
                       result->message);
        else if (result->outcome == OUTCOME_PASS && other &&
                 outcome_is_bad(other->outcome))
            make_flaky(result, "passed, but failed when the suite was tried again",
                       other->message);
    }
    for (guint i = 0; i < again->len; i++) {
        const CaseResult *other = again->pdata[i];
        if (!find_case(results, other))
            g_ptr_array_add(results, case_result_copy(other));
    }
}

static gboolean
any_bad(const GPtrArray *results)
{
    for (guint i = 0; i < results->len; i++) {
        if (outcome_is_bad(((CaseResult *)results->pdata[i])->outcome))
            return TRUE;
    }
    return FALSE;
}

/* ---- logs
 * ---------------------------------------------------------------------------------------
 */

static void
write_log(const Session *session, const char *name, const char *text)
{
    g_autofree char *path = g_build_filename(session->log_dir, name, NULL);
    g_autoptr(GError) error = NULL;
    if (!g_file_set_contents_full(path, text, -1, G_FILE_SET_CONTENTS_NONE, 0600, &error))
        g_debug("%s", error->message); /* a full disk must not fail a test that passed */
}

/* The first start writes into the host's folder, a later one into one of its own below
 * it. */
static void
choose_log_dir(Session *session)
{
    g_free(session->log_dir);
    if (session->starts == 1) {
        session->log_dir = g_strdup(session->options->log_dir);
        return;
    }
    session->log_dir =
        g_strdup_printf("%s/start-%u", session->options->log_dir, session->starts);
    mkdir(session->log_dir, 0700);
}

/* ---- the host
 * ------------------------------------------------------------------------------------ */

static void
stop_host(Session *session)
{
    g_clear_pointer(&session->host, session->options->driver->stop);
}

static void
step(const Session *session, const char *what)
{
    if (session->options->step)
        session->options->step(what, session->options->user_data);
}

/* What a second start would not change. */
static gboolean
is_final(const Session *session, const GError *error)
{
    HbStatus status = hb_error_status(error);
    return session->late || status == HB_UNSUPPORTED || status == HB_USAGE ||
           status == HB_INFRASTRUCTURE || status == HB_INTERRUPTED;
}

static void
tell_flaky_start(Session *session, const char *why)
{
    CaseResult *result = new_case(session, SESSION_HOST_SUITE, "boot", OUTCOME_PASS);
    make_flaky(result, "started only when tried again", why);
    deliver_one(session, result);
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
        session->host = options->driver->start(options, session->log_dir, &failure);
        if (session->host)
            break;
        if (try >= options->retries || is_final(session, failure)) {
            g_propagate_error(error, g_steal_pointer(&failure));
            return FALSE;
        }
        if (!first)
            first = g_steal_pointer(&failure);
    }
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
compare_once(Session *session, guint try, GError **error)
{
    const SessionOptions *options = session->options;
    gint64 before = g_get_monotonic_time();
    g_autofree char *observation = options->driver->observe(session->host, error);
    if (!observation)
        return NULL;
    const char *manifest = options->manifest;
    g_autofree char *diff = compare_diff(manifest, observation);
    g_autofree char *name = try == 0 ? g_strdup("observation")
                                     : g_strdup_printf("observation.try%u", try + 1);
    write_log(session, "manifest", manifest);
    write_log(session, name, observation);
    write_log(session, "manifest.diff", diff);
    GPtrArray *results = compare_manifest(options->plan->host_id, manifest, observation,
                                          options->plan->tainted);
    /* One observation serves all cases; each has its share of the time. */
    gint64 share = (g_get_monotonic_time() - before) / results->len;
    for (guint i = 0; i < results->len; i++)
        ((CaseResult *)results->pdata[i])->duration_us = share;
    return results;
}

static GPtrArray *
compare_host(Session *session, GError **error)
{
    g_autoptr(GPtrArray) results = compare_once(session, 0, error);
    if (!results)
        return NULL;
    for (guint try = 1; try <= session->options->retries && any_bad(results); try++) {
        g_autoptr(GPtrArray) again = compare_once(session, try, error);
        if (!again)
            return NULL;
        session_merge_retry(results, again);
    }
    return g_steal_pointer(&results);
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

/* Takes RESULTS. A later host, and one of a shard without the check, tells only what is
 * wrong. */
static void
deliver_check(Session *session, GPtrArray *results, gboolean is_first)
{
    if (is_first && check_is_asked(session)) {
        deliver(session, results);
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
    deliver(session, results);
}

/* A host that runs and was compared with its manifest. */
static gboolean
ensure_host(Session *session, GError **error)
{
    if (session->host)
        return TRUE;
    const SessionOptions *options = session->options;
    gboolean is_first = session->starts == 0;
    if (!start_host(session, error))
        return FALSE;
    step(session, COMPARE_SUITE);
    g_autoptr(GBytes) manifest =
        g_bytes_new_static(options->manifest, strlen(options->manifest));
    GPtrArray *results = NULL;
    if (options->driver->put(session->host, SUITE_MANIFEST_PATH, manifest, error))
        results = compare_host(session, error);
    if (!results) {
        stop_host(session);
        return FALSE;
    }
    deliver_check(session, results, is_first);
    return TRUE;
}

/* ---- a suite
 * ----------------------------------------------------------------------------------------
 */

typedef struct {
    TapReader *reader;
    LogFile *tap_log, *stderr_log;
    GString *errors; /* the end of standard error */
} Listener;

static void
listen(int stream, const guint8 *data, gsize length, gpointer user_data)
{
    Listener *listener = user_data;
    if (stream == 1) {
        tap_reader_clock(listener->reader, g_get_monotonic_time());
        tap_reader_feed(listener->reader, data, length);
        if (listener->tap_log)
            log_file_write(listener->tap_log, data, length);
        return;
    }
    if (listener->stderr_log)
        log_file_write(listener->stderr_log, data, length);
    g_string_append_len(listener->errors, (const char *)data, (gssize)length);
    if (listener->errors->len > STDERR_TAIL)
        g_string_erase(listener->errors, 0,
                       (gssize)(listener->errors->len - STDERR_TAIL));
}

static LogFile *
open_log(const Session *session, const Suite *suite, guint try, const char *suffix)
{
    g_autofree char *name =
        try == 0 ? g_strdup_printf("%s.%s", suite->name, suffix)
                 : g_strdup_printf("%s.try%u.%s", suite->name, try + 1, suffix);
    return log_file_open(session->log_dir, name, TAP_LOG_MAX, NULL);
}

static void
listener_open(Listener *listener, const Session *session, const Suite *suite, guint try)
{
    listener->reader = tap_reader_new(session->options->plan->host_id, suite->name);
    tap_reader_clock(listener->reader, g_get_monotonic_time());
    listener->tap_log = open_log(session, suite, try, "tap");
    listener->stderr_log = open_log(session, suite, try, "stderr");
    listener->errors = g_string_new(NULL);
}

static void
listener_close(Listener *listener)
{
    tap_reader_free(listener->reader);
    g_clear_pointer(&listener->tap_log, log_file_free);
    g_clear_pointer(&listener->stderr_log, log_file_free);
    g_string_free(listener->errors, TRUE);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Listener, listener_close)

/* Standard error goes with the last failure: it is the program's last words. */
static void
attach_errors(GPtrArray *results, const GString *errors)
{
    for (guint i = results->len; i > 0 && errors->len > 0; i--) {
        CaseResult *result = results->pdata[i - 1];
        if (!outcome_is_bad(result->outcome))
            continue;
        g_autofree char *stderr_text =
            outcome_text(errors->str, (gssize)errors->len, TRUE);
        g_autofree char *all = g_strconcat(result->output ? result->output : "",
                                           "standard error:\n", stderr_text, NULL);
        case_result_set_output(result, all, -1);
        return;
    }
}

/* The results after the host was lost, or told us no more. NULL: interrupted. */
static GPtrArray *
after_loss(Session *session, const Suite *suite, TapReader *reader, const GError *error)
{
    stop_host(session);
    if (interrupted(session))
        return NULL;
    GPtrArray *results = tap_reader_abandon(reader);
    CaseResult *result = new_case(session, suite->name, "[host]", OUTCOME_FAIL);
    set_verdict(session, result, error);
    g_ptr_array_add(results, result);
    return results;
}

static GPtrArray *
after_timeout(Session *session, const Suite *suite, TapReader *reader, guint timeout_ms)
{
    GPtrArray *results = tap_reader_abandon(reader);
    CaseResult *result = new_case(session, suite->name, "[program]", OUTCOME_TIMEOUT);
    case_result_set_message(result, "did not end within %u s, after %u results",
                            timeout_ms / 1000, results->len);
    g_ptr_array_add(results, result);
    return results;
}

/* NULL: interrupted. */
static GPtrArray *
run_program(Session *session, const Suite *suite, guint try)
{
    const SessionDriver *driver = session->options->driver;
    g_autofree char *program = g_build_filename(SUITE_PROGRAMS_PATH, suite->name, NULL);
    g_auto(GStrv) environment = suite_environment(session->options->plan);
    const char *const argv[] = {program, NULL};
    g_auto(Listener) listener = {0};
    listener_open(&listener, session, suite, try);
    const GuestCommand command = {
        .argv = argv,
        .env = (const char *const *)environment,
        .stdin_fd = -1,
        .stdout_fd = -1,
        .stderr_fd = -1,
        .output = listen,
        .user_data = &listener,
        .timeout_ms = suite_timeout_ms(suite, driver->accel(session->host)),
    };
    GuestExit end = {0};
    g_autoptr(GError) error = NULL;
    GPtrArray *results;
    if (!driver->run(session->host, &command, &end, &error) ||
        !driver->sound(session->host, &error))
        results = after_loss(session, suite, listener.reader, error);
    else if (end.timed_out)
        results = after_timeout(session, suite, listener.reader, command.timeout_ms);
    else
        results = tap_reader_finish(listener.reader, end.status, end.signal);
    if (results)
        attach_errors(results, listener.errors);
    return results;
}

/* Nothing of SUITE was run: one result says why. */
static GPtrArray *
not_run(Session *session, const Suite *suite, Outcome outcome, const char *why)
{
    GPtrArray *results = case_results_new();
    CaseResult *result = new_case(session, suite->name, "[suite]", outcome);
    case_result_set_message(result, "%s", why);
    g_ptr_array_add(results, result);
    return results;
}

/* Tries what failed again, on a new host if the old one died. NULL: interrupted. */
static GPtrArray *
run_with_retries(Session *session, const Suite *suite)
{
    g_autoptr(GPtrArray) results = run_program(session, suite, 0);
    for (guint try = 1; results && try <= session->options->retries && any_bad(results);
         try++) {
        if (session->late || !ensure_host(session, NULL))
            break;
        g_autoptr(GPtrArray) again = run_program(session, suite, try);
        if (!again)
            return NULL;
        session_merge_retry(results, again);
    }
    return g_steal_pointer(&results);
}

/* FALSE: the session ends here, with STATUS. */
static gboolean
do_suite(Session *session, const Suite *suite, HbStatus *status)
{
    g_autofree char *unmet = suite_unmet(suite, session->options->plan);
    if (unmet) {
        deliver(session, not_run(session, suite, OUTCOME_SKIP, unmet));
        return TRUE;
    }
    if (session->late) {
        deliver(session, not_run(session, suite, OUTCOME_TIMEOUT,
                                 "not run: the deadline of the run had passed"));
        return TRUE;
    }
    g_autoptr(GError) error = NULL;
    if (!ensure_host(session, &error)) {
        *status = interrupted(session) ? HB_INTERRUPTED : HB_OK;
        if (*status == HB_INTERRUPTED)
            return FALSE;
        CaseResult *result = new_case(session, SESSION_HOST_SUITE, "boot", OUTCOME_FAIL);
        set_verdict(session, result, error);
        if (hb_error_status(error) == HB_UNSUPPORTED && !session->late)
            *status = HB_UNSUPPORTED;
        deliver_one(session, result);
        return session->late;
    }
    if (suite->is_check)
        return TRUE;
    step(session, suite->name);
    GPtrArray *results = run_with_retries(session, suite);
    if (!results) {
        *status = HB_INTERRUPTED;
        return FALSE;
    }
    deliver(session, results);
    return TRUE;
}

/* ---- the session
 * -------------------------------------------------------------------------------------
 */

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
    guint source = watch_deadline(&session);
    for (guint i = 0; i < options->suites->len; i++) {
        if (interrupted(&session)) {
            status = HB_INTERRUPTED;
            break;
        }
        if (!do_suite(&session, options->suites->pdata[i], &status))
            break;
    }
    stop_host(&session);
    if (source)
        g_source_remove(source);
    g_free(session.log_dir);
    return status;
}
