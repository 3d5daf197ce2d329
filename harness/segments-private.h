/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What segments*.c share: segments.c moves frames, segments-state.c freezes them.
 */
#pragma once

#include <stdio.h>

#include "segments.h"

typedef struct {
    char *name;
    GPtrArray *ports; /* Port */
    guint per_mille;  /* of frames that are lost */
    guint64 random;   /* what the next loss depends on */
    FILE *capture;    /* or NULL */
    SegmentCounts counts;
} Segment;

typedef struct {
    Segments *segments;
    Segment *segment;
    char *name;
    int fd;
    guint per_mille; /* of the frames that come in or go out by it, lost beside others */
    guint64 random;
    GSource *source;
    gpointer tag;
    GQueue queue; /* GBytes: frames that wait for the emulator */
    gsize queued; /* their bytes */
} Port;

struct Segments {
    GMutex lock;     /* of all that follows */
    GPtrArray *list; /* Segment, as named */
    gboolean held;
    guint8 frame[SEGMENT_FRAME_MAX + 1]; /* that is being read */

    GMainContext *context;
    GMainLoop *loop;
    GThread *thread;
};

/* The lock is held for all of these. */
Segment *segments_find(Segments *segments, const char *network);
/* Takes in what has come by PORT, at most LIMIT frames. FALSE: that many were there. */
gboolean port_take(Port *port, guint limit);
/* FRAME waits for PORT's emulator, if there is room. */
void port_enqueue(Port *port, GBytes *frame);
