/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qmp.h"

#include <errno.h>
#include <glib-unix.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "error.h"
#include "json-line.h"

/* The longest message that was seen is query-qmp-schema's, some 300 kB. */
#define LINE_MAX_BYTES (16 * 1024 * 1024)
/* So that a flood of events does not starve the other sources of the main loop. */
#define READS_PER_TURN 16

/* Bytes that wait to be sent, and perhaps a descriptor that travels with the first of
 * them. */
typedef struct {
    char *bytes;
    gsize length, sent;
    int fd;
} Outgoing;

typedef struct {
    QmpReply reply;
    gpointer user_data;
} Pending;

struct Qmp {
    int fd;
    guint readable, writable; /* ids of sources, or 0 */
    GByteArray *incoming;     /* the beginning of a line */
    GQueue outgoing;          /* Outgoing */
    guint64 last_id;
    GHashTable *pending; /* guint64 id → Pending */
    gboolean greeted;
    GError *ended; /* why nothing more will come, or NULL */
    QmpEvent event;
    gpointer event_data;
    QmpTrace trace;
    gpointer trace_data;
};

static void
outgoing_free(Outgoing *outgoing)
{
    g_free(outgoing->bytes);
    if (outgoing->fd >= 0)
        close(outgoing->fd);
    g_free(outgoing);
}

/* Nothing more can be said: everyone who waits is told why, then the owner. */
static void
end(Qmp *qmp, GError *reason)
{
    if (qmp->ended) {
        g_error_free(reason);
        return;
    }
    qmp->ended = reason;
    g_clear_handle_id(&qmp->readable, g_source_remove);
    g_clear_handle_id(&qmp->writable, g_source_remove);

    g_autoptr(GHashTable) waiting = g_steal_pointer(&qmp->pending);
    qmp->pending = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, g_free);
    GHashTableIter iter;
    gpointer value;
    g_hash_table_iter_init(&iter, waiting);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        Pending *pending = value;
        pending->reply(NULL, qmp->ended, pending->user_data);
    }
    if (qmp->event)
        qmp->event(NULL, NULL, qmp->event_data);
}

static void
end_for_nonsense(Qmp *qmp, const char *what)
{
    end(qmp, g_error_new(HB_ERROR, HB_EMULATOR_DIED,
                         "the emulator's control channel makes no sense: %s", what));
}

/* ---- messages that come
 * ------------------------------------------------------------------ */

/* The emulator's "desc", else its "class"; borrowed from MESSAGE. */
static const char *
error_words(JsonObject *message)
{
    JsonObject *object = json_line_object(message, "error");
    if (!object)
        return NULL;
    JsonNode *words = json_object_get_member(object, "desc");
    if (!words)
        words = json_object_get_member(object, "class");
    if (!words || json_node_get_value_type(words) != G_TYPE_STRING)
        return "without a reason";
    return json_node_get_string(words);
}

static void
handle_reply(Qmp *qmp, JsonObject *message)
{
    JsonNode *id_node = json_object_get_member(message, "id");
    const char *refused = error_words(message);
    if (!id_node || json_node_get_value_type(id_node) != G_TYPE_INT64) {
        end_for_nonsense(qmp, refused ? refused : "a reply has no id");
        return;
    }
    gint64 id = json_node_get_int(id_node);
    gpointer key, value;
    if (!g_hash_table_steal_extended(qmp->pending, &id, &key, &value)) {
        end_for_nonsense(qmp, "a reply to no question");
        return;
    }
    g_free(key);
    g_autofree Pending *pending = value;
    if (refused) {
        g_autoptr(GError) error =
            g_error_new(HB_ERROR, HB_UNSUPPORTED, "the emulator refused: %s", refused);
        pending->reply(NULL, error, pending->user_data);
        return;
    }
    JsonNode *result = json_object_get_member(message, "return");
    pending->reply(result, NULL, pending->user_data);
}

static void
handle_event(Qmp *qmp, JsonObject *message)
{
    JsonNode *name = json_object_get_member(message, "event");
    if (json_node_get_value_type(name) != G_TYPE_STRING) {
        end_for_nonsense(qmp, "an event has no name");
        return;
    }
    if (qmp->event)
        qmp->event(json_node_get_string(name), json_line_object(message, "data"),
                   qmp->event_data);
}

/* LINE is NUL-terminated and has LENGTH bytes. */
static void
handle_line(Qmp *qmp, const char *line, gsize length)
{
    if (length == 0)
        return;
    g_autoptr(JsonObject) message = json_line_parse_object(line, length);
    if (!message) {
        end_for_nonsense(qmp, "what came is no JSON object");
        return;
    }
    if (qmp->trace)
        qmp->trace(FALSE, line, qmp->trace_data);

    if (json_object_has_member(message, "QMP"))
        qmp->greeted = TRUE;
    else if (json_object_has_member(message, "event"))
        handle_event(qmp, message);
    else if (json_object_has_member(message, "return") ||
             json_object_has_member(message, "error"))
        handle_reply(qmp, message);
    else
        end_for_nonsense(qmp, "a message that is neither reply nor event");
}

