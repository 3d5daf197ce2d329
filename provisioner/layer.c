/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "layer.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "autoptr.h"
#include "error.h"

#define BLOCK (256 * 1024)

struct Layer {
    struct archive *archive;
    char *where;
    gboolean keep_owners;
    LayerPlace place; /* or NULL */
    gpointer user_data;
    const struct stat *owner; /* of what is added now; NULL: root */
    GError *error;            /* the first */
    guint entries;
    gint64 bytes;
};

Layer *
layer_new(int fd, const char *where, gboolean keep_owners, GError **error)
{
    Layer *layer = g_new0(Layer, 1);
    layer->where = g_strdup(where);
    layer->keep_owners = keep_owners;
    layer->archive = archive_write_new();
    archive_write_set_format_gnutar(layer->archive);
    if (archive_write_open_fd(layer->archive, fd) == ARCHIVE_OK)
        return layer;
    g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE, "cannot write %s: %s", where,
                archive_error_string(layer->archive));
    layer_free(layer);
    return NULL;
}

void
layer_free(Layer *layer)
{
    if (!layer)
        return;
    archive_write_free(layer->archive);
    g_clear_error(&layer->error);
    g_free(layer->where);
    g_free(layer);
}

static void
fail_source(Layer *layer, const char *source, const char *why)
{
    if (!layer->error)
        layer->error = g_error_new(HB_ERROR, HB_USAGE,
                                   "cannot copy %s into the image: %s", source, why);
}

static gboolean
is_written(Layer *layer, gboolean written)
{
    int reason = archive_errno(layer->archive);
    const char *words = archive_error_string(layer->archive);
    if (!written && !layer->error)
        layer->error =
            g_error_new(HB_ERROR, HB_INFRASTRUCTURE, "cannot write %s: %s", layer->where,
                        reason > 0 ? g_strerror(reason)
                        : words    ? words
                                   : "no reason");
    return written;
}

void
layer_set_place(Layer *layer, LayerPlace place, gpointer user_data)
{
    layer->place = place;
    layer->user_data = user_data;
}

/* PATH as the archive has it, relative to the root; NULL: it can be nowhere. */
static char *
member_name(Layer *layer, const char *path, mode_t type, const char *target)
{
    char *place = layer->place ? layer->place(path, type, target, layer->user_data)
                               : g_strdup(path);
    if (place)
        memmove(place, place + strspn(place, "/"),
                strlen(place) - strspn(place, "/") + 1);
    else
        layer->error =
            g_error_new(HB_ERROR, HB_USAGE,
                        "%s cannot be in the image: too many links lead there", path);
    return place;
}

/* The same bytes for the same files: no times, no owners. */
static gboolean
begin(Layer *layer, const char *path, mode_t type, guint mode, const char *target,
      gint64 size)
{
    g_autofree char *name = layer->error ? NULL : member_name(layer, path, type, target);
    if (!name)
        return FALSE;
    g_autoptr(ArchiveEntry) entry = archive_entry_new();
    archive_entry_set_pathname(entry, name);
    archive_entry_set_filetype(entry, type);
    archive_entry_set_perm(entry, (mode_t)mode);
    archive_entry_set_size(entry, size);
    archive_entry_set_mtime(entry, 0, 0);
    if (layer->keep_owners && layer->owner) {
        archive_entry_set_uid(entry, layer->owner->st_uid);
        archive_entry_set_gid(entry, layer->owner->st_gid);
    }
    if (target)
        archive_entry_set_symlink(entry, target);
    layer->bytes += size;
    return is_written(layer, archive_write_header(layer->archive, entry) == ARCHIVE_OK);
}

void
layer_add_text(Layer *layer, const char *path, const char *text, guint mode)
{
    gsize length = strlen(text);
    if (begin(layer, path, AE_IFREG, mode, NULL, (gint64)length))
        is_written(layer, archive_write_data(layer->archive, text, length) ==
                              (la_ssize_t)length);
}

void
layer_add_link(Layer *layer, const char *path, const char *target)
{
    begin(layer, path, AE_IFLNK, 0777, target, 0);
}

void
layer_add_folder(Layer *layer, const char *path, guint mode)
{
    begin(layer, path, AE_IFDIR, mode, NULL, 0);
}

