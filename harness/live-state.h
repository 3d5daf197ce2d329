/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What is known of a lab that is up, as its supervisor writes it down whenever it
 * changes. Whoever reads it asks the supervisor nothing, so that one that hangs, or is
 * dead, can be told about, too.
 */
#pragma once

#include <json-glib/json-glib.h>

#include "error.h"

typedef enum {
    LIVE_STARTING,
    LIVE_UP,
    LIVE_FAILED, /* it ended by itself: reason */
    LIVE_PAUSED, /* up, and stands still */
    LIVE_OFF,    /* its power was cut */
} LiveHostState;

/* "starting", "up", "failed", "paused", "off" */
const char *live_host_state_name(LiveHostState state);

typedef struct {
    char *to; /* of the machine: "127.0.0.1:2222" */
    int port; /* of the host */
} LiveForward;

typedef struct {
    char *name;
    LiveHostState state;
    gint64 since_s;      /* in this state, of the day */
    int pid;             /* of the emulator, or 0: libvirt's is nobody's to know */
    char *logs;          /* the folder, or NULL */
    char *reason;        /* why it failed, or NULL */
    HbStatus status;     /* the class of the reason; HB_OK: it did not fail */
    GPtrArray *forwards; /* LiveForward: ports of the machine that are its */
} LiveHost;

LiveHost *live_host_new(const char *name);
void live_host_free(LiveHost *host);
void live_host_add_forward(LiveHost *host, const char *to, int port);
/* A new state since now; LIVE_FAILED is that of the next function. */
void live_host_set(LiveHost *host, LiveHostState state);
/* It has failed, now, for REASON. */
void live_host_fail(LiveHost *host, const GError *reason);

typedef struct {
    char *name;
    char *file, *digest; /* of the lab's file, and what was in it */
    char *boot;          /* which start of the machine */
    char *connect;       /* the URI of the libvirt that starts its hosts, or NULL */
    char *logs;          /* the folder, or NULL */
    int pid;             /* of the supervisor, or 0 */
    gint64 since_s;
    GPtrArray *hosts; /* LiveHost */
    char *dead;       /* what became of its supervisor, one sentence; NULL: it lives */
} LiveLab;

LiveLab *live_lab_new(const char *name);
void live_lab_free(LiveLab *lab);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(LiveLab, live_lab_free)
LiveHost *live_lab_host(const LiveLab *lab, const char *name);

/* As JSON, owned by the caller. */
JsonNode *live_lab_to_json(const LiveLab *lab);
/* TEXT is a state. NULL: it is none. */
LiveLab *live_lab_parse(const char *text, gsize length);

/* Which start of the machine this is; owned by the caller. */
char *live_boot_id(void);
/* Puts the state of LAB into the folder PATH, whole or not at all. */
gboolean live_lab_write(const LiveLab *lab, const char *path, GError **error);
/* All labs that are up or were, in order of their names: GPtrArray of LiveLab. */
GPtrArray *live_lab_read_all(GError **error);
