/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * IOMMU groups as Linux makes them (drivers/iommu/iommu.c, pci_device_group()): from a
 * function upward until every bridge on the way to the root isolates, then together with
 * those functions of the same slot that do not.
 */
#include "plan-steps.h"

static gboolean
is_multifunction(const PlanFunction *function)
{
    return function->multifunction || function->address.function != 0;
}

/* drivers/pci/pci.c, pci_acs_enabled(): ports need the capability; a single function with
 * nothing beside it needs none. No function that the emulator makes has it but ports. */
static gboolean
isolates(const PlanFunction *function)
{
    switch (function->role) {
    case PLAN_ROOT_PORT:
    case PLAN_DOWNSTREAM:
        return function->acs;
    case PLAN_BUILTIN:
    case PLAN_EXPANDER:
        return FALSE;
    case PLAN_VF:
        return TRUE;
    default:
        return !is_multifunction(function);
    }
}

static gboolean
path_isolates(const PlanFunction *bridge)
{
    for (; bridge != NULL; bridge = bridge->parent) {
        if (!isolates(bridge))
            return FALSE;
    }
    return TRUE;
}

static gboolean
bypasses(const PlanRoot *root)
{
    if (root->expander == NULL)
        return FALSE;
    for (guint i = 0; i < root->expander->properties->len; i++) {
        const PlanProperty *property = g_ptr_array_index(root->expander->properties, i);
        if (g_str_equal(property->name, "bypass_iommu"))
            return json_node_get_boolean(property->value);
    }
    return FALSE;
}

static int
new_group(Plan *plan)
{
    PlanGroup *group = g_new0(PlanGroup, 1);
    group->members = g_ptr_array_new();
    g_ptr_array_add(plan->groups, group);
    return (int)plan->groups->len - 1;
}

/* The group that another function of the same slot has already. */
static int
sibling_group(const Plan *plan, const PlanFunction *function)
{
    if (!is_multifunction(function) || isolates(function))
        return PLAN_NONE;
    for (guint i = 0; i < plan->functions->len; i++) {
        const PlanFunction *other = g_ptr_array_index(plan->functions, i);
        if (other != function && other->address.bus == function->address.bus &&
            other->address.slot == function->address.slot && other->group != PLAN_NONE &&
            !isolates(other))
            return other->group;
    }
    return PLAN_NONE;
}

static void
join(Plan *plan, PlanFunction *function)
{
    if (function->parent != NULL && !path_isolates(function->parent))
        function->group = function->parent->group;
    else
        function->group = sibling_group(plan, function);
    if (function->group == PLAN_NONE)
        function->group = new_group(plan);
    PlanGroup *group = g_ptr_array_index(plan->groups, (guint)function->group);
    g_ptr_array_add(group->members, function);
}

/* PCI class of an IOMMU, which does not translate for itself. */
#define CLASS_IOMMU 0x080600
#define VIRTIO_VENDOR 0x1af4
#define VIRTIO_IOMMU 0x1057

/* Under the virtio IOMMU Linux gives a function its group when a driver is tried on it
 * (of_iommu.c and viot.c by way of pci_dma_configure(); since 6.15 earlier), so nothing
 * is said of those that no driver takes. */
static gboolean
has_group(const Plan *plan, const PlanFunction *function)
{
    if (plan->iommu.model == LAB_IOMMU_VIRTIO)
        return function->linux_driver != NULL &&
               (function->vendor != VIRTIO_VENDOR || function->device != VIRTIO_IOMMU);
    return function->role != PLAN_BUILTIN || function->class_code != CLASS_IOMMU;
}

static void
join_below(Plan *plan, const GPtrArray *functions)
{
    for (guint i = 0; i < functions->len; i++) {
        PlanFunction *function = g_ptr_array_index(functions, i);
        if (has_group(plan, function))
            join(plan, function);
    }
    for (guint i = 0; i < functions->len; i++) {
        PlanFunction *function = g_ptr_array_index(functions, i);
        if (function->role != PLAN_EXPANDER)
            join_below(plan, function->children);
    }
}

static gint
compare_groups(gconstpointer a, gconstpointer b)
{
    const PlanGroup *x = *(PlanGroup *const *)a, *y = *(PlanGroup *const *)b;
    return plan_compare_functions(x->members->pdata, y->members->pdata);
}

void
plan_groups(Planning *planning)
{
    Plan *plan = planning->plan;

    if (plan->iommu.model == LAB_IOMMU_NONE)
        return;
    for (guint i = 0; i < plan->roots->len; i++) {
        const PlanRoot *root = g_ptr_array_index(plan->roots, i);
        if (!bypasses(root))
            join_below(plan, root->functions);
    }
    for (guint i = 0; i < plan->groups->len; i++)
        g_ptr_array_sort(((PlanGroup *)g_ptr_array_index(plan->groups, i))->members,
                         plan_compare_functions);
    g_ptr_array_sort(plan->groups, compare_groups);
    for (guint i = 0; i < plan->groups->len; i++) {
        const PlanGroup *group = g_ptr_array_index(plan->groups, i);
        for (guint j = 0; j < group->members->len; j++)
            ((PlanFunction *)g_ptr_array_index(group->members, j))->group = (int)i;
    }
}
