/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The networks that a host's NICs are on.
 */
#include "plan.h"

#include <string.h>

static gint
compare_names(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

GPtrArray *
plan_networks(const Plan *plan)
{
    GPtrArray *names = g_ptr_array_new();
    for (guint i = 0; i < plan->functions->len; i++) {
        const PlanFunction *function = g_ptr_array_index(plan->functions, i);
        if (function->network && !g_ptr_array_find_with_equal_func(
                                     names, function->network, g_str_equal, NULL))
            g_ptr_array_add(names, function->network);
    }
    g_ptr_array_sort(names, compare_names);
    return names;
}
