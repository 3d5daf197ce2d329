/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launch-child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core-limit.h"
#include "error.h"
#include "guardian.h"

#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC (1U << 2)
#endif

/* In the child, between fork and exec: only async-signal-safe calls from here on. */

static void
die_with(pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) /* it died before the line above */
        _exit(127);
}

static void
forget_signals(void)
{
    sigset_t none;
    struct sigaction standard = {.sa_handler = SIG_DFL};
    for (int number = 1; number < NSIG; number++)
        sigaction(number, &standard, NULL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static gboolean
arrange_fds(const LaunchChild *options)
{
    int null = open("/dev/null", O_RDONLY);
    if (null < 0 || dup2(null, 0) < 0 || dup2(options->stderr_fd, 1) < 0 ||
        dup2(options->stderr_fd, 2) < 0)
        return FALSE;
    /* What we inherited ourselves is none of its business. Older kernels lack the call;
     * then it inherits what our parent left open, as any child would. */
    syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC);
    for (gsize i = 0; i < options->n_fds; i++)
        if (fcntl(options->fds[i], F_SETFD, 0) != 0)
            return FALSE;
    return TRUE;
}

static void
become(const LaunchChild *options, pid_t parent, int failure_fd)
{
    setsid();
    die_with(parent);
    forget_signals();
    core_limit_to_none();
    umask(077);
    if (options->small_pages) /* older kernels refuse, and are only slower */
        prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
    int reason = guardian_start(parent);
    if (reason == 0 && arrange_fds(options))
        execve(options->argv[0], (char **)options->argv, (char **)options->envp);
    if (reason == 0)
        reason = errno;
    if (write(failure_fd, &reason, sizeof reason) < 0) {
        /* our end without a word is a failure, too */
    }
    _exit(127);
}

/* 0, or errno of what kept the child from running its program. */
static int
read_failure(int fd)
{
    int reason = 0;
    ssize_t n;
    do
        n = read(fd, &reason, sizeof reason);
    while (n < 0 && errno == EINTR);
    return n == (ssize_t)sizeof reason ? reason : 0;
}

gboolean
launch_child_spawn(const LaunchChild *options, GPid *pid, GError **error)
{
    int failure[2];
    pid_t parent = getpid(), child = -1;
    if (pipe2(failure, O_CLOEXEC) == 0) {
        child = fork();
        if (child == 0)
            become(options, parent, failure[1]);
        int fork_errno = errno;
        close(failure[1]);
        errno = fork_errno;
    }
    if (child < 0) {
        g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE, "cannot start %s: %s",
                    options->argv[0], g_strerror(errno));
        return FALSE;
    }
    int reason = read_failure(failure[0]);
    close(failure[0]);
    if (reason != 0) {
        guardian_end_group(child);
        g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE, "cannot run %s: %s",
                    options->argv[0], g_strerror(reason));
        return FALSE;
    }
    *pid = child;
    return TRUE;
}

void
launch_child_kill(GPid pid)
{
    guardian_end_group(pid);
}

/* Looks without reaping, so that the group's number stays ours until it is ended. */
static gboolean
has_ended(GPid pid)
{
    siginfo_t info = {0};
    if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0)
        return errno != EINTR;
    return info.si_pid != 0;
}

gboolean
launch_child_reap(GPid pid, guint timeout_ms, int *status)
{
    for (guint waited = 0; !has_ended(pid); waited += 5) {
        if (waited >= timeout_ms)
            return FALSE;
        g_usleep(5000);
    }
    /* What a wrapper leaves behind ends with it, before its number can be another's. */
    kill(-pid, SIGKILL);
    if (waitpid(pid, status, 0) != pid)
        *status = 0;
    guardian_end_group(pid);
    return TRUE;
}
