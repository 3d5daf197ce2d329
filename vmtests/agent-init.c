/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The agent as init: from the kernel's first process to a machine that answers, and its
 * end.
 */
#include "agent.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <linux/module.h>
#include <linux/random.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define MODULES_LIST "/etc/hostbed/modules"
/* A driver that waits for another one (a device behind virtio-iommu) gets this long. */
#define SETTLE_MS 5000
/* Without a port nobody hears us; say so once in a while. */
#define PORT_COMPLAIN_MS 10000

/* ---- mounts
 * --------------------------------------------------------------------------------------
 */

typedef struct {
    const char *target, *type, *options;
    unsigned long flags;
    bool optional; /* the kernel may not have it */
} MountPoint;

static const MountPoint mount_points[] = {
    {"/proc", "proc", NULL, MS_NOSUID | MS_NODEV | MS_NOEXEC, false},
    {"/sys", "sysfs", NULL, MS_NOSUID | MS_NODEV | MS_NOEXEC, false},
    {"/dev", "devtmpfs", "mode=0755", MS_NOSUID, false},
    {"/dev/pts", "devpts", "gid=5,mode=0620,ptmxmode=0666", MS_NOSUID | MS_NOEXEC, false},
    {"/dev/shm", "tmpfs", "mode=1777", MS_NOSUID | MS_NODEV, false},
    {"/run", "tmpfs", "mode=0755", MS_NOSUID | MS_NODEV, false},
    {"/tmp", "tmpfs", "mode=1777", MS_NOSUID | MS_NODEV, false},
    {"/sys/fs/cgroup", "cgroup2", NULL, MS_NOSUID | MS_NODEV | MS_NOEXEC, true},
    {"/sys/kernel/debug", "debugfs", NULL, MS_NOSUID | MS_NODEV | MS_NOEXEC, true},
};

/* The image may have put programs there, as "--with /tmp/PROGRAM" asks. */
static bool
is_in_use(const MountPoint *point)
{
    return strcmp(point->type, "tmpfs") == 0 && rmdir(point->target) < 0 &&
           (errno == ENOTEMPTY || errno == EEXIST);
}

static void
mount_one(Agent *agent, const MountPoint *point)
{
    if (is_in_use(point)) {
        chmod(point->target, strstr(point->options, "1777") ? 01777 : 0755);
        return;
    }
    mkdir(point->target, 0755);
    if (mount(point->type, point->target, point->type, point->flags, point->options) <
            0 &&
        errno != EBUSY && !point->optional)
        agent_trouble(agent, "cannot mount %s: %s", point->target, strerror(errno));
}

/* A distribution may have it there already. */
static bool
is_hugetlbfs(const char *path)
{
    struct statfs status;
    return statfs(path, &status) == 0 && status.f_type == HUGETLBFS_MAGIC;
}

void
init_mount_hugepages(Agent *agent)
{
    static const struct {
        const char *size;
        MountPoint point;
    } sizes[] = {
        {"2048kB", {"/dev/hugepages", "hugetlbfs", "pagesize=2M,mode=1777", 0, false}},
        {"1048576kB",
         {"/dev/hugepages1G", "hugetlbfs", "pagesize=1G,mode=1777", 0, false}},
    };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        char path[80];
        snprintf(path, sizeof path, "/sys/kernel/mm/hugepages/hugepages-%s",
                 sizes[i].size);
        if (access(path, F_OK) == 0 && !is_hugetlbfs(sizes[i].point.target))
            mount_one(agent, &sizes[i].point);
    }
}

static void
make_links(void)
{
    /* What programs expect in /dev and the kernel does not put there. */
    (void)!symlink("/proc/self/fd", "/dev/fd");
    (void)!symlink("/proc/self/fd/0", "/dev/stdin");
    (void)!symlink("/proc/self/fd/1", "/dev/stdout");
    (void)!symlink("/proc/self/fd/2", "/dev/stderr");
}

