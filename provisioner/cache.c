/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache.h"
#include "error.h"

#define TEMPORARY_PREFIX ".new-"
#define IN_USE_SECONDS (10 * 60)

static gboolean
fail_errno(GError **error, int code, const char *what, const char *path)
{
    g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE, "%s '%s': %s", what, path,
                g_strerror(code));
    return FALSE;
}

char *
cache_dir(const char *kind, GError **error)
{
    g_autofree char *dir = cache_path(kind, NULL);
    if (g_mkdir_with_parents(dir, 0700) != 0 || access(dir, W_OK | X_OK) != 0) {
        g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE,
                    "cannot use the cache '%s': %s; XDG_CACHE_HOME can name a folder "
                    "that may be written",
                    dir, g_strerror(errno));
        return NULL;
    }
    return g_steal_pointer(&dir);
}

/* Nobody else may hand us a kernel, and nothing may have written to it since. */
static gboolean
is_whole(const struct stat *st)
{
    return S_ISREG(st->st_mode) && (st->st_uid == geteuid() || st->st_uid == 0) &&
           st->st_size > 0 && st->st_mtim.tv_sec == st->st_size;
}

char *
cache_lookup(const char *kind, const char *name)
{
    g_autofree char *path = cache_path(kind, name);
    struct stat st;
    if (lstat(path, &st) != 0 || !is_whole(&st))
        return NULL;
    const struct timespec used_now[2] = {{.tv_nsec = UTIME_NOW}, {.tv_nsec = UTIME_OMIT}};
    utimensat(AT_FDCWD, path, used_now, AT_SYMLINK_NOFOLLOW);
    return g_steal_pointer(&path);
}

/* What whoever made it, a file or a folder, did not lock, or not any more: kill -9 leaves
 * it. The lock is ours while it goes, so that one who has just made it sees that. */
static gboolean
remove_if_abandoned(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    gboolean is_free = fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0;
    if (is_free)
        cache_remove_tree(path);
    if (fd >= 0)
        close(fd);
    return is_free;
}

static guint
remove_abandoned(const char *dir_path)
{
    guint removed = 0;
    g_autoptr(GDir) dir = g_dir_open(dir_path, 0, NULL);
    const char *name;
    while (dir && (name = g_dir_read_name(dir))) {
        g_autofree char *path = g_build_filename(dir_path, name, NULL);
        if (g_str_has_prefix(name, TEMPORARY_PREFIX) && remove_if_abandoned(path))
            removed++;
    }
    return removed;
}

/* FALSE: somebody took the temporary FD, which was not locked yet, for a leftover. */
static gboolean
lock_temporary(int fd)
{
    struct stat st;
    flock(fd, LOCK_EX);
    return fstat(fd, &st) != 0 || st.st_nlink > 0;
}

guint
cache_remove_leftovers(const char *kind)
{
    g_autofree char *dir = cache_path(kind, NULL);
    return remove_abandoned(dir);
}

/* "DIR/.new-123abc", open and locked; -1: errno. */
static int
open_temporary(const char *dir, char **path)
{
    for (;;) {
        g_autofree char *temporary =
            g_build_filename(dir, TEMPORARY_PREFIX "XXXXXX", NULL);
        int fd = g_mkstemp_full(temporary, O_RDWR | O_CLOEXEC, 0600);
        if (fd < 0 || lock_temporary(fd)) {
            *path = g_steal_pointer(&temporary);
            return fd;
        }
        close(fd);
    }
}

CacheWriter *
cache_writer_new(const char *kind, const char *name, GError **error)
{
    g_autofree char *dir = cache_dir(kind, error);
    if (!dir)
        return NULL;
    remove_abandoned(dir);
    g_autofree char *temporary = NULL;
    int fd = open_temporary(dir, &temporary);
    if (fd < 0) {
        fail_errno(error, errno, "cannot make a file in the cache", dir);
        return NULL;
    }
    CacheWriter *writer = g_new0(CacheWriter, 1);
    writer->fd = fd;
    writer->kind = g_strdup(kind);
    writer->path = g_build_filename(dir, name, NULL);
    writer->temporary = g_steal_pointer(&temporary);
    return writer;
}

static gboolean
put_first(const CacheWriter *writer)
{
    struct stat st;
    return link(writer->temporary, writer->path) == 0 ||
           (errno == EEXIST && lstat(writer->path, &st) == 0 && is_whole(&st));
}

static char *
commit(CacheWriter *writer, gboolean first_stays, GError **error)
{
    struct stat st;
    if (fsync(writer->fd) != 0 || fstat(writer->fd, &st) != 0) {
        fail_errno(error, errno, "cannot write", writer->path);
        return NULL;
    }
    const struct timespec marks[2] = {{.tv_nsec = UTIME_NOW}, {.tv_sec = st.st_size}};
    gboolean marked = futimens(writer->fd, marks) == 0;
    if (marked && first_stays && put_first(writer))
        return g_strdup(writer->path);
    if (!marked || rename(writer->temporary, writer->path) != 0) {
        fail_errno(error, errno, "cannot make", writer->path);
        return NULL;
    }
    g_clear_pointer(&writer->temporary, g_free);
    return g_strdup(writer->path);
}

char *
cache_writer_commit(CacheWriter *writer, GError **error)
{
    return commit(writer, FALSE, error);
}

char *
cache_writer_commit_first(CacheWriter *writer, GError **error)
{
    return commit(writer, TRUE, error);
}

void
cache_writer_free(CacheWriter *writer)
{
    if (!writer)
        return;
    if (writer->temporary)
        unlink(writer->temporary);
    close(writer->fd);
    g_free(writer->temporary);
    g_free(writer->path);
    g_free(writer->kind);
    g_free(writer);
}