/* Handles the lines that are whole; START is where the bytes begin that were not searched
 * yet. */
static void
handle_lines(Qmp *qmp, gsize start)
{
    gsize line = 0, length = qmp->incoming->len;
    char *bytes = (char *)qmp->incoming->data;
    char *newline;
    while (!qmp->ended && (newline = memchr(bytes + start, '\n', length - start))) {
        gsize end_of_line = (gsize)(newline - bytes);
        start = end_of_line + 1;
        if (end_of_line > line && bytes[end_of_line - 1] == '\r')
            end_of_line--;
        g_autofree char *text = g_strndup(bytes + line, end_of_line - line);
        handle_line(qmp, text, end_of_line - line);
        line = start;
    }
    if (line > 0)
        g_byte_array_remove_range(qmp->incoming, 0, (guint)line);
}

static gboolean
on_readable(int fd, GIOCondition condition, gpointer user_data)
{
    Qmp *qmp = user_data;
    char bytes[16 * 1024];
    for (int i = 0; i < READS_PER_TURN && !qmp->ended; i++) {
        ssize_t n = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return G_SOURCE_CONTINUE;
        if (n <= 0) {
            const char *why =
                n == 0 || errno == ECONNRESET ? "closed" : g_strerror(errno);
            end(qmp, g_error_new(HB_ERROR, HB_EMULATOR_DIED,
                                 "the emulator's control channel ended: %s", why));
            break;
        }
        gsize searched = qmp->incoming->len;
        g_byte_array_append(qmp->incoming, (guint8 *)bytes, (guint)n);
        handle_lines(qmp, searched);
        if (qmp->incoming->len > LINE_MAX_BYTES)
            end_for_nonsense(qmp, "a line of more than 16 MiB");
    }
    return qmp->ended ? G_SOURCE_REMOVE : G_SOURCE_CONTINUE;
}

/* ---- messages that go
 * ------------------------------------------------------------------------ */

