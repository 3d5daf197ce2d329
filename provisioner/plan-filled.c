/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * NICs for empty ports. While a host is planned as it is when they are plugged
 * (Planning.filling), each empty port that takes a device from a running host has one, as
 * if the author had written <nic/> there; all that follows from it is found by the same
 * steps as for any other.
 */
#include "plan-steps.h"

gboolean
plan_is_free_port(const PlanFunction *port)
{
    return (port->role == PLAN_ROOT_PORT || port->role == PLAN_DOWNSTREAM) &&
           port->hotplug && port->children->len == 0;
}

gboolean
plan_has_empty_port(const Plan *plan)
{
    for (guint i = 0; i < plan->functions->len; i++) {
        if (plan_is_free_port(g_ptr_array_index(plan->functions, i)))
            return TRUE;
    }
    return FALSE;
}

GPtrArray *
plan_filling(const Planning *planning, const PlanFunction *owner, const GPtrArray *nodes)
{
    if (!planning->filling || nodes->len > 0 || !plan_is_free_port(owner))
        return NULL;
    g_autofree char *id = g_strdup_printf("%s.nic0", owner->id);
    LabNode *nic = lab_node_new(LAB_NIC, id);
    nic->pos = owner->pos;
    GPtrArray *filling = g_ptr_array_new_with_free_func((GDestroyNotify)lab_node_free);
    g_ptr_array_add(filling, nic);
    return filling;
}

GPtrArray *
plan_pluggable(const Plan *plan)
{
    GPtrArray *functions = g_ptr_array_new();
    for (guint i = 0; plan->filled != NULL && i < plan->filled->functions->len; i++) {
        PlanFunction *function = g_ptr_array_index(plan->filled->functions, i);
        if (function->id != NULL && plan_function(plan, function->id) == NULL)
            g_ptr_array_add(functions, function);
    }
    return functions;
}
