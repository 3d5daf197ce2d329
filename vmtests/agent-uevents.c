/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent.h"

#include <linux/netlink.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

int
uevents_open(void)
{
    struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = 1};
    int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
                    NETLINK_KOBJECT_UEVENT);
    if (fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

bool
uevents_wait(int fd, int timeout_ms)
{
    char message[4096];
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    if (poll(&wait, 1, timeout_ms) <= 0)
        return false;
    /* Content does not matter, and ENOBUFS (some were lost) wakes us all the same. */
    while (recv(fd, message, sizeof message, 0) > 0)
        ;
    return true;
}
