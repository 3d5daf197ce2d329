/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
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

#include "core-limit.h"
#include "error.h"
#include "guardian.h"

/* A program that floods is ended by SIGXFSZ. */
#define OUTPUT_MAX_BYTES (1024 * 1024)
#define COMPLAINT_MAX_BYTES 600

struct Child {
    GPid pid;           /* 0: was not started */
    int errors, output; /* memfds; output is -1 if nobody wants it */
};

typedef struct {
    pid_t parent;
    int group_fd;    /* is told the number of the group */
    gboolean limits; /* what it writes to files */
} Setup;

/* Runs in the child between fork and exec: async-signal-safe calls only. */
static void
before_exec(gpointer user_data)
{
    const Setup *setup = user_data;
    struct rlimit limit = {OUTPUT_MAX_BYTES, OUTPUT_MAX_BYTES};
    pid_t group = getpid();
    setpgid(0, 0);
    if (setup->limits)
        setrlimit(RLIMIT_FSIZE, &limit);
    core_limit_to_none();
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != setup->parent ||
        write(setup->group_fd, &group, sizeof group) != sizeof group ||
        guardian_start(setup->parent) != 0)
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

/* How a program is started. */
typedef struct {
    const char *const *argv;
    int fd;                      /* its descriptor 3, or -1 */
    const ChildStreams *streams; /* NULL: those of a Child that is not talked to */
} Start;

static gboolean
spawn_in_group(Child *child, const Start *start, int group_fd, GError **error)
{
    const Setup setup = {getpid(), group_fd, !start->streams};
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    const ChildStreams own = {null, child->output >= 0 ? child->output : null,
                              child->errors};
    const ChildStreams *streams = start->streams ? start->streams : &own;
    int target = 3;
    gboolean started = g_spawn_async_with_pipes_and_fds(
        NULL, start->argv, NULL, G_SPAWN_DO_NOT_REAP_CHILD, before_exec, (gpointer)&setup,
        streams->input, streams->output, streams->errors, &start->fd, &target,
        start->fd >= 0 ? 1 : 0, &child->pid, NULL, NULL, NULL, error);
    if (null >= 0)
        close(null);
    return started;
}

/* Where the program cannot be executed, its guardian is there already. */
static gboolean
spawn(Child *child, const Start *start, GError **error)
{
    int group_fds[2];
    pid_t group;
    g_autoptr(GError) failure = NULL;
    if (!g_unix_open_pipe(group_fds, FD_CLOEXEC, &failure)) {
        g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE, "cannot start %s: %s",
                    start->argv[0], failure->message);
        return FALSE;
    }
    gboolean started = spawn_in_group(child, start, group_fds[1], &failure);
    close(group_fds[1]);
    if (!started && read(group_fds[0], &group, sizeof group) == sizeof group)
        guardian_end_group(group);
    close(group_fds[0]);
    if (started)
        return TRUE;
    child->pid = 0;
    g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE, "cannot start %s: %s", start->argv[0],
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
    const Start start = {.argv = argv, .fd = fd};
    gboolean started = prepare(child, output, error) && spawn(child, &start, error);
    if (fd >= 0)
        close(fd);
    return started ? g_steal_pointer(&child) : NULL;
}

Child *
child_start_talking(const char *const *argv, const ChildStreams *streams, GError **error)
{
    g_autoptr(Child) child = g_new0(Child, 1);
    const Start start = {.argv = argv, .fd = -1, .streams = streams};
    child->errors = child->output = -1;
    return spawn(child, &start, error) ? g_steal_pointer(&child) : NULL;
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

static gboolean
on_event(gpointer user_data)
{
    gboolean *came = user_data;
    *came = TRUE;
    return G_SOURCE_CONTINUE;
}

static gboolean
on_end(int fd, GIOCondition condition, gpointer user_data)
{
    return on_event(user_data);
}

/* The main context turns meanwhile: that is where signals are heard of. */
static void
wait_interruptibly(int pidfd, guint timeout_ms)
{
    gboolean came = FALSE;
    guint end = pidfd >= 0 ? g_unix_fd_add(pidfd, G_IO_IN, on_end, &came) : 0;
    guint timer = g_timeout_add(timeout_ms, on_event, &came);
    while (!came && !g_cancellable_is_cancelled(g_cancellable_get_current()))
        g_main_context_iteration(NULL, TRUE);
    g_source_remove(timer);
    if (end)
        g_source_remove(end);
}

gboolean
child_wait(Child *child, guint timeout_ms, int *code)
{
    gint64 deadline = g_get_monotonic_time() + timeout_ms * (gint64)1000;
    GCancellable *interrupt = g_cancellable_get_current();
    int pidfd = (int)syscall(SYS_pidfd_open, child->pid, 0);
    struct pollfd waiting = {.fd = pidfd, .events = POLLIN};
    gint64 left;
    while (!has_ended(child, code) && !g_cancellable_is_cancelled(interrupt) &&
           (left = (deadline - g_get_monotonic_time()) / 1000) > 0) {
        int turn_ms = pidfd >= 0 ? (int)left : 5;
        if (interrupt)
            wait_interruptibly(pidfd, (guint)turn_ms);
        else
            poll(&waiting, 1, turn_ms);
    }
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
    if (child->pid > 0)
        guardian_end_group(child->pid);
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

char *
child_output(Child *child)
{
    struct stat about;
    gsize size =
        child->output >= 0 && fstat(child->output, &about) == 0 ? about.st_size : 0;
    char *text = g_malloc(size + 1);
    read_at(child->output, text, size + 1, 0);
    return text;
}

GPid
child_pid(const Child *child)
{
    return child->pid;
}
