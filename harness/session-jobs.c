/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Suites that run at the same time: each unit in a clone of the template, and in a
 * process of its own, which costs its unit only if it dies. Processes are kept for the
 * next unit, since their start is not free.
 */
#include <signal.h>

#include "session-private.h"

typedef struct {
    Session *session;
    GPtrArray *list; /* SessionUnit, in order */
    guint next;      /* that was not begun */
    GPtrArray *workers;
    HbStatus status;
    gboolean stopping, told_cold;
} Units;

typedef struct {
    Units *units;
    Job *job;
    Report *report;          /* what it told last */
    const SessionUnit *unit; /* NULL: it waits for one */
    const void *template;
    gboolean dismissed, ended;
    gboolean told_end; /* why the unit came to no end of its own */
} Worker;

static void
free_unit(gpointer data)
{
    SessionUnit *unit = data;
    g_free(unit->only);
    g_free(unit);
}

static void
worker_free(gpointer data)
{
    Worker *worker = data;
    job_free(worker->job);
    report_free(worker->report);
    g_free(worker);
}

JsonObject *
session_unit_to_json(const SessionUnit *unit)
{
    JsonObject *object = json_object_new();
    json_object_set_string_member(object, "suite", unit->suite->name);
    if (unit->only)
        json_object_set_string_member(object, "case", unit->only);
    json_object_set_int_member(object, "number", unit->number);
    json_object_set_int_member(object, "order", unit->order);
    return object;
}

/* ---- what there is to do
 * ------------------------------------------------------------------------------ */

/* Results are told in the order of suites and, in each, of cases. */
static guint
order_of(guint suite, guint number)
{
    return (suite + 1) << 16 | MIN(number, 0xffff);
}

static void
add_unit(GPtrArray *list, const Suite *suite, const char *only, guint order)
{
    SessionUnit *unit = g_new0(SessionUnit, 1);
    unit->suite = suite;
    unit->only = g_strdup(only);
    unit->number = list->len + 1;
    unit->order = order;
    g_ptr_array_add(list, unit);
}

/* SessionUnit, of the suites from FIRST on that the lab meets the needs of. */
static GPtrArray *
list_units(const Session *session, guint first)
{
    const GPtrArray *all = session->options->suites;
    GPtrArray *list = g_ptr_array_new_with_free_func(free_unit);
    for (guint i = first; i < all->len; i++) {
        const Suite *suite = all->pdata[i];
        g_autofree char *unmet = suite_unmet(suite, session->options->plan);
        if (suite->is_check || unmet)
            continue;
        if (!session_isolates_cases(session, suite)) {
            add_unit(list, suite, NULL, order_of(i, 0));
            continue;
        }
        g_auto(GStrv) cases = session_chosen_cases(session, suite);
        for (guint n = 0; cases[n]; n++)
            add_unit(list, suite, cases[n], order_of(i, n + 1));
    }
    return list;
}

gboolean
session_splits(const Session *session)
{
    if (!session->options->jobs || session->options->isolation == SESSION_ISOLATE_NONE)
        return FALSE;
    g_autoptr(GPtrArray) list = list_units(session, 0);
    return list->len > 1;
}

/* ---- what comes of it
 * ---------------------------------------------------------------------------------- */

static void
tell(const Units *units, CaseResult *result /* taken */, guint order)
{
    const SessionOptions *options = units->session->options;
    g_autoptr(GPtrArray) results = case_results_new();
    result->order = order;
    g_ptr_array_add(results, result);
    options->results(results, options->user_data);
}

/* What a process that died tells is of no suite by name. */
static void
name_crash(const Units *units, const SessionUnit *unit, CaseResult *result)
{
    g_free(result->host);
    g_free(result->suite);
    g_free(result->name);
    result->host = g_strdup(units->session->options->plan->host_id);
    result->suite = g_strdup(unit->suite->name);
    result->name =
        unit->only ? g_strdup_printf("[%s]", unit->only) : g_strdup("[worker]");
    result->order = unit->order;
}

