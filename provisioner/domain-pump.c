/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "domain-pump.h"

#include <errno.h>
#include <sys/socket.h>

#include "domain-stream.h"

/* So much may wait on its way; more is not asked for. */
#define HELD_MAX (1024 * 1024)
#define CHUNK (64 * 1024)

struct Pump {
    virStreamPtr stream; /* NULL: it has ended */
    int fd, watch;
    gboolean fd_ended; /* hostbed says nothing more */
    gboolean has_begun;
    GByteArray *to_stream, *to_fd;
};

gboolean
pump_has_begun(const Pump *pump)
{
    return pump->has_begun;
}

gboolean
pump_ended(const Pump *pump)
{
    return !pump->stream && pump->to_fd->len == 0;
}

static void
end_fd(Pump *pump)
{
    pump->fd_ended = TRUE;
    g_byte_array_set_size(pump->to_fd, 0);
}

/* Who has something to say is asked for it only as long as there is room for that. */
static void
update(Pump *pump)
{
    int fd_events = 0, stream_events = 0;
    if (!pump->fd_ended && pump->to_stream->len < HELD_MAX)
        fd_events |= VIR_EVENT_HANDLE_READABLE;
    if (pump->to_fd->len > 0)
        fd_events |= VIR_EVENT_HANDLE_WRITABLE;
    if (pump->to_fd->len < HELD_MAX)
        stream_events |= VIR_STREAM_EVENT_READABLE;
    if (pump->to_stream->len > 0)
        stream_events |= VIR_STREAM_EVENT_WRITABLE;
    virEventUpdateHandle(pump->watch, fd_events);
    if (pump->stream)
        virStreamEventUpdateCallback(pump->stream, stream_events);
}

static void
read_stream(Pump *pump)
{
    char bytes[CHUNK];
    while (pump->stream && pump->to_fd->len < HELD_MAX) {
        int n = virStreamRecv(pump->stream, bytes, sizeof bytes);
        if (n == DOMAIN_STREAM_NOT_NOW)
            return;
        pump->has_begun |= n > 0;
        if (n <= 0)
            domain_stream_end(&pump->stream);
        else if (!pump->fd_ended)
            g_byte_array_append(pump->to_fd, (const guint8 *)bytes, (guint)n);
    }
}

static void
write_stream(Pump *pump)
{
    while (pump->stream && pump->to_stream->len > 0) {
        gsize length = MIN(pump->to_stream->len, CHUNK);
        int n = virStreamSend(pump->stream, (const char *)pump->to_stream->data, length);
        if (n == DOMAIN_STREAM_NOT_NOW)
            return;
        if (n < 0)
            domain_stream_end(&pump->stream);
        else
            g_byte_array_remove_range(pump->to_stream, 0, (guint)n);
    }
}

static void
on_stream(virStreamPtr stream, int events, void *opaque)
{
    Pump *pump = opaque;
    if (events & (VIR_STREAM_EVENT_READABLE | VIR_STREAM_EVENT_HANGUP))
        read_stream(pump);
    if (events & VIR_STREAM_EVENT_WRITABLE)
        write_stream(pump);
    if (events & (VIR_STREAM_EVENT_ERROR | VIR_STREAM_EVENT_HANGUP))
        domain_stream_end(&pump->stream);
    update(pump);
}

static void
read_fd(Pump *pump)
{
    guint8 bytes[CHUNK];
    ssize_t n = recv(pump->fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (n > 0)
        g_byte_array_append(pump->to_stream, bytes, (guint)n);
    else if (n == 0 || (errno != EAGAIN && errno != EINTR))
        pump->fd_ended = TRUE;
}

static void
write_fd(Pump *pump)
{
    ssize_t n =
        send(pump->fd, pump->to_fd->data, pump->to_fd->len, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n > 0)
        g_byte_array_remove_range(pump->to_fd, 0, (guint)n);
    else if (n < 0 && errno != EAGAIN && errno != EINTR)
        end_fd(pump);
}

static void
on_fd(int watch, int fd, int events, void *opaque)
{
    Pump *pump = opaque;
    if ((events & VIR_EVENT_HANDLE_WRITABLE) && pump->to_fd->len > 0)
        write_fd(pump);
    if (events & VIR_EVENT_HANDLE_READABLE)
        read_fd(pump);
    if (events & (VIR_EVENT_HANDLE_ERROR | VIR_EVENT_HANDLE_HANGUP))
        end_fd(pump);
    update(pump);
}

Pump *
pump_new(virStreamPtr stream, int fd)
{
    g_autoptr(Pump) pump = g_new0(Pump, 1);
    pump->stream = stream;
    pump->fd = fd;
    pump->to_stream = g_byte_array_new();
    pump->to_fd = g_byte_array_new();
    pump->watch = virEventAddHandle(fd, VIR_EVENT_HANDLE_READABLE, on_fd, pump, NULL);
    if (pump->watch < 0 || virStreamEventAddCallback(stream, VIR_STREAM_EVENT_READABLE,
                                                     on_stream, pump, NULL) < 0)
        return NULL;
    return g_steal_pointer(&pump);
}

void
pump_free(Pump *pump)
{
    if (!pump)
        return;
    if (pump->watch >= 0)
        virEventRemoveHandle(pump->watch);
    domain_stream_end(&pump->stream);
    g_byte_array_unref(pump->to_stream);
    g_byte_array_unref(pump->to_fd);
    g_free(pump);
}
