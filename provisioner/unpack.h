/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * One compressed stream → its bytes (gzip, bzip2, lzma, xz, zstd, lz4), by libarchive and
 * never by a program. The input is hostile: it may be cut, wrong, or grow without end.
 */
#pragma once

#include <archive.h>
#include <glib.h>

/* Unpacks LENGTH bytes of IN_FD from OFFSET into OUT_FD; more than MAXIMUM_BYTES is an
 * error, and so is an interruption (below). WHAT names the input in messages. */
gboolean unpack_range(int in_fd, goffset offset, goffset length, int out_fd,
                      goffset maximum_bytes, const char *what, GError **error);

/* All of DATA, at offset OUT_FD stands at; errno is in the error. */
gboolean unpack_write_all(int out_fd, const void *data, gsize length, const char *what,
                          GError **error);

/* To be asked between pieces of work: FALSE (HB_INTERRUPTED) when the thread's current
 * GCancellable is cancelled. Where there is one, its main context turns meanwhile: that
 * is where signals are heard of. */
gboolean unpack_go_on(const char *what, GError **error);

/* Lets a reader know these compressions. "All" of libarchive's would start programs for
 * some. */
void unpack_support_filters(struct archive *archive);