static void
on_results(Job *job, guint first, gpointer user_data)
{
    Worker *worker = user_data;
    const Units *units = worker->units;
    const SessionOptions *options = units->session->options;
    GPtrArray *results = worker->report->results;
    for (guint i = 0; i < results->len;) {
        CaseResult *result = results->pdata[i];
        gboolean crash = g_str_equal(result->host, "-");
        if (crash && (units->stopping || !worker->unit)) {
            g_ptr_array_remove_index(results, i);
            continue;
        }
        if (crash) {
            name_crash(units, worker->unit, result);
            worker->told_end = TRUE;
        }
        i++;
    }
    if (results->len > 0)
        options->results(results, options->user_data);
    g_ptr_array_set_size(results, 0);
}

static void
on_step(Job *job, const char *what, gpointer user_data)
{
    session_step(((Worker *)user_data)->units->session, what);
}

/* Of a unit whose clone did not live. */
static void
tell_cold(Worker *worker)
{
    Units *units = worker->units;
    const SessionOptions *options = units->session->options;
    if (!worker->report->cold || units->told_cold || !options->frozen)
        return;
    units->told_cold = TRUE;
    options->frozen(TRUE, worker->report->cold, options->user_data);
}

/* Somebody else had its process end, or what that told could not be read: not all of its
 * results came. */
static void
tell_lost(Worker *worker, const char *why)
{
    Units *units = worker->units;
    if (!worker->unit || worker->told_end || units->stopping)
        return;
    CaseResult *result = session_case(units->session, "-", "-", OUTCOME_INFRASTRUCTURE);
    case_result_set_message(result, "%s", why);
    name_crash(units, worker->unit, result);
    tell(units, result, worker->unit->order);
}

static void
on_done(Job *job, gpointer user_data)
{
    Worker *worker = user_data;
    if (job_is_broken(job))
        tell_lost(worker, "the process that ran it told what cannot be read");
    worker->unit = NULL;
    tell_cold(worker);
}

static void
on_ended(Job *job, gpointer user_data)
{
    Worker *worker = user_data;
    tell_lost(worker, "the process that ran it ended before it was done");
    worker->unit = NULL;
    worker->ended = TRUE;
    if (worker->report->status != HB_INTERRUPTED)
        worker->units->status =
            outcome_worst_status(worker->units->status, worker->report->status);
    tell_cold(worker);
}

static const JobWatch watch = {
    .step = on_step, .results = on_results, .done = on_done, .ended = on_ended};

/* ---- who does it
 * --------------------------------------------------------------------------------------
 */

static guint
count_running(const Units *units)
{
    guint running = 0;
    for (guint i = 0; i < units->workers->len; i++)
        running += ((const Worker *)units->workers->pdata[i])->unit != NULL;
    return running;
}

static Worker *
start_worker(Units *units, const SessionOrigin *origin, GError **error)
{
    const SessionOptions *options = units->session->options;
    Worker *worker = g_new0(Worker, 1);
    worker->units = units;
    worker->template = origin->template;
    worker->report = report_new(options->lab);
    worker->job = options->jobs->start(origin, worker->report, &watch, worker,
                                       options->user_data, error);
    if (!worker->job) {
        report_free(worker->report);
        g_free(worker);
        return NULL;
    }
    g_ptr_array_add(units->workers, worker);
    return worker;
}

static void
dismiss(Worker *worker)
{
    worker->dismissed = TRUE;
    job_dismiss(worker->job);
}

/* One has the template that it inherited; those that wait with another one may go. */
static Worker *
find_worker(Units *units, const SessionOrigin *origin, GError **error)
{
    for (guint i = 0; i < units->workers->len; i++) {
        Worker *worker = units->workers->pdata[i];
        if (worker->unit || worker->dismissed || worker->ended)
            continue;
        if (worker->template == origin->template && !job_is_broken(worker->job))
            return worker;
        dismiss(worker);
    }
    return start_worker(units, origin, error);
}

/* FALSE: the run ends before it could begin. */
static gboolean
begin_unit(Units *units)
{
    Session *session = units->session;
    const SessionUnit *unit = units->list->pdata[units->next];
    g_autoptr(GError) error = NULL;
    session_want(session, unit->suite, unit->only);
    const Layer *layer = session_layer(session);
    if (session_interrupted(session) || session->late)
        return FALSE;
    units->next++;
    const SessionOrigin origin = {
        .template = layer ? layer->template : session->template,
        .observation = layer ? layer->observation : session->frozen_observation,
        .boot_us = session->boot_us,
    };
    Worker *worker = find_worker(units, &origin, &error);
    if (worker) {
        worker->unit = unit;
        worker->told_end = FALSE;
        job_order(worker->job, session_unit_to_json(unit));
        return TRUE;
    }
    CaseResult *result =
        session_case(session, unit->suite->name, "-", OUTCOME_INFRASTRUCTURE);
    case_result_set_message(result, "no process could be started for it: %s",
                            error->message);
    name_crash(units, unit, result);
    tell(units, result, unit->order);
    return TRUE;
}

