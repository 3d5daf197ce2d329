/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * One suite of a session: its program run in the host, what it prints kept and read as
 * results.
 */
#include "count.h"
#include "disks.h"
#include "emit.h"
#include "links.h"
#include "outages.h"
#include "plug.h"
#include "probes.h"
#include "session-listen.h"
#include "slots.h"
#include "wrap.h"

/* The results after the host was lost, or told us no more. NULL: interrupted; then what
 * the suite had said is told. */
static GPtrArray *
after_loss(Session *session, const Suite *suite, Listener *listener, const GError *error)
{
    session_stop_host(session);
    listener_end(listener);
    g_autoptr(GPtrArray) results = tap_reader_abandon(listener->reader);
    if (session_interrupted(session)) {
        listener_complete(listener, results);
        if (listener->told)
            session_deliver(session, g_steal_pointer(&results));
        return NULL;
    }
    CaseResult *result = session_case(session, suite->name, "[host]", OUTCOME_FAIL);
    session_set_verdict(session, result, error);
    g_ptr_array_add(results, result);
    return g_steal_pointer(&results);
}

/* The case that ran when COUNT had ended. What is not known by its name is called as what
 * is about the whole program is. */
static char *
name_of_case(const Listener *listener, const char *only, guint count)
{
    guint known = g_strv_length(listener->cases);
    const char *name = only ? only : count < known ? listener->cases[count] : NULL;
    return name ? g_strdup(name) : g_strdup_printf("[case %u]", count + 1);
}

static void
add_long_case(const Session *session, const Suite *suite, const Listener *listener,
              const char *name, const char *words, GPtrArray *results)
{
    const Limits *limits = &listener->limits;
    CaseResult *result = session_case(session, suite->name, name, OUTCOME_TIMEOUT);
    double starved = (double)case_limit_starved_us(listener->limit) / G_USEC_PER_SEC;
    g_autofree char *idle =
        starved < 1
            ? g_strdup("")
            : g_strdup_printf(", and %.0f s without a processor do not count", starved);
    case_result_set_message(
        result,
        "took longer than %.1f s (the machine was measured %.1f times "
        "slower than the reference%s), and the suite was ended; "
        "logs: %s",
        (double)limits->case_ms / 1000, limits->slowness, idle, session->log_dir);
    if (words)
        case_result_set_output(result, words, -1);
    g_ptr_array_add(results, result);
}

static GPtrArray *
after_timeout(Session *session, const Suite *suite, TapReader *reader, guint timeout_ms)
{
    GPtrArray *results = tap_reader_abandon(reader);
    CaseResult *result = session_case(session, suite->name, "[program]", OUTCOME_TIMEOUT);
    case_result_set_message(result, "did not end within %u s, after %u results",
                            timeout_ms / 1000, tap_reader_count(reader));
    g_ptr_array_add(results, result);
    return results;
}

/* Somebody else's program: what it wants bound, where its results go, what it is told. */
gboolean
session_prepare_foreign(Session *session, const Suite *suite, GStrv *argv,
                        GStrv *environment, GError **error)
{
    const SessionOptions *options = session->options;
    Bindings *bindings = options->bindings;
    g_auto(GStrv) ours = suite_environment(options->plan);
    g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
    if (!wrap_bind(options->driver, session->host, bindings, error) ||
        (options->out && !wrap_prepare_out(options->driver, session->host, error)))
        return FALSE;
    g_auto(GStrv) theirs = wrap_environment(bindings, options->out != NULL, options->env);
    g_strv_builder_addv(builder, (const char **)ours);
    g_strv_builder_addv(builder, (const char **)theirs);
    *environment = g_strv_builder_end(builder);
    *argv = bindings_fill(bindings, (const char *const *)suite->command, error);
    return *argv != NULL;
}

static void
add_word(GStrv *words, const char *word)
{
    g_auto(GStrv) before = g_steal_pointer(words);
    g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
    g_strv_builder_addv(builder, (const char **)before);
    g_strv_builder_add(builder, word);
    *words = g_strv_builder_end(builder);
}

/* What a suite that counts gets besides, where there is something to count. */
static void
prepare_counts(const Session *session, Listener *listener, GStrv *environment)
{
    const SessionOptions *options = session->options;
    g_autofree char *counted = counts_environment(options->plan);
    const char *dir =
        options->driver->captures ? options->driver->captures(session->host) : NULL;
    if (!counted || !dir)
        return;
    add_word(environment, counted);
    listener->requests = counts_requests(options->plan, dir);
}

