/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Talking to other hosts: questions of ICMP, connections, frames.
 */
#include "network-suite.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <netdb.h>
#include <netinet/icmp6.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECT_MS 20000
#define PING_BYTES 64
/* Frames of a burst wait here, under emulation. */
#define FRAMES_BUFFER (8 * 1024 * 1024)

void
token_new(char token[TOKEN_BYTES])
{
    unsigned char bytes[8];
    if (getrandom(bytes, sizeof bytes, 0) != sizeof bytes)
        fail_msg("there are no random numbers: %s", strerror(errno));
    for (size_t i = 0; i < sizeof bytes; i++)
        snprintf(token + 2 * i, 3, "%02x", bytes[i]);
}

static bool
is_ready(int fd, short events, int64_t end)
{
    int64_t left = end - now_ms();
    struct pollfd wait = {.fd = fd, .events = events};
    return poll(&wait, 1, left > 0 ? (int)left : 0) > 0;
}

/* ---- ICMP
 * ------------------------------------------------------------------------------------------
 */

static uint16_t
checksum(const unsigned char *bytes, size_t length)
{
    uint32_t sum = 0;
    for (size_t i = 0; i + 1 < length; i += 2)
        sum += (uint32_t)bytes[i] << 8 | bytes[i + 1];
    sum = (sum >> 16) + (sum & 0xffff);
    return (uint16_t) ~(sum + (sum >> 16));
}

/* The question: type, code, sum, and what is to come back. */
static void
make_question(unsigned char question[PING_BYTES], bool ipv6)
{
    if (getrandom(question, PING_BYTES, 0) != PING_BYTES)
        fail_msg("there are no random numbers: %s", strerror(errno));
    memset(question, 0, 4);
    question[0] = ipv6 ? ICMP6_ECHO_REQUEST : ICMP_ECHO;
    uint16_t sum = ipv6 ? 0 : htons(checksum(question, PING_BYTES)); /* the kernel does */
    memcpy(question + 2, &sum, sizeof sum);
}

static bool
is_answer(const unsigned char *packet, ssize_t length, const unsigned char *question,
          bool ipv6)
{
    ssize_t header = ipv6 ? 0 : (packet[0] & 15) * 4;
    return length == header + PING_BYTES &&
           packet[header] == (ipv6 ? ICMP6_ECHO_REPLY : ICMP_ECHOREPLY) &&
           memcmp(packet + header + 4, question + 4, PING_BYTES - 4) == 0;
}

static int
open_icmp(const Joined *peer, int family)
{
    NetInterface interface;
    if (!interface_of(joined_self(peer->network), &interface))
        fail_msg("no interface has this host's address on %s", peer->network);
    int fd = socket(family, SOCK_RAW | SOCK_CLOEXEC,
                    family == AF_INET6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, interface.name,
                             (socklen_t)strlen(interface.name)) < 0)
        fail_msg("there is no socket for ICMP: %s", strerror(errno));
    return fd;
}

static bool
send_question(int fd, const Joined *peer, int family, const unsigned char *question)
{
    struct sockaddr_in6 ipv6 = {.sin6_family = AF_INET6};
    struct sockaddr_in ipv4 = {.sin_family = AF_INET};
    inet_pton(AF_INET, peer->ipv4, &ipv4.sin_addr);
    inet_pton(AF_INET6, peer->ipv6, &ipv6.sin6_addr);
    bool is_ipv6 = family == AF_INET6;
    return sendto(fd, question, PING_BYTES, 0,
                  is_ipv6 ? (const struct sockaddr *)&ipv6
                          : (const struct sockaddr *)&ipv4,
                  is_ipv6 ? sizeof ipv6 : sizeof ipv4) == PING_BYTES;
}

bool
ping(const Joined *peer, int family, int ms)
{
    unsigned char question[PING_BYTES], packet[2048];
    int fd = open_icmp(peer, family);
    int64_t end = now_ms() + ms;
    bool answered = false;
    make_question(question, family == AF_INET6);
    /* Where there is no link, there is no way either. */
    bool sent = send_question(fd, peer, family, question);
    while (sent && !answered && is_ready(fd, POLLIN, end)) {
        ssize_t length = recv(fd, packet, sizeof packet, 0);
        answered = length > 0 && is_answer(packet, length, question, family == AF_INET6);
    }
    close(fd);
    return answered;
}

/* ---- connections
 * ----------------------------------------------------------------------------------- */

static int
connect_one(const struct addrinfo *address)
{
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int error = 0;
    socklen_t size = sizeof error;
    if (fd < 0)
        return -1;
    if (connect(fd, address->ai_addr, address->ai_addrlen) == 0)
        return fd;
    if (errno == EINPROGRESS && is_ready(fd, POLLOUT, now_ms() + suite_ms(CONNECT_MS)) &&
        getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0)
        return fd;
    close(fd);
    errno = error ? error : ETIMEDOUT;
    return -1;
}

