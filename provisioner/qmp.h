/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * QMP over a connected descriptor. It knows JSON and ids, not labs. Replies are matched by id;
 * events may come anywhere and the end of file at any time (QEMU docs/interop/qmp-spec).
 */
#pragma once

#include <gio/gio.h>
#include <json-glib/json-glib.h>

typedef struct Qmp Qmp;

typedef void (*QmpEvent)(const char *event, JsonObject *data /* or NULL */, gpointer user_data);
/* Every message as it passes, for the log. */
typedef void (*QmpTrace)(gboolean to_emulator, const char *line, gpointer user_data);

/* Takes FD. No byte is sent yet. */
Qmp *qmp_new(int fd);
void qmp_free(Qmp *qmp);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Qmp, qmp_free)

void qmp_set_event_handler(Qmp *qmp, QmpEvent handler, gpointer user_data);
void qmp_set_trace(Qmp *qmp, QmpTrace trace, gpointer user_data);

/* Reads the greeting and negotiates capabilities. */
gboolean qmp_connect(Qmp *qmp, guint timeout_ms, GError **error);

/* COMMAND with ARGUMENTS (taken; NULL: none). Runs the default GMainContext until the reply.
 * The result is the "return" member, owned by the caller; NULL sets ERROR with the emulator's
 * own words. FD >= 0 travels with the command (getfd, add-fd). */
JsonNode *qmp_call(Qmp *qmp, const char *command, JsonObject *arguments, int fd, guint timeout_ms,
                   GError **error);
