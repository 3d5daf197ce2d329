/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "suite.h"

#include <fnmatch.h>
#include <string.h>

#include "compare.h"
#include "error.h"

const Suite suites[] = {
    {
        .name = COMPARE_SUITE,
        .summary = "the host is the one that was asked for",
        .is_check = TRUE,
        .timeout_seconds = 60,
    },
    {
        .name = "numa",
        .summary =
            "cells, CPUs, memory, distances; memory comes from the node it is asked of",
        .needs_nodes = 1,
        .timeout_seconds = 60,
    },
    {
        .name = "pci",
        .summary = "every function: parent, ids, node, local CPUs, driver",
        .timeout_seconds = 60,
    },
    {
        .name = "iommu",
        .summary = "the kernel uses the IOMMU, and every group has its members",
        .needs_iommu = TRUE,
        .timeout_seconds = 60,
    },
    {
        .name = "hugepages",
        .summary = "huge pages: reserved, faulted in, on the right node",
        .needs_hugepages = TRUE,
        .timeout_seconds = 120,
    },
    {NULL},
};

const Suite *
suite_find(const char *name)
{
    for (const Suite *suite = suites; suite->name; suite++) {
        if (g_str_equal(suite->name, name))
            return suite;
    }
    return NULL;
}

static gboolean
has_hugepages(const Plan *plan)
{
    for (guint i = 0; i < plan->cells->len; i++) {
        const PlanCell *cell = plan->cells->pdata[i];
        if (cell->hugepages && cell->hugepages->len > 0)
            return TRUE;
    }
    return FALSE;
}

char *
suite_unmet(const Suite *suite, const Plan *plan)
{
    if (suite->needs_iommu && plan->iommu.model == LAB_IOMMU_NONE)
        return g_strdup("the lab has no IOMMU (<iommu>)");
    if (suite->needs_hugepages && !has_hugepages(plan))
        return g_strdup("no cell of the lab has huge pages (<hugepages>)");
    if (plan->node_count < suite->needs_nodes)
        return g_strdup_printf("the lab has %u nodes; %u are needed", plan->node_count,
                               suite->needs_nodes);
    return NULL;
}

guint
suite_timeout_ms(const Suite *suite, Accel accel)
{
    return suite->timeout_seconds * 1000 * (accel == ACCEL_KVM ? 1 : SUITE_TCG_FACTOR);
}

GStrv
suite_environment(const Plan *plan)
{
    g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
    g_autofree char *lab = g_strdup_printf("HOSTBED_LAB=%s", plan->lab_name);
    g_autofree char *host = g_strdup_printf("HOSTBED_HOST=%s", plan->host_id);
    g_strv_builder_add_many(builder, "HOSTBED_MANIFEST=" SUITE_MANIFEST_PATH, lab, host,
                            NULL);
    return g_strv_builder_end(builder);
}

/* ---- selection
 * --------------------------------------------------------------------------------- */

/* A pattern that was cut; a part that was not given is NULL and matches all. */
typedef struct {
    char *lab, *host, *suite, *name;
} Pattern;

struct Selection {
    GPtrArray *patterns; /* Pattern */
};

static void
pattern_free(gpointer data)
{
    Pattern *pattern = data;
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

static gboolean
is_possible(const Pattern *pattern)
{
    for (const Suite *suite = suites; suite->name; suite++) {
        if (part_matches(pattern->suite, suite->name))
            return TRUE;
    }
    return FALSE;
}

static char *
suite_names(void)
{
    GString *names = g_string_new(NULL);
    for (const Suite *suite = suites; suite->name; suite++)
        g_string_append_printf(names, "%s%s", names->len ? ", " : "", suite->name);
    return g_string_free(names, FALSE);
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
        g_autofree char *names = suite_names();
        g_set_error(
            error, HB_ERROR, HB_USAGE,
            "'%s' is neither a lab file that can be read nor a selection of suites; "
            "there are %s",
            patterns[i], names);
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

gboolean
selection_has_suite(const Selection *selection, const char *lab, const char *host,
                    const char *suite)
{
    for (guint i = 0; i < selection->patterns->len; i++) {
        const Pattern *pattern = selection->patterns->pdata[i];
        if (lab_matches(pattern->lab, lab) && part_matches(pattern->host, host) &&
            part_matches(pattern->suite, suite))
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
        if (lab_matches(pattern->lab, lab) && part_matches(pattern->host, host) &&
            part_matches(pattern->suite, suite) && part_matches(pattern->name, name))
            return TRUE;
    }
    return selection_is_all(selection);
}

/* ---- shards
 * ------------------------------------------------------------------------------------ */

gboolean
shard_parse(const char *text, Shard *shard, GError **error)
{
    g_auto(GStrv) parts = g_strsplit(text, "/", -1);
    guint64 index = 0, count = 0;
    if (g_strv_length(parts) == 2 &&
        g_ascii_string_to_unsigned(parts[1], 10, 1, 100000, &count, NULL) &&
        g_ascii_string_to_unsigned(parts[0], 10, 1, count, &index, NULL)) {
        *shard = (Shard){(guint)index, (guint)count};
        return TRUE;
    }
    g_set_error(error, HB_ERROR, HB_USAGE,
                "'%s' is no shard; 'K/N' is one, with K from 1 to N, as in 2/5", text);
    return FALSE;
}

gboolean
shard_has(Shard shard, guint number, guint total)
{
    return (guint64)number * shard.count / total == shard.index - 1;
}
