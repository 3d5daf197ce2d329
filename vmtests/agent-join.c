/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * `hostbed-agent --join FILE`: gives the host's NICs their addresses on the networks that
 * join it with others, waits until their links are up, and writes the names of the hosts
 * there into /etc/hosts; and the way out of the lab, if there is one. FILE has a line for
 * each, as wire.h says.
 */
#include "agent.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/ipv6.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "interfaces.h"
#include "sysfs.h"

/* Drivers find a carrier within seconds; this is for emulation on a busy machine. */
#define CARRIER_MS 120000
#define HOSTS "etc/hosts"
#define HOSTS_NEW "etc/hosts.hostbed"
#define HOSTS_BEGIN "# hostbed: hosts of the lab\n"
#define HOSTS_END "# hostbed: end\n"
#define LINE_MAX_BYTES 512

/* ---- one interface
 * --------------------------------------------------------------------------------- */

static void
take_name(const char *function, const char *folder, const char *name, void *interface)
{
    (void)function;
    (void)folder;
    snprintf(interface, IF_NAMESIZE, "%s", name);
}

/* TEXT "ADDRESS/LENGTH" → ADDRESS of FAMILY; the length, or -1. */
static int
parse_address(int family, const char *text, void *address)
{
    char copy[INET6_ADDRSTRLEN];
    const char *slash = strchr(text, '/');
    if (!slash || (size_t)(slash - text) >= sizeof copy)
        return -1;
    memcpy(copy, text, (size_t)(slash - text));
    copy[slash - text] = '\0';
    return inet_pton(family, copy, address) == 1 ? atoi(slash + 1) : -1;
}

static int
set_ipv4(int fd, const char *interface, const char *text)
{
    struct ifreq request = {0};
    struct sockaddr_in address = {.sin_family = AF_INET};
    int length = parse_address(AF_INET, text, &address.sin_addr);
    if (length < 1 || length > 32) {
        errno = EINVAL;
        return -1;
    }
    snprintf(request.ifr_name, sizeof request.ifr_name, "%s", interface);
    memcpy(&request.ifr_addr, &address, sizeof address);
    if (ioctl(fd, SIOCSIFADDR, &request) < 0)
        return -1;
    address.sin_addr.s_addr = htonl(UINT32_MAX << (32 - length));
    memcpy(&request.ifr_netmask, &address, sizeof address);
    return ioctl(fd, SIOCSIFNETMASK, &request);
}

/* Nobody else has the address, so that the host need not ask before it may use it. */
static void
trust_addresses(int root, const char *interface)
{
    char path[80];
    snprintf(path, sizeof path, "proc/sys/net/ipv6/conf/%s/accept_dad", interface);
    int fd = openat(root, path, O_WRONLY | O_CLOEXEC);
    if (fd >= 0) {
        (void)!write(fd, "0", 1);
        close(fd);
    }
}

/* A kernel without IPv6 has none. */
static int
set_ipv6(const char *interface, const char *text)
{
    struct in6_ifreq request = {.ifr6_ifindex = (int)if_nametoindex(interface)};
    int length = parse_address(AF_INET6, text, &request.ifr6_addr);
    int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return errno == EAFNOSUPPORT ? 0 : -1;
    request.ifr6_prefixlen = (uint32_t)length;
    int result = ioctl(fd, SIOCSIFADDR, &request);
    int error = errno;
    close(fd);
    errno = error;
    return result < 0 && error != EEXIST ? -1 : 0;
}

static int
set_up(int fd, const char *interface)
{
    struct ifreq request = {0};
    snprintf(request.ifr_name, sizeof request.ifr_name, "%s", interface);
    if (ioctl(fd, SIOCGIFFLAGS, &request) < 0)
        return -1;
    request.ifr_flags |= IFF_UP;
    return ioctl(fd, SIOCSIFFLAGS, &request);
}

/* ---- links
 * -----------------------------------------------------------------------------------------
 */

static bool
has_carrier(int fd, const char *interface)
{
    struct ifreq request = {0};
    snprintf(request.ifr_name, sizeof request.ifr_name, "%s", interface);
    return ioctl(fd, SIOCGIFFLAGS, &request) == 0 && (request.ifr_flags & IFF_RUNNING);
}

/* The kernel tells of links on NETLINK. */
static bool
wait_carrier(int fd, int netlink, const char *interface, int64_t end)
{
    char news[8192];
    while (!has_carrier(fd, interface)) {
        int64_t left = end - now_ms();
        struct pollfd wait = {.fd = netlink, .events = POLLIN};
        if (left <= 0 || poll(&wait, 1, (int)left) == 0)
            return has_carrier(fd, interface);
        while (recv(netlink, news, sizeof news, MSG_DONTWAIT) > 0)
            ;
    }
    return true;
}

