/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "live-call.h"

#include <errno.h>
#include <glib-unix.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "error.h"
#include "json-line.h"
#include "live-wire.h"

JsonObject *
live_call_request(const char *name, const char *host)
{
    JsonObject *object = json_object_new();
    json_object_set_string_member(object, "request", name);
    if (host)
        json_object_set_string_member(object, "host", host);
    return object;
}

/* ---- waiting
 * ----------------------------------------------------------------------------------------
 */

typedef struct {
    gboolean ready, late, cancelled;
} Wait;

static gboolean
on_ready(int fd, GIOCondition condition, gpointer user_data)
{
    ((Wait *)user_data)->ready = TRUE;
    return G_SOURCE_CONTINUE;
}

static gboolean
on_late(gpointer user_data)
{
    ((Wait *)user_data)->late = TRUE;
    return G_SOURCE_CONTINUE;
}

static gboolean
on_cancelled(GCancellable *cancellable, gpointer user_data)
{
    ((Wait *)user_data)->cancelled = TRUE;
    return G_SOURCE_CONTINUE;
}

/* Turns the main context until something can be read from FD. */
static gboolean
wait_readable(int fd, guint timeout_ms, GError **error)
{
    Wait wait = {FALSE};
    guint readable = g_unix_fd_add(fd, G_IO_IN | G_IO_HUP | G_IO_ERR, on_ready, &wait);
    guint timer = timeout_ms > 0 ? g_timeout_add(timeout_ms, on_late, &wait) : 0;
    g_autoptr(GSource) cancelled = g_cancellable_source_new(g_cancellable_get_current());
    g_source_set_callback(cancelled, G_SOURCE_FUNC(on_cancelled), &wait, NULL);
    g_source_attach(cancelled, NULL);
    while (!wait.ready && !wait.late && !wait.cancelled)
        g_main_context_iteration(NULL, TRUE);
    g_source_remove(readable);
    g_clear_handle_id(&timer, g_source_remove);
    g_source_destroy(cancelled);
    if (wait.ready)
        return TRUE;
    if (wait.cancelled)
        g_set_error_literal(error, HB_ERROR, HB_INTERRUPTED, "interrupted");
    else
        g_set_error(error, HB_ERROR, HB_TIMEOUT,
                    "the lab's supervisor has not answered for %u s", timeout_ms / 1000);
    return FALSE;
}

/* ---- lines
 * ------------------------------------------------------------------------------------------
 */

/* Takes from FD what belongs to the line that comes, and nothing behind it, which may be
 * of another protocol. TRUE: the line is whole. *ENDED: no more comes. */
static gboolean
take_bytes(int fd, GString *line, gboolean *ended)
{
    char bytes[4096];
    ssize_t n = recv(fd, bytes, sizeof bytes, MSG_PEEK);
    if (n <= 0) {
        *ended = n == 0 || (errno != EINTR && errno != EAGAIN);
        return FALSE;
    }
    const char *newline = memchr(bytes, '\n', (gsize)n);
    gsize length = newline ? (gsize)(newline - bytes) + 1 : (gsize)n;
    n = recv(fd, bytes, length, 0);
    if (n > 0)
        g_string_append_len(line, bytes, n);
    return newline && n == (ssize_t)length;
}

/* The next object that comes, or NULL. */
static JsonObject *
read_object(int fd, const LiveCall *call, GError **error)
{
    g_autoptr(GString) line = g_string_new(NULL);
    gboolean ended = FALSE, whole = FALSE;
    while (!whole && !ended && line->len < LIVE_LINE_MAX) {
        if (!wait_readable(fd, call->timeout_ms, error))
            return NULL;
        whole = take_bytes(fd, line, &ended);
    }
    JsonObject *object = whole ? json_line_parse_object(line->str, line->len) : NULL;
    if (!object)
        g_set_error(error, HB_ERROR, HB_FAIL,
                    ended ? "the lab's supervisor ended"
                          : "the lab's supervisor said what is no answer");
    return object;
}

static void
take_event(JsonObject *object, const LiveCall *call)
{
    const char *event = json_line_string(object, "event");
    const char *text = json_line_string(object, "text");
    if (event && text && call->event)
        call->event(event, text, call->user_data);
}

static void
take_failure(JsonObject *object, const LiveCall *call, GError **error)
{
    const char *message = json_line_string(object, "error");
    gint64 status = json_line_int(object, "status", HB_INFRASTRUCTURE);
    JsonNode *held = json_object_get_member(object, "held");
    if (call->held)
        *call->held = held && json_node_get_value_type(held) == G_TYPE_BOOLEAN &&
                      json_node_get_boolean(held);
    g_set_error_literal(error, HB_ERROR,
                        status > 0 && status < 256 ? (int)status : HB_INFRASTRUCTURE,
                        message);
}

JsonObject *
live_call_wait(int fd, const LiveCall *call, GError **error)
{
    for (;;) {
        g_autoptr(JsonObject) object = read_object(fd, call, error);
        if (!object)
            return NULL;
        JsonNode *answer = json_object_get_member(object, "answer");
        if (answer && JSON_NODE_HOLDS_OBJECT(answer))
            return json_node_dup_object(answer);
        if (json_line_string(object, "error")) {
            take_failure(object, call, error);
            return NULL;
        }
        take_event(object, call);
    }
}

JsonObject *
live_call(int fd, JsonObject *request, const LiveCall *call, GError **error)
{
    g_autofree char *line = json_line(request);
    if (!g_utf8_validate(line, -1, NULL)) {
        g_set_error_literal(error, HB_ERROR, HB_USAGE,
                            "a word of the command is not UTF-8, in which a host is "
                            "asked");
        return NULL;
    }
    if (json_line_send(fd, line))
        return live_call_wait(fd, call, error);
    g_set_error_literal(error, HB_ERROR, HB_FAIL, "the lab's supervisor ended");
    return NULL;
}

gboolean
live_call_wait_end(int fd, guint timeout_ms, GError **error)
{
    char bytes[4096];
    ssize_t n;
    do {
        if (!wait_readable(fd, timeout_ms, error))
            return FALSE;
        n = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
    } while (n > 0 || (n < 0 && (errno == EINTR || errno == EAGAIN)));
    return TRUE;
}

gboolean
live_call_leave(int fd, guint timeout_ms)
{
    shutdown(fd, SHUT_WR);
    return live_call_wait_end(fd, timeout_ms, NULL);
}
