/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The agent in a host that runs a distribution: a service of the system, whose init has
 * mounted, loaded and started what it wants before. What is left is the host's name, what
 * the command line says of huge pages and virtual functions, names of interfaces, and
 * what suites rely on.
 */
#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#define UDEV_FOLDER "/run/udev"
/* Is there as long as udevd has events to handle (libudev's udev_queue). */
#define UDEV_QUEUE UDEV_FOLDER "/queue"
/* It loads the drivers of all functions, some of which take seconds under emulation. */
#define UDEV_MS 120000

static void
wait_for_udev(Agent *agent)
{
    char events[4096];
    int watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    inotify_add_watch(watch, UDEV_FOLDER, IN_DELETE | IN_CREATE);
    int64_t end = now_ms() + UDEV_MS;
    while (access(UDEV_QUEUE, F_OK) == 0) {
        int64_t left = end - now_ms();
        struct pollfd wait = {.fd = watch, .events = POLLIN};
        if (left <= 0 || poll(&wait, 1, (int)left) == 0) {
            agent_trouble(agent,
                          "udev is still at work after %d s; some functions may "
                          "have no driver yet",
                          UDEV_MS / 1000);
            break;
        }
        while (read(watch, events, sizeof events) > 0)
            ;
    }
    if (watch >= 0)
        close(watch);
}

/* Whether NAME stands in /etc/hosts as a word. */
static bool
hosts_have(const char *name)
{
    FILE *hosts = fopen("/etc/hosts", "re");
    char word[HOST_NAME_MAX + 2];
    bool found = false;
    while (hosts && !found && fscanf(hosts, "%65s", word) == 1)
        found = strcmp(word, name) == 0;
    if (hosts)
        fclose(hosts);
    return found;
}

/* The system may have taken the name from the kernel's command line itself. */
static void
name_host(Agent *agent, const char *name)
{
    char present[HOST_NAME_MAX + 1] = "";
    gethostname(present, sizeof present - 1);
    if (strcmp(present, name) != 0 && sethostname(name, strnlen(name, HOST_NAME_MAX)) < 0)
        agent_trouble(agent, "cannot name the host %s: %s", name, strerror(errno));
    if (hosts_have(name))
        return;
    FILE *hosts = fopen("/etc/hosts", "ae");
    if (hosts)
        fprintf(hosts, "127.0.1.1 %s\n", name);
    if (!hosts || fclose(hosts) != 0)
        agent_log(agent, 4, "cannot add the host's name to /etc/hosts: %s",
                  strerror(errno));
}

/* It has ended, since the agent is started behind it. */
static void
tell_first_boot(Agent *agent)
{
    char status[16] = "";
    int fd = open(HB_FIRST_BOOT_FAILED_PATH, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    (void)!read(fd, status, sizeof status - 1);
    close(fd);
    status[strspn(status, "0123456789")] = '\0';
    agent_trouble(agent, "the script of <first-boot> ended with status %s", status);
}

void
service_machine(Agent *agent)
{
    tell_first_boot(agent);
    wait_for_udev(agent);
    mkdir("/run/hostbed", 0755); /* for what is put into the host: the manifest */
    init_mount_hugepages(agent);
    init_finish(agent, name_host);
}
