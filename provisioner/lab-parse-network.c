/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * <network>, and the addresses that it may say.
 */
#include "lab-parse.h"

#include <arpa/inet.h>
#include <stdlib.h>

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
    prefix->bits = LAB_AUTO;
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

void
lab_parse_network(LabParser *parser, LabXml *element, gpointer data)
{
    Lab *lab = data;
    lab_attr_needed(parser, element, "id");
    g_autofree char *id =
        lab_attr_id(parser, element, "id", "network", lab->networks->len);
    LabNetwork *network = g_new0(LabNetwork, 1);
    network->id = g_steal_pointer(&id);
    network->pos = element->pos;
    parse_prefix(parser, element, 0, &network->ipv4);
    parse_prefix(parser, element, 1, &network->ipv6);
    g_ptr_array_add(lab->networks, network);
    lab_no_children(parser, element);
}
