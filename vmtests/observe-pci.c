/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * PCI functions: where they are, what they are, what they got.
 */
#include "observer.h"

#include <ctype.h>
#include <inttypes.h>
#include <linux/ethtool.h>
#include <linux/if_ether.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "interfaces.h"
#include "mac.h"

#define DEVICES "sys/bus/pci/devices"

/* The link ends in the path of bridges: …/pci0000:b4/0000:b4:00.0/0000:b5:00.0 */
static void
observe_parent(Observer *observer, const char *function)
{
    char *path = sysfs_link(observer->root, DEVICES "/%s", function);
    char *last = path ? strrchr(path, '/') : NULL;
    if (last)
        *last = '\0';
    char *parent = last ? strrchr(path, '/') : NULL;
    if (parent && isxdigit((unsigned char)parent[1]))
        observer_add(observer, "pci %s parent %s", function, parent + 1);
    else if (parent)
        observer_add(observer, "pci %s parent root", function);
    free(path);
}

static void
observe_numbers(Observer *observer, const char *function)
{
    uint64_t vendor, device, class;
    if (sysfs_number(observer->root, &vendor, DEVICES "/%s/vendor", function) &&
        sysfs_number(observer->root, &device, DEVICES "/%s/device", function))
        observer_add(observer, "pci %s id %04" PRIx64 ":%04" PRIx64, function, vendor,
                     device);
    if (sysfs_number(observer->root, &class, DEVICES "/%s/class", function))
        observer_add(observer, "pci %s class %06" PRIx64, function, class);
}

static void
observe_place(Observer *observer, const char *function)
{
    char *node = sysfs_read(observer->root, DEVICES "/%s/numa_node", function);
    char *cpus = sysfs_read(observer->root, DEVICES "/%s/local_cpulist", function);
    if (node)
        observer_add(observer, "pci %s node %s", function, node);
    if (cpus)
        observer_add(observer, "pci %s local-cpus %s", function, observer_list(cpus));
    free(node);
    free(cpus);
}

static void
observe_driver(Observer *observer, const char *function)
{
    char *driver = sysfs_link_name(observer->root, DEVICES "/%s/driver", function);
    if (driver)
        observer_add(observer, "pci %s driver %s", function, driver);
    free(driver);
}

/* ---- addresses of network interfaces
 * ---------------------------------------------------------- */

/* Asks the running kernel. */
static bool
permanent_address(const char *interface, char mac[MAC_TEXT])
{
    struct {
        struct ethtool_perm_addr head;
        unsigned char bytes[ETH_ALEN];
    } ask = {.head = {.cmd = ETHTOOL_GPERMADDR, .size = ETH_ALEN}};
    struct ifreq request = {.ifr_data = (void *)&ask};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    snprintf(request.ifr_name, sizeof request.ifr_name, "%s", interface);
    bool ok =
        fd >= 0 && ioctl(fd, SIOCETHTOOL, &request) == 0 && ask.head.size == ETH_ALEN;
    if (fd >= 0)
        close(fd);
    mac_text(mac, ask.head.data);
    return ok;
}

static void
observe_interface(const char *function, const char *folder, const char *interface,
                  void *user_data)
{
    Observer *observer = user_data;
    char mac[MAC_TEXT];
    char *address = sysfs_read(observer->root, DEVICES "/%s/%s/%s/address", function,
                               folder, interface);
    if (observer->is_live && permanent_address(interface, mac))
        observer_add(observer, "pci %s mac %s", function, mac);
    else if (address)
        observer_add(observer, "pci %s mac %s", function, address);
    free(address);
}

/* Virtual functions get an address by chance, so it is no fact. */
static void
observe_macs(Observer *observer, const char *function)
{
    if (!sysfs_exists(observer->root, DEVICES "/%s/physfn", function))
        interfaces_visit(observer->root, function, observe_interface, observer);
}

void
observe_pci(Observer *observer)
{
    SysfsNames functions = sysfs_names(observer->root, DEVICES);
    HomelessBars homeless = bars_without_home(observer);
    for (size_t i = 0; i < functions.count; i++) {
        const char *function = functions.names[i];
        observe_parent(observer, function);
        observe_numbers(observer, function);
        observe_place(observer, function);
        observe_bars(observer, function, &homeless);
        observe_driver(observer, function);
        observe_macs(observer, function);
    }
    free(homeless.bars);
    sysfs_names_clear(&functions);
}
