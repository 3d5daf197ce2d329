/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "networks.h"

#include <stdlib.h>
#include <string.h>

/* Words "ADDRESS=NETWORK". */
bool
network_of(const char *address, char name[NETWORK_NAME_MAX])
{
    const char *networks = getenv("HOSTBED_NETWORKS");
    const char *at = networks ? strstr(networks, address) : NULL;
    if (!at || at[strlen(address)] != '=')
        return false;
    at += strlen(address) + 1;
    size_t length = strcspn(at, " ");
    if (length >= NETWORK_NAME_MAX)
        return false;
    memcpy(name, at, length);
    name[length] = '\0';
    return true;
}

bool
are_wired(const char *one, const char *other)
{
    char network[NETWORK_NAME_MAX], another[NETWORK_NAME_MAX];
    return network_of(one, network) && network_of(other, another) &&
           strcmp(network, another) == 0;
}

bool
wired_pair(const char *(*function)(unsigned number), const char **one, const char **other)
{
    for (unsigned i = 0; (*one = function(i)); i++)
        for (unsigned j = i + 1; (*other = function(j)); j++)
            if (are_wired(*one, *other))
                return true;
    return false;
}