/* What a suite that plugs gets besides. */
static gboolean
prepare_plugs(Session *session, Listener *listener, GStrv *environment, GError **error)
{
    const SessionOptions *options = session->options;
    g_autoptr(GString) manifest = g_string_new(NULL);
    emit_manifest(options->plan->filled, manifest);
    g_autoptr(GBytes) content = g_bytes_new(manifest->str, manifest->len);
    if (!options->driver->put(session->host, SUITE_FILLED_PATH, 0444, content, error))
        return FALSE;
    g_autofree char *pluggable = plugs_environment(options->plan);
    *environment = g_environ_setenv(g_steal_pointer(environment), "HOSTBED_MANIFEST",
                                    SUITE_FILLED_PATH, TRUE);
    add_word(environment, pluggable);
    listener->requests = plugs_requests(options->plan, options->driver, session->host);
    return TRUE;
}

gboolean
session_serve_peers(Session *session, const Suite *suite, GError **error)
{
    const SessionDriver *driver = session->options->driver;
    if (!suite->joins || !driver->run_in_peers)
        return TRUE;
    g_autofree char *program = g_build_filename(SUITE_PROGRAMS_PATH, suite->name, NULL);
    g_autofree char *joined = links_environment(session->options->plan);
    const char *const argv[] = {program, "--serve", joined, NULL};
    return driver->run_in_peers(session->host, argv, error);
}

/* What a suite that joins gets besides. */
static gboolean
prepare_links(Session *session, const Suite *suite, Listener *listener,
              GStrv *environment, GError **error)
{
    const SessionOptions *options = session->options;
    g_autofree char *joined = links_environment(options->plan);
    if (!session_serve_peers(session, suite, error))
        return FALSE;
    add_word(environment, joined);
    if (suite->ends)
        listener->requests =
            outages_requests(options->plan, options->driver, session->host);
    else
        listener->requests =
            links_requests(options->plan, options->driver, session->host);
    return TRUE;
}

/* What a suite that disturbs disks gets besides. */
static void
prepare_disks(Session *session, Listener *listener, GStrv *environment)
{
    const SessionOptions *options = session->options;
    g_autofree char *disks = disks_environment(options->plan);
    if (!disks)
        return;
    add_word(environment, disks);
    listener->requests = disks_requests(options->plan, options->driver, session->host);
}

/* What a suite that grows its host gets besides. */
static void
prepare_slots(Session *session, Listener *listener, GStrv *environment)
{
    const SessionOptions *options = session->options;
    g_autofree char *slots = slots_environment(options->plan);
    add_word(environment, slots);
    listener->requests = slots_requests(options->plan, options->driver, session->host);
}

/* ONLY: the case that is to run, or NULL: all. */
static gboolean
prepare_program(Session *session, const Suite *suite, const char *only,
                Listener *listener, GStrv *argv, GStrv *environment, GError **error)
{
    if (suite->command)
        return session_prepare_foreign(session, suite, argv, environment, error);
    g_autofree char *program = g_build_filename(SUITE_PROGRAMS_PATH, suite->name, NULL);
    const char *const words[] = {program, NULL};
    *argv = g_strdupv((char **)words);
    *environment = suite_environment(session->options->plan);
    char slowness[G_ASCII_DTOSTR_BUF_SIZE];
    g_ascii_formatd(slowness, sizeof slowness, "%.1f", listener->limits.slowness);
    *environment = g_environ_setenv(*environment, "HOSTBED_SLOWNESS", slowness, TRUE);
    if (suite->counts)
        prepare_counts(session, listener, environment);
    if (suite->disturbs)
        prepare_disks(session, listener, environment);
    if (suite->grows)
        prepare_slots(session, listener, environment);
    g_autofree char *cases = g_strjoinv(" ", listener->cases);
    if (only)
        *environment = g_environ_setenv(*environment, "HOSTBED_CASE", only, TRUE);
    else if (g_strv_length(listener->cases) < g_strv_length((char **)suite->cases))
        *environment = g_environ_setenv(*environment, "HOSTBED_CASES", cases, TRUE);
    if (suite->joins && !prepare_links(session, suite, listener, environment, error))
        return FALSE;
    return !suite->plugs || prepare_plugs(session, listener, environment, error);
}