/* The same for a folder; one that is gone before it is open was a leftover to somebody.
 */
static int
open_temporary_folder(const char *dir, char **path)
{
    for (;;) {
        g_autofree char *temporary =
            g_build_filename(dir, TEMPORARY_PREFIX "XXXXXX", NULL);
        if (!g_mkdtemp(temporary))
            return -1;
        int fd = open(temporary, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        gboolean gone = fd < 0 ? errno == ENOENT : !lock_temporary(fd);
        if (!gone) {
            *path = g_steal_pointer(&temporary);
            return fd;
        }
        if (fd >= 0)
            close(fd);
    }
}

CacheFolder *
cache_folder_new(const char *kind, GError **error)
{
    g_autofree char *dir = cache_dir(kind, error);
    if (!dir)
        return NULL;
    remove_abandoned(dir);
    g_autofree char *temporary = NULL;
    int fd = open_temporary_folder(dir, &temporary);
    if (fd < 0) {
        fail_errno(error, errno, "cannot make a folder in the cache", dir);
        return NULL;
    }
    CacheFolder *folder = g_new0(CacheFolder, 1);
    folder->fd = fd;
    folder->path = g_steal_pointer(&temporary);
    return folder;
}

gboolean
cache_folder_commit(CacheFolder *folder, const char *path, GError **error)
{
    /* Another process may have been faster; then its folder is as good. */
    return rename(folder->path, path) == 0 || g_file_test(path, G_FILE_TEST_IS_DIR) ||
           fail_errno(error, errno, "cannot make", path);
}

void
cache_folder_free(CacheFolder *folder)
{
    if (!folder)
        return;
    cache_remove_tree(folder->path);
    if (folder->fd >= 0)
        close(folder->fd);
    g_free(folder->path);
    g_free(folder);
}

typedef struct {
    char *path;
    goffset bytes;
    gint64 used; /* seconds since 1970 */
} Entry;

static void
entry_free(gpointer data)
{
    Entry *entry = data;
    g_free(entry->path);
    g_free(entry);
}

static gint
used_longest_ago_first(gconstpointer a, gconstpointer b)
{
    const Entry *left = *(Entry *const *)a, *right = *(Entry *const *)b;
    if (left->used != right->used)
        return left->used < right->used ? -1 : 1;
    return strcmp(left->path, right->path);
}

/* The entries of DIR, files and directories. */
static GPtrArray *
list_entries(const char *dir_path)
{
    GPtrArray *entries = g_ptr_array_new_with_free_func(entry_free);
    g_autoptr(GDir) dir = g_dir_open(dir_path, 0, NULL);
    const char *name;
    while (dir && (name = g_dir_read_name(dir))) {
        g_autofree char *path = g_build_filename(dir_path, name, NULL);
        struct stat st;
        if (g_str_has_prefix(name, TEMPORARY_PREFIX) || lstat(path, &st) != 0)
            continue;
        Entry *entry = g_new0(Entry, 1);
        entry->bytes = S_ISDIR(st.st_mode) ? cache_tree_bytes(path) : st.st_size;
        entry->used = st.st_atim.tv_sec;
        entry->path = g_steal_pointer(&path);
        g_ptr_array_add(entries, entry);
    }
    g_ptr_array_sort(entries, used_longest_ago_first);
    return entries;
}

void
cache_prune(const char *kind, goffset maximum_bytes)
{
    g_autofree char *dir = cache_dir(kind, NULL);
    if (!dir)
        return;
    gint64 now = g_get_real_time() / G_USEC_PER_SEC;
    remove_abandoned(dir);
    g_autoptr(GPtrArray) entries = list_entries(dir);
    goffset total = 0;
    for (guint i = 0; i < entries->len; i++)
        total += ((Entry *)entries->pdata[i])->bytes;
    for (guint i = 0; i < entries->len && total > maximum_bytes; i++) {
        Entry *entry = entries->pdata[i];
        if (now - entry->used < IN_USE_SECONDS)
            break;
        cache_remove_tree(entry->path);
        total -= entry->bytes;
    }
}

void
cache_remove_tree(const char *path)
{
    char *const roots[] = {(char *)path, NULL};
    FTS *fts = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    FTSENT *entry;
    while (fts && (entry = fts_read(fts))) {
        if (entry->fts_info == FTS_DP)
            rmdir(entry->fts_path);
        else if (entry->fts_info != FTS_D)
            unlink(entry->fts_path);
    }
    if (fts)
        fts_close(fts);
}

static goffset
tree_bytes(const char *path, gboolean with_holes)
{
    char *const roots[] = {(char *)path, NULL};
    FTS *fts = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    FTSENT *entry;
    goffset total = 0;
    while (fts && (entry = fts_read(fts)))
        if (entry->fts_info == FTS_F)
            total += with_holes ? entry->fts_statp->st_size
                                : (goffset)entry->fts_statp->st_blocks * 512;
    if (fts)
        fts_close(fts);
    return total;
}

goffset
cache_tree_bytes(const char *path)
{
    return tree_bytes(path, TRUE);
}

goffset
cache_tree_disk_bytes(const char *path)
{
    return tree_bytes(path, FALSE);
}

/* A file system that has no files without a name has ours for a moment. */
int
cache_open_nameless(const char *folder)
{
    int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT))
        return fd;
    g_autofree char *path =
        g_build_filename(folder, TEMPORARY_PREFIX "nameless-XXXXXX", NULL);
    fd = g_mkstemp_full(path, O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0)
        unlink(path);
    return fd;
}

/* In pages, since some file systems' clocks end before a large memory's bytes. */
time_t
cache_mark(goffset size)
{
    return (time_t)(size / 4096) + 1;
}
