/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The first program of a guest inside that is Linux. It loads the drivers, and tells what
 * comes about: lines on the first serial port, after each of them one with ".".
 *
 *   linux RELEASE        the kernel has come this far
 *   nic DRIVER MAC       a function was taken by its driver; its interface goes up
 *   link MAC             it has a carrier; from now on it answers each frame that has the
 *                        host's text by one to all, "guest hears MAC": whom it came from
 *   gone MAC             it is there no more
 *
 * Every byte leaves the guest, which takes a millisecond and more under emulation within
 * emulation; a driver for the port would need several for each. Plain emulation refuses
 * a program the port's instructions whatever the kernel allows it, so the kernel is asked
 * to write.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "mac.h"

#define SERIAL 0x3f8
#define MODULES_LIST "/etc/hostbed/modules"
#define INTERFACES "/sys/class/net"
#define ETHERTYPE 0x88b5 /* for experiments */
#define ANSWER_WORDS "guest hears "
#define HOST_TEXT "host"
#define TURN_MS 500
#define NICS 4

typedef struct {
    char name[IF_NAMESIZE], mac[MAC_TEXT];
    int socket; /* of frames, once there is a carrier; or -1 */
    bool is_there;
} Nic;

static int port = -1;
static Nic nics[NICS];

static void __attribute__((format(printf, 1, 2))) say(const char *format, ...)
{
    char text[300];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(text, sizeof text - 3, format, args);
    va_end(args);
    strcpy(text + length, "\n.\n");
    for (int i = 0; i < length + 3; i++)
        if (pwrite(port, text + i, 1, SERIAL) != 1)
            return;
}

/* ---- the machine
 * -------------------------------------------------------------------------------------
 */

static void
make_machine(void)
{
    mkdir("/proc", 0755);
    mkdir("/sys", 0755);
    mkdir("/dev", 0755);
    mount("proc", "/proc", "proc", 0, NULL);
    mount("sysfs", "/sys", "sysfs", 0, NULL);
    mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
    port = open("/dev/port", O_WRONLY | O_CLOEXEC);
}

static void
load_modules(void)
{
    FILE *list = fopen(MODULES_LIST, "re");
    char path[500];
    while (list && fgets(path, sizeof path, list)) {
        path[strcspn(path, "\n")] = '\0';
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (syscall(SYS_finit_module, fd, "", 0) != 0)
            say("module %s is not loaded", path);
        close(fd);
    }
    if (list)
        fclose(list);
}

static bool
read_attribute(const char *name, const char *attribute, char *text, size_t size)
{
    char path[300];
    snprintf(path, sizeof path, INTERFACES "/%s/%s", name, attribute);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? -1 : read(fd, text, size - 1);
    if (fd >= 0)
        close(fd);
    if (length <= 0)
        return false;
    text[length] = '\0';
    text[strcspn(text, "\n")] = '\0';
    return true;
}

/* ---- interfaces
 * -------------------------------------------------------------------------------------
 */

static void
go_up(const Nic *nic)
{
    struct ifreq request = {0};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    memcpy(request.ifr_name, nic->name, sizeof request.ifr_name);
    if (ioctl(fd, SIOCGIFFLAGS, &request) == 0) {
        request.ifr_flags |= IFF_UP;
        ioctl(fd, SIOCSIFFLAGS, &request);
    }
    close(fd);
}

/* The one with this name, "" for one that is none; NULL: there is none. */
static Nic *
find(const char *name)
{
    for (Nic *nic = nics; nic < nics + NICS; nic++)
        if (strcmp(nic->name, name) == 0)
            return nic;
    return NULL;
}

static void
meet(const char *name)
{
    Nic *nic = find(name);
    if (nic)
        nic->is_there = true;
    else
        nic = find("");
    if (!nic || nic->is_there || strcmp(name, "lo") == 0)
        return;
    char path[300], driver[300], mac[MAC_TEXT];
    snprintf(path, sizeof path, INTERFACES "/%s/device/driver", name);
    ssize_t length = readlink(path, driver, sizeof driver - 1);
    driver[length > 0 ? length : 0] = '\0';
    if (length <= 0 || !read_attribute(name, "address", mac, sizeof mac))
        return;
    *nic = (Nic){.socket = -1, .is_there = true};
    memcpy(nic->mac, mac, sizeof mac);
    memcpy(nic->name, name, strnlen(name, sizeof nic->name - 1));
    say("nic %s %s", strrchr(driver, '/') ? strrchr(driver, '/') + 1 : driver, nic->mac);
    go_up(nic);
}

