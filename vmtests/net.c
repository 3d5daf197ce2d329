/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define CARRIER_MS 20000

/* ---- interfaces
 * -------------------------------------------------------------------------- */

static int
request(unsigned long what, struct ifreq *ifreq)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int result = fd < 0 ? -1 : ioctl(fd, what, ifreq);
    int error = errno;
    if (fd >= 0)
        close(fd);
    errno = error;
    return result;
}

static void
take_name(const char *name, void *data)
{
    NetInterface *interface = data;
    snprintf(interface->name, sizeof interface->name, "%s", name);
}

bool
net_of_function(const char *address, NetInterface *interface)
{
    struct ifreq ifreq = {0};
    *interface = (NetInterface){0};
    suite_list(take_name, interface, "/sys/bus/pci/devices/%s/net", address);
    if (!interface->name[0])
        return false;
    interface->index = (int)if_nametoindex(interface->name);
    memcpy(ifreq.ifr_name, interface->name, sizeof ifreq.ifr_name);
    /* Its folder is there before its name is, and after. */
    if (interface->index == 0 || request(SIOCGIFHWADDR, &ifreq) != 0)
        return false;
    memcpy(interface->mac, ifreq.ifr_hwaddr.sa_data, sizeof interface->mac);
    return true;
}

static int
get_flags(int index, struct ifreq *ifreq)
{
    *ifreq = (struct ifreq){0};
    return if_indextoname((unsigned)index, ifreq->ifr_name) ? request(SIOCGIFFLAGS, ifreq)
                                                            : -1;
}

static int
change_up(int index, bool up)
{
    struct ifreq ifreq;
    if (get_flags(index, &ifreq) != 0)
        return -1;
    ifreq.ifr_flags = (short)(up ? ifreq.ifr_flags | IFF_UP : ifreq.ifr_flags & ~IFF_UP);
    return request(SIOCSIFFLAGS, &ifreq);
}

static bool
is_up(int index)
{
    struct ifreq ifreq;
    return get_flags(index, &ifreq) == 0 && (ifreq.ifr_flags & IFF_UP);
}

/* A function that was unbound meanwhile took its interface along. */
static void
take_down(long index)
{
    change_up((int)index, false);
}

void
net_start(const NetInterface *interface)
{
    if (!is_up(interface->index))
        suite_at_end(take_down, interface->index);
    if (change_up(interface->index, true) != 0)
        fail_msg("%s does not go up: %s", interface->name, strerror(errno));
}

void
net_up(const NetInterface *interface)
{
    net_start(interface);
    for (int64_t end = now_ms() + suite_ms(CARRIER_MS); now_ms() < end; usleep(10000)) {
        const char *carrier = suite_read("/sys/class/net/%s/carrier", interface->name);
        if (carrier && *carrier == '1')
            return;
    }
    fail_msg("%s is up and has no carrier after %d s", interface->name,
             suite_ms(CARRIER_MS) / 1000);
}

/* ---- frames
 * ------------------------------------------------------------------------------ */

static void
close_socket(long fd)
{
    close((int)fd);
}

int
net_socket(const NetInterface *interface)
{
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(NET_ETHERTYPE));
    if (fd < 0)
        fail_msg("there is no socket for frames: %s", strerror(errno));
    suite_at_end(close_socket, fd);
    struct sockaddr_ll address = {.sll_family = AF_PACKET,
                                  .sll_protocol = htons(NET_ETHERTYPE),
                                  .sll_ifindex = interface->index};
    if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0)
        fail_msg("frames of %s cannot be had: %s", interface->name, strerror(errno));
    return fd;
}

void
net_send(int socket, const NetInterface *from, const unsigned char mac[6],
         const char *text)
{
    unsigned char frame[ETH_ZLEN + 1] = {0};
    struct ether_header header = {.ether_type = htons(NET_ETHERTYPE)};
    memcpy(header.ether_dhost, mac, ETH_ALEN);
    memcpy(header.ether_shost, from->mac, ETH_ALEN);
    memcpy(frame, &header, sizeof header);
    snprintf((char *)frame + sizeof header, sizeof frame - sizeof header, "%s", text);
    if (send(socket, frame, ETH_ZLEN, 0) != ETH_ZLEN)
        fail_msg("%s does not send a frame: %s", from->name, strerror(errno));
}

bool
net_receive(int socket, const char *text, unsigned char to[6], unsigned char from[6],
            int ms)
{
    unsigned char frame[2048];
    int64_t end = now_ms() + ms;
    for (int64_t left = ms; left >= 0; left = end - now_ms()) {
        struct pollfd wait = {.fd = socket, .events = POLLIN};
        struct sockaddr_ll address;
        socklen_t size = sizeof address;
        if (poll(&wait, 1, (int)left) <= 0)
            continue;
        ssize_t length = recvfrom(socket, frame, sizeof frame - 1, 0,
                                  (struct sockaddr *)&address, &size);
        struct ether_header header;
        if (length < (ssize_t)sizeof header || address.sll_pkttype == PACKET_OUTGOING)
            continue;
        frame[length] = '\0';
        if (strcmp((char *)frame + sizeof header, text) != 0)
            continue;
        memcpy(&header, frame, sizeof header);
        memcpy(to, header.ether_dhost, ETH_ALEN);
        memcpy(from, header.ether_shost, ETH_ALEN);
        return true;
    }
    return false;
}
