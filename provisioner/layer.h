/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Files, texts and links of this machine → a tar archive to be unpacked over a root file
 * system, in the order in which they were added: what comes later stands. All is root's,
 * unless owners are kept.
 * Folders above come by themselves, with the modes that they have there.
 */
#pragma once

#include <glib.h>
#include <sys/types.h>

typedef struct Layer Layer;

/* At most, of all folders together: more is a mistake, such as a whole home directory. */
#define LAYER_ENTRIES_MAX 200000

/* The archive goes to FD (borrowed), WHERE in messages. */
Layer *layer_new(int fd, const char *where, gboolean keep_owners, GError **error);
void layer_free(Layer *layer);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Layer, layer_free)

/* Where in the root PATH really is, once links of the root on the way are followed; what
 * unpacks the archive must not meet any, as it would follow them outside. TYPE, of
 * stat(2), is what will be there: a folder goes where a link at PATH leads, anything else
 * replaces it. TARGET is that of a link that is added. Owned by the caller; NULL: too
 * many links. */
typedef char *(*LayerPlace)(const char *path, mode_t type, const char *target,
                            gpointer user_data);
/* Asked for all that is added from now on, folders' content too; without it the root is
 * taken to have no links. */
void layer_set_place(Layer *layer, LayerPlace place, gpointer user_data);

/* PATH is absolute. The first that fails keeps its error for layer_close(), and all that
 * follows does nothing; so they have no errors of their own. */
void layer_add_text(Layer *layer, const char *path, const char *text, guint mode);
void layer_add_link(Layer *layer, const char *path, const char *target);
void layer_add_folder(Layer *layer, const char *path, guint mode);
/* SOURCE as PATH: a file, or a folder with all in it but sockets, pipes and devices; a
 * link is what it leads to, those in a folder stay links. MODE is that of all files, -1:
 * as it is.
 */
void layer_add_copy(Layer *layer, const char *path, const char *source, int mode);

/* The archive is whole. */
gboolean layer_close(Layer *layer, GError **error);
/* Bytes of files and texts so far. */
gint64 layer_bytes(const Layer *layer);
