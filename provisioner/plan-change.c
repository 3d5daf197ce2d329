/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plan-change.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "nearest.h"

/* ---- ports
 * ------------------------------------------------------------------------------------------
 */

static const PlanRoot *
root_of(const Plan *plan, const PlanFunction *function)
{
    while (function->parent)
        function = function->parent;
    for (guint i = 0; i < plan->roots->len; i++) {
        const PlanRoot *root = plan->roots->pdata[i];
        if (g_ptr_array_find(root->functions, function, NULL))
            return root;
    }
    return NULL;
}

static gboolean
is_expander(const PlanRoot *root, const char *name)
{
    char *end;
    long bus = strtol(name, &end, 0);
    if (*name && !*end && bus == root->bus)
        return TRUE;
    return root->expander && g_str_equal(root->expander->id, name);
}

static gboolean
is_kept(const PlanFunction *port, const char *const *kept)
{
    char address[PCI_ADDRESS_SIZE];
    return kept && g_strv_contains(kept, pci_address_text(port->address, address));
}

/* Below EXPANDER, or anywhere (NULL), and none of KEPT (or NULL). */
static const PlanFunction *
first_free(const Plan *plan, const char *expander, const char *const *kept)
{
    for (guint i = 0; i < plan->functions->len; i++) {
        const PlanFunction *port = plan->functions->pdata[i];
        const PlanRoot *root = plan_is_free_port(port) ? root_of(plan, port) : NULL;
        if (root && !is_kept(port, kept) && (!expander || is_expander(root, expander)))
            return port;
    }
    return NULL;
}

/* For a sentence; owned by the caller. */
static char *
list_free(const Plan *plan)
{
    g_autoptr(GString) text = g_string_new(NULL);
    for (guint i = 0; i < plan->functions->len; i++) {
        const PlanFunction *port = plan->functions->pdata[i];
        if (!plan_is_free_port(port))
            continue;
        g_string_append_printf(text, "%s%s (bus %d)",
                               text->len ? ", " : "; free: ", port->id,
                               root_of(plan, port)->bus);
    }
    if (text->len == 0)
        g_string_append(text, "; no other port of the host is free");
    return g_string_free(g_steal_pointer(&text), FALSE);
}

static void
tell_unknown_expander(const Plan *plan, const char *name, GError **error)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    g_autoptr(GString) all = g_string_new(NULL);
    for (guint i = 0; i < plan->roots->len; i++) {
        const PlanRoot *root = plan->roots->pdata[i];
        if (!root->expander)
            continue;
        g_ptr_array_add(names, root->expander->id);
        g_string_append_printf(all, "%s%s (bus %d)", all->len ? ", " : "it has ",
                               root->expander->id, root->bus);
    }
    g_ptr_array_add(names, NULL);
    const char *meant = nearest_name(name, (const char *const *)names->pdata);
    g_autofree char *hint = nearest_hint(meant, all->len ? all->str : "it has none");
    g_set_error(error, HB_ERROR, HB_USAGE, "the host has no expander '%s'; %s", name,
                hint);
}

static gboolean
has_expander(const Plan *plan, const char *name)
{
    for (guint i = 0; i < plan->roots->len; i++)
        if (is_expander(plan->roots->pdata[i], name))
            return TRUE;
    return FALSE;
}

static const char *
nearest_free(const Plan *plan, const char *name)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    for (guint i = 0; i < plan->functions->len; i++) {
        const PlanFunction *port = plan->functions->pdata[i];
        if (plan_is_free_port(port))
            g_ptr_array_add(names, port->id);
    }
    g_ptr_array_add(names, NULL);
    return nearest_name(name, (const char *const *)names->pdata);
}

/* Why the port NAME takes nothing. */
static void
tell_port(const Plan *plan, const char *name, GError **error)
{
    const PlanFunction *port = plan_function(plan, name);
    g_autofree char *free_ports = list_free(plan);
    const char *meant = port ? NULL : nearest_free(plan, name);
    if (meant)
        g_set_error(error, HB_ERROR, HB_USAGE,
                    "the host has no port '%s'; did you mean %s?", name, meant);
    else if (!port || (port->role != PLAN_ROOT_PORT && port->role != PLAN_DOWNSTREAM))
        g_set_error(error, HB_ERROR, HB_USAGE, "the host has no port '%s'%s", name,
                    free_ports);
    else if (port->children->len > 0)
        g_set_error(error, HB_ERROR, HB_USAGE, "the port %s is taken by %s%s", name,
                    ((const PlanFunction *)port->children->pdata[0])->id, free_ports);
    else
        g_set_error(error, HB_ERROR, HB_USAGE,
                    "the port %s takes no device while the host runs (hotplug=\"off\")%s",
                    name, free_ports);
}