/* What grows or shrinks meanwhile would break the archive. */
static void
write_content(Layer *layer, int fd, const char *source, gint64 left)
{
    g_autofree char *block = g_malloc(BLOCK);
    while (left > 0) {
        ssize_t got = read(fd, block, (size_t)MIN(left, BLOCK));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            fail_source(layer, source,
                        got < 0 ? g_strerror(errno) : "it became shorter meanwhile");
            return;
        }
        if (!is_written(layer,
                        archive_write_data(layer->archive, block, (size_t)got) == got))
            return;
        left -= got;
    }
}

static void
add_file(Layer *layer, const char *path, const char *source, int mode)
{
    struct stat st;
    g_auto(AutoFd) fd = open(source, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &st) != 0)
        fail_source(layer, source, g_strerror(errno));
    else if (!S_ISREG(st.st_mode))
        fail_source(layer, source, "it is neither a file nor a folder");
    else if (begin(layer, path, AE_IFREG, mode < 0 ? st.st_mode & 07777 : (guint)mode,
                   NULL, st.st_size))
        write_content(layer, fd, source, st.st_size);
}

/* One that is there already, or a link to one, stays as it is, as long as the archive
 * does not name it; so only those are named that would not come about as they are. */
static void
add_folder_itself(Layer *layer, const FTSENT *entry, const char *path)
{
    guint mode = entry->fts_statp->st_mode & 07777;
    gboolean is_owned = layer->keep_owners &&
                        (entry->fts_statp->st_uid != 0 || entry->fts_statp->st_gid != 0);
    gboolean is_special = entry->fts_level > 0 && (mode != 0755 || is_owned);
    if (entry->fts_info == FTS_D ? !is_special : is_special)
        return;
    gboolean is_empty = entry->fts_number == (long)layer->entries;
    if (is_special || is_empty)
        layer_add_folder(layer, path, mode);
}

static void
add_entry(Layer *layer, FTSENT *entry, const char *path, int mode)
{
    g_autofree char *target = NULL;
    switch (entry->fts_info) {
    case FTS_D:
        add_folder_itself(layer, entry, path);
        entry->fts_number = (long)++layer->entries;
        break;
    case FTS_DP:
        add_folder_itself(layer, entry, path);
        break;
    case FTS_F:
        layer->entries++;
        add_file(layer, path, entry->fts_accpath, mode);
        break;
    case FTS_SL:
    case FTS_SLNONE:
        layer->entries++;
        target = g_file_read_link(entry->fts_accpath, NULL);
        if (target)
            layer_add_link(layer, path, target);
        break;
    case FTS_DNR:
    case FTS_ERR:
    case FTS_NS:
        fail_source(layer, entry->fts_path, g_strerror(entry->fts_errno));
        break;
    default: /* what has no place in an image */
        break;
    }
}

static int
by_name(const FTSENT **a, const FTSENT **b)
{
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

static void
add_folder(Layer *layer, const char *path, const char *source, int mode)
{
    char *const roots[] = {(char *)source, NULL};
    gsize above = strlen(source);
    FTS *fts = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR | FTS_COMFOLLOW, by_name);
    FTSENT *entry;
    while (fts && !layer->error && (entry = fts_read(fts))) {
        g_autofree char *to = g_build_filename(path, entry->fts_path + above, NULL);
        layer->owner = entry->fts_statp;
        if (layer->entries > LAYER_ENTRIES_MAX)
            fail_source(layer, source, "it is more than 200000 files");
        else
            add_entry(layer, entry, to, mode);
        layer->owner = NULL;
    }
    if (fts)
        fts_close(fts);
}

void
layer_add_copy(Layer *layer, const char *path, const char *source, int mode)
{
    if (layer->error)
        return;
    if (g_file_test(source, G_FILE_TEST_IS_DIR))
        add_folder(layer, path, source, mode);
    else
        add_file(layer, path, source, mode);
}

gboolean
layer_close(Layer *layer, GError **error)
{
    is_written(layer, layer->error || archive_write_close(layer->archive) == ARCHIVE_OK);
    if (!layer->error)
        return TRUE;
    g_propagate_error(error, g_steal_pointer(&layer->error));
    return FALSE;
}

gint64
layer_bytes(const Layer *layer)
{
    return layer->bytes;
}
