/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * How a template gets into the store: file by file into a folder that nobody takes for an
 * entry, which is renamed when all is on the disk.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "autoptr.h"
#include "error.h"
#include "sparse.h"
#include "template-store.h"

static gboolean
fail(const char *what, GError **error)
{
    g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE, "cannot write the template's %s: %s",
                what, g_strerror(errno));
    return FALSE;
}

TemplateWriter *
template_writer_new(TemplateAbout *about, GError **error)
{
    g_autoptr(TemplateWriter) writer = g_new0(TemplateWriter, 1);
    writer->about = about;
    writer->maximum = template_store_maximum(error);
    if (writer->maximum < 0 || !template_store_check(error))
        return NULL;
    writer->folder = cache_folder_new(TEMPLATE_STORE_KIND, error);
    return writer->folder ? g_steal_pointer(&writer) : NULL;
}

void
template_writer_free(TemplateWriter *writer)
{
    if (!writer)
        return;
    cache_folder_free(writer->folder);
    template_about_free(writer->about);
    g_free(writer);
}

int
template_writer_open(TemplateWriter *writer, const char *name, GError **error)
{
    int fd = openat(writer->folder->fd, name,
                    O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        fail(name, error);
    return fd;
}

/* What is on the disk is marked as whole, and only read from now on, where the emulator
 * makes do with that. */
static gboolean
seal(int fd, const char *name, goffset size, gboolean readonly, GError **error)
{
    const struct timespec marks[2] = {{.tv_nsec = UTIME_NOW},
                                      {.tv_sec = cache_mark(size)}};
    return (fsync(fd) == 0 && fchmod(fd, readonly ? 0400 : 0600) == 0 &&
            futimens(fd, marks) == 0) ||
           fail(name, error);
}

gboolean
template_writer_count(TemplateWriter *writer, goffset bytes, GError **error)
{
    writer->bytes += bytes;
    if (writer->bytes <= writer->maximum)
        return TRUE;
    g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE,
                "the template takes more than the %" G_GINT64_FORMAT
                " MiB that may be kept; HOSTBED_TEMPLATES_MAX can be larger",
                writer->maximum >> 20);
    return FALSE;
}

gboolean
template_writer_close(TemplateWriter *writer, const char *name, int fd, goffset size,
                      const char *checksum, GError **error)
{
    TemplatePart part = template_file_part(name);
    gboolean readonly = part == TEMPLATE_STATE || part == TEMPLATE_NETWORKS;
    if (!seal(fd, name, size, readonly || writer->about->memory_readonly, error))
        return FALSE;
    TemplateFile *file = g_new0(TemplateFile, 1);
    file->name = g_strdup(name);
    file->checksum = g_strdup(checksum);
    file->size = size;
    g_ptr_array_add(writer->about->files, file);
    return TRUE;
}

gboolean
template_writer_copy(TemplateWriter *writer, const char *name, int from_fd, goffset size,
                     GError **error)
{
    goffset bytes = 0;
    g_auto(AutoFd) fd = template_writer_open(writer, name, error);
    g_autofree char *checksum =
        fd >= 0 ? sparse_copy(from_fd, fd, size, &bytes, error) : NULL;
    return checksum && template_writer_count(writer, bytes, error) &&
           template_writer_close(writer, name, fd, size, checksum, error);
}

static gboolean
write_about(TemplateWriter *writer, GError **error)
{
    g_autofree char *text = template_about_to_json(writer->about);
    gsize length = strlen(text);
    if (length > TEMPLATE_ABOUT_MAX) {
        g_set_error(error, HB_ERROR, HB_UNSUPPORTED,
                    "what is to be told of it is longer than %d bytes",
                    TEMPLATE_ABOUT_MAX);
        return FALSE;
    }
    g_auto(AutoFd) fd = template_writer_open(writer, TEMPLATE_ABOUT_FILE, error);
    if (fd < 0)
        return FALSE;
    if (pwrite(fd, text, length, 0) != (ssize_t)length)
        return fail(TEMPLATE_ABOUT_FILE, error);
    return seal(fd, TEMPLATE_ABOUT_FILE, (goffset)length, TRUE, error);
}

/* One of the key that is there but damaged would stay in the way. */
static gboolean
make_way(const char *key, GError **error)
{
    g_autoptr(GError) trouble = NULL;
    g_autoptr(StoredTemplate) there = template_store_open(key, &trouble);
    if (!trouble)
        return TRUE;
    if (template_store_is_passing(trouble)) {
        g_propagate_error(error, g_steal_pointer(&trouble));
        return FALSE;
    }
    template_store_remove(key);
    return TRUE;
}

gboolean
template_writer_commit(TemplateWriter *writer, GError **error)
{
    g_autofree char *dir = cache_dir(TEMPLATE_STORE_KIND, error);
    g_autofree char *path = dir ? g_build_filename(dir, writer->about->key, NULL) : NULL;
    return path && write_about(writer, error) && make_way(writer->about->key, error) &&
           cache_folder_commit(writer->folder, path, error);
}
