/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What a host writes to the disk of its image: an empty qcow2 file of that size, which
 * has no name from its first byte on, so that nothing stays behind whatever dies. What it
 * is based on stands nowhere in it; the emulator is told (emit-qemu.c).
 */
#pragma once

#include <glib.h>

/* A descriptor, for reading and writing, that the caller closes; -1: ERROR. It lies in
 * the user's cache folder, on the disk that has the images. CAPACITY_BYTES: of the
 * virtual disk, as the guest sees it. */
int overlay_new(gint64 capacity_bytes, GError **error);
/* The folder that it lies in, owned by the caller; NULL: it cannot be made. */
char *overlay_folder(GError **error);
