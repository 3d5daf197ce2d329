/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "outbox.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"
#include "printable.h"
#include "wire.h"

#define NAME_SHOWN 100
/* Core dumps worth a line each. */
#define CORES_MAX 16

struct Outbox {
    char *path;
    int fd;
    guint64 bytes_left, bytes_max;
    guint entries, entries_max, written;
    GError *error; /* the first */
    gboolean ended;

    enum {
        HEAD,
        NAME,
        CONTENT
    } state; /* what comes next of a record */
    guint8 head[HB_OUT_HEADER];
    gsize head_length; /* as far as it came */
    GByteArray *name;
    guint64 content; /* bytes still to come of a file */
    int file;        /* being written, or -1: what comes is dropped */

    guint left; /* entries that were left out */
    char *first_left;
    GPtrArray *cores;
};

static void
    G_GNUC_PRINTF(3, 4) fail(Outbox *outbox, HbStatus status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    if (!outbox->error)
        outbox->error = g_error_new_valist(HB_ERROR, (gint)status, format, arguments);
    va_end(arguments);
}

static void
close_file(Outbox *outbox)
{
    if (outbox->file >= 0)
        close(outbox->file);
    outbox->file = -1;
}

Outbox *
outbox_open(const char *path, GError **error)
{
    if (g_mkdir_with_parents(path, 0777) != 0) {
        g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE, "cannot make the folder %s: %s",
                    path, g_strerror(errno));
        return NULL;
    }
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || faccessat(fd, ".", W_OK | X_OK, AT_EACCESS) != 0) {
        g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE,
                    "results cannot be written to %s: %s", path, g_strerror(errno));
        if (fd >= 0)
            close(fd);
        return NULL;
    }
    Outbox *outbox = g_new0(Outbox, 1);
    outbox->path = g_strdup(path);
    outbox->fd = fd;
    outbox->file = -1;
    outbox->name = g_byte_array_new();
    outbox->cores = g_ptr_array_new_with_free_func(g_free);
    outbox_set_limits(outbox, OUTBOX_BYTES_MAX, OUTBOX_ENTRIES_MAX);
    return outbox;
}

void
outbox_free(Outbox *outbox)
{
    if (!outbox)
        return;
    close_file(outbox);
    close(outbox->fd);
    g_clear_error(&outbox->error);
    g_byte_array_unref(outbox->name);
    g_ptr_array_unref(outbox->cores);
    g_free(outbox->first_left);
    g_free(outbox->path);
    g_free(outbox);
}

void
outbox_set_limits(Outbox *outbox, guint64 bytes, guint entries)
{
    outbox->bytes_left = outbox->bytes_max = bytes;
    outbox->entries_max = entries;
}

/* ---- names
 * ------------------------------------------------------------------------------------------
 */

static void
leave_out(Outbox *outbox)
{
    if (outbox->left++ == 0)
        outbox->first_left = printable(outbox->name->data, outbox->name->len, NAME_SHOWN);
}

/* "a/b/c" with none that is empty, ".", ".." or too long for a file system; control
 * characters are only good for deceiving who lists the folder. */
static gboolean
is_good_name(const GByteArray *name)
{
    gsize start = 0;
    for (gsize i = 0; i < name->len; i++)
        if (name->data[i] < 0x20 || name->data[i] == 0x7f)
            return FALSE;
    for (gsize i = 0; i <= name->len; i++) {
        if (i < name->len && name->data[i] != '/')
            continue;
        gsize length = i - start;
        const guint8 *part = name->data + start;
        if (length == 0 || length > NAME_MAX || (length == 1 && part[0] == '.') ||
            (length == 2 && part[0] == '.' && part[1] == '.'))
            return FALSE;
        start = i + 1;
    }
    return TRUE;
}

/* The folder that NAME ("a/b/c") is in, opened, no step through a link; the last step of
 * the name in *LAST. -1: it is not there, or is none. */
