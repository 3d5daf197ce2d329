/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * QMP over a connected socket. It knows JSON and ids, not labs. Replies are matched by
 * id; events may come anywhere and the end of file at any time (QEMU
 * docs/interop/qmp-spec).
 *
 * Errors: HB_UNSUPPORTED when the emulator refused a command (with its own words),
 * HB_EMULATOR_DIED when the conversation ended, made no sense or was not continued in
 * time. After one of those every later call fails at once with the same words.
 *
 * All callbacks come from the default GMainContext; none of them may free the Qmp.
 */
#pragma once

#include <gio/gio.h>
#include <json-glib/json-glib.h>

typedef struct Qmp Qmp;

/* EVENT is NULL once, when the conversation has ended by the other side. */
typedef void (*QmpEvent)(const char *event, JsonObject *data /* or NULL */,
                         gpointer user_data);
/* Every message as it passes, for the log. */
typedef void (*QmpTrace)(gboolean to_emulator, const char *line, gpointer user_data);
/* RESULT (the "return" member) or ERROR, both borrowed; the other is NULL. */
typedef void (*QmpReply)(JsonNode *result, const GError *error, gpointer user_data);

/* Takes FD, a connected socket. No byte is sent yet. */
Qmp *qmp_new(int fd);
void qmp_free(Qmp *qmp);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Qmp, qmp_free)

/* Why the conversation has ended, or NULL. */
const GError *qmp_ended(const Qmp *qmp);

void qmp_set_event_handler(Qmp *qmp, QmpEvent handler, gpointer user_data);
void qmp_set_trace(Qmp *qmp, QmpTrace trace, gpointer user_data);

/* Reads the greeting and negotiates capabilities. */
gboolean qmp_connect(Qmp *qmp, guint timeout_ms, GError **error);

/* COMMAND with ARGUMENTS (taken; NULL: none). Runs the default GMainContext until the
 * reply. The result is the "return" member, owned by the caller. FD >= 0 travels with the
 * command (getfd, add-fd) and stays the caller's. */
JsonNode *qmp_call(Qmp *qmp, const char *command, JsonObject *arguments, int fd,
                   guint timeout_ms, GError **error);
/* The same without waiting: REPLY comes later, once (not at all if the Qmp is freed
 * before). */
void qmp_send(Qmp *qmp, const char *command, JsonObject *arguments, QmpReply reply,
              gpointer user_data);
