/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What emulators and we say to each other, for a person or a program that wants to see
 * it: --trace-qmp and the log. Each message is one line, an object of JSON:
 *
 *   {"time":1795348156.123456,"host":"pair/l1","emulator":4711,"direction":"to","id":3,
 *    "message":{"execute":"query-pci","id":3}}
 *
 * What is secret in a message is not in the line.
 *
 * Where the lines go is one for the process, as standard error is: it is said once, when
 * the command line is read, and all hosts that the process starts are traced.
 */
#pragma once

#include <gio/gio.h>

/* The names of "direction". */
#define QMP_TRACE_TO "to"
#define QMP_TRACE_FROM "from"

/* LINE ends with a newline. */
typedef void (*QmpTraceLine)(const char *line, gpointer user_data);

/* From now on lines are added to the file PATH, which is emptied if they BEGIN here;
 * NULL: standard error. */
gboolean qmp_trace_to_file(const char *path, gboolean begin, GError **error);
/* And LISTENER has them; NULL: nobody. */
void qmp_trace_to(QmpTraceLine listener, gpointer user_data);

/* What the lab is called here, if not by its own name; NAME is borrowed. */
void qmp_trace_call_lab(const char *name);

/* MESSAGE passed just now between us and the process EMULATOR, of the host HOST of LAB.
 */
void qmp_trace(const char *lab, const char *host, GPid emulator, gboolean to_emulator,
               const char *message);

/* Such a line, owned by the caller; HOST has its lab's name; MESSAGE is known to have no
 * secrets. EMULATOR 0: it is not known. */
char *qmp_trace_line(gint64 real_us, const char *host, GPid emulator,
                     gboolean to_emulator, const char *message);
/* MESSAGE without what is secret in it, owned by the caller. */
char *qmp_trace_without_secrets(const char *message);
