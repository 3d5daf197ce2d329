/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "live-serve.h"

#include <errno.h>
#include <glib-unix.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "disk-faults.h"
#include "error.h"
#include "json-line.h"
#include "lab-boot-private.h"
#include "live-private.h"
#include "qmp-trace.h"

/* The last words of a lab that goes down have so long to be read. */
#define LAST_WORDS_MS 2000

void
live_server_write(LiveServer *server)
{
    g_autoptr(GError) error = NULL;
    if (!live_lab_write(server->lab, server->place->path, &error))
        g_message("%s", error->message);
}

void
live_server_down(LiveServer *server)
{
    server->down = TRUE;
    g_cancellable_cancel(server->interrupt);
    g_main_context_wakeup(NULL);
}

static gboolean
on_signal(gpointer user_data)
{
    live_server_down(user_data);
    return G_SOURCE_CONTINUE;
}

static gboolean
on_connection(int fd, GIOCondition condition, gpointer user_data)
{
    int connection = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
    if (connection >= 0)
        live_client_new(user_data, connection);
    return G_SOURCE_CONTINUE;
}

static void
add_hosts(LiveServer *server)
{
    for (guint i = 0; i < server->options->plans->len; i++) {
        Host *host = g_new0(Host, 1);
        host->server = server;
        host->plan = host->start = server->options->plans->pdata[i];
        host->deleted = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
        host->leaving = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
        host->torn = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
        host->unlinked = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
        host->disk_faults = g_hash_table_new_full(g_str_hash, g_str_equal, g_free,
                                                  (GDestroyNotify)disk_faults_free);
        host->out = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
        host->accepted = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
        host->refused = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
        host->saved = g_ptr_array_new_with_free_func((GDestroyNotify)live_saved_free);
        g_ptr_array_add(server->hosts, host);
    }
}

/* ---- the first words
 * -------------------------------------------------------------------------------- */

/* To the one who started us, and who has sent his request already. */
static void
fail_first(int fd, const GError *error)
{
    JsonObject *object = json_object_new();
    json_object_set_string_member(object, "error", error->message);
    json_object_set_int_member(object, "status", (gint64)hb_error_status(error));
    json_object_set_boolean_member(object, "held", error->code == HB_FAIL);
    json_line_write(fd, object);
    close(fd);
}

static LiveLab *
describe(const LiveServeOptions *options)
{
    LiveLab *lab = live_lab_new(options->name);
    lab->file = g_strdup(options->file);
    lab->digest = g_strdup(options->digest);
    lab->boot = live_boot_id();
    lab->connect = g_strdup(options->connect);
    lab->logs = g_strdup(options->logs);
    lab->pid = getpid();
    return lab;
}

/* The one who started us waits as others do. */
static void
add_first(LiveServer *server)
{
    Client *client = live_client_new(server, server->options->first_fd);
    client->request = json_object_new();
    client->waits_up = TRUE;
    client->traces = server->options->trace;
}

/* ---- the lab's life
 * --------------------------------------------------------------------------------- */

static void
live(LiveServer *server)
{
    while (!server->down) {
        if (live_host_any_wanted(server))
            live_host_start_wanted(server);
        else if (live_work_waits(server))
            live_work_do(server);
        else
            g_main_context_iteration(NULL, TRUE);
        live_host_bury(server);
    }
}

static gboolean
on_late(gpointer user_data)
{
    *(gboolean *)user_data = TRUE;
    return G_SOURCE_REMOVE;
}

/* Whoever was told something reads it before the connection ends. */
static gboolean
anything_is_to_be_sent(const LiveServer *server)
{
    for (guint i = 0; i < server->clients->len; i++)
        if (((Client *)server->clients->pdata[i])->outgoing->len > 0)
            return TRUE;
    return FALSE;
}

static void
send_last_words(LiveServer *server)
{
    gboolean late = FALSE;
    guint timer = g_timeout_add(LAST_WORDS_MS, on_late, &late);
    g_autoptr(GError) error =
        g_error_new(HB_ERROR, HB_INTERRUPTED, "the lab went down while it came up");
    g_autoptr(GError) gone = g_error_new(HB_ERROR, HB_INTERRUPTED, "the lab went down");
    for (guint i = 0; i < server->clients->len; i++) {
        Client *client = server->clients->pdata[i];
        if (client->waits_up)
            live_client_fail(client, error);
    }
    live_work_clear(server, gone);
    while (anything_is_to_be_sent(server) && !late)
        g_main_context_iteration(NULL, TRUE);
    if (!late)
        g_source_remove(timer);
}

/* The emulators first; then nobody finds the lab any more. Those who wait for that are
 * told by the end of their connections, which is that of our process. */
static void
server_end(LiveServer *server)
{
    g_ptr_array_set_size(server->hosts, 0);
    g_clear_pointer(&server->uplinks, uplinks_free);
    g_clear_pointer(&server->segments, segments_free);
    send_last_words(server);
    live_place_leave(server->place);
    for (guint i = 0; i < server->clients->len; i++) {
        Client *client = server->clients->pdata[i];
        if (client->waits_down)
            client->fd = -1;
        live_client_free(client);
    }
    g_ptr_array_unref(server->clients);
    g_ptr_array_unref(server->hosts);
    g_queue_clear(&server->deferred);
    live_lab_free(server->lab);
    g_object_unref(server->interrupt);
}

gboolean
live_serve(const LiveServeOptions *options, GError **error)
{
    g_autoptr(GError) failure = NULL;
    LiveServer server = {.options = options, .lab = describe(options)};
    server.place = live_place_take(options->dir, options->name, &failure);
    if (!server.place || !live_lab_write(server.lab, server.place->path, &failure)) {
        live_place_leave(server.place);
        fail_first(options->first_fd, failure);
        live_lab_free(server.lab);
        g_propagate_error(error, g_steal_pointer(&failure));
        return FALSE;
    }
    server.hosts = g_ptr_array_new_with_free_func((GDestroyNotify)live_host_drop);
    server.clients = g_ptr_array_new();
    server.interrupt = g_cancellable_new();
    server.segments = lab_boot_segments(options->plans);
    g_queue_init(&server.deferred);
    g_queue_init(&server.work);
    add_hosts(&server);
    live_host_want(&server, options->hosts, NULL);
    add_first(&server);
    qmp_trace_call_lab(options->name);
    qmp_trace_to(live_client_trace, &server);
    guint sources[] = {
        g_unix_signal_add(SIGTERM, on_signal, &server),
        g_unix_signal_add(SIGINT, on_signal, &server),
        g_unix_fd_add(server.place->listener, G_IO_IN, on_connection, &server)};
    g_cancellable_push_current(server.interrupt);
    live(&server);
    qmp_trace_to(NULL, NULL);
    g_cancellable_pop_current(server.interrupt);
    for (gsize i = 0; i < G_N_ELEMENTS(sources); i++)
        g_source_remove(sources[i]);
    server_end(&server);
    return TRUE;
}
