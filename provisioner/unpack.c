/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <gio/gio.h>
#include <unistd.h>

#include "autoptr.h"
#include "error.h"
#include "unpack.h"

#define BLOCK (128 * 1024)

void
unpack_support_filters(struct archive *archive)
{
    archive_read_support_filter_gzip(archive);
    archive_read_support_filter_bzip2(archive);
    archive_read_support_filter_lzma(archive);
    archive_read_support_filter_xz(archive);
    archive_read_support_filter_zstd(archive);
    archive_read_support_filter_lz4(archive);
}

typedef struct {
    int fd;
    goffset offset, left;
    char block[BLOCK];
} Range;

static la_ssize_t
read_range(struct archive *archive, void *data, const void **block)
{
    Range *range = data;
    ssize_t got =
        pread(range->fd, range->block, MIN(range->left, (goffset)BLOCK), range->offset);
    if (got < 0) {
        archive_set_error(archive, errno, "%s", g_strerror(errno));
        return -1;
    }
    range->offset += got;
    range->left -= got;
    *block = range->block;
    return got;
}

/* It is the place that is full, not WHAT is unpacked. */
static void
fail_write(int out_fd, const char *what, int reason, GError **error)
{
    g_autofree char *link = g_strdup_printf("/proc/self/fd/%d", out_fd);
    g_autofree char *file = g_file_read_link(link, NULL);
    g_autofree char *folder = file ? g_path_get_dirname(file) : g_strdup("its place");
    g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE, "cannot unpack %s to %s: %s", what,
                folder, g_strerror(reason));
}

gboolean
unpack_write_all(int out_fd, const void *data, gsize length, const char *what,
                 GError **error)
{
    for (const char *at = data; length > 0;) {
        ssize_t wrote = write(out_fd, at, length);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0) {
            fail_write(out_fd, what, errno, error);
            return FALSE;
        }
        at += wrote;
        length -= wrote;
    }
    return TRUE;
}

gboolean
unpack_go_on(const char *what, GError **error)
{
    GCancellable *interrupt = g_cancellable_get_current();
    while (interrupt && g_main_context_iteration(NULL, FALSE))
        ;
    if (!g_cancellable_is_cancelled(interrupt))
        return TRUE;
    g_set_error(error, HB_ERROR, HB_INTERRUPTED, "interrupted while %s was unpacked",
                what);
    return FALSE;
}

static gboolean
copy_out(struct archive *archive, int out_fd, goffset maximum_bytes, const char *what,
         GError **error)
{
    g_autofree char *block = g_malloc(BLOCK);
    for (goffset total = 0; unpack_go_on(what, error);) {
        la_ssize_t got = archive_read_data(archive, block, BLOCK);
        if (got < 0) {
            g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE, "cannot unpack %s: %s", what,
                        archive_error_string(archive));
            return FALSE;
        }
        if (got == 0)
            return TRUE;
        total += got;
        if (total > maximum_bytes) {
            g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE,
                        "cannot unpack %s: it grows beyond %" G_GOFFSET_FORMAT " MiB",
                        what, maximum_bytes >> 20);
            return FALSE;
        }
        if (!unpack_write_all(out_fd, block, got, what, error))
            return FALSE;
    }
    return FALSE;
}

gboolean
unpack_range(int in_fd, goffset offset, goffset length, int out_fd, goffset maximum_bytes,
             const char *what, GError **error)
{
    g_autoptr(ArchiveReader) archive = archive_read_new();
    unpack_support_filters(archive);
    archive_read_support_format_raw(archive);
    g_autofree Range *range = g_new0(Range, 1);
    range->fd = in_fd;
    range->offset = offset;
    range->left = length;
    struct archive_entry *entry;
    if (archive_read_open(archive, range, NULL, read_range, NULL) != ARCHIVE_OK ||
        archive_read_next_header(archive, &entry) != ARCHIVE_OK) {
        const char *reason = archive_error_string(archive);
        g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE, "cannot unpack %s: %s", what,
                    reason ? reason : "there is nothing in it");
        return FALSE;
    }
    if (archive_filter_code(archive, 0) == ARCHIVE_FILTER_NONE) {
        g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE,
                    "cannot unpack %s: its compression is none of gzip, bzip2, lzma, xz, "
                    "zstd, lz4",
                    what);
        return FALSE;
    }
    return copy_out(archive, out_fd, maximum_bytes, what, error);
}
