/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Reading and writing in the image. libguestfs follows paths inside it, but for those of
 * archives: where these go is asked for before.
 */
#include "prepare.h"

#include <stdlib.h>
#include <string.h>

#define READ_MAX ((int64_t)1 << 20)

char *
prepare_place(Prepare *prepare, const char *path)
{
    g_autofree char *clean = g_canonicalize_filename(path, "/");
    if (g_str_equal(clean, "/"))
        return g_strdup("/");
    g_autofree char *folder = g_path_get_dirname(clean);
    g_autofree char *name = g_path_get_basename(clean);
    char *known = g_hash_table_lookup(prepare->places, folder);
    if (!known) {
        known = guestfs_realpath(prepare->g, folder);
        if (!known) /* not there yet */
            known = prepare_place(prepare, folder);
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
