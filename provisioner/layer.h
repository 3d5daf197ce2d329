/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Files, texts and links of this machine → a tar archive to be unpacked over a root file
 * system, in the order in which they were added: what comes later stands. All is root's,
 * unless owners are kept.
 * Folders above come by themselves, with the modes that they have there.
 */
#pragma once

#include <glib.h>

typedef struct Layer Layer;

/* At most, of all folders together: more is a mistake, such as a whole home directory. */
#define LAYER_ENTRIES_MAX 200000

/* The archive goes to FD (borrowed), WHERE in messages. */
Layer *layer_new(int fd, const char *where, gboolean keep_owners, GError **error);
void layer_free(Layer *layer);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Layer, layer_free)

/* PATH is absolute, and where it leads to in the root: links on the way are followed by
 * whoever unpacks. The first that fails keeps its error for layer_close(), and all that
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
