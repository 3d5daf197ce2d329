/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "log-dir.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"
#include "log-stamp.h"

/* Folders that are kept although nobody asked for them. */
#define KEPT_FOLDERS 20
/* Of what says when the lines of a file came. */
#define TIMES_MAX_BYTES (16 * 1024 * 1024)
/* A younger folder without a lock may be one that is just being made. */
#define YOUNG_SECONDS 60

struct LogDir {
    char *path;
    gboolean asked;
    int lock; /* the folder itself, with flock(): whoever clears up leaves it alone */
};

/* A link to nowhere whose target says what is missing: it takes no room, so that there is
 * some left for it, and whoever looks into the folder reads it, too. */
#define LOST "incomplete"

struct LogFile {
    char *path;
    int fd; /* -1: nothing more is written */
    gsize left, written;
    LogFile *times; /* or NULL */
    gboolean line_ended;
};

/* ---- making one
 * ----------------------------------------------------------------------------------- */

static gboolean
fail_errno(const char *what, const char *path, GError **error)
{
    g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE, "%s %s: %s", what, path,
                g_strerror(errno));
    return FALSE;
}

/* NAME without what has a meaning in a path. */
static char *
safe_name(const char *name)
{
    char *safe = g_strdup(name);
    g_strcanon(safe, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-",
               '_');
    if (safe[0] == '.' || safe[0] == '\0') {
        char *prefixed = g_strconcat("_", safe, NULL);
        g_free(safe);
        safe = prefixed;
    }
    if (strlen(safe) > 100)
        safe[100] = '\0';
    return safe;
}

/* A folder in BASE that was not there before: NAME, NAME-2, NAME-3, … */
static char *
make_new(const char *base, const char *name, GError **error)
{
    for (int i = 1; i < 10000; i++) {
        g_autofree char *numbered =
            i == 1 ? g_strdup(name) : g_strdup_printf("%s-%d", name, i);
        g_autofree char *path = g_build_filename(base, numbered, NULL);
        if (mkdir(path, 0700) == 0)
            return g_steal_pointer(&path);
        if (errno != EEXIST) {
            fail_errno("cannot make the log directory", path, error);
            return NULL;
        }
    }
    g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE,
                "%s is full of logs of '%s'; remove some", base, name);
    return NULL;
}

/* A folder of this user alone for those without a home, always the same, so that it can
 * be cleared up. Anybody may make one of that name in /tmp: it must be ours. */
static char *
base_in_tmp(void)
{
    g_autofree char *name = g_strdup_printf("hostbed-%u", (unsigned)getuid());
    g_autofree char *base = g_build_filename(g_get_tmp_dir(), name, NULL);
    struct stat st;
    if ((mkdir(base, 0700) == 0 || errno == EEXIST) && lstat(base, &st) == 0 &&
        S_ISDIR(st.st_mode) && st.st_uid == getuid() && (st.st_mode & 0077) == 0)
        return g_steal_pointer(&base);
    return NULL;
}

static char *
make_default(const char *name, GError **error)
{
    g_autofree char *base =
        g_build_filename(g_get_user_state_dir(), "hostbed", "logs", NULL);
    g_autoptr(GDateTime) now = g_date_time_new_now_local();
    g_autofree char *stamp = g_date_time_format(now, "%Y%m%d-%H%M%S");
    g_autofree char *stamped = g_strconcat(stamp, "-", name, NULL);
    if (g_mkdir_with_parents(base, 0700) == 0)
        return make_new(base, stamped, error);

    /* No home, or none to write to: the logs are of use all the same. */
    g_autofree char *shared = base_in_tmp();
    if (shared)
        return make_new(shared, stamped, error);
    fail_errno("cannot make the log directory", base, error);
    g_prefix_error(error, "name one with --log-dir; ");
    return NULL;
}

/* ---- clearing up
 * ------------------------------------------------------------------------------------ */

static int
remove_one(const char *path, const struct stat *st, int kind, struct FTW *where)
{
    remove(path);
    return 0;
}

static void
remove_folder(const char *path)
{
    nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

static gboolean
is_used(const char *path)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return TRUE;
    gboolean used = fstat(fd, &st) != 0 ||
                    st.st_mtime + YOUNG_SECONDS > g_get_real_time() / G_USEC_PER_SEC ||
                    flock(fd, LOCK_EX | LOCK_NB) != 0;
    close(fd);
    return used;
}

static int
compare_names(gconstpointer a, gconstpointer b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names begin with the time, so the oldest come first. */
static void
remove_oldest(const char *base)
{
    g_autoptr(GDir) dir = g_dir_open(base, 0, NULL);
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    const char *name;
    while (dir && (name = g_dir_read_name(dir)))
        g_ptr_array_add(names, g_strdup(name));
    g_ptr_array_sort(names, compare_names);
    for (guint i = 0; i + KEPT_FOLDERS < names->len; i++) {
        g_autofree char *path = g_build_filename(base, names->pdata[i], NULL);
        if (!is_used(path))
            remove_folder(path);
    }
}

LogDir *
log_dir_open(const char *asked, const char *name, GError **error)
{
    g_autofree char *safe = safe_name(name);
    g_autofree char *path = NULL;
    if (asked && g_mkdir_with_parents(asked, 0777) != 0) {
        fail_errno("cannot make the log directory", asked, error);
        return NULL;
    }
    path = asked ? make_new(asked, safe, error) : make_default(safe, error);
    if (!path)
        return NULL;
    LogDir *dir = g_new0(LogDir, 1);
    dir->asked = asked != NULL;
    dir->lock = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir->lock >= 0)
        flock(dir->lock, LOCK_SH);
    dir->path = g_steal_pointer(&path);
    if (!asked) {
        g_autofree char *base = g_path_get_dirname(dir->path);
        remove_oldest(base);
    }
    return dir;
}

