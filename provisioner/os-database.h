/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Whether a database of operating systems is still the one that was read: hostbed and the
 * program that asks libosinfo (osdb/) look at its files in the same way.
 */
#pragma once

#include <glib.h>

/* A digest of the names, sizes and times of all files below PATH; NULL if there is
 * nothing. Owned by the caller. */
char *os_database_digest(const char *path);