const PlanFunction *
plan_change_port(const Plan *plan, const char *expander, const char *port,
                 const char *const *kept, GError **error)
{
    const PlanFunction *found = port ? plan_function(plan, port) : NULL;
    if (found && plan_is_free_port(found))
        return found;
    if (port) {
        tell_port(plan, port, error);
        return NULL;
    }
    if (expander && !has_expander(plan, expander)) {
        tell_unknown_expander(plan, expander, error);
        return NULL;
    }
    found = first_free(plan, expander, kept);
    if (!found)
        found = first_free(plan, expander, NULL);
    if (found)
        return found;
    g_autofree char *free_ports = list_free(plan);
    if (expander)
        g_set_error(error, HB_ERROR, HB_USAGE, "the expander %s has no free port%s",
                    expander, free_ports);
    else
        g_set_error(error, HB_ERROR, HB_USAGE,
                    "the host has no free port: a port is free that has no device and "
                    "whose hotplug is not off");
    return NULL;
}

gboolean
plan_change_is_at(const Plan *plan, const PlanFunction *function, const char *expander,
                  const char *port, GError **error)
{
    const PlanRoot *root = root_of(plan, function);
    const char *in = function->parent ? function->parent->id : NULL;
    const gboolean below = !expander || (root && is_expander(root, expander));
    if (below && (!port || g_strcmp0(in, port) == 0))
        return TRUE;
    g_set_error(error, HB_ERROR, HB_USAGE,
                "%s is in %s (bus %d) already, and not where the %s %s says; take it out "
                "first",
                function->id, in ? in : "no port", root ? root->bus : 0,
                below ? "port" : "expander", below ? port : expander);
    return FALSE;
}

/* ---- devices
 * ------------------------------------------------------------------------------------------
 */

static gboolean
is_device(const PlanFunction *function)
{
    return function->role == PLAN_ENDPOINT && function->id && !function->is_own;
}

gboolean
plan_change_is_called(const PlanFunction *function, const char *name)
{
    char address[PCI_ADDRESS_SIZE];
    pci_address_text(function->address, address);
    return g_str_equal(function->id, name) || g_str_equal(address, name) ||
           g_str_equal(address + strlen("0000:"), name);
}

/* Why it cannot be taken out, or NULL. Owned by the caller. */
static char *
what_holds(const PlanFunction *function)
{
    const PlanFunction *port = function->parent;
    if (!port)
        return g_strdup("it is on a root bus, and not behind a port");
    if (!port->hotplug)
        return g_strdup_printf("its port %s has hotplug=\"off\"", port->id);
    for (guint i = 0; i < port->children->len; i++) {
        const PlanFunction *other = port->children->pdata[i];
        if (other != function && other->role != PLAN_VF)
            return g_strdup_printf("it shares the port %s with %s, which would go too",
                                   port->id, other->id);
    }
    return NULL;
}

/* Whether NAME is a port, which is said with what it holds. */
static gboolean
tell_port_for_device(const Plan *plan, const char *name, GError **error)
{
    const PlanFunction *port = plan_function(plan, name);
    if (!port || (port->role != PLAN_ROOT_PORT && port->role != PLAN_DOWNSTREAM))
        return FALSE;
    const PlanFunction *first = port->children->len > 0 ? port->children->pdata[0] : NULL;
    g_set_error(error, HB_ERROR, HB_USAGE, "%s is a port, and no device; in it is %s",
                name, first ? first->id : "nothing");
    return TRUE;
}

static void
tell_unknown_device(const Plan *plan, const char *name, GError **error)
{
    if (tell_port_for_device(plan, name, error))
        return;
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    for (guint i = 0; i < plan->functions->len; i++) {
        const PlanFunction *function = plan->functions->pdata[i];
        g_autofree char *held = is_device(function) ? what_holds(function) : NULL;
        if (is_device(function) && !held)
            g_ptr_array_add(names, function->id);
    }
    for (guint i = 0; i < plan->memory->len; i++)
        g_ptr_array_add(names, ((const PlanMemory *)plan->memory->pdata[i])->id);
    g_ptr_array_add(names, NULL);
    g_autofree char *hint = nearest_or_all(name, names, "none can be taken out");
    g_set_error(error, HB_ERROR, HB_USAGE, "the host has no device '%s'; %s", name, hint);
}