/* What it left for us. FALSE: not all of it came. */
static gboolean
collect_results(Session *session, const Suite *suite, GError **error)
{
    const SessionOptions *options = session->options;
    if (!suite->command || !options->out)
        return TRUE;
    g_autofree char *folder = g_build_filename(options->out, suite->name, NULL);
    g_autoptr(Outbox) outbox = outbox_open(folder, error);
    return outbox && wrap_collect_out(options->driver, session->host, outbox, error);
}

/* Who set a limit for his own program meant that long, but of a case: on the reference
 * machine. */
static Limits
find_limits(const Session *session, const Suite *suite)
{
    const SessionOptions *options = session->options;
    const SessionDriver *driver = options->driver;
    Accel accel = driver->accel(session->host);
    Limits limits = {.slowness = 1, .suite_ms = suite_timeout_ms(suite, accel)};
    if (!driver->time_out)
        return limits;
    limits.slowness = case_limit_slowness(options->plan, accel, session->boot_us);
    gint64 case_ms = options->case_timeout_ms >= 0 ? options->case_timeout_ms
                                                   : suite_case_timeout_ms(suite, accel);
    limits.case_ms = (gint64)((double)case_ms * limits.slowness);
    if (!suite->command)
        limits.suite_ms =
            (guint)MIN((double)limits.suite_ms * limits.slowness, (double)G_MAXINT);
    return limits;
}

/* What the program, or that it was not to be had any more (not RAN, and ERROR), left.
 * NULL: interrupted. */
static GPtrArray *
conclude(Session *session, const Suite *suite, const char *only, Listener *listener,
         gboolean ran, const GuestExit *end, const GError *error)
{
    TapReader *reader = listener->reader;
    gboolean long_case = listener->limit && case_limit_passed(listener->limit);
    g_autofree char *name = name_of_case(listener, only, tap_reader_count(reader));
    g_autofree char *words = tap_reader_last_words(reader);
    GPtrArray *results;
    listener_end(listener);
    if (!ran)
        results = after_loss(session, suite, listener, error);
    else if (long_case)
        results = tap_reader_abandon(reader);
    else if (end->timed_out)
        results = after_timeout(session, suite, reader, listener->limits.suite_ms);
    else
        results = tap_reader_finish(reader, end->status, end->signal);
    if (results && long_case)
        add_long_case(session, suite, listener, name, words, results);
    if (results)
        listener_complete(listener, results);
    return results;
}

/* What was not told yet; TOLD: as for listener_open(). NULL: interrupted. */
static GPtrArray *
run_program(Session *session, const Suite *suite, const char *only, guint try,
            GPtrArray *told)
{
    const SessionDriver *driver = session->options->driver;
    g_auto(GStrv) argv = NULL, environment = NULL;
    g_auto(Listener) listener = {0};
    g_autoptr(GError) error = NULL;
    listener_open(&listener, session, suite, only, try, told);
    listener.limits = find_limits(session, suite);
    if (!prepare_program(session, suite, only, &listener, &argv, &environment, &error))
        return after_loss(session, suite, &listener, error);
    if (listener.limits.case_ms > 0)
        listener.limit = case_limit_new(driver, session->host, listener.limits.case_ms);
    const GuestCommand command = {
        .argv = (const char *const *)argv,
        .env = (const char *const *)environment,
        .cwd = suite->command ? session->options->folder : NULL,
        .core_dumps = suite->command && session->options->out,
        .may_go_on = !suite->command,
        .stdin_fd = listener.requests ? requests_fd(listener.requests) : -1,
        .stdout_fd = -1,
        .stderr_fd = -1,
        .output = listener_hear,
        .user_data = &listener,
        .timeout_ms = listener.limits.suite_ms,
    };
    GuestExit end = {0};
    PROBE3(suite_started, session->options->lab, session->options->plan->host_id,
           suite->name);
    gboolean ran = driver->run(session->host, &command, &end, &error) &&
                   driver->sound(session->host, &error);
    GPtrArray *results = conclude(session, suite, only, &listener, ran, &end, error);
    PROBE4(suite_ended, session->options->lab, session->options->plan->host_id,
           suite->name, (int)(!results || session_any_bad(results)));
    /* What is left to do is no case. */
    gboolean long_case = listener.limit && case_limit_passed(listener.limit);
    g_clear_pointer(&listener.limit, case_limit_free);
    if (session->host && listener.requests && !requests_settle(listener.requests))
        session_stop_host(session);
    if (results && session->host && !collect_results(session, suite, &error)) {
        CaseResult *result =
            session_case(session, suite->name, "[results]", OUTCOME_FAIL);
        session_set_verdict(session, result, error);
        g_ptr_array_add(results, result);
    }
    /* What it left half done is nothing for the next suite. */
    if (long_case)
        session_stop_host(session);
    return results;
}

