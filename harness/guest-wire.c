/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest-wire.h"

#include <errno.h>
#include <glib-unix.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "printable.h"

/* Above this nothing is read until the agent has taken some: PINGs cannot make us grow.
 */
#define OUTGOING_MAX (1024 * 1024)
/* So that a flood does not starve the other sources of the main loop. */
#define READS_PER_TURN 8
/* The agent is asked for a sign of life after so many seconds of silence. */
#define PING_AFTER_SECONDS 5

struct Wire {
    int fd;
    guint readable, writable, ticker; /* ids of sources, or 0 */
    GByteArray *incoming, *outgoing;
    gsize sent; /* of outgoing */
    WireFrame frame;
    gpointer user_data;
    gboolean serves;
    GuestTrace trace;
    gpointer trace_data;
    void (*end)(gpointer user_data); /* or NULL */
    gpointer end_data;
    /* Silence is counted in turns of the main loop's timer, not by the clock: after we
     * ourselves were stopped (Ctrl-Z) the agent gets its time anew. */
    guint silent_seconds, silence_limit;
    guint64 pings;
    GError *ended;
};

guint32
wire_u32(const guint8 *payload)
{
    guint32 value;
    memcpy(&value, payload, sizeof value);
    return GUINT32_FROM_LE(value);
}

static guint
get_u16(const guint8 *payload)
{
    return (guint)payload[0] | (guint)payload[1] << 8;
}

const GError *
wire_ended(const Wire *wire)
{
    return wire->ended;
}

void
wire_fail(Wire *wire, HbStatus status, const char *format, ...)
{
    if (wire->ended)
        return;
    va_list arguments;
    va_start(arguments, format);
    wire->ended = g_error_new_valist(HB_ERROR, (int)status, format, arguments);
    va_end(arguments);
    g_clear_handle_id(&wire->readable, g_source_remove);
    g_clear_handle_id(&wire->writable, g_source_remove);
    g_clear_handle_id(&wire->ticker, g_source_remove);
    if (wire->end)
        wire->end(wire->end_data);
}

/* ---- frames that go
 * -------------------------------------------------------------------------- */

static gboolean on_readable(int fd, GIOCondition condition, gpointer user_data);
static gboolean on_writable(int fd, GIOCondition condition, gpointer user_data);

/* Reading and writing wait for what they can do now. */
static void
choose_sources(Wire *wire)
{
    gsize waiting = wire->outgoing->len - wire->sent;
    if (waiting > 0 && !wire->writable)
        wire->writable = g_unix_fd_add(wire->fd, G_IO_OUT, on_writable, wire);
    if (waiting > OUTGOING_MAX)
        g_clear_handle_id(&wire->readable, g_source_remove);
    else if (!wire->readable)
        wire->readable =
            g_unix_fd_add(wire->fd, G_IO_IN | G_IO_HUP | G_IO_ERR, on_readable, wire);
}

