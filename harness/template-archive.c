/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "template-archive.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "autoptr.h"
#include "error.h"
#include "printable.h"
#include "sparse.h"
#include "template-key.h"
#include "unpack.h"

#define BLOCK ((gsize)1 << 20)
#define PAGE ((goffset)4096)

/* ---- out
 * ------------------------------------------------------------------------------------------
 */

static gboolean
fail_write(struct archive *archive, GError **error)
{
    const char *words = archive_error_string(archive);
    int reason = archive_errno(archive);
    g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE, "the archive cannot be written: %s",
                reason > 0 ? g_strerror(reason)
                : words    ? words
                           : "no reason");
    return FALSE;
}

/* gzip where the library would start a program for zstd. */
static gboolean
open_writer(struct archive *archive, int fd, GError **error)
{
    if (archive_write_set_format_pax(archive) != ARCHIVE_OK)
        return fail_write(archive, error);
    ArchiveWriter *trial = archive_write_new();
    gboolean has_zstd = archive_write_add_filter_zstd(trial) == ARCHIVE_OK;
    archive_write_free(trial);
    /* What goes to standard output, too, ends where it ends: zeroes behind it are no part
     * of a compressed stream. */
    archive_write_set_bytes_in_last_block(archive, 1);
    int filter = has_zstd ? archive_write_add_filter_zstd(archive)
                          : archive_write_add_filter_gzip(archive);
    return (filter == ARCHIVE_OK && archive_write_open_fd(archive, fd) == ARCHIVE_OK) ||
           fail_write(archive, error);
}

static struct archive_entry *
entry_new(const char *name, goffset size)
{
    struct archive_entry *entry = archive_entry_new();
    archive_entry_set_pathname(entry, name);
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, 0400);
    archive_entry_set_size(entry, size);
    return entry;
}

/* The library wants the bytes of holes, too, and leaves them out. */
static gboolean
write_zeroes(struct archive *archive, goffset length, GError **error)
{
    static const guint8 zeroes[BLOCK];
    while (length > 0) {
        la_ssize_t wrote =
            archive_write_data(archive, zeroes, (size_t)MIN(length, (goffset)BLOCK));
        if (wrote <= 0)
            return fail_write(archive, error);
        length -= wrote;
    }
    return TRUE;
}

static gboolean
write_extent(struct archive *archive, int from_fd, const SparseExtent *extent,
             guint8 *block, GError **error)
{
    for (goffset done = 0; done < extent->length;) {
        gsize length = MIN(BLOCK, (gsize)(extent->length - done));
        ssize_t got = pread(from_fd, block, length, extent->offset + done);
        if (got <= 0) {
            g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE, "cannot read a template: %s",
                        got == 0 ? "it ends early" : g_strerror(errno));
            return FALSE;
        }
        for (ssize_t at = 0; at < got;) {
            la_ssize_t wrote =
                archive_write_data(archive, block + at, (size_t)(got - at));
            if (wrote <= 0)
                return fail_write(archive, error);
            at += wrote;
        }
        done += got;
    }
    return TRUE;
}

static gboolean
write_file(struct archive *archive, const TemplateFile *file, int from_fd, GError **error)
{
    g_autoptr(GArray) extents = sparse_content(from_fd, file->size, error);
    g_autoptr(ArchiveEntry) entry = entry_new(file->name, file->size);
    g_autofree guint8 *block = g_malloc(BLOCK);
    goffset at = 0;
    if (!extents)
        return FALSE;
    for (guint i = 0; i < extents->len; i++) {
        const SparseExtent *extent = &g_array_index(extents, SparseExtent, i);
        archive_entry_sparse_add_entry(entry, extent->offset, extent->length);
    }
    if (archive_write_header(archive, entry) != ARCHIVE_OK)
        return fail_write(archive, error);
    for (guint i = 0; i < extents->len; i++) {
        const SparseExtent *extent = &g_array_index(extents, SparseExtent, i);
        if (!write_zeroes(archive, extent->offset - at, error) ||
            !write_extent(archive, from_fd, extent, block, error))
            return FALSE;
        at = extent->offset + extent->length;
    }
    return write_zeroes(archive, file->size - at, error);
}