/* RESULTS, as far as TOLD says that they were not told, after another try. FALSE:
 * interrupted. */
static gboolean
try_again(Session *session, const Suite *suite, const char *only, guint try,
          const GPtrArray *told, GPtrArray *results)
{
    g_autoptr(GPtrArray) again = run_program(session, suite, only, try, NULL);
    if (!again)
        return FALSE;
    session_settle_told(told, again);
    session_merge_retry(results, again);
    return TRUE;
}

/* What was not told yet. NULL: interrupted; then all that there is was told. */
static GPtrArray *
run_tries(Session *session, const Suite *suite, const char *only)
{
    g_autoptr(GPtrArray) told = case_results_new();
    g_autoptr(GPtrArray) results = run_program(session, suite, only, 0, told);
    for (guint try = 1;
         results && try <= session->options->retries && session_any_bad(results); try++) {
        /* What made it fail may be the host itself. */
        session_stop_host(session);
        gboolean runs = !session->late && session_ensure_host(session, NULL);
        if (runs && !session_host_counts(session))
            break;
        if (runs ? !try_again(session, suite, only, try, told, results)
                 : session_interrupted(session)) {
            session_deliver(session, g_steal_pointer(&results));
            return NULL;
        }
        if (!runs)
            break;
    }
    return g_steal_pointer(&results);
}

/* Why the case NAME cannot be run now; NULL: it can. */
static CaseResult *
not_to_run(Session *session, const Suite *suite, const char *name)
{
    g_autoptr(GError) error = NULL;
    CaseResult *result = session_case(session, suite->name, name, OUTCOME_TIMEOUT);
    session_want(session, suite, name);
    if (session->late) {
        case_result_set_message(result, SESSION_NOT_RUN_LATE);
    } else if (!session_ensure_host(session, &error)) {
        result->outcome = OUTCOME_FAIL;
        session_set_verdict(session, result, error);
    } else if (!session_host_counts(session)) {
        result->outcome = OUTCOME_SKIP;
        case_result_set_message(result, SESSION_NOT_RUN_DIFFERS);
    } else {
        g_clear_pointer(&result, case_result_free);
    }
    return result;
}

GStrv
session_chosen_cases(const Session *session, const Suite *suite)
{
    const SessionOptions *options = session->options;
    g_auto(GStrv) cases = suite_cases(suite, options->plan);
    g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
    const char *only = options->unit ? options->unit->only : NULL;
    for (char **name = cases; *name; name++)
        if (selection_has_case(options->selection, options->lab, options->plan->host_id,
                               suite->name, *name) &&
            (!only || g_str_equal(only, *name)))
            g_strv_builder_add(builder, *name);
    return g_strv_builder_end(builder);
}

/* Each of those meant on a host of its own, told as they come. What no host could be had
 * for ends them, since the next would get none either. NULL: interrupted. */
static GPtrArray *
run_cases(Session *session, const Suite *suite)
{
    g_auto(GStrv) cases = session_chosen_cases(session, suite);
    for (char **name = cases; *name; name++) {
        CaseResult *why_not = not_to_run(session, suite, *name);
        if (session_interrupted(session)) {
            case_result_free(why_not);
            return NULL;
        }
        gboolean ends = why_not && why_not->outcome == OUTCOME_FAIL;
        g_autofree char *path = g_strdup_printf("%s/%s", suite->name, *name);
        session_step(session, path);
        GPtrArray *one = why_not ? case_results_new() : run_tries(session, suite, *name);
        if (!one)
            return NULL;
        if (why_not)
            g_ptr_array_add(one, why_not);
        session_deliver(session, one);
        session_stop_host(session);
        if (ends)
            break;
    }
    return case_results_new();
}

GPtrArray *
session_run_suite(Session *session, const Suite *suite)
{
    return session_isolates_cases(session, suite) ? run_cases(session, suite)
                                                  : run_tries(session, suite, NULL);
}