int
connect_to(const char *name, int family, int number)
{
    const struct addrinfo hints = {.ai_family = family, .ai_socktype = SOCK_STREAM};
    char port[8];
    struct addrinfo *list;
    snprintf(port, sizeof port, "%d", number);
    int unknown = getaddrinfo(name, port, &hints, &list);
    if (unknown)
        fail_msg("%s is not found: %s", name, gai_strerror(unknown));
    int fd = connect_one(list);
    int error = errno;
    freeaddrinfo(list);
    errno = error;
    return fd;
}

/* What is on the way is less than what the sockets hold: it is sent and taken in turns.
 */
bool
echo(int fd, const unsigned char *bytes, size_t length)
{
    unsigned char got[4096];
    size_t sent = 0, taken = 0;
    int64_t end = now_ms() + suite_ms(CONNECT_MS);
    while (taken < length) {
        short events = (short)(POLLIN | (sent < length ? POLLOUT : 0));
        if (!is_ready(fd, events, end))
            return false;
        ssize_t count =
            sent < length ? send(fd, bytes + sent, length - sent, MSG_NOSIGNAL) : 0;
        if (count > 0)
            sent += (size_t)count;
        ssize_t back = recv(fd, got, sizeof got, MSG_DONTWAIT);
        if (back == 0 || (back < 0 && errno != EAGAIN))
            return false;
        if (back > 0 && (taken + (size_t)back > length ||
                         memcmp(got, bytes + taken, (size_t)back) != 0))
            return false;
        if (back > 0)
            taken += (size_t)back;
    }
    return true;
}

/* ---- frames
 * ------------------------------------------------------------------------------------------
 */

int
frames_open(const NetInterface *interface)
{
    const struct sockaddr_ll address = {.sll_family = AF_PACKET,
                                        .sll_protocol = htons(NET_ETHERTYPE),
                                        .sll_ifindex = interface ? interface->index : 0};
    const int size = FRAMES_BUFFER;
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof address) < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
    return fd;
}

void
frames_send(int fd, const NetInterface *from, const char *text)
{
    unsigned char frame[ETH_HLEN + 256] = {0};
    const struct sockaddr_ll to = {
        .sll_family = AF_PACKET, .sll_ifindex = from->index, .sll_halen = ETH_ALEN};
    struct ether_header header = {.ether_type = htons(NET_ETHERTYPE)};
    memset(header.ether_dhost, 0xff, ETH_ALEN);
    memcpy(header.ether_shost, from->mac, ETH_ALEN);
    memcpy(frame, &header, sizeof header);
    snprintf((char *)frame + sizeof header, 256, "%s", text);
    size_t length = sizeof header + strlen(text) + 1;
    ssize_t sent;
    do
        sent = sendto(fd, frame, length < ETH_ZLEN ? ETH_ZLEN : length, 0,
                      (const struct sockaddr *)&to, sizeof to);
    while (sent < 0 && (errno == EINTR || (errno == ENOBUFS && poll(NULL, 0, 1) == 0)));
}

/* One NIC of the host hears what another one on the same network has sent. */
static bool
is_own(const unsigned char mac[ETH_ALEN])
{
    struct ifaddrs *list;
    bool found = false;
    if (getifaddrs(&list) != 0)
        return false;
    for (const struct ifaddrs *one = list; one && !found; one = one->ifa_next) {
        const struct sockaddr_ll *address = (const void *)one->ifa_addr;
        found = address && address->sll_family == AF_PACKET &&
                memcmp(address->sll_addr, mac, ETH_ALEN) == 0;
    }
    freeifaddrs(list);
    return found;
}

bool
frames_next(int fd, char text[256], int *interface, int ms)
{
    unsigned char frame[2048];
    int64_t end = now_ms() + ms;
    while (is_ready(fd, POLLIN, end)) {
        struct sockaddr_ll from;
        socklen_t size = sizeof from;
        ssize_t length = recvfrom(fd, frame, sizeof frame - 1, MSG_DONTWAIT,
                                  (struct sockaddr *)&from, &size);
        if (length < (ssize_t)sizeof(struct ether_header) ||
            from.sll_pkttype == PACKET_OUTGOING ||
            is_own(((const struct ether_header *)(const void *)frame)->ether_shost))
            continue;
        frame[length] = '\0';
        snprintf(text, 256, "%.255s", (char *)frame + sizeof(struct ether_header));
        *interface = from.sll_ifindex;
        return true;
    }
    return false;
}