static gboolean
write_about(struct archive *archive, const TemplateAbout *about, GError **error)
{
    g_autofree char *text = template_about_to_json(about);
    gsize length = strlen(text);
    g_autoptr(ArchiveEntry) entry = entry_new(TEMPLATE_ABOUT_FILE, (goffset)length);
    return (archive_write_header(archive, entry) == ARCHIVE_OK &&
            archive_write_data(archive, text, length) == (la_ssize_t)length) ||
           fail_write(archive, error);
}

gboolean
template_export(const StoredTemplate *stored, int fd, GError **error)
{
    g_autoptr(ArchiveWriter) archive = archive_write_new();
    const GPtrArray *files = stored->about->files;
    if (!open_writer(archive, fd, error) || !write_about(archive, stored->about, error))
        return FALSE;
    for (guint i = 0; i < files->len; i++)
        if (!write_file(archive, files->pdata[i], g_array_index(stored->fds, int, i),
                        error))
            return FALSE;
    return archive_write_close(archive) == ARCHIVE_OK || fail_write(archive, error);
}

/* ---- in
 * -------------------------------------------------------------------------------------------
 */

/* "its file NAME WHAT" */
static gboolean
refuse(GError **error, const char *name, const char *what)
{
    g_set_error(error, HB_ERROR, HB_USAGE, "its file %s %s", name, what);
    return FALSE;
}

static gboolean
refuse_archive(struct archive *archive, GError **error)
{
    const char *words = archive_error_string(archive);
    g_autofree char *valid = g_utf8_make_valid(words ? words : "it is cut", -1);
    g_set_error(error, HB_ERROR, HB_USAGE, "it is no archive of a template: %s", valid);
    return FALSE;
}

/* The next entry must be the regular file NAME and nothing else. */
static struct archive_entry *
next_file(struct archive *archive, const char *name, GError **error)
{
    struct archive_entry *entry;
    int result = archive_read_next_header(archive, &entry);
    if (result == ARCHIVE_EOF)
        refuse(error, name, "is missing");
    else if (result != ARCHIVE_OK)
        refuse_archive(archive, error);
    else if (g_strcmp0(archive_entry_pathname(entry), name) != 0 ||
             archive_entry_filetype(entry) != AE_IFREG || archive_entry_hardlink(entry) ||
             archive_entry_symlink(entry) || !archive_entry_size_is_set(entry))
        refuse(error, name, "is not where it should be, or no file");
    else
        return entry;
    return NULL;
}

static TemplateAbout *
read_about(struct archive *archive, GError **error)
{
    struct archive_entry *entry = next_file(archive, TEMPLATE_ABOUT_FILE, error);
    gint64 size = entry ? archive_entry_size(entry) : 0;
    if (!entry)
        return NULL;
    if (size <= 0 || size > TEMPLATE_ABOUT_MAX) {
        refuse(error, TEMPLATE_ABOUT_FILE, "is too large or empty");
        return NULL;
    }
    g_autofree char *text = g_malloc((gsize)size);
    gsize done = 0;
    while (done < (gsize)size) {
        la_ssize_t got = archive_read_data(archive, text + done, (gsize)size - done);
        if (got <= 0) {
            refuse_archive(archive, error);
            return NULL;
        }
        done += (gsize)got;
    }
    return template_about_from_json(text, done, error);
}

/* What a block of LENGTH bytes at OFFSET takes of the disk, in whole pages, but for the
 * last page of the block before, which ended at *END: a byte here and there takes a page
 * each. */
static goffset
pages_of(goffset offset, goffset length, goffset *end)
{
    goffset first = offset / PAGE, last = (offset + length + PAGE - 1) / PAGE;
    if (first == (*end - 1) / PAGE && *end > 0)
        first++;
    *end = offset + length;
    return MAX(last - first, 0) * PAGE;
}

