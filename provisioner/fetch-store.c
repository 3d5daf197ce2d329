/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fetch-store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache.h"
#include "error.h"
#include "unpack.h"

#define KIND "downloads"
#define NAMES "download-names"
#define DOWNLOADS_MOST ((goffset)32 << 30)
#define NAMES_MOST ((goffset)1 << 20)
#define DIGITS 64

static char *
path_of(const char *sha256, GError **error)
{
    g_autofree char *dir = cache_dir(KIND, error);
    return dir ? g_strdup_printf("%s/sha256-%s", dir, sha256) : NULL;
}

char *
fetch_store_find(const char *sha256, gint64 *bytes)
{
    struct stat st;
    g_autofree char *path = path_of(sha256, NULL);
    if (!path || lstat(path, &st) != 0 || !S_ISREG(st.st_mode) ||
        (st.st_uid != geteuid() && st.st_uid != 0) ||
        st.st_mtim.tv_sec != cache_mark(st.st_size))
        return NULL;
    const struct timespec used_now[2] = {{.tv_nsec = UTIME_NOW}, {.tv_nsec = UTIME_OMIT}};
    utimensat(AT_FDCWD, path, used_now, AT_SYMLINK_NOFOLLOW);
    if (bytes)
        *bytes = st.st_size;
    return g_steal_pointer(&path);
}

static char *
file_of(const char *name)
{
    return g_compute_checksum_for_string(G_CHECKSUM_SHA256, name, -1);
}

char *
fetch_store_recall(const char *name)
{
    gsize length = 0;
    g_autofree char *file = file_of(name), *path = cache_lookup(NAMES, file);
    g_autofree char *digest = NULL, *there = NULL;
    if (!path || !g_file_get_contents(path, &digest, &length, NULL) || length != DIGITS ||
        strspn(digest, "0123456789abcdef") != DIGITS)
        return NULL;
    there = fetch_store_find(digest, NULL);
    return there ? g_steal_pointer(&digest) : NULL;
}

void
fetch_store_remember(const char *name, const char *sha256)
{
    g_autofree char *file = file_of(name);
    g_autoptr(CacheWriter) writer = cache_writer_new(NAMES, file, NULL);
    if (!writer || !unpack_write_all(writer->fd, sha256, DIGITS, "a digest", NULL))
        return;
    g_autofree char *path = cache_writer_commit(writer, NULL);
    if (path)
        cache_prune(NAMES, NAMES_MOST);
}

char *
fetch_store_take(int fd, const char *partial, const char *sha256, GError **error)
{
    struct stat st;
    g_autofree char *path = path_of(sha256, error);
    if (!path)
        return NULL;
    if (fsync(fd) == 0 && fstat(fd, &st) == 0) {
        const struct timespec marks[2] = {{.tv_nsec = UTIME_NOW},
                                          {.tv_sec = cache_mark(st.st_size)}};
        if (futimens(fd, marks) == 0 && rename(partial, path) == 0) {
            cache_prune(KIND, DOWNLOADS_MOST);
            cache_prune(FETCH_STORE_PARTIAL, DOWNLOADS_MOST);
            return g_steal_pointer(&path);
        }
    }
    g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE, "cannot keep '%s': %s", path,
                g_strerror(errno));
    return NULL;
}
