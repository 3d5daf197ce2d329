/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fetch-part.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "cache.h"
#include "error.h"
#include "fetch-store.h"

#define WAIT_S 5
#define BLOCK (1 << 20)

static gboolean
fail(const FetchPart *part, const char *what, GError **error)
{
    g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE, "cannot %s '%s': %s", what,
                part->path, g_strerror(errno));
    return FALSE;
}

/* ---- one writer at a time
 * ------------------------------------------------------------------------- */

static void
on_alarm(int number)
{
}

/* The lock, however long it takes; a timer interrupts, so that the wait can be told. */
static gboolean
wait_for_lock(int fd, void (*waiting)(gpointer user_data), gpointer user_data)
{
    const struct sigaction interrupt = {.sa_handler = on_alarm};
    const struct itimerval timer = {{WAIT_S, 0}, {WAIT_S, 0}}, none = {{0, 0}, {0, 0}};
    int result;
    sigaction(SIGALRM, &interrupt, NULL);
    setitimer(ITIMER_REAL, &timer, NULL);
    do {
        waiting(user_data);
        result = flock(fd, LOCK_EX);
    } while (result != 0 && errno == EINTR);
    setitimer(ITIMER_REAL, &none, NULL);
    return result == 0;
}

/* Who had the file before has perhaps made it the download, or thrown it away. */
static gboolean
is_still_there(const FetchPart *part)
{
    struct stat ours, named;
    return fstat(part->fd, &ours) == 0 && lstat(part->path, &named) == 0 &&
           ours.st_ino == named.st_ino && ours.st_dev == named.st_dev;
}

static gboolean
lock(FetchPart *part, void (*waiting)(gpointer user_data), gpointer user_data,
     GError **error)
{
    do {
        if (part->fd >= 0)
            close(part->fd);
        part->fd = open(part->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (part->fd < 0)
            return fail(part, "make", error);
        if (flock(part->fd, LOCK_EX | LOCK_NB) != 0 &&
            !wait_for_lock(part->fd, waiting, user_data))
            return fail(part, "lock", error);
    } while (!is_still_there(part));
    return TRUE;
}

/* ---- what is there
 * ------------------------------------------------------------------------------------ */

static void
read_about(FetchPart *part)
{
    g_autofree char *text = NULL;
    if (!g_file_get_contents(part->about, &text, NULL, NULL))
        return;
    g_auto(GStrv) lines = g_strsplit(text, "\n", 3);
    part->url = *lines && **lines ? g_strdup(lines[0]) : NULL;
    part->validator = part->url && lines[1] && *lines[1] ? g_strdup(lines[1]) : NULL;
}

static gboolean
read_bytes(FetchPart *part, GError **error)
{
    g_autofree guint8 *block = g_malloc(BLOCK);
    for (;;) {
        ssize_t got = pread(part->fd, block, BLOCK, part->bytes);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return fail(part, "read", error);
        if (got == 0)
            return TRUE;
        g_checksum_update(part->sha256, block, got);
        g_checksum_update(part->sha512, block, got);
        part->bytes += got;
    }
}

FetchPart *
fetch_part_open(const char *key, void (*waiting)(gpointer user_data), gpointer user_data,
                GError **error)
{
    g_autofree char *dir = cache_dir(FETCH_STORE_PARTIAL, error);
    if (!dir)
        return NULL;
    g_autoptr(FetchPart) part = g_new0(FetchPart, 1);
    part->fd = -1;
    part->path = g_build_filename(dir, key, NULL);
    part->about = g_strconcat(part->path, ".about", NULL);
    part->sha256 = g_checksum_new(G_CHECKSUM_SHA256);
    part->sha512 = g_checksum_new(G_CHECKSUM_SHA512);
    if (!lock(part, waiting, user_data, error))
        return NULL;
    read_about(part);
    return read_bytes(part, error) ? g_steal_pointer(&part) : NULL;
}

void
fetch_part_free(FetchPart *part)
{
    if (!part)
        return;
    if (part->fd >= 0 && part->bytes == 0 && is_still_there(part))
        unlink(part->path);
    if (part->fd >= 0)
        close(part->fd);
    g_clear_pointer(&part->sha256, g_checksum_free);
    g_clear_pointer(&part->sha512, g_checksum_free);
    g_free(part->path);
    g_free(part->about);
    g_free(part->url);
    g_free(part->validator);
    g_free(part);
}

/* ---- what is added
 * ------------------------------------------------------------------------------------ */

gboolean
fetch_part_append(FetchPart *part, const void *bytes, gsize size, GError **error)
{
    for (gsize done = 0; done < size;) {
        ssize_t written = pwrite(part->fd, (const guint8 *)bytes + done, size - done,
                                 part->bytes + (off_t)done);
        if (written < 0 && errno != EINTR)
            return fail(part, "write", error);
        done += written > 0 ? (gsize)written : 0;
    }
    g_checksum_update(part->sha256, bytes, (gssize)size);
    g_checksum_update(part->sha512, bytes, (gssize)size);
    part->bytes += (gint64)size;
    return TRUE;
}

gboolean
fetch_part_reset(FetchPart *part, GError **error)
{
    g_checksum_reset(part->sha256);
    g_checksum_reset(part->sha512);
    part->bytes = 0;
    unlink(part->about);
    g_clear_pointer(&part->url, g_free);
    g_clear_pointer(&part->validator, g_free);
    return ftruncate(part->fd, 0) == 0 || fail(part, "empty", error);
}

void
fetch_part_forget(FetchPart *part)
{
    unlink(part->about);
}

void
fetch_part_describe(FetchPart *part, const char *url, const char *validator)
{
    g_free(part->url);
    g_free(part->validator);
    part->url = g_strdup(url);
    part->validator = g_strdup(validator);
    g_autofree char *text = g_strdup_printf("%s\n%s\n", url, validator ? validator : "");
    g_file_set_contents_full(part->about, text, -1, G_FILE_SET_CONTENTS_NONE, 0600, NULL);
}

char *
fetch_part_digest(const FetchPart *part, GChecksumType type)
{
    g_autoptr(GChecksum) copy =
        g_checksum_copy(type == G_CHECKSUM_SHA512 ? part->sha512 : part->sha256);
    return g_strdup(g_checksum_get_string(copy));
}
