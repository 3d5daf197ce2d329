/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * <network>, the addresses that it may say, and what leads out of it and into it.
 */
#include "lab-parse.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

/* As topologies/lab.rng has them; what addresses they are is for parse_prefix(). */
static const struct {
    const char *attribute, *pattern, *example;
    int family, bytes, bits_min, bits_max;
} prefixes[] = {
    {"ipv4", "^[0-9]{1,3}(\\.[0-9]{1,3}){3}/[0-9]{1,2}$", "10.1.0.0/24", AF_INET, 4, 8,
     30},
    {"ipv6", "^[0-9a-fA-F:]{2,39}/[0-9]{1,3}$", "fd00:1::/64", AF_INET6, 16, 16, 120},
};

/* Loopback, multicast and what is nobody's are no hosts' addresses. */
static gboolean
is_for_hosts(const LabPrefix *prefix, int family)
{
    const guint8 *bytes = prefix->bytes;
    if (family == AF_INET)
        return bytes[0] != 0 && bytes[0] != 127 && bytes[0] < 224;
    return bytes[0] != 0 && bytes[0] != 0xff && !(bytes[0] == 0xfe && bytes[1] >= 0x80);
}

static gboolean
ends_in_zeroes(const LabPrefix *prefix, int bytes)
{
    for (int bit = prefix->bits; bit < bytes * 8; bit++)
        if (prefix->bytes[bit / 8] & 0x80 >> bit % 8)
            return FALSE;
    return TRUE;
}

static void
parse_prefix(LabParser *parser, LabXml *element, gsize kind, LabPrefix *prefix)
{
    const char *name = prefixes[kind].attribute, *text = lab_attr(parser, element, name);
    if (!text)
        return;
    if (!g_regex_match_simple(prefixes[kind].pattern, text, 0, 0)) {
        g_autofree char *what = g_strdup_printf("is no prefix of addresses; %s is one",
                                                prefixes[kind].example);
        lab_attr_wrong(parser, element, name, what);
        return;
    }
    g_auto(GStrv) parts = g_strsplit(text, "/", 2);
    int bits = atoi(parts[1]);
    LabPrefix value = {.bits = bits};
    gboolean is_right = bits >= prefixes[kind].bits_min &&
                        bits <= prefixes[kind].bits_max &&
                        inet_pton(prefixes[kind].family, parts[0], value.bytes) == 1 &&
                        is_for_hosts(&value, prefixes[kind].family) &&
                        ends_in_zeroes(&value, prefixes[kind].bytes);
    if (is_right)
        *prefix = value;
    else
        lab_say(parser, lab_attr_pos(element, name), "network",
                "<network>: %s='%s' is no prefix that hosts can have addresses of: %d to "
                "%d bits and zeroes behind them, as in %s",
                name, text, prefixes[kind].bits_min, prefixes[kind].bits_max,
                prefixes[kind].example);
}

/* ---- passages
 * ---------------------------------------------------------------------------------
 */

#define TO_PATTERN "^([0-9.]{7,15}|\\[[0-9a-fA-F:.]{2,45}\\]):[0-9]{1,5}$"

/* "ADDRESS:PORT" of the machine; of its loopback by IPv4, if LOOPBACK. */
static char *
parse_to(LabParser *parser, LabXml *element, gboolean loopback)
{
    const char *text = lab_attr_needed(parser, element, "to");
    if (!text)
        return NULL;
    if (!g_regex_match_simple(TO_PATTERN, text, 0, 0)) {
        lab_attr_wrong(parser, element, "to",
                       "is no address with a port; 127.0.0.1:5432 is one");
        return NULL;
    }
    guint8 bytes[16];
    const char *colon = strrchr(text, ':');
    gboolean ipv6 = *text == '[';
    g_autofree char *address =
        g_strndup(text + ipv6, (gsize)(colon - text) - (ipv6 ? 2 : 0));
    guint64 port = g_ascii_strtoull(colon + 1, NULL, 10);
    if (inet_pton(ipv6 ? AF_INET6 : AF_INET, address, bytes) == 1 && port >= 1 &&
        port <= G_MAXUINT16 && (!loopback || (!ipv6 && bytes[0] == 127)))
        return g_strdup(text);
    lab_say(parser, lab_attr_pos(element, "to"), "network",
            "<%s>: to='%s' is no port 1 to 65535 of %s address, as in 127.0.0.1:5432",
            element->name, text, loopback ? "an IPv4 loopback" : "an");
    return NULL;
}

static LabPassage *
parse_passage(LabParser *parser, LabXml *element, gboolean loopback)
{
    LabPassage *passage = g_new0(LabPassage, 1);
    passage->pos = element->pos;
    if (lab_attr_needed(parser, element, "port"))
        lab_attr_int(parser, element, "port", 1, G_MAXUINT16, &passage->port);
    passage->to = parse_to(parser, element, loopback);
    return passage;
}

static void
parse_service(LabParser *parser, LabXml *element, gpointer data)
{
    LabNetwork *network = data;
    g_ptr_array_add(network->services, parse_passage(parser, element, FALSE));
    lab_no_children(parser, element);
}

static void
parse_forward(LabParser *parser, LabXml *element, gpointer data)
{
    LabNetwork *network = data;
    LabPassage *passage = parse_passage(parser, element, TRUE);
    const char *host = lab_attr_needed(parser, element, "host");
    if (host && !lab_is_id(host))
        lab_attr_wrong(parser, element, "host", "is not the name of a <host>");
    passage->host = g_strdup(host);
    g_ptr_array_add(network->forwards, passage);
    lab_no_children(parser, element);
}

static void
parse_uplink(LabParser *parser, LabXml *element, gpointer data)
{
    static const LabChild children[] = {
        {"service", parse_service},
        {NULL},
    };
    LabNetwork *network = data;
    network->has_uplink = TRUE;
    network->uplink_pos = element->pos;
    lab_attr_switch(parser, element, "nat", &network->nat);
    lab_children(parser, element, children, network);
}

void
lab_parse_network(LabParser *parser, LabXml *element, gpointer data)
{
    static const LabChild children[] = {
        {"uplink", parse_uplink, .once = TRUE},
        {"forward", parse_forward},
        {NULL},
    };
    Lab *lab = data;
    lab_attr_needed(parser, element, "id");
    g_autofree char *id =
        lab_attr_id(parser, element, "id", "network", lab->networks->len);
    LabNetwork *network = lab_network_new(id);
    network->pos = element->pos;
    parse_prefix(parser, element, 0, &network->ipv4);
    parse_prefix(parser, element, 1, &network->ipv6);
    g_ptr_array_add(lab->networks, network);
    lab_children(parser, element, children, network);
}
