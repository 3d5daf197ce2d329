/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "digest.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "autoptr.h"
#include "cache.h"
#include "error.h"
#include "unpack.h"

#define KIND "digests"
#define MAXIMUM_CACHE ((goffset)1 << 20)
#define DIGITS 64
#define BLOCK (1 << 20)

static gboolean
fail(const char *path, GError **error)
{
    g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE, "cannot read %s: %s", path,
                g_strerror(errno));
    return FALSE;
}

/* Whoever gives a file another content may give it its old size and time, too, as they do
 * who unpack an archive; the change time tells. But of what the cache has marked that
 * counts every use, and its time is of its making. */
char *
digest_identity(const struct stat *st)
{
    gboolean marked = st->st_mtim.tv_sec == st->st_size ||
                      st->st_mtim.tv_sec == cache_mark(st->st_size);
    return g_strdup_printf("%ju:%ju %ju %jd.%09ld %jd.%09ld", (uintmax_t)st->st_dev,
                           (uintmax_t)st->st_ino, (uintmax_t)st->st_size,
                           (intmax_t)st->st_mtim.tv_sec, st->st_mtim.tv_nsec,
                           marked ? (intmax_t)0 : (intmax_t)st->st_ctim.tv_sec,
                           marked ? 0L : st->st_ctim.tv_nsec);
}

static char *
name_of(const char *real, const struct stat *st)
{
    g_autofree char *identity = digest_identity(st);
    g_autofree char *text = g_strconcat(real, " ", identity, NULL);
    return g_compute_checksum_for_string(G_CHECKSUM_SHA256, text, -1);
}

static char *
remembered(const char *name)
{
    g_autofree char *path = cache_lookup(KIND, name);
    g_autofree char *text = NULL;
    gsize length = 0;
    if (!path || !g_file_get_contents(path, &text, &length, NULL) || length != DIGITS ||
        strspn(text, "0123456789abcdef") != DIGITS)
        return NULL;
    return g_steal_pointer(&text);
}

/* A cache that cannot be written only costs time. */
static void
remember(const char *name, const char *digest)
{
    g_autoptr(CacheWriter) writer = cache_writer_new(KIND, name, NULL);
    if (!writer || !unpack_write_all(writer->fd, digest, DIGITS, "a digest", NULL))
        return;
    g_autofree char *path = cache_writer_commit(writer, NULL);
    if (path)
        cache_prune(KIND, MAXIMUM_CACHE);
}

/* A large file takes minutes, and a signal is heard of in the main loop only. */
static gboolean
is_interrupted(const char *path, GError **error)
{
    GCancellable *cancellable = g_cancellable_get_current();
    while (cancellable && g_main_context_iteration(NULL, FALSE))
        ;
    if (!g_cancellable_is_cancelled(cancellable))
        return FALSE;
    g_set_error(error, HB_ERROR, HB_INTERRUPTED, "interrupted while %s was read", path);
    return TRUE;
}

static char *
read_all(int fd, const char *path, GError **error)
{
    g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
    g_autofree guint8 *block = g_malloc(BLOCK);
    while (!is_interrupted(path, error)) {
        ssize_t got = read(fd, block, BLOCK);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && !fail(path, error))
            return NULL;
        if (got == 0)
            return g_strdup(g_checksum_get_string(sum));
        g_checksum_update(sum, block, got);
    }
    return NULL;
}

char *
digest_file(const char *path, GError **error)
{
    struct stat st;
    g_autofree char *real = realpath(path, NULL);
    g_auto(AutoFd) fd = real ? open(real, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;
    if (fd < 0 || fstat(fd, &st) != 0) {
        fail(path, error);
        return NULL;
    }
    /* A device may never end, and what comes of a pipe is gone. */
    if (!S_ISREG(st.st_mode)) {
        g_set_error(error, HB_ERROR, HB_USAGE, "cannot read %s: it is no regular file",
                    path);
        return NULL;
    }
    g_autofree char *name = name_of(real, &st);
    char *digest = remembered(name);
    if (digest)
        return digest;
    digest = read_all(fd, path, error);
    if (digest)
        remember(name, digest);
    return digest;
}