static void
flush_outgoing(Wire *wire)
{
    while (wire->sent < wire->outgoing->len) {
        ssize_t n = send(wire->fd, wire->outgoing->data + wire->sent,
                         wire->outgoing->len - wire->sent, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            break;
        if (n < 0) { /* the reader will see the end, and what was said before it */
            g_byte_array_set_size(wire->outgoing, 0);
            wire->sent = 0;
            return;
        }
        wire->sent += (gsize)n;
    }
    if (wire->sent == wire->outgoing->len || wire->sent > OUTGOING_MAX) {
        g_byte_array_remove_range(wire->outgoing, 0, (guint)wire->sent);
        wire->sent = 0;
    }
}

static gboolean
on_writable(int fd, GIOCondition condition, gpointer user_data)
{
    Wire *wire = user_data;
    flush_outgoing(wire);
    gboolean more = wire->outgoing->len > 0;
    if (!more)
        wire->writable = 0;
    choose_sources(wire);
    return more ? G_SOURCE_CONTINUE : G_SOURCE_REMOVE;
}

void
wire_send(Wire *wire, HbFrame type, guint channel, const void *payload, gsize length)
{
    g_return_if_fail(length <= HB_WIRE_MAX);
    if (wire->ended)
        return;
    guint32 length_le = GUINT32_TO_LE((guint32)length);
    guint16 words[2] = {GUINT16_TO_LE((guint16)type), GUINT16_TO_LE((guint16)channel)};
    g_byte_array_append(wire->outgoing, (const guint8 *)&length_le, sizeof length_le);
    g_byte_array_append(wire->outgoing, (const guint8 *)words, sizeof words);
    if (length > 0)
        g_byte_array_append(wire->outgoing, payload, (guint)length);
    if (wire->trace)
        wire->trace(TRUE, type, channel, payload, length, wire->trace_data);
    if (!wire->writable)
        flush_outgoing(wire);
    choose_sources(wire);
}

void
wire_send_u32(Wire *wire, HbFrame type, guint channel, guint32 value)
{
    guint32 value_le = GUINT32_TO_LE(value);
    wire_send(wire, type, channel, &value_le, sizeof value_le);
}

void
wire_send_credit(Wire *wire, guint channel, HbFrame stream, gsize bytes)
{
    guint8 payload[8] = {(guint8)stream, 0};
    guint32 bytes_le = GUINT32_TO_LE((guint32)bytes);
    memcpy(payload + 4, &bytes_le, sizeof bytes_le);
    wire_send(wire, HB_FRAME_CREDIT, channel, payload, sizeof payload);
}

/* ---- frames that come
 * -------------------------------------------------------------------------- */

static gboolean
may_come(const Wire *wire, guint type)
{
    if (type >= HB_FRAME_CREDIT && type <= HB_FRAME_PONG)
        return TRUE;
    return wire->serves ? (type >= HB_FRAME_RUN && type <= HB_FRAME_RESIZE) ||
                              type == HB_FRAME_DATA
                        : type >= HB_FRAME_HELLO && type <= HB_FRAME_DATA;
}

static void
handle_frame(Wire *wire, guint type, guint channel, const guint8 *payload, gsize length)
{
    if (wire->trace)
        wire->trace(FALSE, type, channel, payload, length, wire->trace_data);
    if ((type == HB_FRAME_PING || type == HB_FRAME_PONG) && length != 8) {
        wire_fail(wire, HB_FAIL,
                  "the host's agent broke its protocol: a PING of %zu bytes", length);
    } else if (type == HB_FRAME_PING) {
        wire_send(wire, HB_FRAME_PONG, channel, payload, length);
    } else if (type == HB_FRAME_FAILED && channel == 0) {
        g_autofree char *reason = printable(payload, length, 300);
        wire_fail(wire, HB_FAIL, "the host's agent gave up: %s", reason);
    } else if (type != HB_FRAME_PONG) {
        wire->frame(type, channel, payload, length, wire->user_data);
    }
}

/* Handles the frames that are whole. A frame's handler may end the conversation, not free
 * it. */
static void
handle_frames(Wire *wire)
{
    gsize at = 0;
    while (!wire->ended && wire->incoming->len - at >= HB_WIRE_HEADER) {
        const guint8 *header = wire->incoming->data + at;
        gsize length = wire_u32(header);
        guint type = get_u16(header + 4), channel = get_u16(header + 6);
        if (length > HB_WIRE_MAX || !may_come(wire, type)) {
            wire_fail(
                wire, HB_FAIL,
                "the host's agent broke its protocol: a frame of type %u with %zu bytes",
                type, length);
            return;
        }
        if (wire->incoming->len - at - HB_WIRE_HEADER < length)
            break;
        handle_frame(wire, type, channel, header + HB_WIRE_HEADER, length);
        at += HB_WIRE_HEADER + length;
    }
    if (at > 0)
        g_byte_array_remove_range(wire->incoming, 0, (guint)at);
}

static gboolean
on_readable(int fd, GIOCondition condition, gpointer user_data)
{
    Wire *wire = user_data;
    guint8 bytes[32 * 1024];
    for (int i = 0; i < READS_PER_TURN && !wire->ended && wire->readable; i++) {
        ssize_t n = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            break;
        if (n <= 0) {
            wire_fail(wire, HB_EMULATOR_DIED,
                      "the emulator closed the channel to the host's agent");
            break;
        }
        wire->silent_seconds = 0;
        g_byte_array_append(wire->incoming, bytes, (guint)n);
        handle_frames(wire);
    }
    /* If the source was removed meanwhile, what is returned means nothing any more. */
    return G_SOURCE_CONTINUE;
}

/* ---- signs of life
 * -------------------------------------------------------------------------------- */

static gboolean
on_tick(gpointer user_data)
{
    Wire *wire = user_data;
    if (!wire->readable) /* we are the ones who do not listen */
        return G_SOURCE_CONTINUE;
    wire->silent_seconds++;
    if (wire->silent_seconds > wire->silence_limit) {
        wire->ticker = 0;
        wire_fail(wire, HB_GUEST_HANG, "the host's agent has not answered for %u s",
                  wire->silence_limit);
        return G_SOURCE_REMOVE;
    }
    if (wire->silent_seconds == MIN(PING_AFTER_SECONDS, wire->silence_limit)) {
        guint64 number = GUINT64_TO_LE(++wire->pings);
        wire_send(wire, HB_FRAME_PING, 0, &number, sizeof number);
    }
    return G_SOURCE_CONTINUE;
}

void
wire_watch(Wire *wire, gboolean on)
{
    g_clear_handle_id(&wire->ticker, g_source_remove);
    wire->silent_seconds = 0;
    if (on && !wire->ended)
        wire->ticker = g_timeout_add_seconds(1, on_tick, wire);
}

void
wire_set_silence_limit(Wire *wire, guint seconds)
{
    wire->silence_limit = seconds;
}

void
wire_serve(Wire *wire)
{
    wire->serves = TRUE;
}

void
wire_set_end(Wire *wire, void (*end)(gpointer user_data), gpointer user_data)
{
    wire->end = end;
    wire->end_data = user_data;
}

void
wire_set_trace(Wire *wire, GuestTrace trace, gpointer user_data)
{
    wire->trace = trace;
    wire->trace_data = user_data;
}

Wire *
wire_new(int fd, WireFrame frame, gpointer user_data)
{
    Wire *wire = g_new0(Wire, 1);
    wire->fd = fd;
    wire->incoming = g_byte_array_new();
    wire->outgoing = g_byte_array_new();
    wire->frame = frame;
    wire->user_data = user_data;
    wire->silence_limit = 60;
    choose_sources(wire);
    return wire;
}

void
wire_free(Wire *wire)
{
    if (!wire)
        return;
    wire->end = NULL;
    wire_fail(wire, HB_FAIL, "ended");
    g_byte_array_unref(wire->incoming);
    g_byte_array_unref(wire->outgoing);
    g_clear_error(&wire->ended);
    close(wire->fd);
    g_free(wire);
}
