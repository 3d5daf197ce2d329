/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * RUN and OBSERVE: a child, its standard streams, its end.
 */
#include "agent.h"
#include "observe.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* What a terminal may still say after its command has ended. */
#define TTY_LAST (1024 * 1024)

/* A RUN frame taken apart; the strings lie in the frame. */
typedef struct {
    const char *cwd;
    char **argv, **env; /* NULL-terminated; the arrays are owned */
    bool tty, cores, waits, goes_on;
    uint16_t rows, columns; /* of its terminal */
} Request;

static void
request_clear(Request *request)
{
    free(request->argv);
    free(request->env);
}

static char **
take_strings(Cursor *cursor, uint32_t count)
{
    /* Every string takes at least a byte, so a lie about the count costs no memory. */
    if (cursor->bad || count > cursor->left) {
        cursor->bad = true;
        return NULL;
    }
    char **strings = calloc((size_t)count + 1, sizeof *strings);
    for (uint32_t i = 0; strings && i < count; i++)
        strings[i] = (char *)cursor_string(cursor);
    return strings;
}

/* FALSE: it is malformed. Arrays stay NULL when memory is short. */
static bool
request_parse(Request *request, const Frame *frame)
{
    Cursor cursor = {frame->payload, frame->length, false};
    uint32_t argc = cursor_u32(&cursor);
    uint32_t envc = cursor_u32(&cursor);
    uint32_t flags = cursor_u32(&cursor);
    request->rows = cursor_u16(&cursor);
    request->columns = cursor_u16(&cursor);
    request->tty = flags & HB_RUN_TTY;
    request->cores = flags & HB_RUN_CORES;
    request->waits = flags & HB_RUN_WAITS;
    request->goes_on = flags & HB_RUN_GOES_ON;
    request->cwd = cursor_string(&cursor);
    request->argv = take_strings(&cursor, argc);
    request->env = take_strings(&cursor, envc);
    return !cursor.bad && cursor.left == 0 && argc > 0 &&
           !(request->tty && (request->waits || request->goes_on)) &&
           !(flags &
             ~(uint32_t)(HB_RUN_TTY | HB_RUN_CORES | HB_RUN_WAITS | HB_RUN_GOES_ON));
}

/* ---- the child
 * -------------------------------------------------------------------------------- */

/* Ours of the pair stays here, theirs becomes a standard stream of the child. */
typedef struct {
    int ours, theirs;
} Pair;

typedef struct {
    Pair in, out, err;
} Pairs;

static void
pair_close(Pair *pair)
{
    if (pair->ours >= 0)
        close(pair->ours);
    if (pair->theirs >= 0)
        close(pair->theirs);
    *pair = (Pair){-1, -1};
}

static void
pairs_close(Pairs *pairs)
{
    pair_close(&pairs->in);
    pair_close(&pairs->out);
    pair_close(&pairs->err);
}

static bool
pair_pipe(Pair *pair, bool we_write)
{
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) < 0)
        return false;
    *pair = we_write ? (Pair){fds[1], fds[0]} : (Pair){fds[0], fds[1]};
    return fcntl(pair->ours, F_SETFL, O_NONBLOCK) == 0;
}

static bool
pairs_tty(Pairs *pairs, const Request *request)
{
    struct winsize size = {.ws_row = request->rows, .ws_col = request->columns};
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (master < 0)
        return false;
    pairs->out.ours = master;
    if (grantpt(master) < 0 || unlockpt(master) < 0 ||
        ioctl(master, TIOCSWINSZ, &size) < 0)
        return false;
    pairs->out.theirs = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    pairs->in.theirs = fcntl(pairs->out.theirs, F_DUPFD_CLOEXEC, 3);
    pairs->err.theirs = fcntl(pairs->out.theirs, F_DUPFD_CLOEXEC, 3);
    pairs->in.ours = fcntl(master, F_DUPFD_CLOEXEC, 3);
    return pairs->in.theirs >= 0 && pairs->err.theirs >= 0 && pairs->in.ours >= 0 &&
           fcntl(master, F_SETFL, O_NONBLOCK) == 0;
}

