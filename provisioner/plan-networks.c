/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The networks that a host's NICs are on, and the hosts that they lead to.
 */
#include "plan.h"

#include <string.h>

static gint
compare_names(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

gboolean
plan_is_joined(const PlanFunction *function)
{
    return function->joined;
}

GPtrArray *
plan_joined(const Plan *plan)
{
    GPtrArray *list = g_ptr_array_new();
    for (guint i = 0; i < plan->functions->len; i++) {
        PlanFunction *function = g_ptr_array_index(plan->functions, i);
        if (plan_is_joined(function))
            g_ptr_array_add(list, function);
    }
    return list;
}

gboolean
plan_joins_hosts(const Plan *plan, const char *network)
{
    g_autoptr(GPtrArray) joined = plan_joined(plan);
    for (guint i = 0; i < joined->len; i++) {
        const PlanFunction *function = g_ptr_array_index(joined, i);
        if (g_str_equal(function->network, network))
            return TRUE;
    }
    return FALSE;
}

const PlanUplink *
plan_uplink(const Plan *plan, const char *network)
{
    for (guint i = 0; i < plan->uplinks->len; i++) {
        const PlanUplink *uplink = plan->uplinks->pdata[i];
        if (g_str_equal(uplink->network, network))
            return uplink;
    }
    return NULL;
}

GPtrArray *
plan_peers(const Plan *plan, const GPtrArray *plans)
{
    GPtrArray *list = g_ptr_array_new();
    for (guint i = 0; i < plans->len; i++) {
        Plan *other = g_ptr_array_index(plans, i);
        if (g_ptr_array_find_with_equal_func(plan->peers, other->host_id, g_str_equal,
                                             NULL))
            g_ptr_array_add(list, other);
    }
    return list;
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

GPtrArray *
plan_own_networks(const Plan *plan)
{
    GPtrArray *names = plan_networks(plan);
    for (guint i = names->len; i > 0; i--)
        if (plan_joins_hosts(plan, names->pdata[i - 1]))
            g_ptr_array_remove_index(names, i - 1);
    return names;
}
