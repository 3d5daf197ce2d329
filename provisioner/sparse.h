/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Files that are mostly holes, such as a host's memory: of one that is declared with 64
 * GiB perhaps 100 MiB were ever written. What takes time here is what there is in them.
 */
#pragma once

#include <glib.h>

typedef struct {
    goffset offset, length; /* bytes */
} SparseExtent;

/* Where there may be something in the first SIZE bytes of FD: GArray of SparseExtent,
 * ascending, in whole pages but for the last. FD's place moves. */
GArray *sparse_extents(int fd, goffset size, GError **error);

/* The same without pages of zeroes, for which all is read: files with the same bytes have
 * the same, wherever their holes are. */
GArray *sparse_content(int fd, goffset size, GError **error);

/* Copies the first SIZE bytes of IN_FD to the empty file OUT_FD (-1: to nowhere), all
 * but pages of zeroes, and adds to *BYTES, unless that is NULL, how many. Returns a
 * SHA-256 that depends on the bytes alone and not on where the holes are: of each page
 * that is not zero, in order, its number (64 bits, little-endian) and its content. Owned
 * by the caller. */
char *sparse_copy(int in_fd, int out_fd, goffset size, goffset *bytes, GError **error);

/* The same copy without the digest, which takes most of the time. */
gboolean sparse_duplicate(int in_fd, int out_fd, goffset size, GError **error);

/* Writes what of LENGTH bytes is not zero to the place OFFSET of FD; OFFSET is that of a
 * page. */
gboolean
sparse_write(int fd, const void *data, gsize length, goffset offset, GError **error);
