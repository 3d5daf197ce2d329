/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "uplink-filter.h"

#include <string.h>

#define ETHERNET 14
#define TYPE_IPV4 0x0800
#define TYPE_ARP 0x0806
#define TYPE_IPV6 0x86dd
#define IPV4_HEADER 20
#define IPV6_HEADER 40
#define ARP_BYTES 28
#define DNS_PORT 53
/* Of ICMP (RFC 792, RFC 1812) and ICMPv6 (RFC 4443, RFC 4861). */
#define ECHO_REQUEST 8
#define UNREACHABLE 3
#define PROHIBITED 13
#define ECHO_REQUEST6 128
#define ROUTER_ADVERTISEMENT 134
#define NEIGHBOR_SOLICITATION 135
#define NEIGHBOR_ADVERTISEMENT 136

void
uplink_policy_init(UplinkPolicy *policy)
{
    *policy = (UplinkPolicy){0};
    policy->services = g_array_new(FALSE, FALSE, sizeof(UplinkPort));
    policy->forwards = g_array_new(FALSE, FALSE, sizeof(UplinkPort));
    policy->own4 = g_array_new(FALSE, FALSE, sizeof(struct in_addr));
    policy->own6 = g_array_new(FALSE, FALSE, sizeof(struct in6_addr));
}

void
uplink_policy_clear(UplinkPolicy *policy)
{
    g_array_unref(policy->services);
    g_array_unref(policy->forwards);
    g_array_unref(policy->own4);
    g_array_unref(policy->own6);
}

static guint16
word(const guint8 *bytes)
{
    return (guint16)(bytes[0] << 8 | bytes[1]);
}

static gboolean
has_port(const GArray *ports, struct in_addr guest, guint16 port)
{
    for (guint i = 0; i < ports->len; i++) {
        const UplinkPort *one = &g_array_index(ports, UplinkPort, i);
        if (one->guest.s_addr == guest.s_addr && one->port == port)
            return TRUE;
    }
    return FALSE;
}

/* ---- IPv4
 * -----------------------------------------------------------------------------------
 */

typedef struct {
    struct in_addr from, to;
    guint8 protocol;
    gboolean whole; /* no fragment */
    const guint8 *payload;
    gsize length;
} Packet;

static gboolean
read_packet(const guint8 *bytes, gsize length, Packet *packet)
{
    if (length < IPV4_HEADER || bytes[0] >> 4 != 4)
        return FALSE;
    gsize header = (gsize)(bytes[0] & 15) * 4;
    if (header != IPV4_HEADER) /* options, such as those that route */
        return FALSE;
    memcpy(&packet->from, bytes + 12, sizeof packet->from);
    memcpy(&packet->to, bytes + 16, sizeof packet->to);
    packet->protocol = bytes[9];
    packet->whole = (word(bytes + 6) & 0x3fff) == 0; /* more of them, or not the first */
    packet->payload = bytes + header;
    packet->length = length - header;
    return TRUE;
}

/* Is nobody's, this machine's, this link's, or everybody's. */
static gboolean
is_special(const UplinkPolicy *policy, struct in_addr address)
{
    guint32 bits = ntohl(address.s_addr);
    guint8 first = (guint8)(bits >> 24);
    if (first == 0 || first == 127 || first >= 224 || bits >> 16 == 0xa9fe)
        return TRUE;
    for (guint i = 0; i < policy->own4->len; i++)
        if (g_array_index(policy->own4, struct in_addr, i).s_addr == address.s_addr)
            return TRUE;
    return FALSE;
}

static gboolean
to_gateway(const UplinkPolicy *policy, const Packet *packet)
{
    const struct in_addr from = packet->from;
    if (packet->protocol == IPPROTO_ICMP)
        return packet->length >= 8 && packet->payload[0] == ECHO_REQUEST;
    return packet->protocol == IPPROTO_TCP && packet->length >= 20 &&
           has_port(policy->forwards, from, word(packet->payload));
}

