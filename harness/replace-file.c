/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "replace-file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"

static gboolean
fail(GError **error, const char *filename, const char *what)
{
    int saved = errno;
    g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE, "%s: %s: %s", filename, what,
                g_strerror(saved));
    return FALSE;
}

/* A file without a name, which a kill leaves nothing of; not every file system has such.
 */
static int
open_aside(ReplaceFile *file, GError **error)
{
    g_autofree char *directory = g_path_get_dirname(file->target);
    g_autofree char *base = g_path_get_basename(file->target);
    file->copy = g_strdup_printf("%s/.%s.new", directory, base);
    int fd = open(directory, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666);
    if (fd >= 0)
        return fd;
    fd = open(file->copy, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0666);
    file->named = fd >= 0;
    if (fd < 0)
        fail(error, file->filename, "cannot be made");
    return fd;
}

ReplaceFile *
replace_file_new(const char *filename, GError **error)
{
    g_autoptr(ReplaceFile) file = g_new0(ReplaceFile, 1);
    struct stat info;
    file->filename = g_strdup(filename);
    if (stat(filename, &info) == 0 && !S_ISREG(info.st_mode)) {
        file->fd = open(filename, O_WRONLY | O_CLOEXEC);
        if (file->fd < 0)
            fail(error, filename, "cannot be opened");
    } else {
        /* Through a symbolic link the file is replaced, not the link. */
        char *real = realpath(filename, NULL);
        file->target = g_strdup(real ? real : filename);
        free(real);
        file->fd = open_aside(file, error);
    }
    return file->fd >= 0 ? g_steal_pointer(&file) : NULL;
}

/* The copy has a name of its own for two system calls only, and always the same one, so
 * that a kill leaves nothing, and at worst something that the next run replaces. */
static gboolean
give_name(ReplaceFile *file, GError **error)
{
    if (file->named)
        return TRUE;
    g_autofree char *handle = g_strdup_printf("/proc/self/fd/%d", file->fd);
    unlink(file->copy);
    file->named = linkat(AT_FDCWD, handle, AT_FDCWD, file->copy, AT_SYMLINK_FOLLOW) == 0;
    return file->named || fail(error, file->copy, "cannot be made");
}

gboolean
replace_file_commit(ReplaceFile *file, GError **error)
{
    if (file->target && !give_name(file, error))
        return FALSE;
    int fd = file->fd;
    file->fd = -1;
    if (close(fd) != 0)
        return fail(error, file->filename, "cannot be written");
    if (file->target && rename(file->copy, file->target) != 0)
        return fail(error, file->filename, "cannot be replaced");
    file->named = FALSE;
    return TRUE;
}

void
replace_file_free(ReplaceFile *file)
{
    if (!file)
        return;
    if (file->fd >= 0)
        close(file->fd);
    if (file->named)
        unlink(file->copy);
    g_free(file->filename);
    g_free(file->target);
    g_free(file->copy);
    g_free(file);
}
