/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What the agent does to PCI functions before anybody looks: it makes the virtual ones,
 * and names the network interfaces of all.
 */
#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "interfaces.h"
#include "sysfs.h"

#define DEVICES "sys/bus/pci/devices"
/* A driver gets so long for the virtual functions of a list. */
#define VFS_MS 10000
#define RCU_EXPEDITED "/sys/kernel/rcu_expedited"

/* ---- virtual functions
 * -------------------------------------------------------------------------------- */

typedef struct {
    char address[24]; /* of the physical function */
    unsigned count;
} Vfs;

/* "0000:b5:00.0:2" → address and count. */
static bool
parse_vfs(const char *word, size_t length, Vfs *vfs)
{
    char text[40];
    unsigned domain, bus, slot, function;
    int end = 0;
    if (length >= sizeof text)
        return false;
    memcpy(text, word, length);
    text[length] = '\0';
    if (sscanf(text, "%6x:%2x:%2x.%1x:%5u%n", &domain, &bus, &slot, &function,
               &vfs->count, &end) != 5 ||
        text[end] != '\0')
        return false;
    snprintf(vfs->address, sizeof vfs->address, "%04x:%02x:%02x.%x", domain, bus, slot,
             function);
    return true;
}

/* Virtual functions are on the bus when this returns; their drivers may still be at work.
 */
static bool
ask_for_vfs(Agent *agent, const Vfs *vfs)
{
    char path[80];
    snprintf(path, sizeof path, "/" DEVICES "/%s/sriov_numvfs", vfs->address);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool ok = fd >= 0 && dprintf(fd, "%u", vfs->count) > 0;
    if (!ok)
        agent_trouble(agent, "cannot make %u virtual functions of %s: %s", vfs->count,
                      vfs->address, strerror(errno));
    if (fd >= 0)
        close(fd);
    return ok;
}

/* Whether each virtual function has its interface: a driver shows that last. */
static bool
vfs_are_ready(int root, const Vfs *vfs)
{
    for (unsigned i = 0; i < vfs->count; i++) {
        char *address = sysfs_link_name(root, DEVICES "/%s/virtfn%u", vfs->address, i);
        bool ready = address && interfaces_has(root, address);
        free(address);
        if (!ready)
            return false;
    }
    return true;
}

static void
make_vfs(Agent *agent, const Vfs *vfs, int uevents)
{
    int root = sysfs_open("/");
    int64_t end = now_ms() + VFS_MS;
    if (ask_for_vfs(agent, vfs)) {
        while (!vfs_are_ready(root, vfs)) {
            int64_t left = end - now_ms();
            if (left > 0 && uevents_wait(uevents, (int)left))
                continue;
            if (!vfs_are_ready(root, vfs))
                agent_trouble(agent,
                              "some virtual functions of %s have no driver after %d s",
                              vfs->address, VFS_MS / 1000);
            break;
        }
    }
    if (root >= 0)
        close(root);
}

void
pci_make_vfs(Agent *agent, const char *list, int uevents)
{
    for (const char *word = list; *word;) {
        size_t length = strcspn(word, ",");
        Vfs vfs;
        if (parse_vfs(word, length, &vfs))
            make_vfs(agent, &vfs, uevents);
        else
            agent_trouble(agent, "hostbed.vfs=%s is not ADDRESS:COUNT", word);
        word += length + (word[length] == ',');
    }
}

/* ---- network interfaces
 * ------------------------------------------------------------------------------ */

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

/* Of those that have other names. What is up stays what it is called, for who has brought
 * it up may have said more about it. */
static bool
any_is_up(int fd, const Interfaces *interfaces)
{
    for (size_t i = 0; i < interfaces->count; i++) {
        struct ifreq request = {0};
        char name[32];
        snprintf(name, sizeof name, "eth%zu", i);
        snprintf(request.ifr_name, sizeof request.ifr_name, "%s", interfaces->names[i]);
        if (strcmp(interfaces->names[i], name) != 0 &&
            ioctl(fd, SIOCGIFFLAGS, &request) == 0 && request.ifr_flags & IFF_UP)
            return true;
    }
    return false;
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
pci_name_interfaces(Agent *agent)
{
    int root = sysfs_open("/");
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    Interfaces interfaces = interfaces_in_order(root);
    hurry(true);
    /* A name may be another's present one, so all get out of the way first. */
    if (!any_is_up(fd, &interfaces)) {
        rename_all(agent, fd, &interfaces, true);
        rename_all(agent, fd, &interfaces, false);
    } else {
        agent_log(agent, 5, "network interfaces keep their names, as some are up");
    }
    hurry(false);
    interfaces_clear(&interfaces);
    if (fd >= 0)
        close(fd);
    if (root >= 0)
        close(root);
}
