/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "uplink-relay.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gunixsocketaddress.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "error.h"

/* At most so many connections at once, of all relays: hosts are hostile. */
#define MOST 256
#define BACKLOG 64

/* A connection of a host, and the one to the machine that belongs to it. */
typedef struct {
    GSocketConnection *host, *machine;
    int ways; /* that are open */
} Pair;

static int pairs;

static void
pair_free(Pair *pair)
{
    g_object_unref(pair->host);
    g_clear_object(&pair->machine);
    g_free(pair);
    pairs--;
}

/* ---- both ways
 * -----------------------------------------------------------------------------------
 */

static void
way_ended(Pair *pair, GSocketConnection *to)
{
    g_socket_shutdown(g_socket_connection_get_socket(to), FALSE, TRUE, NULL);
    if (--pair->ways == 0)
        pair_free(pair);
}

static void
on_sent(GObject *source, GAsyncResult *result, gpointer pair)
{
    g_output_stream_splice_finish(G_OUTPUT_STREAM(source), result, NULL);
    way_ended(pair, ((Pair *)pair)->machine);
}

static void
on_received(GObject *source, GAsyncResult *result, gpointer pair)
{
    g_output_stream_splice_finish(G_OUTPUT_STREAM(source), result, NULL);
    way_ended(pair, ((Pair *)pair)->host);
}

static void
pass_on(GSocketConnection *from, GSocketConnection *to, GAsyncReadyCallback done,
        Pair *pair)
{
    pair->ways++;
    g_output_stream_splice_async(g_io_stream_get_output_stream(G_IO_STREAM(to)),
                                 g_io_stream_get_input_stream(G_IO_STREAM(from)),
                                 G_OUTPUT_STREAM_SPLICE_NONE, G_PRIORITY_DEFAULT, NULL,
                                 done, pair);
}

static void
on_connected(GObject *source, GAsyncResult *result, gpointer user_data)
{
    Pair *pair = user_data;
    pair->machine = g_socket_client_connect_finish(G_SOCKET_CLIENT(source), result, NULL);
    if (!pair->machine) {
        pair_free(pair); /* the host's connection ends */
        return;
    }
    pass_on(pair->host, pair->machine, on_sent, pair);
    pass_on(pair->machine, pair->host, on_received, pair);
}

/* ---- a service
 * -----------------------------------------------------------------------------------
 */

static gboolean
on_incoming(GSocketService *service, GSocketConnection *host, GObject *source,
            gpointer user_data)
{
    GSocketConnectable *to = user_data;
    if (pairs >= MOST)
        return TRUE;
    Pair *pair = g_new0(Pair, 1);
    pair->host = g_object_ref(host);
    pairs++;
    g_autoptr(GSocketClient) client = g_socket_client_new();
    /* The lab says where to, and no proxy of this process's environment. */
    g_socket_client_set_enable_proxy(client, FALSE);
    g_socket_client_connect_async(client, to, NULL, on_connected, pair);
    return TRUE;
}

static gpointer
work(gpointer context)
{
    g_autoptr(GMainLoop) loop = g_main_loop_new(context, FALSE);
    g_main_context_push_thread_default(context);
    g_main_loop_run(loop);
    return NULL;
}

static GMainContext *
relay_context(void)
{
    static GMainContext *context;
    if (!context) {
        context = g_main_context_new();
        g_thread_unref(g_thread_new("relay", work, g_main_context_ref(context)));
    }
    return context;
}

typedef struct {
    GSocket *socket;
    GSocketConnectable *to;
} Start;

/* In the thread, whose context the service is to have. */
static gboolean
start(gpointer user_data)
{
    Start *start = user_data;
    GSocketService *service = g_socket_service_new(); /* for as long as the process */
    g_socket_listener_add_socket(G_SOCKET_LISTENER(service), start->socket, NULL, NULL);
    g_signal_connect(service, "incoming", G_CALLBACK(on_incoming), start->to);
    g_socket_service_start(service);
    g_object_unref(start->socket);
    g_free(start);
    return G_SOURCE_REMOVE;
}

/* A socket that listens at PATH. */
static GSocket *
listen_at(const char *path, GError **error)
{
    g_autoptr(GSocketAddress) address = g_unix_socket_address_new(path);
    g_autoptr(GSocket) socket = g_socket_new(G_SOCKET_FAMILY_UNIX, G_SOCKET_TYPE_STREAM,
                                             G_SOCKET_PROTOCOL_DEFAULT, error);
    if (!socket)
        return NULL;
    g_socket_set_listen_backlog(socket, BACKLOG);
    if (!g_socket_bind(socket, address, FALSE, error) || !g_socket_listen(socket, error))
        return NULL;
    return g_steal_pointer(&socket);
}

/* Its file is open here and gone: /proc/self/fd leads to it from this process alone. */
static GSocket *
listen_hidden(int *fd, GError **error)
{
    g_autofree char *folder = g_dir_make_tmp("hostbed-uplink.XXXXXX", error);
    if (!folder)
        return NULL;
    g_autofree char *path = g_build_filename(folder, "s", NULL);
    g_autoptr(GSocket) socket = listen_at(path, error);
    *fd = socket ? open(path, O_PATH | O_CLOEXEC) : -1;
    int reason = errno;
    unlink(path);
    rmdir(folder);
    if (!socket || *fd >= 0)
        return g_steal_pointer(&socket);
    g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE, "cannot open a socket's file: %s",
                g_strerror(reason));
    return NULL;
}

char *
uplink_relay_new(const char *to, GError **error)
{
    int fd = -1;
    g_autoptr(GSocketConnectable) machine = g_network_address_parse(to, 0, error);
    g_autoptr(GSocket) socket = machine ? listen_hidden(&fd, error) : NULL;
    if (!socket)
        return NULL;
    Start *order = g_new0(Start, 1);
    order->socket = g_steal_pointer(&socket);
    order->to = g_steal_pointer(&machine);
    g_autoptr(GSource) source = g_idle_source_new();
    g_source_set_callback(source, start, order, NULL);
    g_source_attach(source, relay_context());
    return g_strdup_printf("/proc/self/fd/%d", fd);
}