static gboolean
may_pass_packet(const UplinkPolicy *policy, const Packet *packet)
{
    static const struct in_addr nobody;
    const struct in_addr to = packet->to;
    gboolean is_tcp = packet->protocol == IPPROTO_TCP && packet->length >= 20;
    gboolean is_udp = packet->protocol == IPPROTO_UDP && packet->length >= 8;
    if ((packet->from.s_addr & policy->mask.s_addr) != policy->network.s_addr)
        return FALSE;
    if (packet->whole && to.s_addr == policy->door.s_addr)
        return is_tcp && has_port(policy->services, nobody, word(packet->payload + 2));
    if (packet->whole && to.s_addr == policy->gateway.s_addr)
        return to_gateway(policy, packet);
    if (packet->whole && policy->nat && to.s_addr == policy->dns.s_addr)
        return (is_tcp || is_udp) && word(packet->payload + 2) == DNS_PORT;
    if (!policy->nat || (to.s_addr & policy->mask.s_addr) == policy->network.s_addr ||
        is_special(policy, to))
        return FALSE;
    return packet->protocol == IPPROTO_TCP || packet->protocol == IPPROTO_UDP ||
           packet->protocol == IPPROTO_ICMP;
}

/* ---- IPv6
 * -----------------------------------------------------------------------------------
 */

static gboolean
is_in_prefix(const UplinkPolicy *policy, const struct in6_addr *address)
{
    for (guint bit = 0; bit < policy->prefix_bits; bit++)
        if ((policy->prefix.s6_addr[bit / 8] ^ address->s6_addr[bit / 8]) &
            0x80 >> bit % 8)
            return FALSE;
    return TRUE;
}

/* As of IPv4; what begins with a zero byte are loopback, and IPv4 in other words. */
static gboolean
is_special6(const UplinkPolicy *policy, const struct in6_addr *address)
{
    const guint8 *bytes = address->s6_addr;
    if (bytes[0] == 0 || bytes[0] == 0xff || (bytes[0] == 0xfe && bytes[1] >= 0x80) ||
        (bytes[0] == 0x20 && bytes[1] == 0x02))
        return TRUE;
    for (guint i = 0; i < policy->own6->len; i++)
        if (IN6_ARE_ADDR_EQUAL(&g_array_index(policy->own6, struct in6_addr, i), address))
            return TRUE;
    return FALSE;
}

static gboolean
may_pass_packet6(const UplinkPolicy *policy, const guint8 *bytes, gsize length,
                 gboolean to_all)
{
    struct in6_addr from, to;
    if (!policy->nat || length < IPV6_HEADER + 8 || bytes[0] >> 4 != 6)
        return FALSE;
    memcpy(&from, bytes + 8, sizeof from);
    memcpy(&to, bytes + 24, sizeof to);
    guint8 next = bytes[6], type = bytes[IPV6_HEADER];
    gboolean is_link_local = IN6_IS_ADDR_LINKLOCAL(&from);
    if (!is_in_prefix(policy, &from) && !is_link_local)
        return FALSE;
    if (next == IPPROTO_ICMPV6 &&
        (type == NEIGHBOR_SOLICITATION || type == NEIGHBOR_ADVERTISEMENT))
        return TRUE;
    if (is_link_local || to_all)
        return FALSE;
    if (IN6_ARE_ADDR_EQUAL(&to, &policy->gateway6))
        return next == IPPROTO_ICMPV6 && type == ECHO_REQUEST6;
    if (is_in_prefix(policy, &to) || is_special6(policy, &to))
        return FALSE;
    return next == IPPROTO_TCP || next == IPPROTO_UDP ||
           (next == IPPROTO_ICMPV6 && type == ECHO_REQUEST6);
}

/* ---- frames
 * -----------------------------------------------------------------------------------
 */

/* libslirp has a MAC for each of its addresses: 52:55 and an IPv4 address, or 52:56 and
 * the last bytes of one of IPv6 (its slirp.c, if_encap() and in6_compute_ethaddr()). */
