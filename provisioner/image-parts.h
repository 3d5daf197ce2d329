/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What the files that make the micro image share. Others include image.h.
 */
#pragma once

#include "image.h"
#include "initramfs.h"
#include "programs.h"

/* The suites, which are the programs of SUITES_DIR, in the folder PLACE. */
gboolean image_add_suites(Programs *programs, const char *suites_dir, const char *place,
                          GError **error);
/* The modules of OPTIONS, and lists of them. */
gboolean image_add_modules(Initramfs *image, const ImageOptions *options, GError **error);
/* What guests inside start with (IMAGE_INNER_PATH). Without firmware on this machine
 * nothing is added. */
gboolean image_add_inner(Initramfs *image, const ImageOptions *options, GError **error);

/* Writes IMAGE for KERNEL to the cache, if it is not there, and returns its path. */
char *image_store(const Initramfs *image, const Kernel *kernel, GError **error);
