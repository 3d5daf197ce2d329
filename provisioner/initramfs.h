/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A file tree → a cpio archive (newc, not compressed) as Linux takes it for its first
 * root file system. The same tree gives the same bytes: entries are sorted, times are 0,
 * all is root's.
 *
 * The tree has one place for programs and one for libraries: /bin and /sbin are links to
 * usr/bin, /lib and /lib64 to usr/lib and usr/lib64, as in today's distributions, and
 * paths that are added are put where these links lead. A file of this machine that is
 * added under several names is in the archive once (hard links), with all permissions
 * that it got under any of them.
 */
#pragma once

#include <glib.h>

typedef struct Initramfs Initramfs;

Initramfs *initramfs_new(void);
void initramfs_free(Initramfs *image);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Initramfs, initramfs_free)

/* Each replaces what had the path before; folders above come by themselves. */
void
initramfs_add_file(Initramfs *image, const char *path, const char *source, guint mode);
void initramfs_add_text(Initramfs *image, const char *path, const char *text, guint mode);
void initramfs_add_data(Initramfs *image, const char *path, gconstpointer data,
                        gsize length, guint mode);
void initramfs_add_link(Initramfs *image, const char *path, const char *target);
void initramfs_add_folder(Initramfs *image, const char *path, guint mode);
void initramfs_add_device(Initramfs *image, const char *path, guint major, guint minor,
                          guint mode);

gboolean initramfs_has(const Initramfs *image, const char *path);
/* Where a path leads to in the image: "/sbin/x" is "/usr/bin/x". */
char *initramfs_place(const char *path);

/* Calls FUNCTION for all files of this machine that were added, in order of their paths.
 */
void initramfs_foreach_file(const Initramfs *image,
                            void (*function)(const char *path, const char *source,
                                             gpointer user_data),
                            gpointer user_data);

/* Bytes of all files; one with several names counts once. */
gint64 initramfs_size(const Initramfs *image);

/* What identifies all that goes in: names, modes, texts, and of each source its place,
 * size and times. Who asks again before anything changed gets the same key. */
char *initramfs_key(const Initramfs *image, GError **error);

gboolean
initramfs_write(const Initramfs *image, int fd, const char *place, GError **error);