static gboolean
is_ours(const UplinkPolicy *policy, const guint8 *mac)
{
    const struct in_addr *const own[] = {&policy->gateway, &policy->dns, &policy->door};
    if (mac[0] != 0x52)
        return FALSE;
    for (gsize i = 0; mac[1] == 0x55 && i < G_N_ELEMENTS(own); i++)
        if (memcmp(mac + 2, own[i], sizeof *own[i]) == 0)
            return TRUE;
    return mac[1] == 0x56 && memcmp(mac + 2, policy->gateway6.s6_addr + 12, 4) == 0;
}

gboolean
uplink_filter_is_for(const UplinkPolicy *policy, const guint8 *frame, gsize length)
{
    return length >= ETHERNET && (frame[0] & 1 || is_ours(policy, frame));
}

gboolean
uplink_filter_in(const UplinkPolicy *policy, const guint8 *frame, gsize length)
{
    Packet packet;
    if (!uplink_filter_is_for(policy, frame, length))
        return FALSE;
    gboolean to_all = frame[0] & 1;
    const guint8 *payload = frame + ETHERNET;
    switch (word(frame + 12)) {
    case TYPE_ARP:
        return length >= ETHERNET + ARP_BYTES;
    case TYPE_IPV4:
        return !to_all && read_packet(payload, length - ETHERNET, &packet) &&
               may_pass_packet(policy, &packet);
    case TYPE_IPV6:
        return may_pass_packet6(policy, payload, length - ETHERNET, to_all);
    default:
        return FALSE;
    }
}

gboolean
uplink_filter_out(const guint8 *frame, gsize length)
{
    return length < ETHERNET + IPV6_HEADER + 1 || word(frame + 12) != TYPE_IPV6 ||
           frame[ETHERNET + 6] != IPPROTO_ICMPV6 ||
           frame[ETHERNET + IPV6_HEADER] != ROUTER_ADVERTISEMENT;
}

/* ---- refusals
 * -----------------------------------------------------------------------------------
 */

static void
set_checksum(guint8 *bytes, gsize length, gsize where)
{
    guint32 sum = 0;
    for (gsize i = 0; i + 1 < length; i += 2)
        sum += word(bytes + i);
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    bytes[where] = (guint8)(~sum >> 8);
    bytes[where + 1] = (guint8)~sum;
}

/* ICMP's "prohibited", with the beginning of what it is about. */
gsize
uplink_filter_refuse(const guint8 *frame, gsize length,
                     guint8 refusal[UPLINK_REFUSAL_BYTES])
{
    const gsize quoted = IPV4_HEADER + 8, total = IPV4_HEADER + 8 + quoted;
    Packet packet;
    if (length < ETHERNET + quoted || word(frame + 12) != TYPE_IPV4 || frame[0] & 1 ||
        !read_packet(frame + ETHERNET, length - ETHERNET, &packet) || !packet.whole ||
        (packet.protocol != IPPROTO_TCP && packet.protocol != IPPROTO_UDP))
        return 0;
    memset(refusal, 0, UPLINK_REFUSAL_BYTES);
    memcpy(refusal, frame + 6, 6);
    memcpy(refusal + 6, frame, 6);
    memcpy(refusal + 12, frame + 12, 2);
    guint8 *header = refusal + ETHERNET, *message = header + IPV4_HEADER;
    header[0] = 0x45;
    header[3] = (guint8)total;
    header[8] = 64;
    header[9] = IPPROTO_ICMP;
    memcpy(header + 12, &packet.to, sizeof packet.to);
    memcpy(header + 16, &packet.from, sizeof packet.from);
    set_checksum(header, IPV4_HEADER, 10);
    message[0] = UNREACHABLE;
    message[1] = PROHIBITED;
    memcpy(message + 8, frame + ETHERNET, quoted);
    set_checksum(message, 8 + quoted, 2);
    return ETHERNET + total;
}