static void
raise_loopback(void)
{
    struct ifreq request = {.ifr_flags = IFF_UP | IFF_RUNNING};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    strcpy(request.ifr_name, "lo");
    ioctl(fd, SIOCSIFFLAGS, &request);
    close(fd);
}

/* ---- modules
 * -------------------------------------------------------------------------------------
 */

static bool
has_suffix(const char *text, const char *suffix)
{
    size_t length = strlen(text), tail = strlen(suffix);
    return length >= tail && strcmp(text + length - tail, suffix) == 0;
}

static void
load_module(Agent *agent, const char *path, const char *parameters)
{
    bool packed = !has_suffix(path, ".ko");
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        agent_trouble(agent, "cannot load module %s: %s", path, strerror(errno));
        return;
    }
    /* This waits for the probes of the module's drivers, so its devices are bound
     * afterwards. */
    if (syscall(SYS_finit_module, fd, parameters,
                packed ? MODULE_INIT_COMPRESSED_FILE : 0) < 0 &&
        errno != EEXIST)
        agent_trouble(agent, "cannot load module %s: %s", path, strerror(errno));
    close(fd);
}

static void
load_modules(Agent *agent)
{
    FILE *list = fopen(MODULES_LIST, "re");
    char *line = NULL;
    size_t size = 0;
    while (list && getline(&line, &size, list) >= 0) {
        line[strcspn(line, "#\n")] = '\0';
        char *path = line + strspn(line, " \t");
        char *end = path + strcspn(path, " \t");
        char *parameters = end + strspn(end, " \t");
        *end = '\0';
        if (*path)
            load_module(agent, path, parameters);
    }
    free(line);
    if (list)
        fclose(list);
}

/* ---- what comes late
 * --------------------------------------- */

static bool
probes_are_deferred(void)
{
    char text[16];
    int fd = open("/sys/kernel/debug/devices_deferred", O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? 0 : read(fd, text, sizeof text);
    if (fd >= 0)
        close(fd);
    return length > 0;
}

static void
settle(Agent *agent, int uevents)
{
    int64_t end = now_ms() + SETTLE_MS;
    while (probes_are_deferred()) {
        int64_t left = end - now_ms();
        if (left <= 0 || !uevents_wait(uevents, (int)left)) {
            if (probes_are_deferred())
                agent_trouble(agent, "some drivers still wait for others");
            return;
        }
    }
}

/* ---- huge pages
 * ------------------------------------------------------------------------------------ */

static bool
read_line(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? -1 : read(fd, text, size - 1);
    if (fd >= 0)
        close(fd);
    if (length < 0)
        return false;
    text[length] = '\0';
    text[strcspn(text, "\n")] = '\0';
    return true;
}

static void
reserve_hugepages(Agent *agent, unsigned node, const char *size, unsigned long count)
{
    char path[160], text[32];
    snprintf(path, sizeof path,
             "/sys/devices/system/node/node%u/hugepages/hugepages-%s/nr_hugepages", node,
             size);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd >= 0 && dprintf(fd, "%lu", count) < 0)
        agent_log(agent, 3, "cannot reserve huge pages on node %u: %s", node,
                  strerror(errno));
    if (fd >= 0)
        close(fd);
    if (!read_line(path, text, sizeof text))
        agent_trouble(agent, "node %u has no huge pages of %s", node, size);
    else if (strtoul(text, NULL, 10) != count)
        agent_trouble(agent, "node %u gave %s of %lu huge pages of %s", node, text, count,
                      size);
}

static void
reserve_word(Agent *agent, const char *word)
{
    unsigned node;
    unsigned long count;
    char size[24];
    while (word) {
        if (sscanf(word, "%u:%20[0-9kB]:%lu", &node, size, &count) == 3)
            reserve_hugepages(agent, node, size, count);
        else
            agent_trouble(agent, "hostbed.hugepages=%s is not NODE:SIZE:COUNT", word);
        word = strchr(word, ',');
        word = word ? word + 1 : NULL;
    }
}

/* ---- the host's name
 * ----------------------------------------------------------------------------------- */

