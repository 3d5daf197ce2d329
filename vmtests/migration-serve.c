/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "migration-suite.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest-rom.h"
#include "kvm-guest.h"
#include "vfio-device.h"
#include "vfio-use.h"

#define EMULATOR "/usr/bin/qemu-system-x86_64"
#define DEVICES "/sys/bus/pci/devices"
#define NIC_VENDOR "0x8086"
#define NIC_DEVICE "0x10d3"
#define ROM_PATH MIGRATION_KEYS "/rom"
#define KEY_PATH MIGRATION_KEYS "/keys.psk"
#define PRIME_PATH MIGRATION_KEYS "/dh-params.pem"
#define SERIAL_FD 3
#define MONITOR_FD 4
#define OPTIONS_MAX 60
#define OWN_MAX 64

typedef struct {
    int control;
    const char *joined;
    const char *options[OPTIONS_MAX];
    int option_count;
    char nic[32]; /* that vfio-pci has, or "" */
    bool trusts;  /* VFIO was told to trust interrupts */
} Service;

/* ---- a NIC
 * -------------------------------------------------------------------------------------
 */

/* Whether it is by this one that hosts talk to each other. */
static bool
is_in_use(const Service *service, const char *address)
{
    static Joined all[OWN_MAX];
    NetInterface interface;
    int count = joined_parse(service->joined, all, OWN_MAX);
    for (int i = 0; i < count; i++) {
        if (!interface_of(&all[i], &interface))
            continue;
        const char *function = suite_link("/sys/class/net/%s/device", interface.name);
        if (function && strcmp(function, address) == 0)
            return true;
    }
    return false;
}

static void
consider(const char *address, void *data)
{
    Service *service = data;
    const char *vendor = suite_read(DEVICES "/%s/vendor", address);
    const char *device = suite_read(DEVICES "/%s/device", address);
    if (!*service->nic && vendor && device && strcmp(vendor, NIC_VENDOR) == 0 &&
        strcmp(device, NIC_DEVICE) == 0 && !is_in_use(service, address))
        snprintf(service->nic, sizeof service->nic, "%s", address);
}

static void
trust_interrupts(Service *service)
{
    const char *trusted =
        suite_read("/sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts");
    service->trusts = trusted && *trusted == 'N' && vfio_trust(true);
}

static void
take_nic(Service *service)
{
    NetInterface interface;
    char mac[MAC_TEXT];
    suite_list(consider, service, DEVICES);
    if (!*service->nic || !net_of_function(service->nic, &interface)) {
        dprintf(service->control, "none\n");
        *service->nic = '\0';
        return;
    }
    mac_text(mac, interface.mac);
    vfio_load();
    trust_interrupts(service);
    int result = pci_bind(service->nic, "vfio-pci");
    if (result < 0)
        dprintf(service->control, "refused %s is not taken by vfio-pci: %s\n",
                service->nic, strerror(-result));
    else
        dprintf(service->control, "nic %s %s\n", service->nic, mac);
}

static void
give_back(Service *service)
{
    if (*service->nic)
        pci_bind(service->nic, NULL);
    if (service->trusts)
        vfio_trust(false);
}

/* ---- what is asked
 * ---------------------------------------------------------------------------------- */

static bool
read_line(int fd, char *line, size_t size)
{
    size_t length = 0;
    while (length < size - 1 && recv(fd, line + length, 1, 0) == 1) {
        if (line[length] == '\n') {
            line[length] = '\0';
            return true;
        }
        length++;
    }
    return false;
}

/* ffdhe2048 of RFC 7919. Without it QEMU 7.2 looks for a prime of its own, which takes a
 * minute under emulation if luck is bad. */
static const char prime[] =
    "-----BEGIN DH PARAMETERS-----\n"
    "MIIBCAKCAQEA//////////+t+FRYortKmq/cViAnPTzx2LnFg84tNpWp4TZBFGQz\n"
    "+8yTnc4kmz75fS/jY2MMddj2gbICrsRhetPfHtXV/WVhJDP1H18GbtCFY2VVPe0a\n"
    "87VXE15/V8k1mE8McODmi3fipona8+/och3xWKE2rec1MKzKT0g6eXq8CrGCsyT7\n"
    "YdEIqUuyyOP7uWrat2DX9GgdT0Kj3jlN9K5W7edjcrsZCwenyO4KbXCeAvzhzffi\n"
    "7MA0BM0oNC9hkXL+nOmFg/+OTxIy7vKBg8P+OxtMb61zO7X8vC7CIAXFjvGDfRaD\n"
    "ssbzSibBsu/6iGtCOGEoXJf//////////wIBAg==\n"
    "-----END DH PARAMETERS-----\n";

/* Where that fails the emulator will say that there is none. */
static void
write_secret(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd >= 0) {
        dprintf(fd, "%s\n", text);
        close(fd);
    }
}

static void
write_key(const char *digits)
{
    char line[540];
    snprintf(line, sizeof line, MIGRATION_USER ":%s", digits);
    write_secret(KEY_PATH, line);
    write_secret(PRIME_PATH, prime);
}

static void
add_option(Service *service, const char *word)
{
    if (service->option_count < OPTIONS_MAX - 1)
        service->options[service->option_count++] = strdup(word);
}

/* FALSE: who asked is gone. */
static bool
take_requests(Service *service)
{
    char line[500];
    while (read_line(service->control, line, sizeof line)) {
        if (strcmp(line, "start") == 0)
            return true;
        if (strcmp(line, "nic") == 0)
            take_nic(service);
        else if (strncmp(line, "key ", 4) == 0)
            write_key(line + 4);
        else if (strncmp(line, "option ", 7) == 0)
            add_option(service, line + 7);
    }
    return false;
}

