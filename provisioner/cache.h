/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Files that are costly to make, kept under the user's cache directory
 * ($XDG_CACHE_HOME/hostbed/KIND/NAME). An entry appears whole or not at all (written
 * aside, then renamed), so any number of processes may use and make entries at once. What
 * is not whole any more is not found: an entry's modification time is set to its size in
 * seconds, and whoever writes to it or cuts it breaks that. Its access time is the last
 * use, by which it is pruned.
 */
#pragma once

#include <glib.h>
#include <time.h>

/* The directory of KIND ("kernels", "initramfs", …), made if it was not there. */
char *cache_dir(const char *kind, GError **error);

/* "…/hostbed/KIND/NAME", or KIND's directory (NAME is NULL); owned by the caller. */
char *cache_path(const char *kind, const char *name);
/* Path of the entry, now marked as used; NULL if there is none or it is damaged. */
char *cache_lookup(const char *kind, const char *name);

typedef struct {
    int fd; /* open for writing; borrowed */
    char *kind, *path, *temporary;
} CacheWriter;

CacheWriter *cache_writer_new(const char *kind, const char *name, GError **error);
/* Makes the entry, in the place of one that had the name; its path. */
char *cache_writer_commit(CacheWriter *writer, GError **error);
/* The same where the name says what is in it: a whole one that somebody made meanwhile
 * stays, so that who reads that does not find another file by its name. */
char *cache_writer_commit_first(CacheWriter *writer, GError **error);
/* What was not committed is gone. */
void cache_writer_free(CacheWriter *writer);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CacheWriter, cache_writer_free)

/* A folder to be filled, which nobody takes for an entry before it is one. */
typedef struct {
    int fd;     /* holds the lock that says somebody is at work */
    char *path; /* while it is being filled */
} CacheFolder;

CacheFolder *cache_folder_new(const char *kind, GError **error);
/* Makes it the entry PATH of its kind, unless that is there. */
gboolean cache_folder_commit(CacheFolder *folder, const char *path, GError **error);
/* What was not committed is gone. */
void cache_folder_free(CacheFolder *folder);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CacheFolder, cache_folder_free)

/* Removes the entries of KIND used longest ago until the rest is at most MAXIMUM_BYTES,
 * and leftovers of those who were killed. What was used in the last ten minutes stays,
 * because somebody may be about to open it. */
void cache_prune(const char *kind, goffset maximum_bytes);

/* Removes only leftovers of those who were killed; how many. */
guint cache_remove_leftovers(const char *kind);

/* Removes a file, or a directory with all in it; links are not followed. */
void cache_remove_tree(const char *path);
/* Bytes of the regular files below PATH. */
goffset cache_tree_bytes(const char *path);
/* The same without their holes. */
goffset cache_tree_disk_bytes(const char *path);

/* A file in FOLDER, for reading and writing, that is gone as soon as nobody has it open;
 * -1: errno says why. */
int cache_open_nameless(const char *folder);

/* ---- folders that are called by the digest of what they were made from: 64 digits */

/* The names of all of KIND, also damaged ones: GPtrArray of char *. */
GPtrArray *cache_keys(const char *kind);
/* Removes one, for everybody at once. FALSE: there is none. */
gboolean cache_remove_key(const char *kind, const char *key);
/* What such folders may take of the disk, in bytes: the size in the environment's
 * VARIABLE, or without it DEFAULT_BYTES; -1: it is no size. */
gint64 cache_maximum(const char *variable, gint64 default_bytes, GError **error);

/* For files of folders that nobody writes to: what such a file's time of change is set to
 * (seconds), so that of one that was written to it is another. */
time_t cache_mark(goffset size);
