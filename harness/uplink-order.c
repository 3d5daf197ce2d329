/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "uplink-order.h"

#include <arpa/inet.h>
#include <string.h>

#include "json-line.h"

/* ---- written
 * -----------------------------------------------------------------------------------
 */

static JsonArray *
passages(const GPtrArray *list)
{
    JsonArray *array = json_array_new();
    for (guint i = 0; i < list->len; i++) {
        const PlanPassage *passage = list->pdata[i];
        JsonObject *object = json_object_new();
        g_autofree char *where =
            g_strdup_printf("%s:%d", passage->pos.file, passage->pos.line);
        json_object_set_int_member(object, "port", passage->port);
        json_object_set_string_member(object, "to", passage->to);
        json_object_set_string_member(object, "where", where);
        if (passage->guest)
            json_object_set_string_member(object, "guest", passage->guest);
        json_array_add_object_element(array, object);
    }
    return array;
}

JsonObject *
uplink_order_new(const PlanUplink *uplink, gboolean forwards)
{
    JsonObject *order = json_object_new();
    json_object_set_string_member(order, "ipv4", uplink->ipv4);
    json_object_set_string_member(order, "ipv6", uplink->ipv6);
    json_object_set_string_member(order, "dns", uplink->dns);
    json_object_set_string_member(order, "door", uplink->door);
    json_object_set_boolean_member(order, "nat", uplink->nat);
    json_object_set_array_member(order, "services", passages(uplink->services));
    if (forwards)
        json_object_set_array_member(order, "forwards", passages(uplink->forwards));
    return order;
}

/* ---- read
 * -----------------------------------------------------------------------------------
 */

JsonArray *
uplink_order_passages(JsonObject *order, const char *name)
{
    return json_line_array(order, name);
}

static gboolean
read_address(JsonObject *object, const char *name, int family, void *address)
{
    const char *text = json_line_string(object, name);
    return text && inet_pton(family, text, address) == 1;
}

/* "ADDRESS/BITS"; the bits, or -1. */
static int
read_prefix(JsonObject *order, const char *name, int family, void *address)
{
    const char *text = json_line_string(order, name);
    g_auto(GStrv) parts = g_strsplit(text ? text : "", "/", 2);
    guint64 bits;
    if (g_strv_length(parts) != 2 || inet_pton(family, parts[0], address) != 1 ||
        !g_ascii_string_to_unsigned(parts[1], 10, 1, family == AF_INET ? 31 : 127, &bits,
                                    NULL))
        return -1;
    return (int)bits;
}

static gboolean
read_ports(JsonObject *order, const char *name, GArray *ports)
{
    JsonArray *array = uplink_order_passages(order, name);
    for (guint i = 0; array && i < json_array_get_length(array); i++) {
        JsonObject *passage = json_array_get_object_element(array, i);
        UplinkPort port = {0};
        port.port = (guint16)json_line_int(passage, "port", 0);
        if (json_object_has_member(passage, "guest") &&
            !read_address(passage, "guest", AF_INET, &port.guest))
            return FALSE;
        g_array_append_val(ports, port);
    }
    return TRUE;
}

gboolean
uplink_order_policy(JsonObject *order, UplinkPolicy *policy)
{
    int bits4 = read_prefix(order, "ipv4", AF_INET, &policy->gateway);
    int bits6 = read_prefix(order, "ipv6", AF_INET6, &policy->gateway6);
    if (bits4 < 0 || bits6 < 0 || !read_address(order, "dns", AF_INET, &policy->dns) ||
        !read_address(order, "door", AF_INET, &policy->door))
        return FALSE;
    policy->mask.s_addr = htonl(G_MAXUINT32 << (32 - bits4));
    policy->network.s_addr = policy->gateway.s_addr & policy->mask.s_addr;
    policy->prefix_bits = (guint)bits6;
    for (guint bit = 0; bit < policy->prefix_bits; bit++)
        policy->prefix.s6_addr[bit / 8] |=
            policy->gateway6.s6_addr[bit / 8] & 0x80 >> bit % 8;
    JsonNode *nat = json_object_get_member(order, "nat");
    policy->nat = nat && json_node_get_boolean(nat);
    return read_ports(order, "services", policy->services) &&
           read_ports(order, "forwards", policy->forwards);
}

gboolean
uplink_order_address(const char *to, struct sockaddr_in *address)
{
    g_auto(GStrv) parts = g_strsplit(to, ":", 2);
    guint64 port;
    *address = (struct sockaddr_in){.sin_family = AF_INET};
    if (g_strv_length(parts) != 2 ||
        inet_pton(AF_INET, parts[0], &address->sin_addr) != 1 ||
        !g_ascii_string_to_unsigned(parts[1], 10, 1, G_MAXUINT16, &port, NULL))
        return FALSE;
    address->sin_port = htons((guint16)port);
    return TRUE;
}
