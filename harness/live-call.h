/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A request to the supervisor of a lab (live-wire.h), from the other side.
 */
#pragma once

#include <gio/gio.h>
#include <json-glib/json-glib.h>

/* EVENT is "step", "warning", "difference" or "qmp". */
typedef void (*LiveCallEvent)(const char *event, const char *text, gpointer user_data);

typedef struct {
    LiveCallEvent event; /* or NULL */
    gpointer user_data;
    guint timeout_ms; /* 0: none */
    gboolean *held;   /* set where another supervisor has the lab; or NULL */
} LiveCall;

/* Sends REQUEST (taken) over FD, which stays the caller's, and waits for the answer,
 * owned by the caller. HB_FAIL: the supervisor ended; else the error is its own. The
 * thread's current GCancellable ends the wait (HB_INTERRUPTED), and the time that may
 * pass (HB_TIMEOUT). */
JsonObject *live_call(int fd, JsonObject *request, const LiveCall *call, GError **error);
/* The same without a request, to one who knows it. */
JsonObject *live_call_wait(int fd, const LiveCall *call, GError **error);
/* Nobody waits for the answer by FD any more; returns when the other side has closed it,
 * as live-wire.h says. FALSE: TIMEOUT_MS have passed, or the thread's GCancellable, which
 * is another than the one that ended the wait for the answer, was cancelled. */
gboolean live_call_leave(int fd, guint timeout_ms);
/* Waits until the other side of FD has closed it. */
gboolean live_call_wait_end(int fd, guint timeout_ms, GError **error);

/* {"request": NAME, "host": HOST (or NULL)} */
JsonObject *live_call_request(const char *name, const char *host);
