/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The states that suites start from (suite.h): each is reached once, in a clone of what
 * it stands on, and frozen; layer upon layer, with the host that was checked below all.
 * Where one cannot be had, suites start from what it stands on and reach it themselves.
 */
#include "error.h"
#include "session-private.h"

/* ---- which
 * -------------------------------------------------------------------------------------
 */

static gboolean
stands_on(const HostState *state, const HostState *below)
{
    while (state && state != below)
        state = state->on;
    return state != NULL;
}

static gboolean
is_selected(const Session *session, const Suite *suite, const char *name)
{
    const SessionOptions *options = session->options;
    return selection_has_case(options->selection, options->lab, options->plan->host_id,
                              suite->name, name);
}

/* How many hosts will be made for SUITE that start from STATE or what stands on it. */
static guint
hosts_of(const Session *session, const Suite *suite, const HostState *state)
{
    g_autofree char *unmet = suite_unmet(suite, session->options->plan);
    guint hosts = 0;
    if (suite->is_check || suite->command || unmet)
        return 0;
    if (!session_isolates_cases(session, suite))
        return stands_on(suite_state(suite, NULL), state);
    for (const char *const *name = suite->cases; *name; name++)
        hosts += is_selected(session, suite, *name) &&
                 stands_on(suite_state(suite, *name), state);
    return hosts;
}

/* One alone reaches it sooner by itself. */
static gboolean
is_worth_it(const Session *session, const HostState *state)
{
    const GPtrArray *suites_to_run = session->options->suites;
    guint hosts = 0;
    for (guint i = 0; i < suites_to_run->len && hosts < 2; i++)
        hosts += hosts_of(session, suites_to_run->pdata[i], state);
    return hosts >= 2;
}

static const char *
first_case(const Session *session, const Suite *suite)
{
    for (const char *const *name = suite->cases; *name; name++)
        if (is_selected(session, suite, *name))
            return *name;
    return NULL;
}

void
session_want(Session *session, const Suite *suite, const char *only)
{
    const SessionOptions *options = session->options;
    session->wanted = NULL;
    /* What was given is all there is. */
    if (options->origin || !options->driver->branch ||
        options->isolation == SESSION_ISOLATE_NONE || suite->is_check || suite->command)
        return;
    if (!only && session_isolates_cases(session, suite))
        only = first_case(session, suite);
    const HostState *state = suite_state(suite, only);
    while (state && !is_worth_it(session, state))
        state = state->on;
    session->wanted = state;
}

/* ---- reaching them
 * ---------------------------------------------------------------------------------- */

static void
layer_free(gpointer data)
{
    Layer *layer = data;
    g_free(layer->observation);
    g_free(layer);
}

static Layer *
find_layer(const Session *session, const HostState *state)
{
    for (guint i = 0; session->layers && i < session->layers->len; i++) {
        Layer *layer = session->layers->pdata[i];
        if (layer->state == state)
            return layer;
    }
    return NULL;
}

static Layer *
add_layer(Session *session, const HostState *state)
{
    Layer *layer = g_new0(Layer, 1);
    layer->state = state;
    if (!session->layers)
        session->layers = g_ptr_array_new_with_free_func(layer_free);
    g_ptr_array_add(session->layers, layer);
    return layer;
}

static void
tell(Session *session, const Layer *layer, const char *what)
{
    g_autofree char *how =
        g_strdup_printf("%s; the state '%s' %s", session->how ? session->how : "",
                        layer->state->name, what);
    session_tell_template(session, how);
}

void
session_give_up_layer(Session *session, Layer *layer, const char *why)
{
    g_clear_pointer(&layer->template, session->options->driver->discard);
    g_autofree char *what = g_strdup_printf("is not used: %s", why);
    tell(session, layer, what);
}

void
session_discard_layers(Session *session)
{
    for (guint i = 0; session->layers && i < session->layers->len; i++) {
        Layer *layer = session->layers->pdata[i];
        g_clear_pointer(&layer->template, session->options->driver->discard);
    }
    g_clear_pointer(&session->layers, g_ptr_array_unref);
}

static gboolean
reach_and_freeze(Session *session, Layer *layer, const void *below, GError **error)
{
    const SessionOptions *options = session->options;
    g_autofree char *name = g_strconcat("state-", layer->state->name, NULL);
    session_choose_log_dir(session, name);
    session->host =
        options->driver->branch(below, session->log_dir, options->interrupt, error);
    if (!session->host || !session_reach_in_host(session, layer->state, error))
        return FALSE;
    if (options->check_clones)
        layer->observation = session_observe(session, error);
    if (options->check_clones && !layer->observation)
        return FALSE;
    layer->template = options->driver->freeze(&session->host, error);
    return layer->template != NULL;
}

/* NULL: STATE is not to be had, nor is any that it stands on. */
static Layer *
layer_of(Session *session, const HostState *state)
{
    if (!state)
        return NULL;
    Layer *below = layer_of(session, state->on), *layer = find_layer(session, state);
    if (layer)
        return layer->template ? layer : below;
    if (session_interrupted(session) || session->late)
        return NULL;
    g_autoptr(GError) error = NULL;
    layer = add_layer(session, state);
    if (state->on && (!below || below->state != state->on)) {
        g_autofree char *why = g_strdup_printf("it stands on '%s'", state->on->name);
        session_give_up_layer(session, layer, why);
        return below;
    }
    gint64 before = g_get_monotonic_time();
    if (reach_and_freeze(session, layer, below ? below->template : session->template,
                         &error)) {
        double seconds = (double)(g_get_monotonic_time() - before) / G_USEC_PER_SEC;
        g_autofree char *what = g_strdup_printf("was reached in %.2f s", seconds);
        tell(session, layer, what);
        return layer;
    }
    session_stop_host(session);
    if (!session_interrupted(session) && !session->late)
        session_give_up_layer(session, layer, error->message);
    return below;
}

Layer *
session_layer(Session *session)
{
    return layer_of(session, session->wanted);
}
