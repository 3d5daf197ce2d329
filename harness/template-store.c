/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "template-store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "autoptr.h"
#include "boot-private.h"
#include "error.h"
#include "printable.h"

#define DEFAULT_MAXIMUM ((gint64)8 << 30)

static gboolean
damaged(GError **error, const char *name, const char *what)
{
    g_set_error(error, HB_ERROR, HB_FAIL, "its file %s %s", name, what);
    return FALSE;
}

/* What is not there, or is something else, will not be another time either; a machine
 * that is short of something may have it then. */
static gboolean
failed(GError **error, const char *name, int reason)
{
    gboolean stays = reason == ENOENT || reason == ELOOP || reason == ENOTDIR;
    g_set_error(error, HB_ERROR, stays ? HB_FAIL : HB_INFRASTRUCTURE,
                "its file %s cannot be opened: %s", name, g_strerror(reason));
    return FALSE;
}

gboolean
template_store_is_passing(const GError *trouble)
{
    HbStatus status = hb_error_status(trouble);
    return status == HB_INFRASTRUCTURE || status == HB_INTERRUPTED;
}

/* NULL: nothing is wrong with the folder PATH, or there is none. */
static const char *
fault_of_folder(const char *path)
{
    struct stat st;
    if (lstat(path, &st) != 0)
        return NULL;
    if (!S_ISDIR(st.st_mode))
        return "is no folder";
    if (st.st_uid != geteuid())
        return "is another user's";
    return st.st_mode & 022 ? "may be written to by other users" : NULL;
}

gboolean
template_store_check(GError **error)
{
    g_autofree char *store = cache_path(TEMPLATE_STORE_KIND, NULL);
    g_autofree char *above = g_path_get_dirname(store);
    const char *const paths[] = {above, store};
    for (gsize i = 0; i < G_N_ELEMENTS(paths); i++) {
        const char *wrong = fault_of_folder(paths[i]);
        if (!wrong)
            continue;
        g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE,
                    "templates cannot be kept: '%s' %s; it must be a folder that only "
                    "this user may write to",
                    paths[i], wrong);
        return FALSE;
    }
    return TRUE;
}

/* ---- open
 * ----------------------------------------------------------------------------------------
 */

void
stored_template_free(StoredTemplate *stored)
{
    if (!stored)
        return;
    template_about_free(stored->about);
    g_clear_pointer(&stored->fds, g_array_unref);
    g_free(stored);
}

/* What is wrong with a file of SIZE bytes (-1: of any); NULL: nothing. */
static const char *
fault_of(const struct stat *st, goffset size)
{
    if (!S_ISREG(st->st_mode) || (st->st_mode & 022) ||
        (st->st_uid != geteuid() && st->st_uid != 0))
        return "is not this user's alone";
    if (size >= 0 && st->st_size != size)
        return "has another size than it had";
    return st->st_mtim.tv_sec != cache_mark(st->st_size) ? "was written to" : NULL;
}

/* -1: there is none, which is no error if the whole entry has gone meanwhile. */
static int
open_file(int folder, const char *name, goffset size, struct stat *st, GError **error)
{
    g_auto(AutoFd) fd =
        openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0 || fstat(fd, st) != 0) {
        failed(error, name, errno);
        return -1;
    }
    const char *wrong = fault_of(st, size);
    if (wrong) {
        damaged(error, name, wrong);
        return -1;
    }
    int opened = fd;
    fd = -1;
    return opened;
}

static TemplateAbout *
read_about(int fd, goffset size, GError **error)
{
    g_autofree char *text = g_malloc(TEMPLATE_ABOUT_MAX);
    ssize_t got = size <= TEMPLATE_ABOUT_MAX ? pread(fd, text, (size_t)size, 0) : 0;
    if (got < 0) {
        failed(error, TEMPLATE_ABOUT_FILE, errno);
        return NULL;
    }
    if (got != size) {
        damaged(error, TEMPLATE_ABOUT_FILE, "is too large, or was cut");
        return NULL;
    }
    return template_about_from_json(text, (gsize)got, error);
}

static gboolean
open_about(StoredTemplate *stored, int folder, const char *key, gboolean use,
           GError **error)
{
    struct stat st;
    g_auto(AutoFd) fd = open_file(folder, TEMPLATE_ABOUT_FILE, -1, &st, error);
    if (fd < 0)
        return FALSE;
    stored->used = st.st_atim.tv_sec;
    stored->bytes += (goffset)st.st_blocks * 512;
    stored->about = read_about(fd, st.st_size, error);
    /* Reading may count as a use, or not; neither is meant. */
    const struct timespec now[2] = {{.tv_nsec = UTIME_NOW}, {.tv_nsec = UTIME_OMIT}};
    const struct timespec then[2] = {st.st_atim, {.tv_nsec = UTIME_OMIT}};
    futimens(fd, use ? now : then);
    if (stored->about && !g_str_equal(stored->about->key, key)) {
        g_clear_pointer(&stored->about, template_about_free);
        damaged(error, TEMPLATE_ABOUT_FILE, "is of another template");
    }
    return stored->about != NULL;
}

static gboolean
open_files(StoredTemplate *stored, int folder, GError **error)
{
    const GPtrArray *files = stored->about->files;
    for (guint i = 0; i < files->len; i++) {
        const TemplateFile *file = files->pdata[i];
        struct stat st;
        int fd = open_file(folder, file->name, file->size, &st, error);
        if (fd < 0)
            return FALSE;
        g_array_append_val(stored->fds, fd);
        stored->bytes += (goffset)st.st_blocks * 512;
    }
    return TRUE;
}

