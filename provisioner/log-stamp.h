/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * When something happened, as logs have it: by the clock on the wall, for people, and by
 * the machine's monotonic clock, which nobody sets, and which puts lines of several files
 * in order.
 *
 *   2026-11-22T06:30:00.123456+00:00 [12.345678] what is said
 */
#pragma once

#include <glib.h>

typedef struct {
    gint64 real_us; /* since 1970 */
    gint64 monotonic_us;
} LogStamp;

LogStamp log_stamp_now(void);
/* As text, without what is said; owned by the caller. */
char *log_stamp_text(LogStamp stamp);
/* The stamp that TEXT begins with; *REST, which is inside of TEXT, is what is said.
 * FALSE: it begins with none. */
gboolean log_stamp_read(const char *text, LogStamp *stamp, const char **rest);
