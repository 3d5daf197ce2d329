/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What --prepare makes of a host whose template is kept: layer upon layer, each made
 * once, in a clone of the one below, and kept by all that came before. The next session
 * takes the topmost that is kept, and makes what is above.
 */
#include "error.h"
#include "lab-boot.h"
#include "prepare-layer.h"
#include "session-private.h"
#include "template-key.h"
#include "template-store.h"

static guint
count_layers(const Session *session)
{
    const GPtrArray *commands = session->options->prepare;
    return commands ? commands->len : 0;
}

gboolean
session_prepares_later(const Session *session)
{
    const SessionOptions *options = session->options;
    return options->keep && count_layers(session) > 0 && options->driver->branch &&
           !session->prepared && session_wants_template(session);
}

/* ---- what is told
 * --------------------------------------------------------------------------------------
 */

/* "layer 2 of 3 WHAT", or with one alone "prepared WHAT". */
static void
tell(Session *session, guint index, const char *what)
{
    guint count = count_layers(session);
    g_autofree char *name =
        count == 1 ? g_strdup("prepared")
                   : g_strdup_printf("layer %u of %u prepared", index + 1, count);
    g_autofree char *how =
        g_strdup_printf("%s; %s%s", session->how ? session->how : "", name, what);
    session_tell_template(session, how);
}

static void
choose_log_dir(Session *session, guint index, guint try)
{
    g_autofree char *name =
        try == 0 ? g_strdup_printf("prepared-%u", index + 1)
                 : g_strdup_printf("prepared-%u-try%u", index + 1, try + 1);
    session_choose_log_dir(session, name);
}

/* Both are taken; what is below is not needed any more. */
static void
go_up(Session *session, void *template, char *observation)
{
    session_discard_template(session);
    session->template = template;
    session->frozen_observation = observation;
}

/* ---- what is kept
 * --------------------------------------------------------------------------------------
 */

/* That a clone of it lives is its proof. */
static gboolean
prove(Session *session, const void *template, guint index, char **observation,
      GError **error)
{
    const SessionOptions *options = session->options;
    choose_log_dir(session, index, 0);
    session->host =
        options->driver->clone(template, session->log_dir, options->interrupt, error);
    if (session->host && options->check_clones)
        *observation = session_observe(session, error);
    gboolean lives = session->host && (*observation || !options->check_clones);
    session_stop_host(session);
    return lives;
}

/* WHY: what a clone of TEMPLATE died of. */
static void
give_up(Session *session, void *template, guint index, const GError *why)
{
    const SessionDriver *driver = session->options->driver;
    gboolean passes = template_store_is_passing(why);
    g_autofree char *what = g_strdup_printf(
        ", %s: %s", passes ? "not used this time" : "thrown away", why->message);
    if (!passes)
        driver->forget(template);
    driver->discard(template);
    tell(session, index, what);
}

/* Takes the layer of number INDEX, on top of the host as it was checked. */
static gboolean
take_kept(Session *session, guint index)
{
    const SessionDriver *driver = session->options->driver;
    g_auto(GStrv) steps = prepare_layers_steps(session->prepares, 0, index + 1);
    g_autofree char *how = NULL, *trouble = NULL, *observation = NULL;
    g_autoptr(GError) error = NULL;
    void *template =
        driver->kept_above(session->template, (const char *const *)steps, &how, &trouble);
    g_autofree char *what =
        template ? g_strdup_printf(", %s", how)
                 : g_strdup_printf(", thrown away: %s", trouble ? trouble : "");
    if (!template && trouble)
        tell(session, index, what);
    if (!template)
        return FALSE;
    if (prove(session, template, index, &observation, &error)) {
        go_up(session, template, g_steal_pointer(&observation));
        tell(session, index, what);
        return TRUE;
    }
    if (session_interrupted(session) || session->late)
        driver->discard(template);
    else
        give_up(session, template, index, error);
    return FALSE;
}

/* How many layers need not be made. */
static guint
use_kept(Session *session)
{
    guint index = count_layers(session);
    session_stop_host(session);
    while (session->options->driver->kept_above && index > 0 &&
           !session_interrupted(session) && !session->late)
        if (take_kept(session, --index))
            return index + 1;
    return 0;
}

/* ---- making them
 * ---------------------------------------------------------------------------------------
 */

/* A host that can be frozen, with layer number INDEX done. NULL, and *CANNOT: not here.
 */
