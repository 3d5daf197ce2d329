/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guardian.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Where the kernel lacks close_range (before 5.9), what has a higher number stays open.
 */
#define FDS_MAX 65536

static void
close_all(void)
{
    struct rlimit limit = {FDS_MAX, FDS_MAX};
    if (syscall(SYS_close_range, 0U, ~0U, 0U) == 0)
        return;
    getrlimit(RLIMIT_NOFILE, &limit);
    for (rlim_t fd = 0; fd < limit.rlim_cur && fd < FDS_MAX; fd++)
        close((int)fd);
}

/* Field NUMBER of /proc/self/stat, see proc_pid_stat(5); 0: cannot be told. */
static unsigned long long
stat_field(const char *stat, int number)
{
    const char *at = strrchr(stat, ')'); /* the end of field 2, which may hold anything */
    for (int field = 2; at && field < number; field++)
        at = strchr(at + 1, ' ');
    return at ? strtoull(at, NULL, 10) : 0;
}

#define ARG_START 48
#define ARG_END 49

/* Another name and other arguments than hostbed's: who ends all that is called hostbed
 * means us to do our work. */
static void
take_name(void)
{
    static const char name[] = "emulator-guard";
    char stat[2048];
    prctl(PR_SET_NAME, name);
    int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? -1 : read(fd, stat, sizeof stat - 1);
    if (fd >= 0)
        close(fd);
    if (length <= 0)
        return;
    stat[length] = '\0';
    char *start = (char *)(uintptr_t)stat_field(stat, ARG_START);
    char *end = (char *)(uintptr_t)stat_field(stat, ARG_END);
    if (!start || end <= start)
        return;
    memset(start, 0, (size_t)(end - start));
    for (size_t i = 0; i < sizeof name - 1 && start + i + 1 < end; i++)
        start[i] = name[i];
}

/* Every signal is blocked, so the one that tells the parent's death waits to be fetched.
 * Whoever waits for an exec to close a descriptor knows by it that the guard is up. */
static void
guard(pid_t parent)
{
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    take_name();
    prctl(PR_SET_PDEATHSIG, SIGUSR1);
    close_all();
    while (getppid() == parent)
        sigwaitinfo(&all, NULL);
    kill(0, SIGKILL);
    _exit(0);
}

int
guardian_start(pid_t parent)
{
    if (getpgrp() != getpid()) /* never guard the group of whoever started us */
        return EPERM;
    /* A fork, but for the parent: its program shall not find a child that it did not
     * make. */
    long pid = syscall(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0);
    if (pid == 0)
        guard(parent);
    return pid < 0 ? errno : 0;
}

void
guardian_end_group(pid_t leader)
{
    kill(-leader, SIGKILL);
    kill(leader, SIGKILL);
    while (waitpid(leader, NULL, 0) < 0 && errno == EINTR)
        ;
    while (waitpid(-leader, NULL, 0) > 0 || errno == EINTR)
        ;
}
