/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Frames as a filter-redirector of the emulator's has them on a channel: before each is
 * its length, four bytes, the highest first (QEMU net/filter-mirror.c). What comes of a
 * channel comes in pieces of any size, and from who may be hostile.
 */
#pragma once

#include <glib.h>

/* What the emulator has room for (QEMU include/net/net.h, NET_BUFSIZE). */
#define DOMAIN_FRAME_MAX (4096 + 65536)

/* FRAME goes to the end of BYTES, with its length; it has at most DOMAIN_FRAME_MAX. */
void domain_frames_put(GByteArray *bytes, const void *frame, gsize length);

/* FALSE: it is not taken now. */
typedef gboolean (*DomainFrameTaker)(const guint8 *frame, gsize length,
                                     gpointer user_data);

/* Hands whole frames of BYTES on until one is not taken, and removes those that were.
 * FALSE: the next one has a length that none has, and all after it means nothing. */
gboolean domain_frames_take(GByteArray *bytes, DomainFrameTaker take, gpointer user_data);
