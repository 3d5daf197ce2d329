/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * `hostbed-agent --bind ADDRESS…`: gives PCI functions to vfio-pci before a command of
 * the harness starts, and prints the group of each: "ADDRESS GROUP" a line. A process of
 * its own, because a driver may take its time to let go.
 */
#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sysfs.h"

#define PCI "sys/bus/pci"
#define DRIVER "vfio-pci"

static bool
write_file(int root, const char *path, const char *text)
{
    int fd = openat(root, path, O_WRONLY | O_CLOEXEC);
    ssize_t length = (ssize_t)strlen(text);
    bool ok = fd >= 0 && write(fd, text, (size_t)length) == length;
    int error = errno;
    if (fd >= 0)
        close(fd);
    errno = error;
    return ok;
}

static bool
has_driver(int root, const char *address, const char *name)
{
    char *driver = sysfs_link_name(root, PCI "/devices/%s/driver", address);
    bool has = driver && (!name || strcmp(driver, name) == 0);
    free(driver);
    return has;
}

static bool
complain(const char *address, const char *what)
{
    fprintf(stderr, "%s: %s: %s\n", address, what, strerror(errno));
    return false;
}

/* What the override is written for at once, so that no other driver is tried. */
static bool
bind_one(int root, const char *address)
{
    char path[120];
    if (strchr(address, '/') || strlen(address) > 32 ||
        !sysfs_exists(root, PCI "/devices/%s", address)) {
        fprintf(stderr, "%s: there is no such function\n", address);
        return false;
    }
    if (has_driver(root, address, DRIVER))
        return true;
    snprintf(path, sizeof path, PCI "/devices/%s/driver_override", address);
    if (!write_file(root, path, DRIVER))
        return complain(address, "cannot set the driver");
    snprintf(path, sizeof path, PCI "/devices/%s/driver/unbind", address);
    if (has_driver(root, address, NULL) && !write_file(root, path, address))
        return complain(address, "cannot be taken from its driver");
    if (!write_file(root, PCI "/drivers_probe", address))
        return complain(address, "cannot be given to " DRIVER);
    if (has_driver(root, address, DRIVER))
        return true;
    fprintf(stderr, "%s: " DRIVER " does not take it\n", address);
    return false;
}

static bool
print_group(int root, const char *address)
{
    char *group = sysfs_link_name(root, PCI "/devices/%s/iommu_group", address);
    if (group)
        printf("%s %s\n", address, group);
    else
        fprintf(stderr, "%s: it has no IOMMU group\n", address);
    free(group);
    return group != NULL;
}

int
bind_main(const char *root_path, char **addresses)
{
    int root = sysfs_open(root_path);
    bool ok = root >= 0;
    for (char **address = addresses; ok && *address; address++)
        ok = bind_one(root, *address);
    for (char **address = addresses; ok && *address; address++)
        ok = print_group(root, *address);
    if (root >= 0)
        close(root);
    return ok && fflush(stdout) == 0 ? 0 : 1;
}
