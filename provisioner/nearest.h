/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What a mistyped name is probably meant to be.
 */
#pragma once

#include <glib.h>

/* The word of NAMES (ends with NULL) that TEXT is probably meant to be, the first of
 * those that are equally near, or NULL. */
const char *nearest_name(const char *text, const char *const *names);
/* The same of the keys (char *) of TABLE, by their alphabet. With IS_FIT only of those
 * whose value is. */
const char *
nearest_key(const char *text, GHashTable *table, gboolean (*is_fit)(gconstpointer value));

/* What to say where TEXT is none of NAMES, which ends with NULL: which of them it is
 * probably meant to be, or else all of them, or NONE if there are none. Owned by the
 * caller. */
char *nearest_or_all(const char *text, GPtrArray *names, const char *none);

/* "did you mean MEANT?", or OTHERWISE if that is NULL. Owned by the caller. */
char *nearest_hint(const char *meant, const char *otherwise);
