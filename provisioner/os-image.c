/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The store of prepared images. What is in it may have been cut or written to by anybody,
 * and is looked at before it is used.
 */
#include "os-image.h"

#include <errno.h>
#include <fcntl.h>
#include <json-glib/json-glib.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "autoptr.h"
#include "error.h"
#include "os-image-parts.h"

#define ABOUT_MAX ((goffset)64 << 10)
#define DEFAULT_MAXIMUM ((gint64)16 << 30)

void
os_image_free(OsImage *image)
{
    if (!image)
        return;
    if (image->disk_fd >= 0)
        close(image->disk_fd);
    g_free(image->path);
    g_free(image->key);
    g_free(image->disk);
    g_free(image->kernel);
    g_free(image->modules_dir);
    g_free(image->initrd);
    g_free(image->root);
    g_free(image->os);
    g_free(image->name);
    g_free(image->from);
    g_free(image->release);
    g_free(image->created);
    g_free(image);
}

char *
os_image_folder(const char *name)
{
    return cache_path(OS_IMAGE_KIND, name);
}

/* ---- open
 * ----------------------------------------------------------------------------------------
 */

static gboolean
damaged(GError **error, const char *path, const char *why)
{
    g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE,
                "the image %s %s; 'hostbed image rm' removes it, and it is made anew",
                path, why);
    return FALSE;
}

static gboolean
is_sound(const struct stat *st)
{
    return S_ISREG(st->st_mode) && (st->st_uid == geteuid() || st->st_uid == 0) &&
           !(st->st_mode & 022) && st->st_mtim.tv_sec == cache_mark(st->st_size);
}

/* The path of the file NAME; NULL: it is not as it was made. */
static char *
sound_file(OsImage *image, const char *name)
{
    g_autofree char *path = g_build_filename(image->path, name, NULL);
    struct stat st;
    if (lstat(path, &st) != 0 || !is_sound(&st))
        return NULL;
    image->bytes += (gint64)st.st_blocks * 512;
    return g_steal_pointer(&path);
}

static char *
text_member(JsonObject *object, const char *name)
{
    return g_strdup(json_object_get_string_member_with_default(object, name, NULL));
}

static gboolean
take_about(OsImage *image, JsonObject *about)
{
    image->root = text_member(about, "root");
    image->os = text_member(about, "os");
    image->name = text_member(about, "name");
    image->from = text_member(about, "from");
    image->release = text_member(about, "release");
    image->created = text_member(about, "created");
    image->has_loader =
        json_object_get_boolean_member_with_default(about, "loader", FALSE);
    image->capacity = json_object_get_int_member_with_default(about, "capacity", 0);
    if (json_object_get_boolean_member_with_default(about, "initrd", FALSE))
        image->initrd = sound_file(image, OS_IMAGE_INITRD_FILE);
    else
        image->initrd = g_strdup("");
    if (!image->root || !image->os || !image->name || !image->from || !image->release ||
        !image->created || !image->initrd)
        return FALSE;
    if (!*image->initrd)
        g_clear_pointer(&image->initrd, g_free);
    return TRUE;
}

/* The content of image.json; its last use is now, or with PEEK what it was, as reading
 * may count as one. */
static JsonNode *
read_about(OsImage *image, gboolean peek)
{
    g_autofree char *path = g_build_filename(image->path, OS_IMAGE_ABOUT_FILE, NULL);
    g_auto(AutoFd) fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    g_autofree char *text = g_malloc(ABOUT_MAX);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0 || !is_sound(&st) || st.st_size > ABOUT_MAX ||
        pread(fd, text, (size_t)st.st_size, 0) != st.st_size)
        return NULL;
    const struct timespec now[2] = {{.tv_nsec = UTIME_NOW}, {.tv_nsec = UTIME_OMIT}};
    const struct timespec then[2] = {st.st_atim, {.tv_nsec = UTIME_OMIT}};
    futimens(fd, peek ? then : now);
    image->used = st.st_atim.tv_sec;
    g_autoptr(JsonParser) parser = json_parser_new();
    if (!json_parser_load_from_data(parser, text, (gssize)st.st_size, NULL))
        return NULL;
    JsonNode *root = json_parser_get_root(parser);
    return root && JSON_NODE_HOLDS_OBJECT(root) ? json_node_copy(root) : NULL;
}

