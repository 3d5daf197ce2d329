/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "memory-file.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "error.h"

static gboolean
write_all(int fd, const guint8 *bytes, gsize length)
{
    while (length > 0) {
        ssize_t written = write(fd, bytes, length);
        if (written < 0 && errno != EINTR)
            return FALSE;
        bytes += MAX(written, 0);
        length -= (gsize)MAX(written, 0);
    }
    return TRUE;
}

int
memory_file_new(const char *name, const void *bytes, gsize length, GError **error)
{
    int fd = memfd_create(name, MFD_CLOEXEC);
    if (fd >= 0 && write_all(fd, bytes, length))
        return fd;
    g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE, "no memory file for '%s': %s", name,
                g_strerror(errno));
    if (fd >= 0)
        close(fd);
    return -1;
}
