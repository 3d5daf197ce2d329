/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "live-dir.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "cache.h"
#include "error.h"

#define LOCK "lock"
#define SOCKET "socket"

/* ---- the folder of all labs
 * ------------------------------------------------------------------------- */

static gboolean
fail_errno(const char *what, const char *path, GError **error)
{
    g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE, "%s %s: %s", what, path,
                g_strerror(errno));
    return FALSE;
}

static gboolean
is_folder_of_ours(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == getuid();
}

/* Owned by the caller; not looked at yet. */
static char *
choose_dir(void)
{
    const char *asked = g_getenv("XDG_RUNTIME_DIR");
    if (asked && g_path_is_absolute(asked) && is_folder_of_ours(asked))
        return g_build_filename(asked, "hostbed", NULL);
    g_autofree char *usual = g_strdup_printf("/run/user/%u", (unsigned)getuid());
    if (is_folder_of_ours(usual))
        return g_build_filename(usual, "hostbed", NULL);
    /* Logs of those without a home are in hostbed-UID there. */
    g_autofree char *name = g_strdup_printf("hostbed-run-%u", (unsigned)getuid());
    return g_build_filename(g_get_tmp_dir(), name, NULL);
}

/* Anybody may make a folder of that name in /tmp, or a link. */
static gboolean
check_private(const char *path, const struct stat *st, GError **error)
{
    const char *why = !S_ISDIR(st->st_mode)    ? "it is no folder"
                      : st->st_uid != getuid() ? "it is another user's"
                      : st->st_mode & 0077     ? "others may look into it"
                                               : NULL;
    if (!why)
        return TRUE;
    g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE,
                "labs that are up cannot be kept in %s: %s; remove it, or let "
                "XDG_RUNTIME_DIR name a folder of your own",
                path, why);
    return FALSE;
}

char *
live_dir(gboolean make, GError **error)
{
    struct stat st;
    g_autofree char *path = choose_dir();
    if (make && mkdir(path, 0700) != 0 && errno != EEXIST) {
        fail_errno("cannot make", path, error);
        return NULL;
    }
    if (lstat(path, &st) != 0) {
        if (errno != ENOENT)
            fail_errno("cannot look for labs in", path, error);
        return NULL;
    }
    return check_private(path, &st, error) ? g_steal_pointer(&path) : NULL;
}

/* ---- locks
 * ------------------------------------------------------------------------------------------
 */

/* Locks of open files, since a process may open such a file again, and since one can be
 * looked at without being taken. */
static gboolean
take_lock(int fd, gboolean wait)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int result;
    do
        result = fcntl(fd, wait ? F_OFD_SETLKW : F_OFD_SETLK, &lock);
    while (result != 0 && errno == EINTR);
    return result == 0;
}

static gboolean
is_locked(int fd)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    return fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

static int
open_lock(const char *folder, int flags)
{
    g_autofree char *path = g_build_filename(folder, LOCK, NULL);
    return open(path, flags | O_NOFOLLOW | O_CLOEXEC, 0600);
}

/* While one makes or removes the folder of a lab, nobody else does; never for long. The
 * file stays, or one who waits for it would wait for another one's. */
static int
enter(const char *dir, GError **error)
{
    int fd = open_lock(dir, O_RDWR | O_CREAT);
    if (fd >= 0 && take_lock(fd, TRUE))
        return fd;
    fail_errno("cannot lock", dir, error);
    if (fd >= 0)
        close(fd);
    return -1;
}

gboolean
live_is_held(const char *dir, const char *lab)
{
    g_autofree char *path = g_build_filename(dir, lab, NULL);
    int fd = open_lock(path, O_RDONLY);
    gboolean held = fd >= 0 && is_locked(fd);
    if (fd >= 0)
        close(fd);
    return held;
}

/* ---- the socket
 * -------------------------------------------------------------------------------------
 */

/* By the folder's descriptor, since the path of a socket has at most 107 bytes. */
static int
with_socket(const char *folder, int (*use)(int, const struct sockaddr *, socklen_t))
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = open(folder, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int sock = fd < 0 ? -1 : socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    g_snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/" SOCKET, fd);
    int result =
        sock < 0 ? -1 : use(sock, (const struct sockaddr *)&address, sizeof address);
    int reason = errno;
    if (fd >= 0)
        close(fd);
    if (sock >= 0 && result != 0)
        close(sock);
    errno = reason;
    return result == 0 ? sock : -1;
}

