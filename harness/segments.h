/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The networks between the hosts of a lab. A network is a segment: each frame that comes
 * in by one of its ports goes out by all others, as in the emulator's own hub, which
 * joins the NICs of one host. A port is a connected pair of sockets without a name, one
 * end of which an emulator inherits: nothing of the machine can reach it, and nobody need
 * be privileged. A frame is a datagram, so that there are no half ones.
 *
 * All of it is done in a thread of its own, which waits for nobody: what a port's
 * emulator does not take is kept, up to a bound, and then dropped and counted. Guests are
 * hostile: what is no frame by its length is refused and counted.
 *
 * The functions are for one thread, but none of them waits for the segments'.
 */
#pragma once

#include <gio/gio.h>

#include "domain-frames.h"

typedef struct Segments Segments;

/* The shortest and the longest of frames: a header; what the emulator has room for. */
#define SEGMENT_FRAME_MIN 14
#define SEGMENT_FRAME_MAX DOMAIN_FRAME_MAX
/* What waits for an emulator, of each port, at most. */
#define SEGMENT_QUEUE_FRAMES 1024
#define SEGMENT_QUEUE_BYTES (8 * 1024 * 1024)

/* Since the segments were made, of one network; a frame for several ports counts for each
 * of them in all but the first and the last. */
typedef struct {
    guint64 frames;    /* that came in */
    guint64 delivered; /* to an emulator */
    guint64 lost;      /* as asked (segments_set_loss(), segments_set_port_loss()) */
    guint64 dropped;   /* there was no room for it, or its emulator is gone */
    guint64 refused;   /* were no frames */
} SegmentCounts;

/* For the networks NAMES (NULL-terminated). */
Segments *segments_new(const char *const *names);
void segments_free(Segments *segments);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Segments, segments_free)

/* The end that an emulator inherits of the port PORT ("HOST/NIC") of NETWORK; the
 * caller's own, who closes it. It takes the place of a port that had this name. -1: it
 * could not be made. */
int segments_connect(Segments *segments, const char *network, const char *port,
                     GError **error);
/* The port is taken away, with the frames that wait for it, if there is such a one. */
void segments_disconnect(Segments *segments, const char *network, const char *port);
gboolean segments_has(Segments *segments, const char *network);
/* From here on all frames of NETWORK go to the file PATH (pcap), as they come in. */
gboolean segments_capture(Segments *segments, const char *network, const char *path,
                          GError **error);

/* From here on each frame of NETWORK is lost on its way to each port with a probability
 * of PER_MILLE, as SEED decides: the same frames in the same order are the same losses.
 * FALSE: there is no such network. */
gboolean
segments_set_loss(Segments *segments, const char *network, guint per_mille, guint64 seed);
/* The same of all frames on their way to or from one port, beside those. FALSE: there is
 * no such port. */
gboolean segments_set_port_loss(Segments *segments, const char *network, const char *port,
                                guint per_mille, guint64 seed);
/* What it loses so; 0 if there is no such port. */
guint segments_port_loss(Segments *segments, const char *network, const char *port);
gboolean segments_count(Segments *segments, const char *network, SegmentCounts *counts);

/* Nothing more is delivered; what comes in waits. */
void segments_hold(Segments *segments);
/* Waits, while the segments are held and at most LIMIT_MS, until the emulators have taken
 * what was delivered. FALSE: not all of them did. */
gboolean segments_settle(Segments *segments, guint limit_ms);
/* What was held goes on its way. */
void segments_release(Segments *segments);

/* All that there is to know of segments that are held, with the frames that wait, once no
 * emulator sends any more; owned by the caller. */
GBytes *segments_state(Segments *segments);
/* SEGMENTS, new ones whose ports are connected, are held and have what STATE, which may
 * come from anywhere, says. FALSE: it is not of such networks, or not such as they can
 * be, and nothing of it is taken. */
gboolean segments_restore(Segments *segments, GBytes *state, GError **error);
