/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What another process is to read, in a file without a name (memfd_create(2)).
 */
#pragma once

#include <glib.h>

/* The descriptor, close-on-exec and the caller's, of a file that holds LENGTH BYTES; it
 * is at the file's end. NAME is what /proc shows. -1 and HB_INFRASTRUCTURE: there is no
 * room for it. */
int memory_file_new(const char *name, const void *bytes, gsize length, GError **error);
