/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest-sink.h"

#include <errno.h>
#include <glib-unix.h>
#include <limits.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

struct Sink {
    int fd;
    gboolean never_blocks; /* a file: poll() always calls it ready, and whole writes are
                              fine */
    GByteArray *waiting;
    gsize written; /* of waiting */
    guint writable;
    int error;
    SinkMoved moved;
    gpointer user_data;
};

static gboolean
is_ready(const Sink *sink)
{
    struct pollfd pollfd = {sink->fd, POLLOUT, 0};
    return sink->never_blocks || poll(&pollfd, 1, 0) > 0;
}

/* One write that cannot block: a pipe or terminal that is ready takes PIPE_BUF bytes. */
static ssize_t
write_some(const Sink *sink, const guint8 *data, gsize length)
{
    gsize most = sink->never_blocks ? length : MIN(length, PIPE_BUF);
    ssize_t n;
    do
        n = write(sink->fd, data, most);
    while (n < 0 && errno == EINTR);
    return n;
}

static void
throw_away(Sink *sink, int error)
{
    sink->error = error;
    gsize left = sink->waiting->len - sink->written;
    g_byte_array_set_size(sink->waiting, 0);
    sink->written = 0;
    if (left > 0)
        sink->moved(sink, left, sink->user_data);
}

static void
drain(Sink *sink)
{
    gsize moved = 0;
    int error = 0;
    while (sink->written < sink->waiting->len && is_ready(sink)) {
        ssize_t n = write_some(sink, sink->waiting->data + sink->written,
                               sink->waiting->len - sink->written);
        if (n < 0) {
            error = errno == EAGAIN ? 0 : errno;
            break;
        }
        sink->written += (gsize)n;
        moved += (gsize)n;
    }
    if (sink->written == sink->waiting->len) {
        g_byte_array_set_size(sink->waiting, 0);
        sink->written = 0;
    }
    if (moved > 0)
        sink->moved(sink, moved, sink->user_data);
    if (error != 0)
        throw_away(sink, error);
}

static gboolean
on_writable(int fd, GIOCondition condition, gpointer user_data)
{
    Sink *sink = user_data;
    drain(sink);
    if (!sink_is_empty(sink))
        return G_SOURCE_CONTINUE;
    sink->writable = 0;
    return G_SOURCE_REMOVE;
}

void
sink_write(Sink *sink, const guint8 *data, gsize length)
{
    if (sink->error != 0) {
        sink->moved(sink, length, sink->user_data);
        return;
    }
    if (sink->written > 0) {
        g_byte_array_remove_range(sink->waiting, 0, (guint)sink->written);
        sink->written = 0;
    }
    g_byte_array_append(sink->waiting, data, (guint)length);
    if (sink->writable)
        return;
    drain(sink);
    if (!sink_is_empty(sink))
        sink->writable =
            g_unix_fd_add(sink->fd, G_IO_OUT | G_IO_HUP | G_IO_ERR, on_writable, sink);
}

gboolean
sink_is_empty(const Sink *sink)
{
    return sink->waiting->len == 0;
}

int
sink_errno(const Sink *sink)
{
    return sink->error;
}

Sink *
sink_new(int fd, SinkMoved moved, gpointer user_data)
{
    Sink *sink = g_new0(Sink, 1);
    struct stat st;
    sink->fd = fd;
    sink->never_blocks = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
    sink->waiting = g_byte_array_new();
    sink->moved = moved;
    sink->user_data = user_data;
    return sink;
}

void
sink_free(Sink *sink)
{
    if (!sink)
        return;
    g_clear_handle_id(&sink->writable, g_source_remove);
    g_byte_array_unref(sink->waiting);
    g_free(sink);
}
