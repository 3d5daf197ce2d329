/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "copies.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "autoptr.h"
#include "elf-file.h"
#include "error.h"

typedef struct {
    Initramfs *image;
    Programs *programs;
    const char *argument; /* as given */
    const char *target;   /* where all of it goes, in the host */
    guint entries;
} Copy;

/* Whether PATH is FOLDER or below it. */
static gboolean
is_within(const char *path, const char *folder)
{
    gsize length = strlen(folder);
    return strncmp(path, folder, length) == 0 &&
           (path[length] == '\0' || path[length] == '/');
}

/* Where the host has what no file of this machine may replace; NULL: PATH is elsewhere.
 */
static const char *
taken_by_host(const char *path)
{
    static const char *const taken[] = {"/dev", "/proc", "/sys", "/init", "/etc/hostbed"};
    for (guint i = 0; i < G_N_ELEMENTS(taken); i++)
        if (is_within(path, taken[i]))
            return taken[i];
    return NULL;
}

static gboolean
fail_path(const char *path, const char *why, GError **error)
{
    g_set_error(error, HB_ERROR, HB_USAGE, "cannot copy %s into the host: %s", path, why);
    return FALSE;
}

/* A program that lacks a library may be one of many that nobody starts. */
static void
add_what_it_needs(Copy *copy, const char *source, const char *target, guint mode)
{
    char magic[2] = "";
    g_auto(AutoFd) fd = open(source, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return;
    gboolean is_script = (mode & 0111) && pread(fd, magic, sizeof magic, 0) == 2 &&
                         memcmp(magic, "#!", 2) == 0;
    g_autoptr(GError) missing = NULL;
    if ((is_script || elf_file_is_elf(fd)) &&
        !programs_add(copy->programs, source, target, &missing))
        g_debug("%s is copied without all it needs: %s", source, missing->message);
}

static gboolean
add_file(Copy *copy, const char *source, const char *target, guint mode, GError **error)
{
    if (access(source, R_OK) != 0)
        return fail_path(source, g_strerror(errno), error);
    add_what_it_needs(copy, source, target, mode);
    initramfs_add_file(copy->image, target, source, mode & 07777);
    return TRUE;
}

/* The file of this machine that the link SOURCE leads to, where the link at TARGET leads
 * to in the host: plug-ins are often links to libraries elsewhere. What the copy or the
 * image has anyway, folders, and what is not here are left as they are. */
static gboolean
add_end_of_link(Copy *copy, const char *source, const char *target, const char *leads_to,
                GError **error)
{
    struct stat status;
    g_autofree char *folder = g_path_get_dirname(target);
    g_autofree char *place = g_canonicalize_filename(leads_to, folder);
    if (is_within(place, copy->target) || taken_by_host(place) ||
        initramfs_has(copy->image, place) || stat(source, &status) != 0 ||
        !S_ISREG(status.st_mode) || access(source, R_OK) != 0)
        return TRUE;
    g_autofree char *end = realpath(source, NULL);
    return !end || add_file(copy, end, place, status.st_mode, error);
}

static gboolean
add_link(Copy *copy, const char *source, const char *target, GError **error)
{
    g_autoptr(GError) failure = NULL;
    g_autofree char *leads_to = g_file_read_link(source, &failure);
    if (!leads_to)
        return fail_path(source, failure->message, error);
    /* Where the image has a folder, such as one of its own links' targets, it stays. */
    if (!initramfs_has(copy->image, target))
        initramfs_add_link(copy->image, target, leads_to);
    return add_end_of_link(copy, source, target, leads_to, error);
}

static gboolean
add(Copy *copy, const char *source, const char *target, gboolean follow, GError **error);

static gboolean
add_folder(Copy *copy, const char *source, const char *target, guint mode, GError **error)
{
    g_autoptr(GError) failure = NULL;
    g_autoptr(GDir) folder = g_dir_open(source, 0, &failure);
    if (!folder)
        return fail_path(source, failure->message, error);
    if (!initramfs_has(copy->image, target))
        initramfs_add_folder(copy->image, target, mode & 07777);
    const char *name;
    while ((name = g_dir_read_name(folder))) {
        g_autofree char *from = g_build_filename(source, name, NULL);
        g_autofree char *to = g_build_filename(target, name, NULL);
        if (!add(copy, from, to, FALSE, error))
            return FALSE;
    }
    return TRUE;
}

/* FOLLOW: a link is what it leads to; so it is for who names one. */
static gboolean
add(Copy *copy, const char *source, const char *target, gboolean follow, GError **error)
{
    struct stat status;
    if ((follow ? stat : lstat)(source, &status) != 0)
        return fail_path(source, g_strerror(errno), error);
    if (++copy->entries > COPIES_ENTRIES_MAX) {
        g_set_error(error, HB_ERROR, HB_USAGE, "--copy %s is more than %d files",
                    copy->argument, COPIES_ENTRIES_MAX);
        return FALSE;
    }
    if (S_ISDIR(status.st_mode))
        return add_folder(copy, source, target, status.st_mode, error);
    if (S_ISREG(status.st_mode))
        return add_file(copy, source, target, status.st_mode, error);
    if (S_ISLNK(status.st_mode))
        return add_link(copy, source, target, error);
    return follow ? fail_path(source, "it is neither a file nor a folder", error) : TRUE;
}

static gboolean
check_target(const char *argument, const char *target, GError **error)
{
    const char *taken = taken_by_host(target);
    if (taken) {
        g_set_error(error, HB_ERROR, HB_USAGE,
                    "--copy %s: %s in the host is its own; choose another place with "
                    "PATH:TARGET",
                    argument, taken);
        return FALSE;
    }
    if (target[1] != '\0')
        return TRUE;
    g_set_error(error, HB_ERROR, HB_USAGE,
                "--copy %s: '/' cannot be replaced; copy what is in it", argument);
    return FALSE;
}

/* "PATH:/TARGET" → the two; a colon that is followed by no absolute path is part of PATH.
 */
static gboolean
add_argument(Initramfs *image, Programs *programs, const char *argument, GError **error)
{
    Copy copy = {.image = image, .programs = programs, .argument = argument};
    const char *colon = g_strrstr(argument, ":/");
    g_autofree char *path =
        colon ? g_strndup(argument, (gsize)(colon - argument)) : g_strdup(argument);
    if (*path == '\0') {
        g_set_error(error, HB_ERROR, HB_USAGE,
                    "--copy '%s' names nothing; it takes PATH or PATH:TARGET", argument);
        return FALSE;
    }
    g_autofree char *source = g_canonicalize_filename(path, NULL);
    g_autofree char *target = g_canonicalize_filename(colon ? colon + 1 : source, "/");
    copy.target = target;
    return check_target(argument, target, error) &&
           add(&copy, source, target, TRUE, error);
}

gboolean
copies_add(Initramfs *image, Programs *programs, const char *const *copies,
           GError **error)
{
    for (; copies && *copies; copies++)
        if (!add_argument(image, programs, *copies, error))
            return FALSE;
    return TRUE;
}
