/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What a kernel's file says of itself: a bzImage by its setup header (Linux's
 * Documentation/arch/x86/boot.rst), a vmlinux by the banner it prints. Untrusted.
 */
#pragma once

#include <glib.h>

typedef struct {
    gboolean is_elf; /* a vmlinux */
    char *release;   /* "6.1.0-40-amd64": fit to be a file's name */
    goffset size;    /* of the file, bytes */
    goffset payload_offset, payload_length; /* of a bzImage; length 0: it does not say */
} KernelImage;

void kernel_image_free(KernelImage *image);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(KernelImage, kernel_image_free)

/* Opens PATH for reading; -1 if it cannot be. */
int kernel_image_open(const char *path, GError **error);

/* NULL: FD, which is WHAT in messages, is no kernel for x86-64. */
KernelImage *kernel_image_read(int fd, const char *what, GError **error);

/* Whether TEXT may stand in paths as a release. */
gboolean kernel_release_is_sane(const char *text);