static int
open_parent(const Outbox *outbox, const char *name, const char **last)
{
    int folder = fcntl(outbox->fd, F_DUPFD_CLOEXEC, 3);
    const char *slash;
    while (folder >= 0 && (slash = strchr(name, '/'))) {
        g_autofree char *step = g_strndup(name, (gsize)(slash - name));
        int next = openat(folder, step, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        int error = errno;
        close(folder);
        errno = error;
        folder = next;
        name = slash + 1;
    }
    *last = name;
    return folder;
}

/* ---- what is written
 * ---------------------------------------------------------------------------------- */

static gboolean
make_folder(int parent, const char *name)
{
    struct stat status;
    if (mkdirat(parent, name, 0777) == 0)
        return TRUE;
    return errno == EEXIST && fstatat(parent, name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
           S_ISDIR(status.st_mode);
}

/* Never an old file, which may have other names: its name is taken from it. */
static int
make_file(int parent, const char *name, guint mode)
{
    unlinkat(parent, name, 0);
    return openat(parent, name,
                  O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY,
                  0600 | (mode & 0777));
}

static void
note_core(Outbox *outbox, const char *name)
{
    if (g_str_has_prefix(name, "core.") && !strchr(name, '/') &&
        outbox->cores->len < CORES_MAX)
        g_ptr_array_add(outbox->cores, g_build_filename(outbox->path, name, NULL));
}

/* FALSE: it must be left out. */
static gboolean
make_entry(Outbox *outbox, guint8 type, guint mode)
{
    g_autofree char *name =
        g_strndup((const char *)outbox->name->data, outbox->name->len);
    const char *last;
    int parent = open_parent(outbox, name, &last);
    gboolean ok = parent >= 0;
    if (ok && type == HB_OUT_FOLDER) {
        ok = make_folder(parent, last);
    } else if (ok) {
        outbox->file = make_file(parent, last, mode);
        ok = outbox->file >= 0;
        if (ok)
            note_core(outbox, name);
    }
    int error = errno;
    if (parent >= 0)
        close(parent);
    /* What a hostile name may bring about is no fault of this machine. */
    if (!ok && (error == ENOSPC || error == EDQUOT || error == EROFS || error == EIO))
        fail(outbox, HB_INFRASTRUCTURE, "results cannot be written to %s: %s",
             outbox->path, g_strerror(error));
    outbox->written += ok;
    return ok;
}

static void
write_content(Outbox *outbox, const guint8 *data, gsize length)
{
    while (outbox->file >= 0 && length > 0) {
        ssize_t count = write(outbox->file, data, length);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0) {
            fail(outbox, HB_INFRASTRUCTURE, "results cannot be written to %s: %s",
                 outbox->path, g_strerror(errno));
            return;
        }
        data += count;
        length -= (gsize)count;
    }
}

/* ---- records
 * ------------------------------------------------------------------------------------------
 */

static guint32
u32_at(const guint8 *at)
{
    return (guint32)at[0] | (guint32)at[1] << 8 | (guint32)at[2] << 16 |
           (guint32)at[3] << 24;
}

static gsize
name_length(const Outbox *outbox)
{
    return (gsize)outbox->head[2] | (gsize)outbox->head[3] << 8;
}

static gboolean
is_known(guint8 type)
{
    return type == HB_OUT_FILE || type == HB_OUT_FOLDER || type == HB_OUT_LEFT ||
           type == HB_OUT_END;
}

/* Head and name are there. */
static void
begin_record(Outbox *outbox)
{
    guint8 type = outbox->head[0];
    guint64 size = u32_at(outbox->head + 8) | (guint64)u32_at(outbox->head + 12) << 32;
    if (type == HB_OUT_END) {
        outbox->ended = TRUE;
        return;
    }
    if (++outbox->entries > outbox->entries_max) {
        fail(outbox, HB_FAIL, "the results are more than %u files", outbox->entries_max);
        return;
    }
    outbox->content = type == HB_OUT_FILE ? size : 0;
    if (outbox->content > outbox->bytes_left) {
        fail(outbox, HB_FAIL, "the results are larger than %" G_GUINT64_FORMAT " MiB",
             outbox->bytes_max >> 20);
        return;
    }
    outbox->bytes_left -= outbox->content;
    if (type == HB_OUT_LEFT || !is_good_name(outbox->name) ||
        !make_entry(outbox, type, u32_at(outbox->head + 4)))
        leave_out(outbox);
}

static gsize
take_head(Outbox *outbox, const guint8 *data, gsize length)
{
    gsize take = MIN(length, HB_OUT_HEADER - outbox->head_length);
    memcpy(outbox->head + outbox->head_length, data, take);
    outbox->head_length += take;
    if (outbox->head_length < HB_OUT_HEADER)
        return take;
    if (!is_known(outbox->head[0]) || name_length(outbox) >= PATH_MAX)
        fail(outbox, HB_FAIL, "the results do not come as the agent sends them");
    return take;
}

static gsize
take_name(Outbox *outbox, const guint8 *data, gsize length)
{
    gsize take = MIN(length, name_length(outbox) - outbox->name->len);
    g_byte_array_append(outbox->name, data, (guint)take);
    return take;
}

static gsize
take_content(Outbox *outbox, const guint8 *data, gsize length)
{
    gsize take = (gsize)MIN((guint64)length, outbox->content);
    write_content(outbox, data, take);
    outbox->content -= take;
    return take;
}

static void
end_record(Outbox *outbox)
{
    close_file(outbox);
    outbox->state = HEAD;
    outbox->head_length = 0;
    g_byte_array_set_size(outbox->name, 0);
}

/* What has come whole is acted on. */
static void
advance(Outbox *outbox)
{
    if (outbox->state == HEAD && outbox->head_length == HB_OUT_HEADER)
        outbox->state = NAME;
    if (outbox->state == NAME && outbox->name->len == name_length(outbox)) {
        outbox->state = CONTENT;
        begin_record(outbox);
    }
    if (outbox->state == CONTENT && outbox->content == 0)
        end_record(outbox);
}

void
outbox_feed(Outbox *outbox, const guint8 *data, gsize length)
{
    while (length > 0 && !outbox->error) {
        gsize taken;
        if (outbox->ended) {
            fail(outbox, HB_FAIL, "the results go on after their end");
            return;
        }
        if (outbox->state == HEAD)
            taken = take_head(outbox, data, length);
        else if (outbox->state == NAME)
            taken = take_name(outbox, data, length);
        else
            taken = take_content(outbox, data, length);
        data += taken;
        length -= taken;
        if (!outbox->error)
            advance(outbox);
    }
}

gboolean
outbox_finish(Outbox *outbox, GError **error)
{
    close_file(outbox);
    if (!outbox->ended)
        fail(outbox, HB_FAIL, "the results end in the middle");
    if (!outbox->error)
        return TRUE;
    g_propagate_error(error, g_error_copy(outbox->error));
    return FALSE;
}

guint
outbox_count(const Outbox *outbox)
{
    return outbox->written;
}

char *
outbox_left(const Outbox *outbox)
{
    if (outbox->left == 0)
        return NULL;
    return g_strdup_printf("%u of the results were left out, because they are links or "
                           "devices or called what no file may be; the first is '%s'",
                           outbox->left, outbox->first_left);
}

const GPtrArray *
outbox_cores(const Outbox *outbox)
{
    return outbox->cores;
}