/* Whether FOLDER still is the entry PATH: who removed it meanwhile did no damage. */
static gboolean
is_entry(const char *path, int folder)
{
    struct stat now, opened;
    return stat(path, &now) == 0 && fstat(folder, &opened) == 0 &&
           now.st_ino == opened.st_ino && now.st_dev == opened.st_dev;
}

/* NULL and no error: it is not there, or not any more. USE: mark it as used. */
static StoredTemplate *
open_entry(const char *key, gboolean use, GError **error)
{
    g_autofree char *path = cache_path(TEMPLATE_STORE_KIND, key);
    g_autoptr(StoredTemplate) stored = g_new0(StoredTemplate, 1);
    g_autoptr(GError) failure = NULL;
    g_auto(AutoFd) folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (folder < 0) {
        if (errno != ENOENT)
            failed(error, key, errno);
        return NULL;
    }
    stored->fds = boot_fds_new();
    if (open_about(stored, folder, key, use, &failure) &&
        open_files(stored, folder, &failure))
        return g_steal_pointer(&stored);
    if (is_entry(path, folder))
        g_propagate_error(error, g_steal_pointer(&failure));
    return NULL;
}

StoredTemplate *
template_store_open(const char *key, GError **error)
{
    return template_store_check(error) ? open_entry(key, TRUE, error) : NULL;
}

/* ---- all of them
 * ----------------------------------------------------------------------------------- */

GPtrArray *
template_store_keys(void)
{
    return cache_keys(TEMPLATE_STORE_KIND);
}

static gint
used_last_first(gconstpointer a, gconstpointer b)
{
    const StoredTemplate *left = *(StoredTemplate *const *)a,
                         *right = *(StoredTemplate *const *)b;
    if (left->used != right->used)
        return left->used > right->used ? -1 : 1;
    return strcmp(left->about->key, right->about->key);
}

GPtrArray *
template_store_list(void)
{
    GPtrArray *list =
        g_ptr_array_new_with_free_func((GDestroyNotify)stored_template_free);
    g_autoptr(GPtrArray) keys = template_store_keys();
    for (guint i = 0; i < keys->len; i++) {
        StoredTemplate *stored = open_entry(keys->pdata[i], FALSE, NULL);
        if (!stored)
            continue;
        g_array_set_size(stored->fds, 0); /* closes them: there may be many */
        g_ptr_array_add(list, stored);
    }
    g_ptr_array_sort(list, used_last_first);
    return list;
}

gboolean
template_store_remove(const char *key)
{
    return cache_remove_key(TEMPLATE_STORE_KIND, key);
}

gint64
template_store_maximum(GError **error)
{
    return cache_maximum("HOSTBED_TEMPLATES_MAX", DEFAULT_MAXIMUM, error);
}

static void
damaged_free(gpointer data)
{
    DamagedTemplate *damaged = data;
    g_free(damaged->key);
    g_free(damaged->trouble);
    g_free(damaged);
}

GPtrArray *
template_store_damaged(void)
{
    GPtrArray *list = g_ptr_array_new_with_free_func(damaged_free);
    g_autoptr(GPtrArray) keys = template_store_keys();
    for (guint i = 0; i < keys->len; i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(StoredTemplate) stored = open_entry(keys->pdata[i], FALSE, &error);
        if (stored || !error || template_store_is_passing(error))
            continue;
        g_autofree char *path = cache_path(TEMPLATE_STORE_KIND, keys->pdata[i]);
        DamagedTemplate *damaged = g_new0(DamagedTemplate, 1);
        damaged->key = g_strdup(keys->pdata[i]);
        damaged->trouble = g_strdup(error->message);
        damaged->bytes = cache_tree_disk_bytes(path);
        g_ptr_array_add(list, damaged);
    }
    return list;
}

char *
template_store_name(const StoredTemplate *stored)
{
    const TemplateAbout *about = stored->about;
    g_autofree char *text = g_strconcat(about->lab, "/", about->host, NULL);
    g_autofree char *what = printable(text, strlen(text), 200);
    return g_strdup_printf("%.12s  %s", about->key, what);
}

static void
remove_damaged(GPtrArray *removed)
{
    g_autoptr(GPtrArray) list = template_store_damaged();
    for (guint i = 0; i < list->len; i++) {
        const DamagedTemplate *damaged = list->pdata[i];
        if (template_store_remove(damaged->key))
            g_ptr_array_add(removed, g_strdup_printf("%.12s  damaged: %s", damaged->key,
                                                     damaged->trouble));
    }
}

GPtrArray *
template_store_prune(gint64 maximum, const char *keep)
{
    GPtrArray *removed = g_ptr_array_new_with_free_func(g_free);
    guint leftovers = cache_remove_leftovers(TEMPLATE_STORE_KIND);
    for (guint i = 0; i < leftovers; i++)
        g_ptr_array_add(removed, g_strdup("what a killed process had left"));
    remove_damaged(removed);
    g_autoptr(GPtrArray) list = template_store_list();
    gint64 total = 0;
    for (guint i = 0; i < list->len; i++)
        total += ((const StoredTemplate *)list->pdata[i])->bytes;
    for (guint i = list->len; i > 0 && total > maximum; i--) {
        const StoredTemplate *stored = list->pdata[i - 1];
        if (g_strcmp0(keep, stored->about->key) == 0)
            continue;
        total -= stored->bytes;
        if (template_store_remove(stored->about->key))
            g_ptr_array_add(removed, template_store_name(stored));
    }
    return removed;
}