static ssize_t
send_some(int socket_fd, const Outgoing *outgoing)
{
    struct iovec bytes = {outgoing->bytes + outgoing->sent,
                          outgoing->length - outgoing->sent};
    union {
        char space[CMSG_SPACE(sizeof(int))];
        struct cmsghdr alignment;
    } control = {0};
    struct msghdr message = {.msg_iov = &bytes, .msg_iovlen = 1};
    if (outgoing->fd >= 0) {
        message.msg_control = control.space;
        message.msg_controllen = sizeof control.space;
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(header), &outgoing->fd, sizeof(int));
    }
    return sendmsg(socket_fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* Sends what can be sent now. TRUE: the rest must wait until the socket takes more. */
static gboolean
flush_outgoing(Qmp *qmp)
{
    Outgoing *outgoing;
    while ((outgoing = g_queue_peek_head(&qmp->outgoing))) {
        ssize_t n = send_some(qmp->fd, outgoing);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return TRUE;
        if (n < 0) /* the reader will see the end, and perhaps last words before it */
            return FALSE;
        outgoing->sent += (gsize)n;
        if (outgoing->fd >= 0)
            close(outgoing->fd);
        outgoing->fd = -1;
        if (outgoing->sent == outgoing->length)
            outgoing_free(g_queue_pop_head(&qmp->outgoing));
    }
    return FALSE;
}

static gboolean
on_writable(int fd, GIOCondition condition, gpointer user_data)
{
    Qmp *qmp = user_data;
    if (flush_outgoing(qmp))
        return G_SOURCE_CONTINUE;
    qmp->writable = 0;
    return G_SOURCE_REMOVE;
}

static char *
command_line(const char *command, JsonObject *arguments, gint64 id)
{
    g_autoptr(JsonObject) object = json_object_new();
    json_object_set_string_member(object, "execute", command);
    if (arguments)
        json_object_set_object_member(object, "arguments", arguments);
    json_object_set_int_member(object, "id", id);
    g_autoptr(JsonNode) root = json_node_init_object(json_node_alloc(), object);
    return json_to_string(root, FALSE);
}

/* Returns the id of the request, or 0 if REPLY was already called with an error. */
static gint64
post(Qmp *qmp, const char *command, JsonObject *arguments, int fd, QmpReply reply,
     gpointer user_data)
{
    gint64 id = (gint64)++qmp->last_id;
    g_autofree char *line = command_line(command, arguments, id);
    if (qmp->ended) {
        reply(NULL, qmp->ended, user_data);
        return 0;
    }
    if (qmp->trace)
        qmp->trace(TRUE, line, qmp->trace_data);

    Pending *pending = g_new(Pending, 1);
    *pending = (Pending){reply, user_data};
    g_hash_table_insert(qmp->pending, g_memdup2(&id, sizeof id), pending);

    Outgoing *outgoing = g_new0(Outgoing, 1);
    outgoing->bytes = g_strconcat(line, "\n", NULL);
    outgoing->length = strlen(outgoing->bytes);
    outgoing->fd = fd >= 0 ? dup(fd) : -1;
    g_queue_push_tail(&qmp->outgoing, outgoing);
    if (!qmp->writable && flush_outgoing(qmp))
        qmp->writable = g_unix_fd_add(qmp->fd, G_IO_OUT, on_writable, qmp);
    return id;
}

void
qmp_send(Qmp *qmp, const char *command, JsonObject *arguments, QmpReply reply,
         gpointer user_data)
{
    post(qmp, command, arguments, -1, reply, user_data);
}

/* ---- waiting
 * ----------------------------------------------------------------------------------- */

static gboolean
on_timeout(gpointer user_data)
{
    gboolean *passed = user_data;
    *passed = TRUE;
    return G_SOURCE_CONTINUE;
}

/* Runs the main context until *DONE, the end of the conversation, or the time is over
 * (FALSE). */
static gboolean
wait_until(Qmp *qmp, const gboolean *done, guint timeout_ms)
{
    gboolean passed = FALSE;
    guint timer = g_timeout_add(timeout_ms, on_timeout, &passed);
    while (!*done && !qmp->ended && !passed)
        g_main_context_iteration(NULL, TRUE);
    g_source_remove(timer);
    return *done || qmp->ended;
}

typedef struct {
    gboolean done;
    JsonNode *result;
    GError *error;
} Answer;

static void
on_answer(JsonNode *result, const GError *error, gpointer user_data)
{
    Answer *answer = user_data;
    answer->done = TRUE;
    if (error)
        answer->error = g_error_copy(error);
    else
        answer->result = json_node_copy(result);
}

JsonNode *
qmp_call(Qmp *qmp, const char *command, JsonObject *arguments, int fd, guint timeout_ms,
         GError **error)
{
    Answer answer = {0};
    gint64 id = post(qmp, command, arguments, fd, on_answer, &answer);
    if (id != 0 && !wait_until(qmp, &answer.done, timeout_ms)) {
        g_hash_table_remove(qmp->pending, &id);
        GError *late =
            g_error_new(HB_ERROR, HB_EMULATOR_DIED,
                        "the emulator did not answer in %.1f s", timeout_ms / 1000.0);
        answer.error = g_error_copy(late);
        end(qmp, late);
    }
    if (answer.result)
        return answer.result;
    g_propagate_prefixed_error(error, answer.error, "%s: ", command);
    return NULL;
}

gboolean
qmp_connect(Qmp *qmp, guint timeout_ms, GError **error)
{
    gint64 start = g_get_monotonic_time();
    if (!wait_until(qmp, &qmp->greeted, timeout_ms))
        end(qmp,
            g_error_new(HB_ERROR, HB_EMULATOR_DIED,
                        "the emulator did not greet in %.1f s", timeout_ms / 1000.0));
    if (qmp->ended) {
        g_propagate_error(error, g_error_copy(qmp->ended));
        return FALSE;
    }
    gint64 spent_ms = (g_get_monotonic_time() - start) / 1000;
    guint left_ms = (guint)MAX((gint64)timeout_ms - spent_ms, 1);
    g_autoptr(JsonNode) result =
        qmp_call(qmp, "qmp_capabilities", NULL, -1, left_ms, error);
    return result != NULL;
}

/* ---- life
 * ----------------------------------------------------------------------------------------
 */

Qmp *
qmp_new(int fd)
{
    Qmp *qmp = g_new0(Qmp, 1);
    qmp->fd = fd;
    qmp->incoming = g_byte_array_new();
    g_queue_init(&qmp->outgoing);
    qmp->pending = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, g_free);
    qmp->readable = g_unix_fd_add(fd, G_IO_IN | G_IO_HUP | G_IO_ERR, on_readable, qmp);
    return qmp;
}

void
qmp_free(Qmp *qmp)
{
    if (!qmp)
        return;
    g_clear_handle_id(&qmp->readable, g_source_remove);
    g_clear_handle_id(&qmp->writable, g_source_remove);
    g_queue_clear_full(&qmp->outgoing, (GDestroyNotify)outgoing_free);
    g_hash_table_unref(qmp->pending);
    g_byte_array_unref(qmp->incoming);
    g_clear_error(&qmp->ended);
    close(qmp->fd);
    g_free(qmp);
}

const GError *
qmp_ended(const Qmp *qmp)
{
    return qmp->ended;
}

void
qmp_set_event_handler(Qmp *qmp, QmpEvent handler, gpointer user_data)
{
    qmp->event = handler;
    qmp->event_data = user_data;
}

void
qmp_set_trace(Qmp *qmp, QmpTrace trace, gpointer user_data)
{
    qmp->trace = trace;
    qmp->trace_data = user_data;
}
