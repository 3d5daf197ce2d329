/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Networks that join several hosts: which hosts they join, the addresses of NICs on them,
 * and by what names hosts know each other. A network whose NICs are all in one host,
 * without an uplink, is a wire for tests and gets none, so that nothing passes on it but
 * what a test sends.
 */
#include <arpa/inet.h>
#include <string.h>

#include "plan-steps.h"

/* Written prefixes aside, the network with the number N of the lab has 10.(100 + N /
 * 256).(N % 256).0/24 and fd00:6862:N::/64, or the next ones that are free. */
#define IPV4_FIRST 100
#define IPV4_COUNT (156 * 256)
#define IPV4_BITS 24
#define IPV6_BITS 64

typedef struct {
    Plan *plan;
    PlanFunction *function;
} Nic;

typedef struct {
    const LabNetwork *network;
    LabPrefix ipv4, ipv6;
    GArray *nics; /* Nic: of hosts in their order, by address; then virtual functions */
    GHashTable *first; /* Plan → its first PlanFunction there */
    gboolean joins;
} Joint;

/* ---- who is on a network
 * ----------------------------------------------------------------------------- */

static void
add_nics(Joint *joint, Plan *plan, gboolean are_virtual)
{
    for (guint i = 0; i < plan->functions->len; i++) {
        PlanFunction *function = plan->functions->pdata[i];
        const PlanFunction *wired = are_virtual ? function->physical : function;
        const Nic nic = {plan, function};
        if (wired && (are_virtual || !function->physical) &&
            g_strcmp0(wired->network, joint->network->id) == 0) {
            g_array_append_val(joint->nics, nic);
            if (!g_hash_table_contains(joint->first, plan))
                g_hash_table_insert(joint->first, plan, function);
        }
    }
}

static void
find_nics(Joint *joint, const GPtrArray *plans)
{
    joint->nics = g_array_new(FALSE, FALSE, sizeof(Nic));
    joint->first = g_hash_table_new(NULL, NULL);
    for (guint i = 0; i < plans->len; i++)
        add_nics(joint, plans->pdata[i], FALSE);
    for (guint i = 0; i < plans->len; i++)
        add_nics(joint, plans->pdata[i], TRUE);
    joint->joins =
        g_hash_table_size(joint->first) > (plan_has_uplink(joint->network) ? 0 : 1);
}

/* The first NIC of PLAN's host there, or NULL. */
static const PlanFunction *
nic_of(const Joint *joint, const Plan *plan)
{
    return joint->joins ? g_hash_table_lookup(joint->first, plan) : NULL;
}

/* ---- prefixes
 * ----------------------------------------------------------------------------------------
 */

static gboolean
overlap(const LabPrefix *a, const LabPrefix *b)
{
    if (a->bits == LAB_AUTO || b->bits == LAB_AUTO)
        return FALSE;
    for (int bit = 0; bit < MIN(a->bits, b->bits); bit++)
        if ((a->bytes[bit / 8] ^ b->bytes[bit / 8]) & 0x80 >> bit % 8)
            return FALSE;
    return TRUE;
}

/* The first of JOINTS but ONE whose prefix has addresses of PREFIX; NULL: none. */
static const Joint *
who_has(const GArray *joints, const Joint *one, const LabPrefix *prefix, gboolean ipv6)
{
    for (guint i = 0; i < joints->len; i++) {
        const Joint *other = &g_array_index(joints, Joint, i);
        if (other != one && overlap(prefix, ipv6 ? &other->ipv6 : &other->ipv4))
            return other;
    }
    return NULL;
}

static LabPrefix
default_prefix(guint number, gboolean ipv6)
{
    if (ipv6)
        return (LabPrefix){{0xfd, 0, 0x68, 0x62, (guint8)(number >> 8), (guint8)number},
                           IPV6_BITS};
    return (LabPrefix){{10, (guint8)(IPV4_FIRST + number / 256), (guint8)number},
                       IPV4_BITS};
}

