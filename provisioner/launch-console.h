/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Reads a text stream of the emulator (console, standard error) to its end: into a log,
 * and a bounded memory of the last lines. Private to launch*.c.
 */
#pragma once

#include <gio/gio.h>

#include "log-dir.h"

typedef struct Console Console;

/* Bytes came (0: the end). */
typedef void (*ConsoleCame)(gsize bytes, gpointer user_data);

/* Takes FD and LOG. */
Console *console_new(int fd, LogFile *log, ConsoleCame came, gpointer user_data);
void console_free(Console *console);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Console, console_free)

/* Bytes as they come go to LISTENER, too; NULL: to nobody. */
typedef void (*ConsoleListener)(const char *bytes, gsize length, gpointer user_data);
void console_set_listener(Console *console, ConsoleListener listener, gpointer user_data);
/* What somebody types; what the emulator does not take now is lost, as on a serial line.
 */
void console_type(Console *console, const void *bytes, gsize length);

gboolean console_ended(const Console *console);
/* Of everything that came. */
guint64 console_bytes(const Console *console);
/* Its lines are hostbed's own, and not cut short in messages. */
void console_trust(Console *console);
/* The last line that is not empty, made printable; NULL if none. Owned by the console. */
const char *console_last_line(const Console *console);
/* The last LINES lines that are no harmless warnings, made printable, joined by "; ".
 * Owned by the caller. */
char *console_tail(const Console *console, guint lines);
/* The first line with a kernel's announcement of its own death, or NULL. */
const char *console_panic(const Console *console);
