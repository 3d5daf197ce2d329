/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Where downloads are kept: in the cache by their content (kind "downloads", files named
 * sha256-HEX), and by which names that is known (kind "download-names"): other digests of
 * it, and addresses that it came from. What is being fetched is in "downloads-partial".
 */
#pragma once

#include <glib.h>

#define FETCH_STORE_PARTIAL "downloads-partial"

/* Path of the download whose SHA-256 that is, or NULL; now marked as used. *BYTES, unless
 * BYTES is NULL, is its size. */
char *fetch_store_find(const char *sha256, gint64 *bytes);
/* SHA-256 of what was remembered for NAME ("sha512:HEX", an address), if it is still
 * there; owned by the caller. */
char *fetch_store_recall(const char *name);
/* A cache that cannot be written only costs time. */
void fetch_store_remember(const char *name, const char *sha256);
/* Makes the file PARTIAL, whose descriptor is FD, the download; its path. Old ones go. */
char *fetch_store_take(int fd, const char *partial, const char *sha256, GError **error);