/* The disk, locked as one in use; before anything is looked at, since until then it may
 * be removed. */
static gboolean
take_disk(OsImage *image, GError **error)
{
    g_autofree char *path = g_build_filename(image->path, OS_IMAGE_DISK_FILE, NULL);
    image->disk_fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (image->disk_fd < 0)
        return damaged(error, image->path, "is not whole");
    if (flock(image->disk_fd, LOCK_SH | LOCK_NB) == 0)
        return TRUE;
    g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE, "the image %s cannot be used: %s",
                image->path,
                errno == EWOULDBLOCK ? "it is being removed" : g_strerror(errno));
    return FALSE;
}

static OsImage *
open_image(const char *folder, gboolean peek, GError **error)
{
    g_autoptr(OsImage) image = g_new0(OsImage, 1);
    image->path = g_strdup(folder);
    image->key = g_path_get_basename(folder);
    image->disk_fd = -1;
    if (!peek && !take_disk(image, error))
        return NULL;
    g_autoptr(JsonNode) about = read_about(image, peek);
    image->disk = sound_file(image, OS_IMAGE_DISK_FILE);
    image->kernel = sound_file(image, OS_IMAGE_KERNEL_FILE);
    image->modules_dir = g_build_filename(folder, OS_IMAGE_MODULES_FOLDER, NULL);
    if (!about || !image->disk || !image->kernel ||
        !take_about(image, json_node_get_object(about))) {
        damaged(error, folder, "is not whole, or was written to");
        return NULL;
    }
    return g_steal_pointer(&image);
}

OsImage *
os_image_open(const char *folder, GError **error)
{
    return open_image(folder, FALSE, error);
}

/* ---- all of them
 * ----------------------------------------------------------------------------------- */

static gint
used_last_first(gconstpointer a, gconstpointer b)
{
    const OsImage *left = *(OsImage *const *)a, *right = *(OsImage *const *)b;
    if (left->used != right->used)
        return left->used > right->used ? -1 : 1;
    return strcmp(left->key, right->key);
}

/* Those of KEYS that are whole; the others are removed, with REMOVED counted, unless that
 * is NULL. */
static GPtrArray *
open_all(guint *removed)
{
    GPtrArray *list = g_ptr_array_new_with_free_func((GDestroyNotify)os_image_free);
    g_autoptr(GPtrArray) keys = cache_keys(OS_IMAGE_KIND);
    for (guint i = 0; i < keys->len; i++) {
        g_autofree char *path = os_image_folder(keys->pdata[i]);
        OsImage *image = open_image(path, TRUE, NULL);
        if (image)
            g_ptr_array_add(list, image);
        else if (removed)
            *removed += (guint)os_image_remove(keys->pdata[i], NULL);
    }
    g_ptr_array_sort(list, used_last_first);
    return list;
}

GPtrArray *
os_image_list(void)
{
    return open_all(NULL);
}

/* -1: nobody can be using it, or ERROR. */
static int
lock_to_remove(const char *key, GError **error)
{
    g_autofree char *folder = os_image_folder(key);
    g_autofree char *path = g_build_filename(folder, OS_IMAGE_DISK_FILE, NULL);
    g_auto(AutoFd) fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0) {
        g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE, "the image %.12s %s%s", key,
                    errno == EWOULDBLOCK ? "is in use; end the hosts that run from it"
                                         : "cannot be locked: ",
                    errno == EWOULDBLOCK ? "" : g_strerror(errno));
        return -1;
    }
    int locked = fd;
    fd = -1;
    return locked;
}

gboolean
os_image_remove(const char *key, GError **error)
{
    g_autoptr(GError) failure = NULL;
    g_auto(AutoFd) lock = lock_to_remove(key, &failure);
    if (!failure && cache_remove_key(OS_IMAGE_KIND, key))
        return TRUE;
    if (!failure)
        g_set_error(&failure, HB_ERROR, HB_USAGE, "there is no image %.12s", key);
    g_propagate_error(error, g_steal_pointer(&failure));
    return FALSE;
}

