/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The subtests that are being read, one inside the other, told apart by indentation.
 * Part of tap.c.
 */
#pragma once

#include <glib.h>

/* The levels by depth, none yet; what is in it is this module's. */
GArray *tap_levels_new(void);
/* A line, without the INDENT blanks before it, of a subtest, if it is one: its results
 * are numbered, so that prose is not taken for it. */
void tap_levels_read(GArray *levels, const char *text, guint indent);
/* Ends all levels from DEPTH on. TRUE if one of them failed or is not complete. */
gboolean tap_levels_close(GArray *levels, guint depth);