static void
name_host(Agent *agent, const char *name)
{
    if (sethostname(name, strnlen(name, HOST_NAME_MAX)) < 0)
        agent_trouble(agent, "cannot name the host %s: %s", name, strerror(errno));
    FILE *hostname = fopen("/etc/hostname", "we"), *hosts = fopen("/etc/hosts", "we");
    if (hostname)
        fprintf(hostname, "%s\n", name);
    if (hosts)
        fprintf(hosts, "127.0.0.1 localhost %s\n::1 localhost\n", name);
    if (!hostname || fclose(hostname) != 0 || !hosts || fclose(hosts) != 0)
        agent_trouble(agent, "cannot write the host's name into /etc: %s",
                      strerror(errno));
}

/* ---- the kernel's command line
 * ----------------------------------------------------------------------------------- */

/* What is said of KEY on LINE, which is split at blanks by NUL; NULL: nothing. The last
 * one counts, as with most words of the kernel. */
static const char *
said_of(const char *line, const char *end, const char *key)
{
    const char *value = NULL;
    for (const char *word = line; word < end; word += strlen(word) + 1)
        if (strncmp(word, key, strlen(key)) == 0)
            value = word + strlen(key);
    return value;
}

static void
obey_command_line(Agent *agent, int uevents, NameHost *name_it)
{
    char line[4096] = "";
    read_line("/proc/cmdline", line, sizeof line);
    const char *end = line + strlen(line);
    for (char *blank = line; (blank = strchr(blank, ' '));)
        *blank++ = '\0';
    const char *name = said_of(line, end, "hostname=");
    const char *vfs = said_of(line, end, "hostbed.vfs=");
    const char *hugepages = said_of(line, end, "hostbed.hugepages=");
    if (name)
        name_it(agent, name);
    if (vfs)
        pci_make_vfs(agent, vfs, uevents);
    if (hugepages)
        reserve_word(agent, hugepages);
}

void
init_finish(Agent *agent, NameHost *name_it)
{
    int uevents = uevents_open();
    settle(agent, uevents);
    obey_command_line(agent, uevents, name_it);
    close(uevents);
    pci_name_interfaces(agent);
}

void
init_machine(Agent *agent)
{
    reboot(RB_DISABLE_CAD); /* Ctrl-Alt-Del becomes SIGINT */
    chmod("/", 0755);       /* the kernel lets all write there; careful programs refuse */
    for (size_t i = 0; i < sizeof mount_points / sizeof mount_points[0]; i++)
        mount_one(agent, &mount_points[i]);
    mkdir("/run/hostbed", 0755); /* for what is put into the host: the manifest */
    init_mount_hugepages(agent);
    make_links();
    raise_loopback();
    load_modules(agent);
    init_finish(agent, name_host);
}

/* ---- the port
 * --------------------------------------------------------------------------------------
 */

/* The device of the port named HB_WIRE_PORT, or -1. */
static int
open_named_port(void)
{
    DIR *folder = opendir("/sys/class/virtio-ports");
    int fd = -1;
    for (struct dirent *entry; fd < 0 && folder && (entry = readdir(folder));) {
        char path[300], name[sizeof HB_WIRE_PORT + 1];
        snprintf(path, sizeof path, "/sys/class/virtio-ports/%s/name", entry->d_name);
        if (entry->d_name[0] == '.' || !read_line(path, name, sizeof name) ||
            strcmp(name, HB_WIRE_PORT) != 0)
            continue;
        snprintf(path, sizeof path, "/dev/%s", entry->d_name);
        fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    }
    if (folder)
        closedir(folder);
    return fd;
}

int
init_open_port(Agent *agent)
{
    int uevents = uevents_open();
    int fd;
    bool is_told = false;
    while ((fd = open_named_port()) < 0)
        if (!uevents_wait(uevents, PORT_COMPLAIN_MS) && (agent->is_init || !is_told)) {
            agent_log(agent, 3, "there is no port named %s", HB_WIRE_PORT);
            is_told = true;
        }
    close(uevents);
    return fd;
}

