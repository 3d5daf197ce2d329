/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Makes text of hostile bytes fit for a terminal, a log line or an error message.
 */
#pragma once

#include <glib.h>

/* BYTES as valid UTF-8 on one line: control characters and bytes that are no UTF-8 become
 * '?', white space at the ends goes, also NULs behind (LENGTH may count them or not), and
 * what is longer than MAXIMUM bytes is cut with "…". Owned by the caller. */
char *printable(const void *bytes, gsize length, gsize maximum);
