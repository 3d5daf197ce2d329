/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "selection.h"

#include <fnmatch.h>
#include <string.h>

#include "error.h"
#include "nearest.h"

Unit *
unit_new(const char *lab, const Plan *plan, const Suite *suite)
{
    Unit *unit = g_new0(Unit, 1);
    unit->lab = g_strdup(lab);
    unit->host = g_strdup(plan->host_id);
    unit->suite = suite;
    unit->unmet = suite_unmet(suite, plan);
    unit->cases = suite_cases(suite, plan);
    return unit;
}

void
unit_free(Unit *unit)
{
    if (!unit)
        return;
    g_free(unit->lab);
    g_free(unit->host);
    g_free(unit->unmet);
    g_strfreev(unit->cases);
    g_free(unit);
}

/* ---- patterns
 * ------------------------------------------------------------------------------ */

/* A pattern that was cut; a part that was not given is NULL and matches all. */
typedef struct {
    char *text; /* as it was given */
    char *lab, *host, *suite, *name;
} Pattern;

struct Selection {
    GPtrArray *patterns; /* Pattern */
};

static void
pattern_free(gpointer data)
{
    Pattern *pattern = data;
    g_free(pattern->text);
    g_free(pattern->lab);
    g_free(pattern->host);
    g_free(pattern->suite);
    g_free(pattern->name);
    g_free(pattern);
}

static Pattern *
pattern_new(const char *text)
{
    Pattern *pattern = g_new0(Pattern, 1);
    g_auto(GStrv) parts = g_strsplit(text, "/", 4); /* a case's name may have "/" in it */
    guint count = g_strv_length(parts), next = 0;
    pattern->text = g_strdup(text);
    if (count == 4)
        pattern->lab = g_strdup(parts[next++]);
    if (count >= 3)
        pattern->host = g_strdup(parts[next++]);
    pattern->suite = g_strdup(count > 0 ? parts[next++] : "");
    if (count >= 2)
        pattern->name = g_strdup(parts[next]);
    return pattern;
}

/* Names are taken as they stand as well: "[program]" is one. */
static gboolean
part_matches(const char *part, const char *name)
{
    return !part || g_str_equal(part, name) || fnmatch(part, name, 0) == 0;
}

/* A repeated run "NAME[run=2]" is meant by NAME too. */
static gboolean
lab_matches(const char *part, const char *lab)
{
    g_autofree char *plain = g_strndup(lab, strcspn(lab, "["));
    return part_matches(part, lab) || part_matches(part, plain);
}

/* What only a run brings: how a program or its host ended, and what nobody asked for. */
static gboolean
may_come_up(const Suite *suite, const char *name)
{
    static const char *const about_the_run[] = {"[host]", "[program]", "[suite]",
                                                "[test protocol]", NULL};
    if (!suite->is_check)
        return g_strv_contains(about_the_run, name);
    return g_str_has_prefix(name, "pci ") || g_str_has_prefix(name, "node ");
}

/* All but the case. */
static gboolean
means_suite(const Pattern *pattern, const char *lab, const char *host, const char *suite)
{
    return lab_matches(pattern->lab, lab) && part_matches(pattern->host, host) &&
           part_matches(pattern->suite, suite);
}

static gboolean
means_unit(const Pattern *pattern, const Unit *unit)
{
    if (!means_suite(pattern, unit->lab, unit->host, unit->suite->name))
        return FALSE;
    if (!pattern->name || may_come_up(unit->suite, pattern->name))
        return TRUE;
    for (char **name = unit->cases; *name; name++) {
        if (part_matches(pattern->name, *name))
            return TRUE;
    }
    return FALSE;
}

static gboolean
is_possible(const Pattern *pattern)
{
    for (const Suite *suite = suites; suite->name; suite++) {
        if (part_matches(pattern->suite, suite->name))
            return TRUE;
    }
    return FALSE;
}

/* The suite that PATTERN probably means, with what else it says; else all there are. */
static char *
suite_hint(const Pattern *pattern)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    for (const Suite *suite = suites; suite->name; suite++)
        g_ptr_array_add(names, (gpointer)suite->name);
    g_ptr_array_add(names, NULL);
    g_autofree char *all = g_strjoinv(", ", (char **)names->pdata);
    g_autofree char *list = g_strdup_printf("there are %s", all);
    const char *near = nearest_name(pattern->suite, (const char *const *)names->pdata);
    if (!near)
        return g_steal_pointer(&list);
    const char *slash = pattern->name ? "/" : "";
    g_autofree char *meant =
        g_strconcat(near, slash, pattern->name ? pattern->name : "", NULL);
    return nearest_hint(meant, NULL);
}

