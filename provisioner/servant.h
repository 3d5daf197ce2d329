/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * One order to a program of ours that does what a large library does (downloads, images,
 * facts about operating systems), so that hostbed itself stays small and quick, and what
 * is hostile to such a library meets it in a process of its own. The program is started
 * for the order, gets it as JSON on its standard input, says on its standard output, a
 * line each, what happens ({"event": …}) and in the end {"answer": {…}} or {"error":
 * "one sentence", "status": N}; it ends with us and with all that it started. The other
 * side is servant-side.h.
 */
#pragma once

#include <gio/gio.h>
#include <json-glib/json-glib.h>

/* EVENT is borrowed. All have "event", its kind; a "progress" has "what" (a few words)
 * and, as far as they are known, "done" and "total" (bytes, or of any unit: "unit"),
 * "rate" (a second) and "left_s". Texts may be anybody's: printable.h. */
typedef void (*ServantEvent)(JsonObject *event, gpointer user_data);

/* The answer of PROGRAM ("hostbed-fetch") to ORDER (borrowed), owned by the caller. EVENT
 * may be NULL. Turns the thread's default main context, so that what signals cancel is
 * heard of; CANCELLABLE ends the program, first by SIGTERM. Errors are in HB_ERROR: what
 * the program said, with its status and what came on its standard error; HB_INTERRUPTED;
 * HB_INFRASTRUCTURE where it is not there, is ended by a signal, says what is no answer,
 * or nothing for ten minutes. */
JsonObject *servant_ask(const char *program, JsonNode *order, ServantEvent event,
                        gpointer user_data, GCancellable *cancellable, GError **error);

/* Where PROGRAM is, owned by the caller; else a sentence that says what installs it. */
char *servant_path(const char *program, GError **error);

/* A "progress" of our own side's, for who hears of those of servants. EVENT may be NULL.
 */
void servant_say(ServantEvent event, gpointer user_data, const char *what);

/* What is expected of a program. */
typedef struct {
    gsize line_bytes;   /* of one line */
    gint64 total_bytes; /* of all that it says */
    guint silence_ms;   /* before it says something (more) */
    guint end_ms;       /* to end: after its last word, or SIGTERM */
} ServantLimits;

#define SERVANT_LIMITS                                                                   \
    ((ServantLimits){.line_bytes = 16 << 20,                                             \
                     .total_bytes = 256 << 20,                                           \
                     .silence_ms = 600 * 1000,                                           \
                     .end_ms = 10 * 1000})

/* The same with other limits than SERVANT_LIMITS. */
JsonObject *servant_ask_within(const ServantLimits *limits, const char *program,
                               JsonNode *order, ServantEvent event, gpointer user_data,
                               GCancellable *cancellable, GError **error);
