/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sparse.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "error.h"

#define PAGE ((goffset)4096)
#define BLOCK ((gsize)1 << 20) /* whole pages */

static gboolean
fail(const char *what, int reason, GError **error)
{
    g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE, "cannot %s: %s", what,
                g_strerror(reason));
    return FALSE;
}

GArray *
sparse_extents(int fd, goffset size, GError **error)
{
    g_autoptr(GArray) extents = g_array_new(FALSE, FALSE, sizeof(SparseExtent));
    goffset at = 0;
    while (at < size) {
        off_t data = lseek(fd, at, SEEK_DATA);
        off_t hole = data < 0 ? -1 : lseek(fd, data, SEEK_HOLE);
        if (data < 0 && errno == ENXIO) /* nothing from here on */
            break;
        if (hole < 0 && !fail("find what is in a file", errno, error))
            return NULL;
        SparseExtent extent = {.offset = data / PAGE * PAGE};
        if (extent.offset >= size)
            break;
        at = MIN((hole + PAGE - 1) / PAGE * PAGE, size);
        extent.length = at - extent.offset;
        g_array_append_val(extents, extent);
    }
    return g_steal_pointer(&extents);
}

static gboolean
is_zero(const guint8 *data, gsize length)
{
    return data[0] == 0 && memcmp(data, data + 1, length - 1) == 0;
}

static gboolean
write_at(int fd, const guint8 *data, gsize length, goffset offset, GError **error)
{
    while (length > 0) {
        ssize_t wrote = pwrite(fd, data, length, offset);
        if (wrote < 0 && errno != EINTR)
            return fail("write a copy", errno, error);
        if (wrote > 0) {
            data += wrote;
            offset += wrote;
            length -= (gsize)wrote;
        }
    }
    return TRUE;
}

gboolean
sparse_write(int fd, const void *data, gsize length, goffset offset, GError **error)
{
    const guint8 *bytes = data;
    gsize start = 0; /* of what is to be written at once */
    for (gsize at = 0; at < length; at += PAGE) {
        gsize size = MIN((gsize)PAGE, length - at);
        if (!is_zero(bytes + at, size))
            continue;
        if (!write_at(fd, bytes + start, at - start, offset + (goffset)start, error))
            return FALSE;
        start = at + size;
    }
    return write_at(fd, bytes + start, length - start, offset + (goffset)start, error);
}

static void
add_pages(GChecksum *sum, const guint8 *data, gsize length, goffset offset,
          goffset *bytes)
{
    for (gsize at = 0; at < length; at += PAGE) {
        gsize size = MIN((gsize)PAGE, length - at);
        if (is_zero(data + at, size))
            continue;
        guint64 number = GUINT64_TO_LE((guint64)(offset + (goffset)at) / PAGE);
        g_checksum_update(sum, (const guchar *)&number, sizeof number);
        g_checksum_update(sum, data + at, (gssize)size);
        *bytes += (goffset)size;
    }
}

static gboolean
read_at(int fd, guint8 *data, gsize length, goffset offset, GError **error)
{
    while (length > 0) {
        ssize_t got = pread(fd, data, length, offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return fail("read a file", got == 0 ? ENODATA : errno, error);
        data += got;
        offset += got;
        length -= (gsize)got;
    }
    return TRUE;
}

/* Gives TAKE what there is in the first SIZE bytes of FD, block by block. */
static gboolean
each_block(int fd, goffset size,
           gboolean (*take)(const guint8 *data, gsize length, goffset offset,
                            gpointer user_data, GError **error),
           gpointer user_data, GError **error)
{
    g_autoptr(GArray) extents = sparse_extents(fd, size, error);
    g_autofree guint8 *block = g_malloc(BLOCK);
    if (!extents)
        return FALSE;
    for (guint i = 0; i < extents->len; i++) {
        const SparseExtent *extent = &g_array_index(extents, SparseExtent, i);
        for (goffset done = 0; done < extent->length; done += BLOCK) {
            gsize length = MIN(BLOCK, (gsize)(extent->length - done));
            goffset at = extent->offset + done;
            if (!read_at(fd, block, length, at, error) ||
                !take(block, length, at, user_data, error))
                return FALSE;
        }
    }
    return TRUE;
}

/* ---- what is not zero
 * ----------------------------------------------------------------------------- */

/* It may go on where the one before ends. */
static gboolean
take_content(const guint8 *data, gsize length, goffset offset, gpointer user_data,
             GError **error)
{
    GArray *content = user_data;
    (void)error;
    for (gsize at = 0; at < length; at += PAGE) {
        const SparseExtent page = {offset + (goffset)at,
                                   MIN(PAGE, (goffset)(length - at))};
        if (is_zero(data + at, (gsize)page.length))
            continue;
        SparseExtent *last = content->len > 0
                                 ? &g_array_index(content, SparseExtent, content->len - 1)
                                 : NULL;
        if (last && last->offset + last->length == page.offset)
            last->length += page.length;
        else
            g_array_append_val(content, page);
    }
    return TRUE;
}

GArray *
sparse_content(int fd, goffset size, GError **error)
{
    g_autoptr(GArray) content = g_array_new(FALSE, FALSE, sizeof(SparseExtent));
    return each_block(fd, size, take_content, content, error) ? g_steal_pointer(&content)
                                                              : NULL;
}

/* ---- copies
 * ----------------------------------------------------------------------------- */

typedef struct {
    int fd;         /* -1: to nowhere */
    GChecksum *sum; /* of what is in it; or NULL */
    goffset bytes;  /* how much that is */
} Copy;

static gboolean
take_copy(const guint8 *data, gsize length, goffset offset, gpointer user_data,
          GError **error)
{
    Copy *copy = user_data;
    if (copy->fd >= 0 && !sparse_write(copy->fd, data, length, offset, error))
        return FALSE;
    if (copy->sum)
        add_pages(copy->sum, data, length, offset, &copy->bytes);
    return TRUE;
}

static gboolean
copy_all(int in_fd, Copy *copy, goffset size, GError **error)
{
    if (copy->fd >= 0 && ftruncate(copy->fd, size) != 0)
        return fail("write a copy", errno, error);
    return each_block(in_fd, size, take_copy, copy, error);
}

char *
sparse_copy(int in_fd, int out_fd, goffset size, goffset *bytes, GError **error)
{
    g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
    Copy copy = {out_fd, sum, 0};
    if (!copy_all(in_fd, &copy, size, error))
        return NULL;
    if (bytes)
        *bytes += copy.bytes;
    return g_strdup(g_checksum_get_string(sum));
}

gboolean
sparse_duplicate(int in_fd, int out_fd, goffset size, GError **error)
{
    Copy copy = {out_fd, NULL, 0};
    return copy_all(in_fd, &copy, size, error);
}