Selection *
selection_new(const char *const *patterns, GError **error)
{
    g_autoptr(Selection) selection = g_new0(Selection, 1);
    selection->patterns = g_ptr_array_new_with_free_func(pattern_free);
    for (guint i = 0; patterns && patterns[i]; i++) {
        Pattern *pattern = pattern_new(patterns[i]);
        g_ptr_array_add(selection->patterns, pattern);
        if (is_possible(pattern))
            continue;
        g_autofree char *hint = suite_hint(pattern);
        g_set_error(
            error, HB_ERROR, HB_USAGE,
            "'%s' is neither a lab file that can be read nor a selection of suites; "
            "%s",
            patterns[i], hint);
        return NULL;
    }
    return g_steal_pointer(&selection);
}

void
selection_free(Selection *selection)
{
    if (!selection)
        return;
    g_ptr_array_unref(selection->patterns);
    g_free(selection);
}

gboolean
selection_is_all(const Selection *selection)
{
    return selection->patterns->len == 0;
}

/* Names of cases are sentences, of which somebody may have written the beginning. */
static const char *
nearest_beginning(const char *text, char *const *names)
{
    for (; *names; names++) {
        g_autofree char *beginning = g_strndup(*names, strlen(text));
        const char *const beginnings[] = {beginning, NULL};
        if (nearest_name(text, beginnings))
            return *names;
    }
    return NULL;
}

/* The case that PATTERN probably means, as SUITE/CASE, or NULL: one that is written
 * alike, else one whose name has it as a part, else one that begins alike. */
static char *
nearest_case(const Pattern *pattern, const GPtrArray *units)
{
    for (guint i = 0; pattern->name && *pattern->name && i < units->len; i++) {
        const Unit *unit = units->pdata[i];
        if (!means_suite(pattern, unit->lab, unit->host, unit->suite->name))
            continue;
        const char *near = nearest_name(pattern->name, (const char *const *)unit->cases);
        for (char **name = unit->cases; !near && *name; name++)
            near = strstr(*name, pattern->name) ? *name : NULL;
        near = near ? near : nearest_beginning(pattern->name, unit->cases);
        if (near)
            return g_strdup_printf("%s/%s", unit->suite->name, near);
    }
    return NULL;
}

static gboolean
check_pattern(const Pattern *pattern, const GPtrArray *units, GError **error)
{
    for (guint i = 0; i < units->len; i++) {
        if (means_unit(pattern, units->pdata[i]))
            return TRUE;
    }
    g_autofree char *near = nearest_case(pattern, units);
    g_autofree char *way_out =
        nearest_hint(near, "'hostbed test --list LAB…' tells what there is");
    g_set_error(error, HB_ERROR, HB_USAGE, "'%s' selects no case of these labs; %s",
                pattern->text, way_out);
    return FALSE;
}

gboolean
selection_check(const Selection *selection, const GPtrArray *units, GError **error)
{
    for (guint i = 0; i < selection->patterns->len; i++) {
        if (!check_pattern(selection->patterns->pdata[i], units, error))
            return FALSE;
    }
    return TRUE;
}

gboolean
selection_has_unit(const Selection *selection, const Unit *unit)
{
    for (guint i = 0; i < selection->patterns->len; i++) {
        if (means_unit(selection->patterns->pdata[i], unit))
            return TRUE;
    }
    return selection_is_all(selection);
}

guint
selection_count(const Selection *selection, const Unit *unit)
{
    if (unit->unmet)
        return 1;
    guint count = 0;
    for (char **name = unit->cases; *name; name++)
        count += selection_has_case(selection, unit->lab, unit->host, unit->suite->name,
                                    *name);
    return count;
}

gboolean
selection_has_suite(const Selection *selection, const char *lab, const char *host,
                    const char *suite)
{
    for (guint i = 0; i < selection->patterns->len; i++) {
        const Pattern *pattern = selection->patterns->pdata[i];
        if (means_suite(pattern, lab, host, suite))
            return TRUE;
    }
    return selection_is_all(selection);
}

gboolean
selection_has_case(const Selection *selection, const char *lab, const char *host,
                   const char *suite, const char *name)
{
    for (guint i = 0; i < selection->patterns->len; i++) {
        const Pattern *pattern = selection->patterns->pdata[i];
        if (means_suite(pattern, lab, host, suite) && part_matches(pattern->name, name))
            return TRUE;
    }
    return selection_is_all(selection);
}
