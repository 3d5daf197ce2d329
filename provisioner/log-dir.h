/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The folder in which one host leaves what a person needs to understand it: command,
 * events, console, QMP, agent. Folders that nobody asked for by name stand under the
 * user's state directory and the oldest of them go, so that they never fill the disk.
 */
#pragma once

#include <gio/gio.h>

typedef struct LogDir LogDir;

/* A new folder for the host NAME ("berrange-2017-l1"): in ASKED (--log-dir), which is
 * made if need be, else in $XDG_STATE_HOME/hostbed/logs. Only its owner can read it. */
LogDir *log_dir_open(const char *asked, const char *name, GError **error);
const char *log_dir_path(const LogDir *dir);
/* KEEP is FALSE: the folder goes, unless it was asked for. An empty one goes anyway. */
void log_dir_close(LogDir *dir, gboolean keep);

/* What could not be written there, or in a folder of a later start below it, with the
 * reason: "console.log: No space left on device"; NULL: nothing is missing. */
char *log_dir_lost(const char *path);
/* The file NAME of the folder DIR with TEXT; what fails is for log_dir_lost(). */
void log_dir_put(const char *dir, const char *name, const char *text, guint mode);

/* One file of such a folder. A full disk or a flood ends the file, never the host; what
 * the disk did not take is for log_dir_lost(). */
typedef struct LogFile LogFile;

/* At most MAXIMUM bytes are written, and a line that says so. */
LogFile *log_file_open(const char *dir, const char *name, gsize maximum, GError **error);
void log_file_free(LogFile *file);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(LogFile, log_file_free)

/* From now on, beside what is written to the file as it is: when each of its lines began,
 * in a file of the same name with LOG_TIMES behind it. A line there is an offset, a blank
 * and a stamp (log-stamp.h): what stands from that byte on, up to the next line's offset,
 * came then. */
#define LOG_TIMES ".times"
void log_file_keep_times(LogFile *file);

/* Bytes as they are. */
void log_file_write(LogFile *file, const void *bytes, gsize length);
/* A line with the time, as in log-stamp.h. */
void log_file_line(LogFile *file, const char *format, ...) G_GNUC_PRINTF(2, 3);