/* ---- the emulator
 * ---------------------------------------------------------------------------------- */

/* To a port that the kernel chooses, by both protocols. */
static int
listen_somewhere(int *port)
{
    struct sockaddr_in6 address = {.sin6_family = AF_INET6};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(fd, (const struct sockaddr *)&address, size) != 0 || listen(fd, 2) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &size) != 0)
        return -1;
    *port = ntohs(address.sin6_port);
    return fd;
}

/* Something comes by FD. FALSE: who asked is gone. */
static bool
comes(int fd, int control)
{
    struct pollfd wait[2] = {{.fd = fd, .events = POLLIN},
                             {.fd = control, .events = POLLRDHUP}};
    while (poll(wait, 2, -1) > 0 && !wait[1].revents)
        if (wait[0].revents)
            return true;
    return false;
}

__attribute__((noreturn)) static void
become_emulator(Service *service, int serial, int monitor)
{
    const char *words[OPTIONS_MAX + 30] = {EMULATOR,
                                           "-nodefaults",
                                           "-no-user-config",
                                           "-display",
                                           "none",
                                           "-global",
                                           "kvm-apic.vapic=off",
                                           "-accel",
                                           "kvm",
                                           "-cpu",
                                           "host",
                                           "-machine",
                                           "pc",
                                           "-m",
                                           "32",
                                           "-bios",
                                           ROM_PATH,
                                           "-chardev",
                                           "socket,id=serial,fd=3",
                                           "-serial",
                                           "chardev:serial",
                                           "-chardev",
                                           "socket,id=monitor,fd=4",
                                           "-mon",
                                           "chardev=monitor,mode=control"};
    int count = 0;
    while (words[count])
        count++;
    for (int i = 0; i < service->option_count; i++)
        words[count++] = service->options[i];
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int nothing = open("/dev/null", O_RDONLY);
    /* None may be where another goes to. */
    int errors = fcntl(service->control, F_DUPFD, 10);
    serial = fcntl(serial, F_DUPFD, 10);
    monitor = fcntl(monitor, F_DUPFD, 10);
    if (dup2(nothing, 0) < 0 || dup2(errors, 1) < 0 || dup2(errors, 2) < 0 ||
        dup2(serial, SERIAL_FD) < 0 || dup2(monitor, MONITOR_FD) < 0)
        _exit(126);
    close_range(MONITOR_FD + 1, ~0U, 0);
    execv(EMULATOR, (char *const *)(uintptr_t)words);
    _exit(127);
}

/* Until it ends, or nobody wants it any more. */
static void
attend(const Service *service, pid_t emulator)
{
    int process = (int)syscall(SYS_pidfd_open, emulator, 0);
    struct pollfd wait[2] = {{.fd = process, .events = POLLIN},
                             {.fd = service->control, .events = POLLRDHUP}};
    while (poll(wait, 2, -1) < 0 && errno == EINTR)
        ;
    kill(emulator, SIGKILL);
    waitpid(emulator, NULL, 0);
    close(process);
}

/* FALSE: who asked is gone. */
static bool
accept_both(const Service *service, int listener, int *serial, int *monitor)
{
    for (int i = 0; i < 2; i++) {
        char purpose = 0;
        int fd = comes(listener, service->control)
                     ? accept4(listener, NULL, NULL, SOCK_CLOEXEC)
                     : -1;
        if (fd < 0)
            return false;
        if (comes(fd, service->control))
            (void)!recv(fd, &purpose, 1, 0);
        *(purpose == MIGRATION_SERIAL ? serial : monitor) = fd;
        if (!purpose)
            return false;
    }
    return *serial >= 0 && *monitor >= 0;
}

static void
run_emulator(Service *service)
{
    int port = 0, listener = listen_somewhere(&port);
    if (listener < 0 || !kvm_load() || !guest_rom_write(ROM_PATH)) {
        dprintf(service->control, "refused no emulator can be started: %s\n",
                strerror(errno));
        return;
    }
    dprintf(service->control, "port %d\n", port);
    int serial = -1, monitor = -1;
    const bool has_both = accept_both(service, listener, &serial, &monitor);
    close(listener);
    pid_t emulator = has_both ? fork() : -1;
    if (emulator == 0)
        become_emulator(service, serial, monitor);
    close(serial);
    close(monitor);
    if (emulator > 0)
        attend(service, emulator);
}

void
migration_serve_one(int fd, const char *joined)
{
    Service service = {.control = fd, .joined = joined};
    signal(SIGCHLD, SIG_DFL);
    mkdir(MIGRATION_KEYS, 0700);
    if (take_requests(&service))
        run_emulator(&service);
    give_back(&service);
    unlink(KEY_PATH);
    unlink(PRIME_PATH);
    unlink(ROM_PATH);
    rmdir(MIGRATION_KEYS);
}

/* ---- who answers
 * ----------------------------------------------------------------------------------- */

__attribute__((noreturn)) static void
serve(int listener, const char *joined)
{
    signal(SIGCHLD, SIG_IGN);
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0 && fork() == 0) {
            close(listener);
            migration_serve_one(fd, joined);
            _exit(0);
        }
        close(fd);
    }
}

int
migration_serve(const char *joined)
{
    const struct sockaddr_in6 address = {.sin6_family = AF_INET6,
                                         .sin6_port = htons(MIGRATION_PORT)};
    int listener = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int yes = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(listener, (const struct sockaddr *)&address, sizeof address) != 0 ||
        listen(listener, 4) != 0)
        return errno == EADDRINUSE ? 0 : 1; /* another process answers already */
    if (daemon(0, 0) != 0)
        return 1;
    serve(listener, joined);
}