const char *
log_dir_path(const LogDir *dir)
{
    return dir->path;
}

void
log_dir_close(LogDir *dir, gboolean keep)
{
    if (!dir)
        return;
    /* One with nothing in it is of a host that was never started. */
    if (rmdir(dir->path) != 0 && !keep && !dir->asked)
        remove_folder(dir->path);
    if (dir->lock >= 0)
        close(dir->lock);
    g_free(dir->path);
    g_free(dir);
}

/* ---- what is lost
 * -------------------------------------------------------------------------------------
 */

/* The first loss is told; others of the same folder have the same reason. */
static void
note_loss(const char *path, int reason)
{
    g_autofree char *folder = g_path_get_dirname(path);
    g_autofree char *name = g_path_get_basename(path);
    g_autofree char *link = g_build_filename(folder, LOST, NULL);
    g_autofree char *text = g_strdup_printf("%s: %s", name, g_strerror(reason));
    if (symlink(text, link) != 0)
        g_debug("%s: %s", link, g_strerror(errno));
}

char *
log_dir_lost(const char *path)
{
    g_autofree char *link = g_build_filename(path, LOST, NULL);
    char *lost = g_file_read_link(link, NULL);
    g_autoptr(GDir) dir = lost ? NULL : g_dir_open(path, 0, NULL);
    const char *name;
    while (!lost && dir && (name = g_dir_read_name(dir))) {
        g_autofree char *below = g_build_filename(path, name, LOST, NULL);
        lost = g_file_read_link(below, NULL);
    }
    return lost;
}

void
log_dir_put(const char *dir, const char *name, const char *text, guint mode)
{
    g_autofree char *path = g_build_filename(dir, name, NULL);
    gsize left = strlen(text);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, mode);
    ssize_t n = 0;
    while (fd >= 0 && left > 0 && (n >= 0 || errno == EINTR)) {
        n = write(fd, text, left);
        text += MAX(n, 0);
        left -= (gsize)MAX(n, 0);
    }
    if (fd < 0 || left > 0)
        note_loss(path, errno);
    if (fd >= 0)
        close(fd);
}

/* ---- files
 * ---------------------------------------------------------------------------------------------
 */

LogFile *
log_file_open(const char *dir, const char *name, gsize maximum, GError **error)
{
    g_autofree char *path = g_build_filename(dir, name, NULL);
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) {
        fail_errno("cannot write", path, error);
        return NULL;
    }
    LogFile *file = g_new(LogFile, 1);
    *file = (LogFile){
        .path = g_steal_pointer(&path), .fd = fd, .left = maximum, .line_ended = TRUE};
    return file;
}

void
log_file_free(LogFile *file)
{
    if (!file)
        return;
    log_file_free(file->times);
    if (file->fd >= 0)
        close(file->fd);
    g_free(file->path);
    g_free(file);
}

static void
write_all(LogFile *file, const char *bytes, gsize length)
{
    while (length > 0 && file->fd >= 0) {
        ssize_t n = write(file->fd, bytes, length);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            note_loss(file->path, errno);
            close(file->fd);
            file->fd = -1;
            return;
        }
        bytes += n;
        length -= (gsize)n;
    }
}

void
log_file_keep_times(LogFile *file)
{
    g_autofree char *folder = g_path_get_dirname(file->path);
    g_autofree char *name = g_path_get_basename(file->path);
    g_autofree char *times = g_strconcat(name, LOG_TIMES, NULL);
    g_autoptr(GError) error = NULL;
    file->times = log_file_open(folder, times, TIMES_MAX_BYTES, &error);
    if (!file->times)
        g_debug("%s", error->message);
}

/* Before BYTES themselves, so that who finds those finds their time. */
static void
note_time(LogFile *file, const char *bytes, gsize length)
{
    if (!file->times || length == 0)
        return;
    const char *newline = memchr(bytes, '\n', length);
    gboolean begins = file->line_ended || (newline && newline + 1 < bytes + length);
    file->line_ended = bytes[length - 1] == '\n';
    if (!begins)
        return;
    g_autofree char *stamp = log_stamp_text(log_stamp_now());
    g_autofree char *line = g_strdup_printf("%zu %s\n", file->written, stamp);
    log_file_write(file->times, line, strlen(line));
}

void
log_file_write(LogFile *file, const void *bytes, gsize length)
{
    if (!file || file->fd < 0)
        return;
    gsize most = MIN(length, file->left);
    note_time(file, bytes, most);
    file->written += most;
    write_all(file, bytes, most);
    file->left -= most;
    if (most == length || file->fd < 0)
        return;
    static const char last[] =
        "\n[hostbed: this log has reached its limit and ends here]\n";
    write_all(file, last, sizeof last - 1);
    if (file->fd >= 0)
        close(file->fd);
    file->fd = -1;
}

void
log_file_line(LogFile *file, const char *format, ...)
{
    if (!file || file->fd < 0)
        return;
    va_list arguments;
    va_start(arguments, format);
    g_autofree char *text = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    g_autofree char *stamp = log_stamp_text(log_stamp_now());
    g_autofree char *line = g_strdup_printf("%s %s\n", stamp, text);
    log_file_write(file, line, strlen(line));
}