static void
choose_prefix(const GArray *joints, Joint *joint, guint number, gboolean ipv6,
              Findings *findings)
{
    LabPrefix *prefix = ipv6 ? &joint->ipv6 : &joint->ipv4;
    if (prefix->bits != LAB_AUTO || !joint->joins)
        return;
    for (guint i = 0; i < IPV4_COUNT; i++) {
        LabPrefix candidate = default_prefix((number + i) % IPV4_COUNT, ipv6);
        if (!who_has(joints, joint, &candidate, ipv6)) {
            *prefix = candidate;
            return;
        }
    }
    findings_add(findings, FINDING_ERROR, joint->network->pos, "network",
                 "other networks have all %s addresses that network '%s' could get; "
                 "write %s for it",
                 ipv6 ? "IPv6" : "IPv4", joint->network->id, ipv6 ? "ipv6" : "ipv4");
}

static void
check_written(const GArray *joints, Joint *joint, gboolean ipv6, Findings *findings)
{
    const Joint *other = who_has(joints, joint, ipv6 ? &joint->ipv6 : &joint->ipv4, ipv6);
    if (other && other < joint)
        findings_add(findings, FINDING_ERROR, joint->network->pos, "network",
                     "the %s addresses of network '%s' are among those of '%s'; give "
                     "each network its own",
                     ipv6 ? "IPv6" : "IPv4", joint->network->id, other->network->id);
}

/* ---- addresses
 * ---------------------------------------------------------------------------------------
 */

/* Only the last four bytes count: longer prefixes have room for more NICs than a lab may
 * have. */
char *
plan_address_text(const LabPrefix *prefix, int family, guint number)
{
    guint8 bytes[16], *last = bytes + (family == AF_INET ? 0 : 12);
    char text[INET6_ADDRSTRLEN];
    guint32 value;
    memcpy(bytes, prefix->bytes, sizeof bytes);
    memcpy(&value, last, sizeof value);
    value = htonl(ntohl(value) + number);
    memcpy(last, &value, sizeof value);
    return g_strdup_printf("%s/%d", inet_ntop(family, bytes, text, sizeof text),
                           prefix->bits);
}

static gboolean
has_prefixes(const Joint *joint)
{
    return joint->ipv4.bits != LAB_AUTO && joint->ipv6.bits != LAB_AUTO;
}

static gboolean
joins_few(const Joint *joint, Findings *findings)
{
    const PlanLimit *limit = plan_limit("joined-hosts");
    const guint count = g_hash_table_size(joint->first);
    if (count <= limit->maximum)
        return TRUE;
    findings_add(findings, FINDING_ERROR, joint->network->pos, limit->name,
                 "network '%s' joins %u hosts; part them (at most %" G_GINT64_FORMAT
                 " %s: %s)",
                 joint->network->id, count, limit->maximum, limit->unit, limit->reason);
    return FALSE;
}

/* Neither the first address nor, of IPv4, the last one is a host's; nor those of an
 * uplink. */
static gboolean
has_room(const Joint *joint, Findings *findings)
{
    const int free_bits = MIN(32 - joint->ipv4.bits, 128 - joint->ipv6.bits);
    const guint reserved = plan_has_uplink(joint->network) ? PLAN_UPLINK_ADDRESSES : 0;
    const gint64 room = ((gint64)1 << MIN(free_bits, reserved ? 16 : 30)) - 2 - reserved;
    if (joint->nics->len <= room)
        return TRUE;
    findings_add(findings, FINDING_ERROR, joint->network->pos, "network",
                 "network '%s' has %u NICs and virtual functions, and addresses for "
                 "%" G_GINT64_FORMAT
                 "; write shorter prefixes, such as ipv4='10.0.0.0/16'",
                 joint->network->id, joint->nics->len, room);
    return FALSE;
}

static void
give_addresses(const Joint *joint)
{
    for (guint i = 0; i < joint->nics->len; i++) {
        PlanFunction *function = g_array_index(joint->nics, Nic, i).function;
        function->joined = function->network != NULL;
        function->ipv4 = plan_address_text(&joint->ipv4, AF_INET, i + 1);
        function->ipv6 = plan_address_text(&joint->ipv6, AF_INET6, i + 1);
    }
}

/* ---- names
 * -------------------------------------------------------------------------------------------
 */

static void
add_name(Plan *plan, const char *address, const char *names, const char *host,
         const char *network)
{
    PlanName *name = g_new0(PlanName, 1);
    name->host = g_strdup(host);
    name->network = g_strdup(network);
    name->address = g_strndup(address, strcspn(address, "/"));
    name->names = g_strdup(names);
    g_ptr_array_add(plan->names, name);
}

/* Of the hosts on the same network: HOST.NETWORK, and HOST alone on the first network
 * that both are on. KNOWN: hosts that have that name. */