static void
look(void)
{
    for (Nic *nic = nics; nic < nics + NICS; nic++)
        nic->is_there = false;
    DIR *folder = opendir(INTERFACES);
    struct dirent *entry;
    while (folder && (entry = readdir(folder)))
        if (entry->d_name[0] != '.')
            meet(entry->d_name);
    if (folder)
        closedir(folder);
    for (Nic *nic = nics; nic < nics + NICS; nic++) {
        if (!nic->name[0] || nic->is_there)
            continue;
        say("gone %s", nic->mac);
        if (nic->socket >= 0)
            close(nic->socket);
        *nic = (Nic){.socket = -1};
    }
}

/* ---- frames
 * -------------------------------------------------------------------------------------
 */

static void
begin_frames(Nic *nic)
{
    struct sockaddr_ll address = {.sll_family = AF_PACKET,
                                  .sll_protocol = htons(ETHERTYPE),
                                  .sll_ifindex = (int)if_nametoindex(nic->name)};
    nic->socket = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    bind(nic->socket, (struct sockaddr *)&address, sizeof address);
    say("link %s", nic->mac);
}

static void
answer(const Nic *nic, const unsigned char from[ETH_ALEN])
{
    unsigned char frame[ETH_ZLEN] = {0};
    struct ether_header header = {.ether_type = htons(ETHERTYPE)};
    memset(header.ether_dhost, 0xff, ETH_ALEN);
    for (int i = 0; i < ETH_ALEN; i++)
        header.ether_shost[i] =
            (unsigned char)strtoul(nic->mac + (size_t)i * 3, NULL, 16);
    memcpy(frame, &header, sizeof header);
    memcpy(frame + sizeof header, ANSWER_WORDS, sizeof ANSWER_WORDS);
    mac_text((char *)frame + sizeof header + sizeof ANSWER_WORDS - 1, from);
    if (send(nic->socket, frame, sizeof frame, 0) < 0)
        return; /* the interface is going */
}

static void
receive_frame(const Nic *nic)
{
    unsigned char frame[2048] = {0};
    struct sockaddr_ll address;
    socklen_t size = sizeof address;
    ssize_t length =
        recvfrom(nic->socket, frame, sizeof frame, 0, (struct sockaddr *)&address, &size);
    if (length < ETH_HLEN || address.sll_pkttype == PACKET_OUTGOING)
        return;
    if (strncmp((char *)frame + ETH_HLEN, HOST_TEXT, sizeof HOST_TEXT) == 0)
        answer(nic, frame + ETH_ALEN);
}

static void
begin_where_linked(void)
{
    for (Nic *nic = nics; nic < nics + NICS; nic++) {
        char carrier[8];
        if (nic->name[0] && nic->socket < 0 &&
            read_attribute(nic->name, "carrier", carrier, sizeof carrier) &&
            carrier[0] == '1')
            begin_frames(nic);
    }
}

/* What comes until the next turn is received at once. */
static void
exchange(void)
{
    struct pollfd wait[NICS];
    for (int i = 0; i < NICS; i++)
        wait[i] = (struct pollfd){nics[i].socket, POLLIN, 0};
    if (poll(wait, NICS, TURN_MS) <= 0)
        return;
    for (int i = 0; i < NICS; i++)
        if (wait[i].revents)
            receive_frame(&nics[i]);
}

int
main(void)
{
    struct utsname name;
    make_machine();
    uname(&name);
    say("linux %s", name.release);
    for (int i = 0; i < NICS; i++)
        nics[i].socket = -1;
    load_modules();
    for (;;) {
        look();
        begin_where_linked();
        exchange();
    }
}
