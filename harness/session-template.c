/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Hosts that are clones: the first one is started, checked and frozen, and whoever wants
 * a host of its own gets one restored from that. What was compared with its manifest is
 * the template, so that clones need not be.
 */
#include <string.h>

#include "compare.h"
#include "error.h"
#include "log-dir.h"
#include "session-private.h"
#include "template-store.h"

/* A start takes some fifteen times as long as a clone: how slow this machine is, where
 * nothing was started on it. */
#define CLONES_A_START 15

/* Those that will have a host. */
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
    if (options->cold || session->cold || !options->driver->freeze)
        return FALSE;
    if (options->keep)
        return TRUE;
    if (options->isolation == SESSION_ISOLATE_NONE)
        return FALSE;
    guint programs = programs_to_run(session);
    return programs > 1 || (programs == 1 && options->isolation == SESSION_ISOLATE_CASE);
}

void
session_tell_template(Session *session, const char *how)
{
    g_free(session->how);
    session->how = g_strdup(how);
    if (session->options->frozen)
        session->options->frozen(session->cold, how, session->options->user_data);
}

char *
session_observe(Session *session, GError **error)
{
    char *text = session->options->driver->observe(session->host, error);
    if (text)
        log_dir_put(session->log_dir, "observation", text, 0600);
    return text;
}

/* What became of it, to be told; owned by the caller. */
static char *
keep(Session *session)
{
    const SessionDriver *driver = session->options->driver;
    g_autoptr(GError) error = NULL;
    g_autofree char *how = NULL;
    if (!session->options->keep || !driver->keep)
        return g_strdup("");
    if (session->differs)
        return g_strdup(", not kept: it is not the host that was asked for");
    session_step(session, "keeping the template");
    if (driver->keep(session->options, session->template, &how, &error))
        return g_strdup_printf(", %s", how);
    return g_strdup_printf(", not kept: %s", error->message);
}

char *
session_cannot_freeze(const char *why)
{
    return g_strdup_printf("it cannot be frozen: %s", why);
}

/* It was known when the host was started. */
static gboolean
is_hopeless(Session *session)
{
    const SessionDriver *driver = session->options->driver;
    const char *why = driver->obstacle ? driver->obstacle(session->host) : NULL;
    g_autofree char *how = why ? session_cannot_freeze(why) : NULL;
    if (!why)
        return FALSE;
    session->cold = TRUE;
    session_tell_template(session, how);
    return TRUE;
}

void
session_freeze_host(Session *session)
{
    const SessionDriver *driver = session->options->driver;
    if (is_hopeless(session))
        return;
    g_autoptr(GError) error = NULL;
    session_step(session, "freezing the host");
    gint64 before = g_get_monotonic_time();
    if (session->options->check_clones)
        session->frozen_observation = session_observe(session, &error);
    if (!error)
        session->template = driver->freeze(&session->host, &error);
    double seconds = (double)(g_get_monotonic_time() - before) / G_USEC_PER_SEC;
    session->cold = session->template == NULL;
    /* It may have died of it. */
    if (session->cold && session->host && !driver->sound(session->host, NULL))
        session_stop_host(session);
    g_autofree char *kept = session->cold ? NULL : keep(session);
    const char *other = !session->trouble         ? ""
                        : session->trouble_passes ? "; not used was the one before: "
                                                  : "; thrown away was the one before: ";
    g_autofree char *how =
        session->cold ? session_cannot_freeze(error->message)
                      : g_strdup_printf("frozen in %.2f s%s%s%s", seconds, kept, other,
                                        session->trouble ? session->trouble : "");
    if (!session_interrupted(session) && !session->late)
        session_tell_template(session, how);
}

/* ---- what is kept
 * ----------------------------------------------------------------------------------- */

/* The first clone is checked as a host that was started would be, and by the same words:
 * a run proves all by itself. */
static GPtrArray *
clone_and_check(Session *session, GError **error)
{
    const SessionOptions *options = session->options;
    session->starts++;
    session_choose_log_dir(session, NULL);
    session->host = options->driver->clone(session->template, session->log_dir,
                                           options->interrupt, error);
    if (!session->host)
        return NULL;
    if (options->driver->boot_us)
        session->boot_us = CLONES_A_START * options->driver->boot_us(session->host);
    if (options->started)
        options->started(session->host, options->user_data);
    g_autoptr(GPtrArray) results = session_check_host(session, error);
    if (results && session_any_bad(results)) {
        g_set_error_literal(error, HB_ERROR, HB_FAIL, "it is not the host that it was");
        return NULL;
    }
    if (results && options->check_clones)
        session->frozen_observation = session_observe(session, error);
    return !options->check_clones || session->frozen_observation
               ? g_steal_pointer(&results)
               : NULL;
}