/* ---- a lab's folder
 * --------------------------------------------------------------------------------- */

/* The folder PATH with its lock taken: the lock, or -1. */
static int
take_folder(const char *path, GError **error)
{
    if (mkdir(path, 0700) != 0 && errno != EEXIST) {
        fail_errno("cannot make", path, error);
        return -1;
    }
    int lock = open_lock(path, O_RDWR | O_CREAT);
    if (lock >= 0 && take_lock(lock, FALSE))
        return lock;
    if (lock >= 0 && errno == EAGAIN)
        g_set_error(error, HB_ERROR, HB_FAIL, "%s is held by another process", path);
    else
        fail_errno("cannot lock", path, error);
    if (lock >= 0)
        close(lock);
    else
        rmdir(path);
    return -1;
}

static void
remove_file(const char *folder, const char *name)
{
    g_autofree char *path = g_build_filename(folder, name, NULL);
    unlink(path);
}

/* A socket that listens in the folder PATH, or -1. */
static int
listen_in(const char *path, GError **error)
{
    remove_file(path, LIVE_STATE);
    remove_file(path, SOCKET);
    int fd = with_socket(path, bind);
    if (fd >= 0 && listen(fd, 64) == 0)
        return fd;
    fail_errno("cannot listen in", path, error);
    if (fd >= 0)
        close(fd);
    return -1;
}

LivePlace *
live_place_take(const char *dir, const char *lab, GError **error)
{
    g_autofree char *path = g_build_filename(dir, lab, NULL);
    int entered = enter(dir, error);
    int lock = entered < 0 ? -1 : take_folder(path, error);
    int listener = lock < 0 ? -1 : listen_in(path, error);
    if (lock >= 0 && listener < 0) {
        cache_remove_tree(path);
        close(lock);
    }
    if (entered >= 0)
        close(entered);
    if (listener < 0)
        return NULL;
    LivePlace *place = g_new(LivePlace, 1);
    *place = (LivePlace){g_strdup(dir), g_steal_pointer(&path), lock, listener};
    return place;
}

void
live_place_leave(LivePlace *place)
{
    if (!place)
        return;
    int entered = enter(place->dir, NULL);
    cache_remove_tree(place->path);
    close(place->listener);
    close(place->lock);
    if (entered >= 0)
        close(entered);
    g_free(place->dir);
    g_free(place->path);
    g_free(place);
}

gboolean
live_clear(const char *dir, const char *lab, GError **error)
{
    g_autofree char *path = g_build_filename(dir, lab, NULL);
    int entered = enter(dir, error);
    if (entered < 0)
        return FALSE;
    gboolean there = g_file_test(path, G_FILE_TEST_IS_DIR) && !live_is_held(dir, lab);
    if (there)
        cache_remove_tree(path);
    close(entered);
    if (!there || !g_file_test(path, G_FILE_TEST_EXISTS))
        return there;
    errno = EACCES;
    return fail_errno("cannot remove", path, error);
}

static int
compare_names(gconstpointer a, gconstpointer b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

GStrv
live_labs(const char *dir)
{
    g_autoptr(GDir) entries = g_dir_open(dir, 0, NULL);
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    const char *name;
    while (entries && (name = g_dir_read_name(entries))) {
        g_autofree char *path = g_build_filename(dir, name, NULL);
        if (g_file_test(path, G_FILE_TEST_IS_DIR) &&
            !g_file_test(path, G_FILE_TEST_IS_SYMLINK))
            g_ptr_array_add(names, g_strdup(name));
    }
    g_ptr_array_sort(names, compare_names);
    g_ptr_array_add(names, NULL);
    return (GStrv)g_ptr_array_free(g_steal_pointer(&names), FALSE);
}

int
live_connect(const char *dir, const char *lab, GError **error)
{
    g_autofree char *path = g_build_filename(dir, lab, NULL);
    int fd = with_socket(path, connect);
    if (fd < 0 && live_is_held(dir, lab)) {
        /* One that takes the folder listens before it lets others in. */
        int entered = enter(dir, NULL);
        if (entered >= 0)
            close(entered);
        fd = with_socket(path, connect);
    }
    if (fd < 0)
        g_set_error(error, HB_ERROR, HB_FAIL,
                    "the supervisor of '%s' does not answer: %s", lab, g_strerror(errno));
    return fd;
}
