/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What a file contains, as a SHA-256. Reading a large one takes a second, so what was
 * found is remembered in the cache by the file's place and identity.
 */
#pragma once

#include <glib.h>
#include <sys/stat.h>

/* A word that is another as soon as the file has another content: inode, size, times.
 * Owned by the caller. */
char *digest_identity(const struct stat *st);

/* 64 hexadecimal digits, owned by the caller. HB_INFRASTRUCTURE: it cannot be read;
 * HB_USAGE: it is no regular file; HB_INTERRUPTED: the thread's current GCancellable was
 * cancelled meanwhile. */
char *digest_file(const char *path, GError **error);