/* One that does not live is of no use to anybody; but that this machine is short of
 * something says nothing of it. */
static void
give_up(Session *session, const GError *why)
{
    session_stop_host(session);
    session->trouble_passes = template_store_is_passing(why);
    if (!session->trouble_passes)
        session->options->driver->forget(session->template);
    session_discard_template(session);
    session->trouble = g_strdup(why->message);
}

void
session_use_kept(Session *session)
{
    const SessionOptions *options = session->options;
    g_autoptr(GError) error = NULL;
    g_autofree char *how = NULL;
    session->looked = TRUE;
    if (!options->keep || !options->driver->kept || !session_wants_template(session))
        return;
    session_step(session, "looking for a template");
    session->template = options->driver->kept(options, &how, &session->trouble);
    if (!session->template)
        return;
    GPtrArray *results = clone_and_check(session, &error);
    if (!results && (session_interrupted(session) || session->late))
        return;
    if (!results) {
        give_up(session, error);
        return;
    }
    session_tell_template(session, how);
    session->checked = TRUE;
    session_deliver_check(session, results, TRUE);
    session_isolate(session);
}

gboolean
session_check_clone(Session *session, const char *asked, GError **error)
{
    if (!asked)
        return TRUE;
    g_autofree char *observation = session_observe(session, error);
    if (!observation)
        return FALSE;
    if (strcmp(observation, asked) == 0)
        return TRUE;
    g_autofree char *diff = compare_diff(asked, observation);
    log_dir_put(session->log_dir, "observation.diff", diff, 0600);
    g_set_error(error, HB_ERROR, HB_FAIL,
                "it is not the host that was frozen: see %s/observation.diff",
                session->log_dir);
    return FALSE;
}

/* What gives no host is of no use to anybody. LAYER: NULL for the host as it was checked;
 * then hosts are started from here on. */
static void
tell_dead_clone(Session *session, Layer *layer, const GError *error)
{
    g_autofree char *how = g_strdup_printf("a clone did not live: %s", error->message);
    CaseResult *result = session_case(session, SESSION_HOST_SUITE, "clone", OUTCOME_PASS);
    session_make_flaky(result,
                       layer ? "a clone did not live, and another was made"
                             : "a clone did not live, and a host was started",
                       error->message);
    session_deliver_one(session, result);
    if (layer) {
        session_give_up_layer(session, layer, how);
        return;
    }
    session_discard_template(session);
    session->cold = TRUE;
    session_tell_template(session, how);
}

/* The first of each unit is called by its number. */
static char *
name_of_clone(const Session *session)
{
    const SessionUnit *unit = session->options->unit;
    return !unit ? g_strdup_printf("clone-%u", session->starts - 1)
           : session->starts == 1
               ? g_strdup_printf("clone-%u", unit->number)
               : g_strdup_printf("clone-%u.%u", unit->number, session->starts);
}

gboolean
session_clone_host(Session *session)
{
    if (!session->template)
        return FALSE;
    const SessionOptions *options = session->options;
    g_autoptr(GError) error = NULL;
    Layer *layer = session_layer(session);
    if (session_interrupted(session) || session->late)
        return FALSE;
    session->starts++;
    g_autofree char *name = name_of_clone(session);
    session_choose_log_dir(session, name);
    session->host = options->driver->clone(layer ? layer->template : session->template,
                                           session->log_dir, options->interrupt, &error);
    session->given = session->wanted;
    if (session->host &&
        session_check_clone(
            session, layer ? layer->observation : session->frozen_observation, &error))
        return TRUE;
    session_stop_host(session);
    if (session_interrupted(session) || session->late)
        return FALSE;
    tell_dead_clone(session, layer, error);
    return layer && session_clone_host(session);
}

void
session_isolate(Session *session)
{
    SessionIsolation isolation = session->options->isolation;
    if (isolation == SESSION_ISOLATE_NONE)
        return;
    if (session->template || isolation == SESSION_ISOLATE_SUITE ||
        isolation == SESSION_ISOLATE_CASE)
        session_stop_host(session);
}

gboolean
session_isolates_cases(const Session *session, const Suite *suite)
{
    return suite->ends || (session->options->isolation == SESSION_ISOLATE_CASE &&
                           !suite->command && !suite->plugs);
}

void
session_discard_template(Session *session)
{
    session_discard_layers(session);
    const SessionOrigin *origin = session->options->origin;
    void *template = g_steal_pointer(&session->template);
    if (template && !(origin && template == origin->template))
        session->options->driver->discard(template);
    g_clear_pointer(&session->frozen_observation, g_free);
}
