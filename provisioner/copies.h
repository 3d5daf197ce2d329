/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Files and folders of this machine put into an image as they are: links stay links and
 * bring the file that they lead to, modes stay, programs bring the libraries that they
 * need, as far as there are any. What is neither file, folder nor link is left out.
 */
#pragma once

#include "initramfs.h"
#include "programs.h"

/* More is a mistake, such as a whole home directory. */
#define COPIES_ENTRIES_MAX 200000

/* COPIES (NULL-terminated; or NULL): "PATH", which keeps its place, or "PATH:TARGET" with
 * an absolute TARGET. HB_USAGE for what is not there, cannot be read, or has no place in
 * a host. */
gboolean copies_add(Initramfs *image, Programs *programs, const char *const *copies,
                    GError **error);
