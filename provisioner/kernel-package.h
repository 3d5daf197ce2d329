/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Kernel packages (.deb, .rpm) unpacked by an ordinary user: only the kernel, its
 * configuration and its modules, to a folder boot/ and lib/modules/ in the cache.
 */
#pragma once

#include <glib.h>

/* Whether PATH is named like a package. */
gboolean kernel_package_is(const char *path);

/* Unpacks PACKAGES, which make one kernel together (some distributions pack the modules
 * apart), unless that was done; the folder. */
char *kernel_package_unpack(const char *const *packages, GError **error);

/* The folders of all that were unpacked: GPtrArray of char *. */
GPtrArray *kernel_package_list(void);
