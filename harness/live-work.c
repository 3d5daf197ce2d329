/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What takes a while or changes a host is done for one after the other, in the order in
 * which it was asked for, so that two terminals cannot disturb each other.
 */
#include "error.h"
#include "json-line.h"
#include "live-private.h"

typedef struct {
    Client *client; /* NULL: it has left */
    Host *host;
    JsonObject *request;
} Work;

static void
work_free(Work *work)
{
    json_object_unref(work->request);
    g_free(work);
}

/* ---- verify
 * ------------------------------------------------------------------------------------ */

static JsonObject *
on_verify(Host *host, JsonObject *request, GError **error)
{
    g_autoptr(GPtrArray) results = live_host_compare(host, error);
    return results ? live_check_answer(results) : NULL;
}

/* ---- one after the other
 * ------------------------------------------------------------------------------------ */

static const struct {
    const char *name;
    /* The answer, owned by the caller; or NULL. */
    JsonObject *(*run)(Host *host, JsonObject *request, GError **error);
    const char *step; /* what takes a while */
} kinds[] = {
    {"verify", on_verify, "comparing it with its manifest"},
    {"plug", live_change_plug, "waiting until the host has seen it"},
    {"unplug", live_change_unplug, "waiting until the host has given it back"},
    {"pause", live_power_pause, "stopping it"},
    {"resume", live_power_resume, "having it go on"},
    {"nmi", live_power_nmi, "sending the interrupt"},
    {"link", live_link, "looking whether the host notices"},
    {"disk", live_disk, "waiting for the emulator"},
    {"power", live_power, "waiting for the host"},
    {"save", live_save, "writing its state"},
    {"saved", live_saved_list, "looking what is saved"},
    {"forget", live_saved_remove, "removing it"},
    {"restore", live_restore, "reading its state"},
};

gboolean
live_work_pulse(gpointer user_data)
{
    LiveServer *server = user_data;
    live_client_tell(server, "alive", "");
    for (const GList *link = server->work.head; link; link = link->next) {
        const Work *work = link->data;
        if (work->client)
            live_client_event(work->client, "alive", "");
    }
    return G_SOURCE_CONTINUE;
}

void
live_work_add(Client *client, Host *host)
{
    LiveServer *server = client->server;
    Work *work = g_new(Work, 1);
    *work = (Work){client, host, json_object_ref(client->request)};
    g_queue_push_tail(&server->work, work);
    if (!server->work_pulse)
        server->work_pulse = g_timeout_add_seconds(LIVE_PULSE_S, live_work_pulse, server);
}

gboolean
live_work_waits(const LiveServer *server)
{
    return server->work.length > 0;
}

static JsonObject *
do_work(const Work *work, GError **error)
{
    const char *name = json_line_string(work->request, "request");
    GError *obstacle = live_request_obstacle(work->host->plan->host_id, work->host, name);
    if (obstacle) {
        g_propagate_error(error, obstacle);
        return NULL;
    }
    if (work->host->boot)
        live_change_settle(work->host);
    for (gsize i = 0; i < G_N_ELEMENTS(kinds); i++) {
        if (!g_str_equal(name, kinds[i].name))
            continue;
        live_client_event(work->client, "step", kinds[i].step);
        return kinds[i].run(work->host, work->request, error);
    }
    g_set_error(error, HB_ERROR, HB_USAGE, "nobody knows how to do '%s'", name);
    return NULL;
}

/* It stays in the queue while it is done, so that who leaves is forgotten. */
void
live_work_do(LiveServer *server)
{
    g_autoptr(GError) error = NULL;
    Work *work = g_queue_peek_head(&server->work);
    JsonObject *answer = work->client ? do_work(work, &error) : NULL;
    g_queue_pop_head(&server->work);
    if (work->client && answer && work->host->wanted)
        work->client->waits_up = TRUE;
    else if (work->client && answer)
        live_client_answer(work->client, g_steal_pointer(&answer));
    else if (work->client)
        live_client_fail(work->client, error);
    g_clear_pointer(&answer, json_object_unref);
    work_free(work);
    if (server->work.length == 0)
        g_clear_handle_id(&server->work_pulse, g_source_remove);
}

void
live_work_forget(Client *client)
{
    for (const GList *link = client->server->work.head; link; link = link->next) {
        Work *work = link->data;
        if (work->client == client)
            work->client = NULL;
    }
}

void
live_work_clear(LiveServer *server, const GError *error)
{
    g_clear_handle_id(&server->work_pulse, g_source_remove);
    for (const GList *link = server->work.head; link; link = link->next) {
        const Work *work = link->data;
        if (work->client)
            live_client_fail(work->client, error);
    }
    g_queue_clear_full(&server->work, (GDestroyNotify)work_free);
}