static int
open_netlink(void)
{
    const struct sockaddr_nl links = {.nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK};
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (fd >= 0)
        bind(fd, (const struct sockaddr *)&links, sizeof links);
    return fd;
}

/* ---- names
 * -----------------------------------------------------------------------------------------
 */

/* What stands there already, without what an earlier call has written. */
static void
copy_others(FILE *from, FILE *to)
{
    char *line = NULL;
    size_t size = 0;
    bool ours = false;
    while (getline(&line, &size, from) >= 0) {
        ours = ours || strcmp(line, HOSTS_BEGIN) == 0;
        if (!ours)
            fputs(line, to);
        ours = ours && strcmp(line, HOSTS_END) != 0;
    }
    free(line);
}

/* Ours come first: a host's own name is to be its address on the networks. */
static bool
write_hosts(int root, const char *names)
{
    int old_fd = openat(root, HOSTS, O_RDONLY | O_CLOEXEC);
    int new_fd = openat(root, HOSTS_NEW, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    FILE *from = old_fd >= 0 ? fdopen(old_fd, "r") : NULL;
    FILE *to = new_fd >= 0 ? fdopen(new_fd, "w") : NULL;
    bool ok = to != NULL;
    if (to) {
        fprintf(to, HOSTS_BEGIN "%s" HOSTS_END, names);
        if (from)
            copy_others(from, to);
        ok = fclose(to) == 0 && renameat(root, HOSTS_NEW, root, HOSTS) == 0;
    }
    if (from)
        fclose(from);
    if (!ok)
        fprintf(stderr, "/etc/hosts cannot be written: %s\n", strerror(errno));
    return ok;
}

/* ---- all of it
 * -------------------------------------------------------------------------------------
 */

typedef struct {
    int root, fd, netlink;
    char names[64 * 1024];
    char interfaces[256][IF_NAMESIZE];
    size_t count;
} Join;

static bool
complain(const char *function, const char *what)
{
    fprintf(stderr, "%s: %s: %s\n", function, what, strerror(errno));
    return false;
}

static bool
join_nic(Join *join, const char *function, const char *ipv4, const char *ipv6)
{
    char *name = join->interfaces[join->count];
    *name = '\0';
    interfaces_visit(join->root, function, take_name, name);
    if (*name == '\0') {
        fprintf(stderr, "%s: it has no network interface\n", function);
        return false;
    }
    trust_addresses(join->root, name);
    if (set_up(join->fd, name) < 0)
        return complain(function, "it cannot be brought up");
    if (set_ipv4(join->fd, name, ipv4) < 0)
        return complain(function, "its IPv4 address cannot be set");
    if (set_ipv6(name, ipv6) < 0)
        return complain(function, "its IPv6 address cannot be set");
    join->count++;
    return true;
}

static bool
obey_line(Join *join, char *line)
{
    char function[64], ipv4[64], ipv6[64];
    if (strncmp(line, "name ", 5) == 0) {
        size_t used = strlen(join->names);
        snprintf(join->names + used, sizeof join->names - used, "%s\n", line + 5);
        return true;
    }
    if (sscanf(line, "route %63s %63s", ipv4, ipv6) == 2)
        return join_route(ipv4, ipv6);
    if (sscanf(line, "dns %63s", ipv4) == 1)
        return join_dns(join->root, ipv4);
    if (sscanf(line, "nic %63s %63s %63s", function, ipv4, ipv6) == 3 &&
        join->count < sizeof join->interfaces / sizeof join->interfaces[0])
        return join_nic(join, function, ipv4, ipv6);
    fprintf(stderr, "'%s' is none of the harness's lines\n", line);
    return false;
}

static bool
wait_carriers(const Join *join)
{
    int64_t end = now_ms() + CARRIER_MS;
    for (size_t i = 0; i < join->count; i++)
        if (!wait_carrier(join->fd, join->netlink, join->interfaces[i], end)) {
            fprintf(stderr, "%s has no carrier after %d s\n", join->interfaces[i],
                    CARRIER_MS / 1000);
            return false;
        }
    return true;
}

int
join_main(const char *root_path, char **words)
{
    static Join join;
    char line[LINE_MAX_BYTES];
    bool ok = true;
    join.root = sysfs_open(root_path);
    join.fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    join.netlink = open_netlink();
    FILE *file = fopen(words[0], "re");
    if (!file)
        return complain(words[0], "it cannot be read") ? 0 : 1;
    while (ok && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = '\0';
        ok = obey_line(&join, line);
    }
    fclose(file);
    ok = ok && write_hosts(join.root, join.names) && wait_carriers(&join);
    close(join.netlink);
    close(join.fd);
    close(join.root);
    return ok ? 0 : 1;
}
