/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The logs in a host's folder as one, in the order in which things happened. Each line
 * has the time at which it was written, or, of what is kept as it came (the console, the
 * emulator's standard error), at which it came.
 */
#pragma once

#include <glib.h>

#include "log-stamp.h"

typedef struct {
    LogStamp time;
    const char *who; /* "host", "agent", "qmp", "console" or "emulator"; static */
    char *text;      /* as it is in the file, without its newline */
    gsize length;
    guint order; /* in which it was read */
} HostLogLine;

typedef struct HostLog HostLog;

/* Whether DIR is the folder of a host. */
gboolean host_log_is_one(const char *dir);
HostLog *host_log_new(const char *dir);
void host_log_free(HostLog *log);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(HostLog, host_log_free)

/* What has come since the last time: HostLogLine, in order. The last line of a file comes
 * when it has its end, or if it is ALL that ever will. */
GPtrArray *host_log_read(HostLog *log, gboolean all);
