/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Reading and writing in the image. libguestfs follows paths inside it, but for those of
 * archives: where these go is asked for before.
 */
#include "prepare.h"

#include <stdlib.h>
#include <string.h>

#define READ_MAX ((int64_t)1 << 20)

#define LINKS_MAX 40

static char *find_folder(Prepare *prepare, const char *path, guint depth);

/* Where the link PATH leads, which need not be there; NULL: it is no link. */
static char *
follow(Prepare *prepare, const char *path, guint depth)
{
    if (depth > LINKS_MAX || guestfs_is_symlink(prepare->g, path) != 1)
        return NULL;
    g_autofree char *target = guestfs_readlink(prepare->g, path);
    g_autofree char *above = g_path_get_dirname(path);
    g_autofree char *absolute = target ? g_canonicalize_filename(target, above) : NULL;
    return absolute ? find_folder(prepare, absolute, depth + 1) : NULL;
}

static char *
find_folder(Prepare *prepare, const char *path, guint depth)
{
    g_autofree char *real = guestfs_realpath(prepare->g, path);
    if (real || g_str_equal(path, "/"))
        return g_strdup(real ? real : "/");
    g_autofree char *above = g_path_get_dirname(path);
    g_autofree char *name = g_path_get_basename(path);
    g_autofree char *folder = find_folder(prepare, above, depth);
    g_autofree char *place = g_build_filename(folder, name, NULL);
    char *target = follow(prepare, place, depth);
    return target ? target : g_steal_pointer(&place);
}

char *
prepare_place(Prepare *prepare, const char *path)
{
    g_autofree char *clean = g_canonicalize_filename(path, "/");
    g_autofree char *folder = g_path_get_dirname(clean);
    g_autofree char *name = g_path_get_basename(clean);
    if (g_str_equal(clean, "/"))
        return g_steal_pointer(&clean);
    char *known = g_hash_table_lookup(prepare->places, folder);
    if (!known) {
        known = find_folder(prepare, folder, 0);
        g_hash_table_insert(prepare->places, g_strdup(folder), known);
    }
    return g_build_filename(known, name, NULL);
}

gboolean
prepare_exists(Prepare *prepare, const char *path)
{
    return guestfs_exists(prepare->g, path) == 1;
}

char *
prepare_read(Prepare *prepare, const char *path)
{
    if (guestfs_is_file_opts(prepare->g, path, GUESTFS_IS_FILE_OPTS_FOLLOWSYMLINKS, 1,
                             -1) != 1 ||
        guestfs_filesize(prepare->g, path) > READ_MAX)
        return NULL;
    size_t size = 0;
    char *text = guestfs_read_file(prepare->g, path, &size);
    if (text && strlen(text) == size)
        return text;
    free(text);
    return NULL;
}

gboolean
prepare_write(Prepare *prepare, const char *path, const char *text, GError **error)
{
    return guestfs_write(prepare->g, path, text, strlen(text)) == 0 ||
           prepare_failed(prepare, error, "%s cannot be written", path);
}

gboolean
prepare_tar_in(Prepare *prepare, int fd, const char *path, GError **error)
{
    g_autofree char *source = g_strdup_printf("/dev/fd/%d", fd);
    return guestfs_tar_in(prepare->g, source, path) == 0 ||
           prepare_failed(prepare, error, "files cannot be unpacked in it");
}
