/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "error.h"

/* A program that floods is ended by SIGXFSZ. */
#define OUTPUT_MAX_BYTES (1024 * 1024)
#define COMPLAINT_MAX_BYTES 600

struct Child {
    GPid pid;           /* 0: was not started */
    int errors, output; /* memfds; output is -1 if nobody wants it */
};

/* Runs in the child between fork and exec: async-signal-safe calls only. */
static void
before_exec(gpointer user_data)
{
    pid_t parent = (pid_t)GPOINTER_TO_INT(user_data);
    struct rlimit limit = {OUTPUT_MAX_BYTES, OUTPUT_MAX_BYTES};
    struct rlimit none = {0, 0};
    setpgid(0, 0);
    setrlimit(RLIMIT_FSIZE, &limit);
    setrlimit(RLIMIT_CORE, &none);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(127);
}

static int
new_memfd(const char *name, GError **error)
{
    int fd = memfd_create(name, MFD_CLOEXEC);
    if (fd < 0)
        g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE, "cannot make a memory file: %s",
                    g_strerror(errno));
    return fd;
}

static gboolean
spawn(Child *child, const char *const *argv, int fd, GError **error)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    int target = 3;
    g_autoptr(GError) failure = NULL;
    gboolean started = g_spawn_async_with_pipes_and_fds(
        NULL, argv, NULL, G_SPAWN_DO_NOT_REAP_CHILD, before_exec,
        GINT_TO_POINTER(getpid()), null, child->output >= 0 ? child->output : null,
        child->errors, &fd, &target, fd >= 0 ? 1 : 0, &child->pid, NULL, NULL, NULL,
        &failure);
    if (null >= 0)
        close(null);
    if (started)
        return TRUE;
    child->pid = 0;
    g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE, "cannot start %s: %s", argv[0],
                failure->message);
    return FALSE;
}

static gboolean
prepare(Child *child, gboolean output, GError **error)
{
    child->output = -1;
    child->errors = new_memfd("stderr", error);
    if (child->errors >= 0 && output)
        child->output = new_memfd("stdout", error);
    return child->errors >= 0 && (!output || child->output >= 0);
}

Child *
child_start(const char *const *argv, int fd, gboolean output, GError **error)
{
    g_autoptr(Child) child = g_new0(Child, 1);
    gboolean started = prepare(child, output, error) && spawn(child, argv, fd, error);
    if (fd >= 0)
        close(fd);
    return started ? g_steal_pointer(&child) : NULL;
}

/* Looks without reaping, so that pid and group stay ours until child_free(). */
static gboolean
has_ended(const Child *child, int *code)
{
    siginfo_t info = {0};
    if (waitid(P_PID, (id_t)child->pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 ||
        info.si_pid == 0)
        return FALSE;
    *code = info.si_code == CLD_EXITED ? info.si_status : -info.si_status;
    return TRUE;
}

gboolean
child_wait(Child *child, guint timeout_ms, int *code)
{
    gint64 deadline = g_get_monotonic_time() + timeout_ms * (gint64)1000;
    int pidfd = (int)syscall(SYS_pidfd_open, child->pid, 0);
    struct pollfd waiting = {.fd = pidfd, .events = POLLIN};
    gint64 left;
    while (!has_ended(child, code) &&
           (left = (deadline - g_get_monotonic_time()) / 1000) > 0)
        poll(&waiting, 1, pidfd >= 0 ? (int)left : 5);
    if (pidfd >= 0)
        close(pidfd);
    return has_ended(child, code);
}

void
child_kill(Child *child)
{
    /* The group too: a wrapper script has children of its own. */
    kill(-child->pid, SIGKILL);
    kill(child->pid, SIGKILL);
}

void
child_free(Child *child)
{
    if (!child)
        return;
    if (child->pid > 0) {
        child_kill(child);
        while (waitpid(child->pid, NULL, 0) < 0 && errno == EINTR)
            ;
    }
    if (child->errors >= 0)
        close(child->errors);
    if (child->output >= 0)
        close(child->output);
    g_free(child);
}

/* Up to SIZE - 1 bytes of FD from OFFSET, ended by NUL. */
static void
read_at(int fd, char *buffer, gsize size, off_t offset)
{
    ssize_t n = pread(fd, buffer, size - 1, offset);
    buffer[MAX(n, 0)] = '\0';
}

static char *
printable(const char *text)
{
    char *valid = g_utf8_make_valid(text, -1);
    for (char *c = valid; *c; c++)
        if (g_ascii_iscntrl(*c))
            *c = ' ';
    return g_strstrip(valid);
}

char *
child_complaint(Child *child)
{
    char buffer[COMPLAINT_MAX_BYTES];
    struct stat about;
    off_t size = fstat(child->errors, &about) == 0 ? about.st_size : 0;
    read_at(child->errors, buffer, sizeof buffer, MAX(size - COMPLAINT_MAX_BYTES + 1, 0));
    g_auto(GStrv) lines = g_strsplit(g_strchomp(buffer), "\n", -1);
    guint count = g_strv_length(lines);
    g_autofree char *last = g_strjoinv("; ", lines + (count > 3 ? count - 3 : 0));
    return printable(last);
}

char *
child_first_line(Child *child)
{
    char buffer[256] = "";
    if (child->output >= 0)
        read_at(child->output, buffer, sizeof buffer, 0);
    buffer[strcspn(buffer, "\n")] = '\0';
    return printable(buffer);
}
