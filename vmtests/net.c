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
    /* Of no protocol until it is bound: else it hears all interfaces first, and bind()
     * waits until no CPU does so any more. */
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
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

/* The next frame that comes to SOCKET until END_MS, with a NUL behind it; its payload, or
 * NULL. */
static const char *
next_frame(int socket, unsigned char *frame, size_t room, int64_t end_ms)
{
    for (int64_t left = end_ms - now_ms(); left >= 0; left = end_ms - now_ms()) {
        struct pollfd wait = {.fd = socket, .events = POLLIN};
        struct sockaddr_ll address;
        socklen_t size = sizeof address;
        if (poll(&wait, 1, (int)left) <= 0)
            continue;
        ssize_t length =
            recvfrom(socket, frame, room - 1, 0, (struct sockaddr *)&address, &size);
        if (length < (ssize_t)sizeof(struct ether_header) ||
            address.sll_pkttype == PACKET_OUTGOING)
            continue;
        frame[length] = '\0';
        return (const char *)frame + sizeof(struct ether_header);
    }
    return NULL;
}

bool
net_receive(int socket, const char *text, unsigned char to[6], unsigned char from[6],
            int ms)
{
    unsigned char frame[2048];
    const int64_t end_ms = now_ms() + ms;
    const char *payload;
    struct ether_header header;
    while ((payload = next_frame(socket, frame, sizeof frame, end_ms)) &&
           strcmp(payload, text) != 0)
        ;
    if (!payload)
        return false;
    memcpy(&header, frame, sizeof header);
    memcpy(to, header.ether_dhost, ETH_ALEN);
    memcpy(from, header.ether_shost, ETH_ALEN);
    return true;
}

const char *
net_receive_answer(int socket, const char *words, unsigned char from[6], int ms)
{
    static unsigned char frame[2048];
    const int64_t end_ms = now_ms() + ms;
    const size_t length = strlen(words);
    const char *payload;
    while ((payload = next_frame(socket, frame, sizeof frame, end_ms)) &&
           strncmp(payload, words, length) != 0)
        ;
    if (!payload)
        return NULL;
    memcpy(from, frame + ETH_ALEN, ETH_ALEN);
    return payload + length;
}
