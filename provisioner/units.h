/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Sizes with units and lists of CPUs, as people write them and as hostbed writes them
 * back.
 *
 * An error's message is what can be said about the text, to be put after it: "has no
 * unit; write '4096 MiB'". The caller knows the place and what the text is for. Its
 * domain is HB_ERROR, its code HB_USAGE.
 */
#pragma once

#include <glib.h>

/* "4096000 KiB", "2 MiB", "1GiB"; B, KiB, MiB, GiB, TiB. A number without a unit is an
 * error, so that nobody has to know what it would have meant. The result is not negative.
 */
gboolean units_parse_size(const char *text, gint64 *bytes, GError **error);

/* In the largest unit that divides BYTES: "4096000 KiB", "2 MiB", "0 B". Owned by the
 * caller. */
char *units_size_text(gint64 bytes);

/* About as much, for people to read: "193 KiB", "6.5 MiB", "40 GiB". Owned by the caller.
 */
char *units_about_text(guint64 bytes);

/* A decimal or 0x number from MINIMUM (not negative) to MAXIMUM. */
gboolean units_parse_number(const char *text, gint64 minimum, gint64 maximum,
                            gint64 *number, GError **error);

/* "0-3,8,^2" (libvirt's form: ^N takes N out again) → guint, ascending, each once, none
 * above MAXIMUM. NULL on error; a list that leaves no CPU is one. */
GArray *units_parse_cpus(const char *text, guint maximum, GError **error);

/* The shortest list of ranges of an ascending array of guint: "0-3,8"; "" for none. Owned
 * by the caller. */
char *units_cpus_text(const GArray *cpus);
