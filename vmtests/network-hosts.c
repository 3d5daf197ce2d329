/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Who is on which network, as the harness says.
 */
#include "network-suite.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <linux/if_packet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "link-wire.h"
#include "networks.h"

#define JOINED_MAX 256

int
joined_parse(const char *text, Joined *list, int maximum)
{
    int count = 0;
    while (text && count < maximum) {
        Joined *one = &list[count];
        if (sscanf(text, "%64[^/ ]/%64[^/ ]/%15[^/ ]/%45[^/ ]", one->host, one->network,
                   one->ipv4, one->ipv6) == 4) {
            snprintf(one->name, sizeof one->name, "%s.%s", one->host, one->network);
            count++;
        }
        text = strchr(text, ' ');
        text = text ? text + 1 : NULL;
    }
    return count;
}

static const Joined *
joined(int *count)
{
    static Joined list[JOINED_MAX];
    static int known = -1;
    if (known < 0)
        known = joined_parse(getenv(LINK_JOINED), list, JOINED_MAX);
    *count = known;
    return list;
}

static bool
is_self(const Joined *one)
{
    const char *host = getenv("HOSTBED_HOST");
    return host && strcmp(one->host, host) == 0;
}

void
each_peer(void (*each)(const Joined *peer))
{
    int count, peers = 0;
    const Joined *list = joined(&count);
    for (int i = 0; i < count; i++)
        if (!is_self(&list[i])) {
            each(&list[i]);
            peers++;
        }
    skip_unless_tried(peers, "other host on its networks");
}

const Joined *
joined_self(const char *network)
{
    int count;
    const Joined *list = joined(&count);
    for (int i = 0; i < count; i++)
        if (is_self(&list[i]) && strcmp(list[i].network, network) == 0)
            return &list[i];
    fail_msg("this host is not on network %s", network);
    return NULL;
}

static void
take_mac(const struct ifaddrs *list, NetInterface *interface)
{
    for (const struct ifaddrs *one = list; one; one = one->ifa_next) {
        const struct sockaddr_ll *address = (const void *)one->ifa_addr;
        if (address && address->sll_family == AF_PACKET &&
            strcmp(one->ifa_name, interface->name) == 0)
            memcpy(interface->mac, address->sll_addr, sizeof interface->mac);
    }
}

bool
interface_of(const Joined *self, NetInterface *interface)
{
    struct in_addr wanted;
    struct ifaddrs *list;
    *interface = (NetInterface){0};
    if (inet_pton(AF_INET, self->ipv4, &wanted) != 1 || getifaddrs(&list) != 0)
        return false;
    for (const struct ifaddrs *one = list; one; one = one->ifa_next) {
        const struct sockaddr_in *address = (const void *)one->ifa_addr;
        if (address && address->sin_family == AF_INET &&
            address->sin_addr.s_addr == wanted.s_addr) {
            snprintf(interface->name, sizeof interface->name, "%s", one->ifa_name);
            interface->index = (int)if_nametoindex(one->ifa_name);
        }
    }
    take_mac(list, interface);
    freeifaddrs(list);
    return interface->index > 0;
}

/* The first in the text is the first by address, whose addresses are the host's. */
const char *
function_on(const char *network)
{
    static char address[32];
    char name[NETWORK_NAME_MAX];
    const char *text = getenv(LINK_NETWORKS);
    while (text && sscanf(text, "%31[^=]", address) == 1) {
        if (network_of(address, name) && strcmp(name, network) == 0)
            return address;
        text = strchr(text, ' ');
        text = text ? text + 1 : NULL;
    }
    fail_msg("no function of this host is on network %s", network);
    return NULL;
}
