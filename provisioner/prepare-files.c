/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Reading and writing in the image. libguestfs follows paths inside it, but for those of
 * archives: where these go is asked for before.
 */
#include "prepare.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define READ_MAX ((int64_t)1 << 20)

/* As many as Linux follows. */
#define LINKS_MAX 40

/* ---- where things are
 * ------------------------------------------------------------------------------ */

/* What stands at PLACE, whose folder was looked at before: where a link leads, "": no
 * link, NULL: nothing. */
static char *
look_at(Prepare *prepare, const char *place)
{
    gpointer above_target = NULL;
    g_autofree char *above = g_path_get_dirname(place);
    if (g_hash_table_lookup_extended(prepare->links, above, NULL, &above_target) &&
        !above_target)
        return NULL;
    struct guestfs_statns *st = guestfs_lstatns(prepare->g, place);
    gboolean is_there = st != NULL, is_link = st && S_ISLNK(st->st_mode);
    guestfs_free_statns(st);
    g_autofree char *target = is_link ? guestfs_readlink(prepare->g, place) : NULL;
    return is_there ? g_strdup(target ? target : "") : NULL;
}

/* Where the link PLACE leads, as it was put there or as the image has it; NULL: it is
 * none. */
static const char *
target_of(Prepare *prepare, const char *place)
{
    gpointer target = NULL;
    if (!g_hash_table_lookup_extended(prepare->links, place, NULL, &target)) {
        target = look_at(prepare, place);
        g_hash_table_insert(prepare->links, g_strdup(place), target);
    }
    return target && *(char *)target ? target : NULL;
}

/* PATH, seen from the folder FROM, as the kernel walks it with the image as its root;
 * NULL: more than LINKS_MAX links. */
static char *
walk(Prepare *prepare, const char *from, const char *path, guint *links)
{
    g_autofree char *real = g_strdup(*path == '/' ? "/" : from);
    g_auto(GStrv) words = g_strsplit(path, "/", -1);
    for (char **word = words; real && *word; word++) {
        if (!**word || g_str_equal(*word, "."))
            continue;
        g_autofree char *folder = g_steal_pointer(&real);
        if (g_str_equal(*word, "..")) {
            real = g_path_get_dirname(folder);
            continue;
        }
        real = g_build_filename(folder, *word, NULL);
        g_autofree char *target = g_strdup(target_of(prepare, real));
        if (target) {
            g_free(real);
            real = ++*links > LINKS_MAX ? NULL : walk(prepare, folder, target, links);
        }
    }
    return g_steal_pointer(&real);
}

char *
prepare_folder(Prepare *prepare, const char *path)
{
    guint links = 0;
    return walk(prepare, "/", path, &links);
}

char *
prepare_place(Prepare *prepare, const char *path)
{
    g_autofree char *clean = g_canonicalize_filename(path, "/");
    g_autofree char *above = g_path_get_dirname(clean);
    g_autofree char *name = g_path_get_basename(clean);
    g_autofree char *folder = prepare_folder(prepare, above);
    return folder ? g_build_filename(folder, name, NULL) : NULL;
}

static char *
place_member(const char *path, mode_t type, const char *target, gpointer user_data)
{
    Prepare *prepare = user_data;
    if (S_ISDIR(type))
        return prepare_folder(prepare, path);
    char *place = prepare_place(prepare, path);
    if (place && (target || g_hash_table_contains(prepare->links, place)))
        g_hash_table_insert(prepare->links, g_strdup(place),
                            g_strdup(target ? target : ""));
    return place;
}

void
prepare_place_all(Prepare *prepare, Layer *layer)
{
    layer_set_place(layer, place_member, prepare);
}

/* ---- what is in them
 * ------------------------------------------------------------------------------- */

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
    return guestfs_tar_in_opts(prepare->g, source, path, GUESTFS_TAR_IN_OPTS_XATTRS, 1,
                               -1) == 0 ||
           prepare_failed(prepare, error, "files cannot be unpacked in it");
}
