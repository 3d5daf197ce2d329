/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Names of network interfaces: eth0, eth1, … in the order of interfaces.h, whichever
 * driver was first.
 */
#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "interfaces.h"

#define RCU_EXPEDITED "/sys/kernel/rcu_expedited"

static bool
rename_interface(int fd, const char *from, const char *to)
{
    struct ifreq request = {0};
    if (strlen(from) >= IFNAMSIZ || strlen(to) >= IFNAMSIZ) {
        errno = ENAMETOOLONG;
        return false;
    }
    strcpy(request.ifr_name, from);
    strcpy(request.ifr_newname, to);
    return ioctl(fd, SIOCSIFNAME, &request) == 0;
}

/* Moves those that are called otherwise out of the way, or from there to their names. */
static void
rename_all(Agent *agent, int fd, const Interfaces *interfaces, bool aside)
{
    for (size_t i = 0; i < interfaces->count; i++) {
        const char *present = interfaces->names[i];
        char name[32], between[32];
        snprintf(name, sizeof name, "eth%zu", i);
        snprintf(between, sizeof between, "hostbed%zu", i);
        if (strcmp(present, name) != 0 &&
            !rename_interface(fd, aside ? present : between, aside ? between : name))
            agent_trouble(agent, "cannot rename the network interface %s to %s: %s",
                          present, name, strerror(errno));
    }
}

/* Each renaming waits until no processor looks at the old name. The kernel can hurry that
 * up, and for dozens of interfaces it is the difference between a second and none. */
static void
hurry(bool on)
{
    int fd = open(RCU_EXPEDITED, O_WRONLY | O_CLOEXEC);
    if (fd >= 0) {
        (void)!write(fd, on ? "1" : "0", 1);
        close(fd);
    }
}

void
net_rename(Agent *agent)
{
    int root = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    Interfaces interfaces = interfaces_in_order(root);
    hurry(true);
    /* A name may be another's present one, so all get out of the way first. */
    rename_all(agent, fd, &interfaces, true);
    rename_all(agent, fd, &interfaces, false);
    hurry(false);
    interfaces_clear(&interfaces);
    if (fd >= 0)
        close(fd);
    if (root >= 0)
        close(root);
}