static gboolean
read_blocks(struct archive *archive, TemplateWriter *writer, const TemplateFile *asked,
            int fd, GError **error)
{
    goffset end = 0;
    for (;;) {
        const void *data;
        size_t length;
        la_int64_t offset;
        int result = archive_read_data_block(archive, &data, &length, &offset);
        if (result == ARCHIVE_EOF)
            return TRUE;
        if (result != ARCHIVE_OK)
            return refuse_archive(archive, error);
        if (offset < 0 || offset > asked->size || (goffset)length > asked->size - offset)
            return refuse(error, asked->name, "is longer than it says");
        goffset pages = pages_of(offset, (goffset)length, &end);
        if (!template_writer_count(writer, pages, error) ||
            !sparse_write(fd, data, length, offset, error) ||
            !unpack_go_on("a template", error))
            return FALSE;
    }
}

static gboolean
read_file(struct archive *archive, TemplateWriter *writer, const TemplateFile *asked,
          GError **error)
{
    struct archive_entry *entry = next_file(archive, asked->name, error);
    if (!entry)
        return FALSE;
    if (archive_entry_size(entry) != asked->size)
        return refuse(error, asked->name, "has another size than it says");
    g_auto(AutoFd) fd = template_writer_open(writer, asked->name, error);
    if (fd < 0 || ftruncate(fd, asked->size) != 0 ||
        !read_blocks(archive, writer, asked, fd, error)) {
        if (error && !*error)
            refuse(error, asked->name, "cannot be written");
        return FALSE;
    }
    g_autofree char *checksum = sparse_copy(fd, -1, asked->size, NULL, error);
    if (!checksum)
        return FALSE;
    if (!g_str_equal(checksum, asked->checksum))
        return refuse(error, asked->name, "is damaged: its checksum is another");
    return template_writer_close(writer, asked->name, fd, asked->size, checksum, error);
}

static gboolean
check_machine(const TemplateAbout *about, GError **error)
{
    g_autoptr(GPtrArray) machine = template_inputs_new();
    template_inputs_add_this_machine(machine);
    g_autofree char *obstacle = template_inputs_obstacle(about->inputs, machine);
    if (obstacle)
        g_set_error_literal(error, HB_ERROR, HB_UNSUPPORTED, obstacle);
    return obstacle == NULL;
}

/* What a template does not name is none of it, and nobody would look at it. */
static gboolean
check_end(struct archive *archive, GError **error)
{
    struct archive_entry *entry;
    int result = archive_read_next_header(archive, &entry);
    if (result == ARCHIVE_EOF)
        return TRUE;
    if (result != ARCHIVE_OK)
        return refuse_archive(archive, error);
    const char *name = archive_entry_pathname(entry);
    g_autofree char *text = printable(name ? name : "", name ? strlen(name) : 0, 60);
    g_autofree char *quoted = g_strdup_printf("'%s'", text);
    return refuse(error, quoted, "is none that it names");
}

static char *
read_all(struct archive *archive, GError **error)
{
    g_autoptr(TemplateAbout) about = read_about(archive, error);
    if (!about || !check_machine(about, error))
        return NULL;
    /* What it says is kept apart from what is found, which is written. */
    g_autoptr(GPtrArray) asked = g_steal_pointer(&about->files);
    g_autofree char *key = g_strdup(about->key);
    about->files = template_files_new();
    g_autoptr(TemplateWriter) writer =
        template_writer_new(g_steal_pointer(&about), error);
    for (guint i = 0; writer && i < asked->len; i++)
        if (!read_file(archive, writer, asked->pdata[i], error))
            return NULL;
    return writer && check_end(archive, error) && template_writer_commit(writer, error)
               ? g_steal_pointer(&key)
               : NULL;
}

char *
template_import(int fd, GError **error)
{
    g_autoptr(ArchiveReader) archive = archive_read_new();
    unpack_support_filters(archive);
    archive_read_support_format_tar(archive);
    if (archive_read_open_fd(archive, fd, BLOCK) != ARCHIVE_OK) {
        refuse_archive(archive, error);
        return NULL;
    }
    return read_all(archive, error);
}
