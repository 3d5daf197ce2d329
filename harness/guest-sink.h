/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Copies bytes to a descriptor that somebody else gave us (standard output, a pipe, a
 * terminal) without ever blocking the main loop and without O_NONBLOCK: that flag belongs
 * to the open file, which the shell and other programs share. Private to guest*.c.
 */
#pragma once

#include <glib.h>

typedef struct Sink Sink;

/* BYTES more have left, or were thrown away because the descriptor is broken. */
typedef void (*SinkMoved)(Sink *sink, gsize bytes, gpointer user_data);

/* FD stays the caller's. */
Sink *sink_new(int fd, SinkMoved moved, gpointer user_data);
void sink_free(Sink *sink);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Sink, sink_free)

/* MOVED may be called before this returns. After an error bytes vanish and count as
 * moved. */
void sink_write(Sink *sink, const guint8 *data, gsize length);
gboolean sink_is_empty(const Sink *sink);
/* errno of the write that failed, or 0. EPIPE: nobody reads any more. */
int sink_errno(const Sink *sink);