static void
add_names(Plan *plan, const Joint *joint, const GPtrArray *plans, GHashTable *known)
{
    for (guint i = 0; i < plans->len; i++) {
        const Plan *other = plans->pdata[i];
        const PlanFunction *nic = nic_of(joint, other);
        if (!nic)
            continue;
        gboolean is_first = g_hash_table_add(known, other->host_id);
        g_autofree char *names =
            g_strdup_printf("%s.%s%s%s", other->host_id, joint->network->id,
                            is_first ? " " : "", is_first ? other->host_id : "");
        add_name(plan, nic->ipv4, names, other->host_id, joint->network->id);
        add_name(plan, nic->ipv6, names, other->host_id, joint->network->id);
    }
}

static void
name_hosts(Plan *plan, const GArray *joints, const GPtrArray *plans)
{
    g_autoptr(GHashTable) known = g_hash_table_new(g_str_hash, g_str_equal);
    for (guint i = 0; i < joints->len; i++) {
        const Joint *joint = &g_array_index(joints, Joint, i);
        if (nic_of(joint, plan))
            add_names(plan, joint, plans, known);
    }
}

/* ---- peers
 * -------------------------------------------------------------------------------------------
 */

/* Whatever is reached from FROM by way of JOINTS. */
static void
reach(const GArray *joints, const GPtrArray *plans, const Plan *from, GHashTable *reached)
{
    if (!g_hash_table_add(reached, (gpointer)from))
        return;
    for (guint i = 0; i < joints->len; i++) {
        const Joint *joint = &g_array_index(joints, Joint, i);
        for (guint j = 0; nic_of(joint, from) && j < plans->len; j++)
            if (nic_of(joint, plans->pdata[j]))
                reach(joints, plans, plans->pdata[j], reached);
    }
}

static void
find_peers(Plan *plan, const GArray *joints, const GPtrArray *plans)
{
    g_autoptr(GHashTable) reached = g_hash_table_new(NULL, NULL);
    reach(joints, plans, plan, reached);
    for (guint i = 0; i < plans->len; i++) {
        const Plan *other = plans->pdata[i];
        if (other != plan && g_hash_table_contains(reached, other))
            g_ptr_array_add(plan->peers, g_strdup(other->host_id));
    }
}

/* ---- all of it
 * ---------------------------------------------------------------------------------------
 */

static void
joint_clear(gpointer data)
{
    g_array_unref(((Joint *)data)->nics);
    g_hash_table_unref(((Joint *)data)->first);
}

static GArray *
find_joints(const Lab *lab, const GPtrArray *plans)
{
    GArray *joints = g_array_new(FALSE, TRUE, sizeof(Joint));
    g_array_set_clear_func(joints, joint_clear);
    for (guint i = 0; i < lab->networks->len; i++) {
        const LabNetwork *network = lab->networks->pdata[i];
        Joint joint = {.network = network, .ipv4 = network->ipv4, .ipv6 = network->ipv6};
        find_nics(&joint, plans);
        g_array_append_val(joints, joint);
    }
    return joints;
}

void
plan_addresses(const Lab *lab, const GPtrArray *plans, Findings *findings)
{
    g_autoptr(GArray) joints = find_joints(lab, plans);
    for (guint i = 0; i < joints->len; i++) {
        Joint *joint = &g_array_index(joints, Joint, i);
        for (int ipv6 = FALSE; ipv6 <= TRUE; ipv6++)
            check_written(joints, joint, ipv6, findings);
    }
    gboolean may_choose = findings_ok(findings);
    for (guint i = 0; i < joints->len && may_choose; i++) {
        Joint *joint = &g_array_index(joints, Joint, i);
        for (int ipv6 = FALSE; ipv6 <= TRUE; ipv6++)
            choose_prefix(joints, joint, i, ipv6, findings);
        if (joint->joins && !(has_prefixes(joint) && joins_few(joint, findings) &&
                              has_room(joint, findings)))
            continue;
        if (joint->joins)
            give_addresses(joint);
        if (plan_has_uplink(joint->network))
            plan_uplink_add(joint->network, &joint->ipv4, &joint->ipv6, plans, findings);
    }
    for (guint i = 0; i < plans->len && findings_ok(findings); i++) {
        name_hosts(plans->pdata[i], joints, plans);
        find_peers(plans->pdata[i], joints, plans);
    }
}