/* What is not begun now never will be. */
static void
leave_the_rest(Units *units)
{
    for (; units->session->late && units->next < units->list->len; units->next++) {
        const SessionUnit *unit = units->list->pdata[units->next];
        tell(units,
             session_not_run(units->session, unit->suite, unit->only, OUTCOME_TIMEOUT,
                             SESSION_NOT_RUN_LATE),
             unit->order);
    }
    units->next = units->list->len;
}

/* Processes know the deadline; that somebody asks us to end we have to tell them. */
static void
stop(Units *units)
{
    for (guint i = 0; i < units->workers->len && !units->stopping; i++)
        job_signal(((Worker *)units->workers->pdata[i])->job, SIGTERM);
    units->stopping = TRUE;
    leave_the_rest(units);
}

static void
sweep(Units *units)
{
    for (guint i = 0; i < units->workers->len;) {
        if (((Worker *)units->workers->pdata[i])->ended)
            g_ptr_array_remove_index(units->workers, i);
        else
            i++;
    }
}

/* Of all that clones share. */
static gint64
template_bytes(const Session *session)
{
    gint64 (*bytes_of)(const void *) = session->options->driver->bytes;
    if (!bytes_of)
        return 0;
    gint64 bytes = bytes_of(session->template);
    for (guint i = 0; session->layers && i < session->layers->len; i++) {
        const Layer *layer = session->layers->pdata[i];
        bytes += layer->template ? bytes_of(layer->template) : 0;
    }
    return bytes;
}

static void
tell_places(const Units *units, guint runs)
{
    const SessionOptions *options = units->session->options;
    const JobPlaces places = {
        .runs = runs,
        .could = count_running(units) + units->list->len - units->next,
        .template_bytes = template_bytes(units->session),
    };
    options->jobs->uses(&places, options->user_data);
}

/* A unit has its place from before its state is reached, which takes a host, too. */
static void
begin_units(Units *units)
{
    const SessionOptions *options = units->session->options;
    for (guint runs = count_running(units);
         units->next < units->list->len &&
         runs < MAX(options->jobs->may(options->user_data), 1);
         runs = count_running(units)) {
        tell_places(units, runs + 1);
        if (!begin_unit(units))
            break;
    }
    tell_places(units, count_running(units));
}

static void
dismiss_all(Units *units)
{
    for (guint i = 0; i < units->workers->len; i++)
        dismiss(units->workers->pdata[i]);
    while (units->workers->len > 0) {
        g_main_context_iteration(NULL, TRUE);
        sweep(units);
    }
}

/* Those that the lab does not meet the needs of. */
static void
tell_skips(const Units *units, guint first)
{
    const Session *session = units->session;
    const GPtrArray *all = session->options->suites;
    for (guint i = first; i < all->len; i++) {
        const Suite *suite = all->pdata[i];
        g_autofree char *unmet = suite_unmet(suite, session->options->plan);
        if (!unmet)
            continue;
        CaseResult *result = session_not_run(session, suite, NULL, OUTCOME_SKIP, unmet);
        result->order = order_of(i, 0);
        session_deliver_one((Session *)session, result);
    }
}

HbStatus
session_run_units(Session *session, guint first)
{
    Units units = {.session = session};
    units.list = list_units(session, first);
    units.workers = g_ptr_array_new_with_free_func(worker_free);
    tell_skips(&units, first);
    for (;;) {
        sweep(&units);
        begin_units(&units);
        if (session_interrupted(session))
            stop(&units);
        if (session->late)
            leave_the_rest(&units);
        if (units.next == units.list->len && count_running(&units) == 0)
            break;
        g_main_context_iteration(NULL, TRUE);
    }
    dismiss_all(&units);
    g_ptr_array_unref(units.workers);
    g_ptr_array_unref(units.list);
    return units.stopping || session_interrupted(session) ? HB_INTERRUPTED : units.status;
}