static bool
pairs_open(Pairs *pairs, const Request *request)
{
    *pairs = (Pairs){{-1, -1}, {-1, -1}, {-1, -1}};
    bool ok = request->tty
                  ? pairs_tty(pairs, request)
                  : pair_pipe(&pairs->in, true) && pair_pipe(&pairs->out, false) &&
                        pair_pipe(&pairs->err, false);
    if (!ok) {
        int error = errno;
        pairs_close(pairs);
        errno = error;
    }
    return ok;
}

static void
default_signals(void)
{
    for (int number = 1; number < NSIG; number++)
        signal(number, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static void
set_environment(char **env)
{
    static const char *const usual[][2] = {
        {"PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
        {"HOME", "/root"},
        {"TERM", "linux"},
    };
    /* As init there is nothing to inherit; as an ordinary process, what we were given. */
    for (size_t i = 0; i < sizeof usual / sizeof usual[0]; i++)
        setenv(usual[i][0], usual[i][1], 0);
    for (; *env; env++) {
        char *value = strchr(*env, '=');
        if (!value)
            continue;
        *value = '\0';
        setenv(*env, value + 1, 1);
        *value = '=';
    }
}

__attribute__((noreturn)) static void
child_complain(const char *what, int error, int status)
{
    dprintf(STDERR_FILENO, "hostbed: %s: %s\n", what, strerror(error));
    _exit(status);
}

static void
complain_missing(const Agent *agent, const char *program)
{
    if (agent->has_host && !agent->is_init)
        dprintf(
            STDERR_FILENO,
            "hostbed: %s: not in the host; a <package> in the lab's <image> may bring "
            "it\n",
            program);
    else
        dprintf(STDERR_FILENO,
                "hostbed: %s: not in the host; where this machine has it, run, test "
                "and up bring it by --with %s\n",
                program, program);
}

__attribute__((noreturn)) static void
child_main(const Agent *agent, const Request *request, const Pairs *pairs)
{
    setsid();
    if (request->tty)
        ioctl(pairs->in.theirs, TIOCSCTTY, 0);
    dup2(pairs->in.theirs, STDIN_FILENO);
    dup2(pairs->out.theirs, STDOUT_FILENO);
    dup2(pairs->err.theirs, STDERR_FILENO);
    set_environment(request->env);
    const char *cwd = *request->cwd ? request->cwd : "/";
    if (chdir(cwd) < 0)
        child_complain(cwd, errno, 125);
    default_signals();
    if (request->cores)
        setrlimit(RLIMIT_CORE, &(struct rlimit){RLIM_INFINITY, RLIM_INFINITY});
    execvp(request->argv[0], request->argv);
    if (errno == ENOENT && !strchr(request->argv[0], '/')) {
        complain_missing(agent, request->argv[0]);
        _exit(127);
    }
    child_complain(request->argv[0], errno, errno == ENOENT ? 127 : 126);
}

static void
start(Agent *agent, Channel *channel, const Request *request)
{
    Pairs pairs;
    if (!pairs_open(&pairs, request) || !(channel->stdin_data = malloc(HB_WIRE_WINDOW)) ||
        !(channel->path = strdup(request->argv[0])) || (channel->pid = fork()) < 0) {
        channel_failed(agent, channel->id, "cannot start %s: %s", request->argv[0],
                       strerror(errno));
        pairs_close(&pairs);
        channel->pid = 0;
        channel_free(channel);
        return;
    }
    if (channel->pid == 0)
        child_main(agent, request, &pairs);

    close(pairs.in.theirs);
    close(pairs.out.theirs);
    close(pairs.err.theirs);
    channel->tty = request->tty;
    channel->may_wait = request->waits;
    channel->stdin_fd = pairs.in.ours;
    channel->streams[0] =
        (Stream){pairs.out.ours, HB_FRAME_STDOUT, HB_WIRE_WINDOW, SIZE_MAX};
    channel->streams[1] =
        (Stream){pairs.err.ours, HB_FRAME_STDERR, HB_WIRE_WINDOW, SIZE_MAX};
    if (request->tty)
        wire_send(&agent->wire, HB_FRAME_STDERR, channel->id, NULL, 0);
}

/* FALSE: none waits. */
static bool
go_on(Agent *agent, uint16_t id, const Request *request)
{
    Channel *channel = command_waiting(agent, request->argv[0]);
    if (!channel)
        return false;
    if (channel_find(agent, id)) {
        serve_violation(agent, "channel %u is in use", id);
    } else if (command_go_on(channel, request->env)) {
        channel->id = id;
        channel->may_wait = request->waits;
    } else {
        channel_free(channel);
        return false;
    }
    return true;
}

void
command_run(Agent *agent, const Frame *frame)
{
    Request request = {0};
    if (!request_parse(&request, frame)) {
        serve_violation(agent, "a RUN frame does not hold the strings it announces");
    } else if (!request.argv || !request.env) {
        channel_failed(agent, frame->channel, "cannot start a command: %s",
                       strerror(ENOMEM));
    } else if (!request.goes_on || !go_on(agent, frame->channel, &request)) {
        Channel *channel = channel_new(agent, frame->channel, CHANNEL_COMMAND);
        if (channel)
            start(agent, channel, &request);
    }
    request_clear(&request);
}

__attribute__((noreturn)) static void
observe_main(const char *root, int fd)
{
    default_signals();
    FILE *out = fdopen(fd, "w");
    bool ok = out && observe(root, out) == 0 && fflush(out) == 0;
    _exit(ok ? 0 : 1);
}

void
command_observe(Agent *agent, const Frame *frame)
{
    Channel *channel = channel_new(agent, frame->channel, CHANNEL_OBSERVE);
    if (!channel)
        return;
    Pair pair = {-1, -1};
    if (!pair_pipe(&pair, false) || (channel->pid = fork()) < 0) {
        channel_failed(agent, frame->channel, "cannot observe: %s", strerror(errno));
        pair_close(&pair);
        channel->pid = 0;
        channel_free(channel);
        return;
    }
    if (channel->pid == 0)
        observe_main(agent->root, pair.theirs);
    close(pair.theirs);
    /* The output queue alone holds it back; it is small and has an end. */
    channel->streams[0] = (Stream){pair.ours, HB_FRAME_OBSERVATION, UINT32_MAX, SIZE_MAX};
}

/* ---- streams
 * ---------------------------------------------------------------------------------- */

static void
stream_end(Agent *agent, Channel *channel, Stream *stream)
{
    close(stream->fd);
    stream->fd = -1;
    if (channel->kind == CHANNEL_COMMAND)
        wire_send(&agent->wire, stream->type, channel->id, NULL, 0);
}

void
command_pump_output(Agent *agent, Channel *channel, Stream *stream)
{
    uint8_t data[HB_WIRE_MAX];
    if (stream->fd < 0)
        return;
    if (stream->last == 0) {
        stream_end(agent, channel, stream);
        return;
    }
    size_t want = sizeof data;
    if (want > stream->credit)
        want = stream->credit;
    if (want > stream->last)
        want = stream->last;
    if (want == 0 || wire_room(&agent->wire) < WIRE_PUMP_ROOM)
        return;

    ssize_t count = read(stream->fd, data, want);
    if (count < 0 && (errno == EINTR || (errno == EAGAIN && !channel->exited)))
        return;
    if (count <= 0) { /* EIO: the terminal's other side is closed */
        stream_end(agent, channel, stream);
        return;
    }
    wire_send(&agent->wire, stream->type, channel->id, data, (size_t)count);
    if (channel->kind == CHANNEL_COMMAND)
        stream->credit -= (uint32_t)count;
    if (stream->last != SIZE_MAX)
        stream->last -= (size_t)count;
}

static void
stdin_close(Agent *agent, Channel *channel)
{
    if (channel->stdin_fd >= 0)
        close(channel->stdin_fd);
    channel->stdin_fd = -1;
    if (channel->stdin_length > 0)
        channel_credit(agent, channel, HB_FRAME_STDIN, channel->stdin_length);
    channel->stdin_length = 0;
}

void
command_stdin(Agent *agent, Channel *channel, const Frame *frame)
{
    if (frame->length == 0) {
        channel->stdin_ended = true;
        command_pump_stdin(agent, channel);
        return;
    }
    if (channel->stdin_ended || frame->length > HB_WIRE_WINDOW - channel->stdin_length) {
        serve_violation(agent, "STDIN of channel %u is sent %s", channel->id,
                        channel->stdin_ended ? "after its end" : "without credit");
        return;
    }
    if (channel->stdin_fd < 0) { /* nobody reads it any more */
        channel_credit(agent, channel, HB_FRAME_STDIN, frame->length);
        return;
    }
    memmove(channel->stdin_data, channel->stdin_data + channel->stdin_start,
            channel->stdin_length);
    channel->stdin_start = 0;
    memcpy(channel->stdin_data + channel->stdin_length, frame->payload, frame->length);
    channel->stdin_length += frame->length;
    command_pump_stdin(agent, channel);
}

/* What waits is told by it, later, why it may go on. */
bool
command_closes_stdin(const Channel *channel)
{
    return channel->stdin_ended && !channel->may_wait;
}

void
command_pump_stdin(Agent *agent, Channel *channel)
{
    if (channel->stdin_fd < 0)
        return;
    if (channel->stdin_length > 0) {
        ssize_t count =
            write(channel->stdin_fd, channel->stdin_data + channel->stdin_start,
                  channel->stdin_length);
        if (count < 0 && errno != EAGAIN && errno != EINTR) {
            stdin_close(agent, channel);
        } else if (count > 0) {
            channel->stdin_start += (size_t)count;
            channel->stdin_length -= (size_t)count;
            channel_credit(agent, channel, HB_FRAME_STDIN, (size_t)count);
        }
    }
    if (channel->stdin_length > 0 || !command_closes_stdin(channel))
        return;
    /* A terminal has no end of file, only a key for it. */
    if (channel->tty && write(channel->stdin_fd, "\004", 1) < 0 && errno == EAGAIN)
        return;
    stdin_close(agent, channel);
}

/* ---- ends
 * ---------------------------------------------------------------------------------------
 */

void
command_signal(Channel *channel, int number)
{
    if (channel->pid <= 0 || channel->exited)
        return;
    if (number == SIGCONT)
        channel->stopped = false;
    /* Between fork() and setsid() there is no group yet. */
    if (kill(-channel->pid, number) < 0 && errno == ESRCH)
        kill(channel->pid, number);
}

void
command_resize(Channel *channel, uint16_t rows, uint16_t columns)
{
    struct winsize size = {.ws_row = rows, .ws_col = columns};
    if (channel->tty && channel->streams[0].fd >= 0)
        ioctl(channel->streams[0].fd, TIOCSWINSZ, &size);
}

void
command_exited(Channel *channel, int wait_status)
{
    channel->exited = true;
    channel->wait_status = wait_status;
    if (channel->kind == CHANNEL_WAITING) {
        channel_free(channel);
        return;
    }
    for (int i = 0; i < 2; i++) {
        Stream *stream = &channel->streams[i];
        int waiting = 0;
        if (stream->fd < 0)
            continue;
        /* What the command wrote is in the pipe by now, so this is all of it. A terminal
         * may still hold some back: it is read until it has nothing. */
        if (channel->tty)
            stream->last = TTY_LAST;
        else
            stream->last =
                ioctl(stream->fd, FIONREAD, &waiting) == 0 ? (size_t)waiting : 0;
    }
}

static void
send_exit(Agent *agent, const Channel *channel)
{
    int signal_number =
        WIFSIGNALED(channel->wait_status) ? WTERMSIG(channel->wait_status) : 0;
    int status = signal_number ? 128 + signal_number : WEXITSTATUS(channel->wait_status);
    uint8_t payload[8];
    wire_put_u32(payload, (uint32_t)status);
    wire_put_u32(payload + 4, (uint32_t)signal_number);
    wire_send(&agent->wire, HB_FRAME_EXIT, channel->id, payload, sizeof payload);
}

void
command_finish(Agent *agent, Channel *channel)
{
    if (!channel->exited || channel->streams[0].fd >= 0 || channel->streams[1].fd >= 0)
        return;
    stdin_close(agent, channel);
    if (channel->kind == CHANNEL_COMMAND)
        send_exit(agent, channel);
    else if (channel->wait_status == 0)
        wire_send(&agent->wire, HB_FRAME_OBSERVATION, channel->id, NULL, 0);
    else
        channel_failed(agent, channel->id, "the observation ended with %s %d",
                       WIFSIGNALED(channel->wait_status) ? "signal" : "status",
                       WIFSIGNALED(channel->wait_status)
                           ? WTERMSIG(channel->wait_status)
                           : WEXITSTATUS(channel->wait_status));
    channel_free(channel);
}
