/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Which cases are meant: by name, as reports write it, or by a part of it: "SUITE",
 * "SUITE/CASE", "HOST/SUITE/CASE", "LAB/HOST/SUITE/CASE"; each part may be a glob(7)
 * pattern. All but what a run alone brings is known from the plans, so a name that means
 * nothing is told before a host is started.
 */
#pragma once

#include "suite.h"

/* A suite of a planned host. */
typedef struct {
    char *lab, *host; /* their names in reports */
    const Suite *suite;
    char *unmet; /* why it will be skipped, or NULL */
    GStrv cases;
} Unit;

Unit *unit_new(const char *lab, const Plan *plan, const Suite *suite);
void unit_free(Unit *unit);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Unit, unit_free)

typedef struct Selection Selection;

/* No PATTERNS (NULL or none): all. HB_USAGE if one of them can match no suite. */
Selection *selection_new(const char *const *patterns, GError **error);
void selection_free(Selection *selection);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Selection, selection_free)

gboolean selection_is_all(const Selection *selection);
/* HB_USAGE if a pattern means nothing in any of UNITS (Unit); names the nearest. */
gboolean
selection_check(const Selection *selection, const GPtrArray *units, GError **error);
/* Whether anything of UNIT is meant. */
gboolean selection_has_unit(const Selection *selection, const Unit *unit);
/* How many results UNIT gives, of those meant, if all goes well. */
guint selection_count(const Selection *selection, const Unit *unit);
/* Whether a case of the suite may be meant. */
gboolean selection_has_suite(const Selection *selection, const char *lab,
                             const char *host, const char *suite);
gboolean selection_has_case(const Selection *selection, const char *lab, const char *host,
                            const char *suite, const char *name);