gint64
os_image_maximum(GError **error)
{
    return cache_maximum("HOSTBED_IMAGES_MAX", DEFAULT_MAXIMUM, error);
}

guint
os_image_prune(gint64 maximum_bytes, const char *keep)
{
    guint removed = 0;
    cache_prune(OS_IMAGE_KIND, G_MAXINT64); /* what killed makers left */
    g_autoptr(GPtrArray) list = open_all(&removed);
    gint64 total = 0;
    for (guint i = 0; i < list->len; i++)
        total += ((const OsImage *)list->pdata[i])->bytes;
    for (guint i = list->len; i > 0 && total > maximum_bytes; i--) {
        const OsImage *image = list->pdata[i - 1];
        if (g_strcmp0(keep, image->key) == 0 || !os_image_remove(image->key, NULL))
            continue;
        total -= image->bytes;
        removed++;
    }
    return removed;
}

/* ---- a new one
 * -------------------------------------------------------------------------------------
 */

/* Nobody writes to it from now on, and whoever does breaks the mark. */
static gboolean
mark_file(const char *path, GError **error)
{
    struct stat st;
    g_auto(AutoFd) fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || fchmod(fd, 0444) != 0 ||
        fsync(fd) != 0) {
        g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE, "cannot keep %s: %s", path,
                    errno ? g_strerror(errno) : "it is no file");
        return FALSE;
    }
    /* One that is made anew has the same path, often the same size, and the inode of the
     * one that was removed: so that nobody takes its content for that one's (digest.h).
     */
    const long making = g_random_int_range(0, 1000000000);
    const struct timespec marks[2] = {
        {.tv_nsec = UTIME_NOW}, {.tv_sec = cache_mark(st.st_size), .tv_nsec = making}};
    if (futimens(fd, marks) == 0)
        return TRUE;
    g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE, "cannot mark %s: %s", path,
                g_strerror(errno));
    return FALSE;
}

static gboolean
mark_files(const char *folder, gboolean has_initrd, GError **error)
{
    const char *const names[] = {OS_IMAGE_DISK_FILE, OS_IMAGE_KERNEL_FILE,
                                 OS_IMAGE_ABOUT_FILE,
                                 has_initrd ? OS_IMAGE_INITRD_FILE : NULL};
    for (guint i = 0; i < G_N_ELEMENTS(names) && names[i]; i++) {
        g_autofree char *path = g_build_filename(folder, names[i], NULL);
        if (!mark_file(path, error))
            return FALSE;
    }
    return TRUE;
}

static gboolean
write_about(const char *folder, const char *from, JsonObject *about, GError **error)
{
    g_autofree char *path = g_build_filename(folder, OS_IMAGE_ABOUT_FILE, NULL);
    g_autoptr(GDateTime) now = g_date_time_new_now_utc();
    g_autofree char *created = g_date_time_format(now, "%Y-%m-%dT%H:%M:%SZ");
    json_object_set_string_member(about, "from", from);
    json_object_set_string_member(about, "created", created);
    g_autoptr(JsonNode) node = json_node_init_object(json_node_alloc(), about);
    g_autofree char *text = json_to_string(node, TRUE);
    g_autoptr(GError) failure = NULL;
    if (g_file_set_contents_full(path, text, -1, G_FILE_SET_CONTENTS_NONE, 0600,
                                 &failure))
        return TRUE;
    g_set_error_literal(error, HB_ERROR, HB_INFRASTRUCTURE, failure->message);
    return FALSE;
}

gboolean
os_image_commit(CacheFolder *folder, const char *key, const char *from, JsonObject *about,
                GError **error)
{
    g_autofree char *path = os_image_folder(key);
    gboolean has_initrd =
        json_object_get_boolean_member_with_default(about, "initrd", FALSE);
    return write_about(folder->path, from, about, error) &&
           mark_files(folder->path, has_initrd, error) &&
           cache_folder_commit(folder, path, error);
}
