/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What leads out of networks and into them: the addresses of who does it there, and whom
 * it leads to.
 */
#include <arpa/inet.h>
#include <string.h>

#include "plan-steps.h"

gboolean
plan_has_uplink(const LabNetwork *network)
{
    return network->has_uplink || network->forwards->len > 0;
}

/* The address of the host there; NULL: it has none. */
static const char *
address_of(const GPtrArray *plans, const char *host, const char *network)
{
    for (guint i = 0; i < plans->len; i++) {
        const Plan *plan = plans->pdata[i];
        for (guint j = 0; g_str_equal(plan->host_id, host) && j < plan->functions->len;
             j++) {
            const PlanFunction *function = plan->functions->pdata[j];
            if (!function->physical && function->ipv4 &&
                g_strcmp0(function->network, network) == 0)
                return function->ipv4;
        }
    }
    return NULL;
}

static gboolean
is_host(const GPtrArray *plans, const char *id)
{
    for (guint i = 0; i < plans->len; i++)
        if (g_str_equal(((const Plan *)plans->pdata[i])->host_id, id))
            return TRUE;
    return FALSE;
}

static void
check(const LabNetwork *network, const GPtrArray *plans, Findings *findings)
{
    if (is_host(plans, PLAN_UPLINK_NAME))
        findings_add(findings, FINDING_ERROR,
                     network->has_uplink ? network->uplink_pos : network->pos, "uplink",
                     "a host is called '" PLAN_UPLINK_NAME
                     "', which is the uplink's name on its networks; give the host "
                     "another");
    for (guint i = 0; i < network->forwards->len; i++) {
        const LabPassage *forward = network->forwards->pdata[i];
        if (!is_host(plans, forward->host))
            findings_add(findings, FINDING_ERROR, forward->pos, "uplink",
                         "the lab has no host '%s'", forward->host);
        else if (!address_of(plans, forward->host, network->id))
            findings_add(findings, FINDING_ERROR, forward->pos, "uplink",
                         "host '%s' has no NIC on network '%s'; write <nic "
                         "network='%s'/> there",
                         forward->host, network->id, network->id);
    }
}

static void
add_passage(GPtrArray *list, const LabPassage *passage, const char *address)
{
    PlanPassage *copy = g_new0(PlanPassage, 1);
    copy->pos = passage->pos;
    copy->port = passage->port;
    copy->to = g_strdup(passage->to);
    copy->host = g_strdup(passage->host);
    copy->guest = address ? g_strndup(address, strcspn(address, "/")) : NULL;
    g_ptr_array_add(list, copy);
}

/* The one before the last address of PREFIX, COUNT before; of very large ones of their
 * first 65536. */
static char *
address_before_last(const LabPrefix *prefix, int family, guint count)
{
    const int free_bits = (family == AF_INET ? 32 : 128) - prefix->bits;
    return plan_address_text(prefix, family, (1u << MIN(free_bits, 16)) - 2 - count);
}

static void
add(Plan *plan, const LabNetwork *network, const LabPrefix *ipv4, const LabPrefix *ipv6,
    const GPtrArray *plans)
{
    PlanUplink *uplink = plan_uplink_new();
    uplink->pos = network->has_uplink ? network->uplink_pos : network->pos;
    uplink->network = g_strdup(network->id);
    uplink->ipv4 = address_before_last(ipv4, AF_INET, 0);
    uplink->ipv6 = address_before_last(ipv6, AF_INET6, 0);
    uplink->dns = address_before_last(ipv4, AF_INET, 1);
    uplink->door = address_before_last(ipv4, AF_INET, 2);
    *strchr(uplink->dns, '/') = *strchr(uplink->door, '/') = '\0';
    uplink->nat = uplink->is_default = network->nat == LAB_ON;
    uplink->is_first = network->services->len > 0;
    for (guint i = 0; i < plan->uplinks->len; i++) {
        const PlanUplink *other = plan->uplinks->pdata[i];
        uplink->is_default = uplink->is_default && !other->is_default;
        uplink->is_first = uplink->is_first && !other->is_first;
    }
    for (guint i = 0; i < network->services->len; i++)
        add_passage(uplink->services, network->services->pdata[i], NULL);
    for (guint i = 0; i < network->forwards->len; i++) {
        const LabPassage *forward = network->forwards->pdata[i];
        add_passage(uplink->forwards, forward,
                    address_of(plans, forward->host, network->id));
    }
    g_ptr_array_add(plan->uplinks, uplink);
}

void
plan_uplink_add(const LabNetwork *network, const LabPrefix *ipv4, const LabPrefix *ipv6,
                const GPtrArray *plans, Findings *findings)
{
    check(network, plans, findings);
    for (guint i = 0; findings_ok(findings) && i < plans->len; i++) {
        Plan *plan = plans->pdata[i];
        if (address_of(plans, plan->host_id, network->id))
            add(plan, network, ipv4, ipv6, plans);
    }
}