static bool
is_connected(int port)
{
    struct pollfd check = {.fd = port, .events = 0};
    return poll(&check, 1, 0) == 0;
}

/* What the one before has said and nobody has read is not for the next. */
static void
discard_input(int port)
{
    char bytes[4096];
    while (!is_connected(port) && read(port, bytes, sizeof bytes) > 0)
        ;
}

int
init_wait_harness(Agent *agent, int port)
{
    int number = 0;
    discard_input(port);
    /* While nobody is there the port reports a hang-up all the time; only an edge tells a
     * change. */
    int edges = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET};
    epoll_ctl(edges, EPOLL_CTL_ADD, port, &event);
    while (!is_connected(port) && !number) {
        struct pollfd wait[] = {{.fd = edges, .events = POLLIN},
                                {.fd = agent->signal_fd, .events = POLLIN}};
        poll(wait, 2, -1);
        epoll_wait(edges, &event, 1, 0);
        number = serve_signals(agent);
    }
    close(edges);
    return number;
}

/* ---- restored
 * ------------------------------------------------------------------------------------ */

static void
set_clock(Agent *agent, const char *text)
{
    long long seconds;
    long microseconds;
    if (sscanf(text, "%lld.%6ld", &seconds, &microseconds) != 2)
        return;
    const struct timespec now = {(time_t)seconds, microseconds * 1000};
    if (clock_settime(CLOCK_REALTIME, &now) < 0)
        agent_log(agent, 3, "cannot set the clock: %s", strerror(errno));
}

/* What is mixed in counts as random, and the generators of all CPUs take it at once. */
static void
seed_random(Agent *agent, const char *text)
{
    struct {
        int entropy_count, buf_size;
        uint8_t bytes[64];
    } pool = {0};
    unsigned value;
    while (pool.buf_size < (int)sizeof pool.bytes && sscanf(text, "%2x", &value) == 1) {
        pool.bytes[pool.buf_size++] = (uint8_t)value;
        text += text[1] ? 2 : 1;
    }
    pool.entropy_count = pool.buf_size * 8;
    if (ioctl(agent->random_fd, RNDADDENTROPY, &pool) < 0 ||
        ioctl(agent->random_fd, RNDRESEEDCRNG) < 0)
        agent_log(agent, 3, "cannot seed the random numbers: %s", strerror(errno));
}

void
init_resume(Agent *agent, const Frame *frame)
{
    Cursor cursor = {frame->payload, frame->length, false};
    cursor_u32(&cursor);
    while (cursor.left > 0 && !cursor.bad) {
        const char *word = cursor_string(&cursor);
        if (strncmp(word, "clock=", 6) == 0)
            set_clock(agent, word + 6);
        else if (strncmp(word, "seed=", 5) == 0)
            seed_random(agent, word + 5);
    }
}

/* ---- the end
 * ---------------------------------------------------------------------------------------
 */

void
init_shutdown(Agent *agent, int signal_number)
{
    /* busybox's words for init: SIGUSR1 halt, SIGUSR2 power off, SIGTERM reboot; SIGINT
     * is Ctrl-Alt-Del and SIGPWR the power button. */
    static const struct {
        int signal_number;
        int how;
        const char *name;
    } ends[] = {
        {SIGUSR1, (int)RB_HALT_SYSTEM, "halt"},
        {SIGUSR2, (int)RB_POWER_OFF, "power off"},
        {SIGPWR, (int)RB_POWER_OFF, "power off"},
        {SIGTERM, (int)RB_AUTOBOOT, "reboot"},
        {SIGINT, (int)RB_AUTOBOOT, "reboot"},
    };
    size_t i = 0;
    while (i + 1 < sizeof ends / sizeof ends[0] && ends[i].signal_number != signal_number)
        i++;
    agent_log(agent, 5, "%s", ends[i].name);
    kill(-1, SIGTERM);
    kill(-1, SIGKILL);
    sync();
    reboot(ends[i].how);
    for (;;)
        pause();
}
