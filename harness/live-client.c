/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <glib-unix.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "error.h"
#include "json-line.h"
#include "live-private.h"
#include "live-wire.h"

static gboolean on_readable(int fd, GIOCondition condition, gpointer user_data);
static gboolean on_writable(int fd, GIOCondition condition, gpointer user_data);

static gboolean
waits_for_up(const LiveServer *server)
{
    for (guint i = 0; i < server->clients->len; i++)
        if (((Client *)server->clients->pdata[i])->waits_up)
            return TRUE;
    return FALSE;
}

/* There is more than a start: hosts run, or did. */
static gboolean
has_more(const LiveServer *server)
{
    for (guint i = 0; i < server->hosts->len; i++)
        if (((Host *)server->hosts->pdata[i])->was_up)
            return TRUE;
    return FALSE;
}

/* A start for which nobody waits any more ends, unless hosts run already; who waited for
 * it last is told by the end of the connection, as who asks for the lab's end. */
static void
leave(Client *client)
{
    LiveServer *server = client->server;
    gboolean waited = client->waits_up;
    client->waits_up = FALSE;
    g_queue_remove(&server->deferred, client);
    live_work_forget(client);
    if (waited && !waits_for_up(server) && !has_more(server)) {
        client->waits_down = TRUE;
        g_clear_handle_id(&client->readable, g_source_remove);
        live_server_down(server);
        return;
    }
    g_ptr_array_remove(server->clients, client);
    live_client_free(client);
}

/* ---- what goes
 * --------------------------------------------------------------------------------------
 */

/* FALSE: all is sent, and that was all, or nobody reads: CLIENT is gone. */
static gboolean
flush(Client *client)
{
    GByteArray *outgoing = client->outgoing;
    while (outgoing->len > 0) {
        ssize_t n =
            send(client->fd, outgoing->data, outgoing->len, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            break;
        if (n < 0) /* that nobody is there is seen by who reads */
            g_byte_array_set_size(outgoing, 0);
        else
            g_byte_array_remove_range(outgoing, 0, (guint)n);
    }
    if (outgoing->len > 0 && !client->writable)
        client->writable = g_unix_fd_add(client->fd, G_IO_OUT, on_writable, client);
    if (outgoing->len == 0 && client->ends)
        shutdown(client->fd, SHUT_RDWR);
    return outgoing->len > 0;
}

static gboolean
on_writable(int fd, GIOCondition condition, gpointer user_data)
{
    Client *client = user_data;
    client->writable = 0;
    flush(client);
    return G_SOURCE_REMOVE;
}

void
live_client_write(Client *client, const void *bytes, gsize length)
{
    if (client->ends)
        return;
    g_byte_array_append(client->outgoing, bytes, (guint)length);
    if (!client->writable)
        flush(client);
}

void
live_client_send(Client *client, JsonObject *object)
{
    g_autofree char *line = json_line(object);
    live_client_write(client, line, strlen(line));
}

void
live_client_event(Client *client, const char *event, const char *text)
{
    JsonObject *object = json_object_new();
    json_object_set_string_member(object, "event", event);
    json_object_set_string_member(object, "text", text);
    live_client_send(client, object);
}

void
live_client_tell(LiveServer *server, const char *event, const char *text)
{
    for (guint i = 0; i < server->clients->len; i++) {
        Client *client = server->clients->pdata[i];
        if (client->waits_up)
            live_client_event(client, event, text);
    }
}

void
live_client_trace(const char *line, gpointer user_data)
{
    const LiveServer *server = user_data;
    g_autofree char *text = g_strndup(line, strcspn(line, "\n"));
    for (guint i = 0; i < server->clients->len; i++) {
        Client *client = server->clients->pdata[i];
        if (client->waits_up && client->traces)
            live_client_event(client, "qmp", text);
    }
}

void
live_client_end(Client *client)
{
    client->waits_up = FALSE;
    client->ends = TRUE;
    flush(client);
}

static void
end(Client *client, JsonObject *last)
{
    live_client_send(client, last);
    live_client_end(client);
}

void
live_client_answer(Client *client, JsonObject *answer)
{
    JsonObject *object = json_object_new();
    json_object_set_object_member(object, "answer", answer);
    end(client, object);
}

void
live_client_fail(Client *client, const GError *error)
{
    JsonObject *object = json_object_new();
    json_object_set_string_member(object, "error", error->message);
    json_object_set_int_member(object, "status", (gint64)hb_error_status(error));
    end(client, object);
}

/* ---- what comes
 * -------------------------------------------------------------------------------------
 */

static void
take_line(const char *line, gpointer user_data)
{
    Client *client = user_data;
    if (!client->request)
        client->request = json_line_parse_object(line, strlen(line));
}

static void
read_request(Client *client)
{
    JsonLines came =
        json_line_read(client->fd, client->incoming, LIVE_LINE_MAX, take_line, client);
    if (client->request)
        live_request(client);
    else if (came != JSON_LINES_GO_ON)
        leave(client);
}

/* Keys for a console; or nothing more is expected but the end. */
static void
read_more(Client *client)
{
    char bytes[4096];
    ssize_t n = recv(client->fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (n > 0 && client->console && client->console->boot)
        machine_type(client->console->boot->machine, bytes, (gsize)n);
    else if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        leave(client);
}

static gboolean
on_readable(int fd, GIOCondition condition, gpointer user_data)
{
    Client *client = user_data;
    if (client->request)
        read_more(client);
    else
        read_request(client);
    return G_SOURCE_CONTINUE;
}

/* ---- life
 * -------------------------------------------------------------------------------------------
 */

Client *
live_client_new(LiveServer *server, int fd)
{
    Client *client = g_new0(Client, 1);
    client->server = server;
    client->fd = fd;
    client->incoming = g_byte_array_new();
    client->outgoing = g_byte_array_new();
    client->readable =
        g_unix_fd_add(fd, G_IO_IN | G_IO_HUP | G_IO_ERR, on_readable, client);
    g_ptr_array_add(server->clients, client);
    return client;
}

int
live_client_steal(Client *client)
{
    int fd = client->fd;
    g_clear_handle_id(&client->readable, g_source_remove);
    g_clear_handle_id(&client->writable, g_source_remove);
    client->fd = -1;
    g_ptr_array_remove(client->server->clients, client);
    live_client_free(client);
    return fd;
}

void
live_client_free(Client *client)
{
    g_clear_handle_id(&client->readable, g_source_remove);
    g_clear_handle_id(&client->writable, g_source_remove);
    if (client->fd >= 0)
        close(client->fd);
    g_byte_array_unref(client->incoming);
    g_byte_array_unref(client->outgoing);
    g_clear_pointer(&client->request, json_object_unref);
    g_free(client);
}
