/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Frames of vmtests/wire.h over a socket: cuts the stream into frames, sends without
 * blocking, answers PING, and watches that the agent is alive. It knows no requests.
 * Private to guest*.c.
 */
#pragma once

#include <gio/gio.h>

#include "error.h"
#include "guest.h"
#include "wire.h"

typedef struct Wire Wire;

/* A frame of a type that an agent may send; PAYLOAD is not checked. PING and PONG stay
 * here. */
typedef void (*WireFrame)(guint type, guint channel, const guint8 *payload, gsize length,
                          gpointer user_data);

/* Takes FD, a connected socket. */
Wire *wire_new(int fd, WireFrame frame, gpointer user_data);
void wire_free(Wire *wire);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Wire, wire_free)

/* The other side is no agent, but one who wants to speak with ours: it sends what the
 * harness does. */
void wire_serve(Wire *wire);
/* END is called once, when the conversation has ended other than by wire_free(), which it
 * may not call. */
void wire_set_end(Wire *wire, void (*end)(gpointer user_data), gpointer user_data);
void wire_set_trace(Wire *wire, GuestTrace trace, gpointer user_data);
void wire_set_silence_limit(Wire *wire, guint seconds);

/* LENGTH at most HB_WIRE_MAX. After the end nothing is sent, silently. */
void
wire_send(Wire *wire, HbFrame type, guint channel, const void *payload, gsize length);
void wire_send_u32(Wire *wire, HbFrame type, guint channel, guint32 value);
void wire_send_credit(Wire *wire, guint channel, HbFrame stream, gsize bytes);

/* Ends the conversation; the first reason stays. */
void wire_fail(Wire *wire, HbStatus status, const char *format, ...) G_GNUC_PRINTF(3, 4);
/* Why the conversation has ended, or NULL. */
const GError *wire_ended(const Wire *wire);

/* From now on the agent must say something within the silence limit, or not any more. */
void wire_watch(Wire *wire, gboolean on);

guint32 wire_u32(const guint8 *payload);