const PlanFunction *
plan_change_device(const Plan *plan, const char *name, GError **error)
{
    for (guint i = 0; i < plan->functions->len; i++) {
        const PlanFunction *function = plan->functions->pdata[i];
        if (!is_device(function) || !plan_change_is_called(function, name))
            continue;
        g_autofree char *held = what_holds(function);
        if (!held)
            return function;
        g_set_error(error, HB_ERROR, HB_USAGE,
                    "%s cannot be taken out while the host runs: %s", function->id, held);
        return NULL;
    }
    tell_unknown_device(plan, name, error);
    return NULL;
}

/* ---- what stays
 * ------------------------------------------------------------------------------------------
 */

static gboolean
is_same(const PlanFunction *was, const PlanFunction *now)
{
    return now && pci_address_compare(was->address, now->address) == 0 &&
           was->node == now->node && g_strcmp0(was->mac, now->mac) == 0;
}

/* All of FROM but ID are in TO as they are. */
static gboolean
stays(const Plan *from, const Plan *to, const char *id, GError **error)
{
    for (guint i = 0; i < from->functions->len; i++) {
        const PlanFunction *function = from->functions->pdata[i];
        if (!function->id || g_str_equal(function->id, id) || function->role == PLAN_VF ||
            is_same(function, plan_function(to, function->id)))
            continue;
        g_set_error(error, HB_ERROR, HB_USAGE,
                    "with that %s would be another, which no host that runs can follow",
                    function->id);
        return FALSE;
    }
    return TRUE;
}

gboolean
plan_change_check(const Plan *was, const Plan *now, const char *id, GError **error)
{
    if (was->node_count != now->node_count) {
        g_set_error(error, HB_ERROR, HB_USAGE,
                    "by %s a node exists that has neither CPUs nor memory, and nodes "
                    "stay as they are while a host runs",
                    id);
        return FALSE;
    }
    return stays(was, now, id, error) && stays(now, was, id, error);
}

static const PlanFunction *
function_at(const Plan *plan, PciAddress address)
{
    for (guint i = 0; i < plan->functions->len; i++) {
        const PlanFunction *function = plan->functions->pdata[i];
        if (pci_address_compare(function->address, address) == 0)
            return function;
    }
    return NULL;
}

void
plan_change_carry(const Plan *was, Plan *now, const char *id)
{
    for (guint i = 0; i < now->functions->len; i++) {
        PlanFunction *function = now->functions->pdata[i];
        const PlanFunction *whole = function->physical ? function->physical : function;
        const gboolean is_new = g_strcmp0(whole->id, id) == 0;
        const PlanFunction *old = is_new ? NULL : function_at(was, function->address);
        g_free(function->ipv4);
        g_free(function->ipv6);
        function->ipv4 = g_strdup(old ? old->ipv4 : NULL);
        function->ipv6 = g_strdup(old ? old->ipv6 : NULL);
        function->joined = old ? old->joined : function->joined;
    }
}

static void
tell_unknown_nic(const Plan *plan, const char *name, GError **error)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    for (guint i = 0; i < plan->functions->len; i++) {
        const PlanFunction *function = plan->functions->pdata[i];
        if (is_device(function) && function->kind == LAB_NIC)
            g_ptr_array_add(names, function->id);
    }
    g_ptr_array_add(names, NULL);
    g_autofree char *hint = nearest_or_all(name, names, "it has none");
    g_set_error(error, HB_ERROR, HB_USAGE, "the host has no NIC '%s'; %s", name, hint);
}

const PlanFunction *
plan_change_nic(const Plan *plan, const char *name, GError **error)
{
    for (guint i = 0; i < plan->functions->len; i++) {
        const PlanFunction *function = plan->functions->pdata[i];
        if (!is_device(function) || !plan_change_is_called(function, name))
            continue;
        if (function->kind == LAB_NIC)
            return function;
        g_set_error(error, HB_ERROR, HB_USAGE, "%s is no NIC, and has no link",
                    function->id);
        return NULL;
    }
    tell_unknown_nic(plan, name, error);
    return NULL;
}