static void *
prepare_clone(Session *session, guint index, guint try, gboolean *cannot, GError **error)
{
    const SessionOptions *options = session->options;
    session_stop_host(session);
    choose_log_dir(session, index, try);
    session->host = options->driver->branch(session->template, session->log_dir,
                                            options->interrupt, error);
    *cannot = session->host == NULL;
    session->unprepared =
        session->host && !session_prepare_host(session, index, index + 1, error);
    if (session->unprepared)
        session_stop_host(session);
    return session->host;
}

/* What became of TEMPLATE, on top of the present one, to be told; owned by the caller. */
static char *
keep(Session *session, void *template, guint index)
{
    const SessionDriver *driver = session->options->driver;
    g_autoptr(GError) error = NULL;
    g_autofree char *how = NULL;
    g_auto(GStrv) steps = prepare_layers_steps(session->prepares, index, index + 1);
    if (!driver->keep_above)
        return g_strdup("");
    session_step(session, "keeping what was prepared");
    return driver->keep_above(template, session->template, (const char *const *)steps,
                              &how, &error)
               ? g_strdup_printf(", %s", how)
               : g_strdup_printf(", not kept: %s", error->message);
}

/* Takes the place of the template that it was made from. *KEPT, owned by the caller. */
static gboolean
freeze_layer(Session *session, guint index, char **kept, GError **error)
{
    g_autofree char *observation = NULL;
    if (session->options->check_clones &&
        !(observation = session_observe(session, error)))
        return FALSE;
    void *template = session->options->driver->freeze(&session->host, error);
    if (!template)
        return FALSE;
    *kept = keep(session, template, index);
    go_up(session, template, g_steal_pointer(&observation));
    return TRUE;
}

static void
be_cold(Session *session, const GError *why)
{
    g_autofree char *how =
        g_strdup_printf("what is prepared cannot be frozen: %s", why->message);
    session->cold = TRUE;
    session_stop_host(session);
    session_discard_template(session);
    session_tell_template(session, how);
}

/* FALSE: its command failed in all tries. */
static gboolean
make_layer(Session *session, guint index, GError **error)
{
    g_autoptr(GError) failure = NULL;
    g_autofree char *kept = NULL;
    gint64 before = g_get_monotonic_time();
    gboolean cannot = FALSE;
    for (guint try = 0; !prepare_clone(session, index, try, &cannot, &failure) && !cannot;
         try++) {
        if (try >= session->options->retries || session_is_final(session, failure)) {
            g_propagate_error(error, g_steal_pointer(&failure));
            return FALSE;
        }
        g_clear_error(&failure);
    }
    gboolean done = session->host && freeze_layer(session, index, &kept, &failure);
    if (session_interrupted(session) || session->late)
        return TRUE;
    double seconds = (double)(g_get_monotonic_time() - before) / G_USEC_PER_SEC;
    g_autofree char *what = g_strdup_printf(" in %.2f s%s", seconds, kept ? kept : "");
    if (done)
        tell(session, index, what);
    else
        be_cold(session, failure);
    return TRUE;
}

gboolean
session_prepare_template(Session *session, GError **error)
{
    if (!session_read_layers(session, error))
        return FALSE;
    if (session->layers_done == 0)
        session->layers_done = use_kept(session);
    for (; session->layers_done < count_layers(session); session->layers_done++) {
        if (session->cold || session_interrupted(session) || session->late)
            return TRUE;
        if (!make_layer(session, session->layers_done, error))
            return FALSE;
    }
    session->prepared = TRUE;
    return TRUE;
}

/* ---- their keys
 * ---------------------------------------------------------------------------------------
 */

GStrv
session_layer_keys(const SessionOptions *options, const GPtrArray *inputs, GStrv *steps,
                   GError **error)
{
    g_autoptr(GPtrArray) layers = prepare_layers_new(options, error);
    g_autoptr(GStrvBuilder) keys = g_strv_builder_new();
    for (guint i = 0; layers && i < layers->len; i++) {
        g_auto(GStrv) done = prepare_layers_steps(layers, 0, i + 1);
        g_autoptr(GPtrArray) above =
            lab_template_inputs_above(inputs, (const char *const *)done);
        g_autofree char *key = template_inputs_key(above);
        g_strv_builder_add(keys, key);
    }
    *steps = layers ? prepare_layers_steps(layers, 0, layers->len) : NULL;
    return layers ? g_strv_builder_end(keys) : NULL;
}
