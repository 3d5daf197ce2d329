/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The way out of the lab, of hosts that have one (agent-join.c): whom they send what is
 * for nobody on their networks, and whom they ask for names.
 */
#include "agent.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/route.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define RESOLV "etc/resolv.conf"
#define RESOLV_NEW "etc/resolv.conf.hostbed"

static bool
route_ipv4(const char *gateway)
{
    struct rtentry route = {.rt_flags = RTF_UP | RTF_GATEWAY};
    struct sockaddr_in any = {.sin_family = AF_INET}, by = any;
    if (inet_pton(AF_INET, gateway, &by.sin_addr) != 1) {
        errno = EINVAL;
        return false;
    }
    memcpy(&route.rt_dst, &any, sizeof any);
    memcpy(&route.rt_genmask, &any, sizeof any);
    memcpy(&route.rt_gateway, &by, sizeof by);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool ok = fd >= 0 && (ioctl(fd, SIOCADDRT, &route) == 0 || errno == EEXIST);
    int error = errno;
    if (fd >= 0)
        close(fd);
    errno = error;
    return ok;
}

/* A kernel without IPv6 has no such way. */
static bool
route_ipv6(const char *gateway)
{
    struct in6_rtmsg route = {.rtmsg_flags = RTF_UP | RTF_GATEWAY, .rtmsg_metric = 1};
    if (inet_pton(AF_INET6, gateway, &route.rtmsg_gateway) != 1) {
        errno = EINVAL;
        return false;
    }
    int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return errno == EAFNOSUPPORT;
    bool ok = ioctl(fd, SIOCADDRT, &route) == 0 || errno == EEXIST;
    int error = errno;
    close(fd);
    errno = error;
    return ok;
}

bool
join_route(const char *ipv4, const char *ipv6)
{
    if (!route_ipv4(ipv4)) {
        fprintf(stderr, "no way leads out by %s: %s\n", ipv4, strerror(errno));
        return false;
    }
    if (!route_ipv6(ipv6)) {
        fprintf(stderr, "no way leads out by %s: %s\n", ipv6, strerror(errno));
        return false;
    }
    return true;
}

/* A link that is there, to what a resolver of the distribution writes, makes place. */
bool
join_dns(int root, const char *address)
{
    int fd = openat(root, RESOLV_NEW, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    FILE *file = fd >= 0 ? fdopen(fd, "w") : NULL;
    bool ok = file && fprintf(file, "nameserver %s\n", address) > 0;
    if (file)
        ok = fclose(file) == 0 && ok && renameat(root, RESOLV_NEW, root, RESOLV) == 0;
    if (!ok)
        fprintf(stderr, "/etc/resolv.conf cannot be written: %s\n", strerror(errno));
    return ok;
}
