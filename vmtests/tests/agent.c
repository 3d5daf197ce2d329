/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The agent as an ordinary process at the other end of a socketpair; the harness is
 * played here, by one who does not always behave.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "wire.h"

#define ANSWER_MS 30000

typedef struct {
    uint16_t type, channel;
    uint32_t length;
    uint8_t payload[HB_WIRE_MAX + 1]; /* and a NUL */
} Frame;

typedef struct {
    pid_t pid;
    int fd;
    uint16_t last_channel;
    char folder[64]; /* the agent works there */
    Frame frame;     /* the last one received */
} Peer;

/* ---- the harness's side
 * ------------------------------------------------------------------------ */

static int
start_agent(void **state)
{
    int fds[2];
    char number[12], program[4096];
    Peer *peer = calloc(1, sizeof *peer);
    const char *build = getenv("HOSTBED_BUILD_DIR");
    snprintf(program, sizeof program, "%s/vmtests/tests/plain-agent",
             build ? build : ".");
    strcpy(peer->folder, "/tmp/hostbed-agent-XXXXXX");
    assert_non_null(mkdtemp(peer->folder));
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    peer->pid = fork();
    if (peer->pid == 0) {
        int fd = dup(fds[1]);
        snprintf(number, sizeof number, "%d", fd);
        if (chdir(peer->folder) == 0)
            execl(program, program, "--root", peer->folder, "--fd", number, NULL);
        perror(program);
        _exit(99);
    }
    close(fds[1]);
    peer->fd = fds[0];
    *state = peer;
    return 0;
}

/* Leaves, and returns how the agent ended: its exit status, or the negative of a signal.
 */
static int
leave(Peer *peer)
{
    int status;
    close(peer->fd);
    peer->fd = -1;
    assert_int_equal(waitpid(peer->pid, &status, 0), peer->pid);
    peer->pid = 0;
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static int
stop_agent(void **state)
{
    Peer *peer = *state;
    char command[128];
    int status = peer->fd >= 0 ? leave(peer) : 0;
    snprintf(command, sizeof command, "rm -rf %s", peer->folder);
    int removed = system(command);
    free(peer);
    return status || removed;
}

static void
put_u16(uint8_t *at, uint16_t value)
{
    at[0] = value & 0xff;
    at[1] = value >> 8;
}

static void
put_u32(uint8_t *at, uint32_t value)
{
    put_u16(at, value & 0xffff);
    put_u16(at + 2, value >> 16);
}

static uint32_t
get_u32(const uint8_t *at)
{
    return at[0] | at[1] << 8 | at[2] << 16 | (uint32_t)at[3] << 24;
}

/* FALSE: the agent has left. */
static bool
send_bytes(Peer *peer, const void *data, size_t length)
{
    while (length > 0) {
        ssize_t count = send(peer->fd, data, length, MSG_NOSIGNAL);
        if (count < 0)
            return false;
        data = (const char *)data + count;
        length -= (size_t)count;
    }
    return true;
}

static bool
send_frame(Peer *peer, uint16_t type, uint16_t channel, const void *payload,
           size_t length)
{
    uint8_t header[HB_WIRE_HEADER];
    put_u32(header, (uint32_t)length);
    put_u16(header + 4, type);
    put_u16(header + 6, channel);
    return send_bytes(peer, header, sizeof header) && send_bytes(peer, payload, length);
}

static void
receive_bytes(Peer *peer, void *data, size_t length)
{
    while (length > 0) {
        struct pollfd wait = {.fd = peer->fd, .events = POLLIN};
        if (poll(&wait, 1, ANSWER_MS) != 1)
            fail_msg("the agent does not answer");
        ssize_t count = read(peer->fd, data, length);
        if (count <= 0)
            fail_msg("the agent has left");
        data = (char *)data + count;
        length -= (size_t)count;
    }
}

static Frame *
receive(Peer *peer)
{
    Frame *frame = &peer->frame;
    uint8_t header[HB_WIRE_HEADER];
    receive_bytes(peer, header, sizeof header);
    frame->length = get_u32(header);
    frame->type = (uint16_t)(header[4] | header[5] << 8);
    frame->channel = (uint16_t)(header[6] | header[7] << 8);
    assert_true(frame->length <= HB_WIRE_MAX);
    receive_bytes(peer, frame->payload, frame->length);
    frame->payload[frame->length] = 0;
    return frame;
}

static void
send_credit(Peer *peer, uint16_t channel, uint16_t type, uint32_t count)
{
    uint8_t payload[8] = {0};
    put_u16(payload, type);
    put_u32(payload + 4, count);
    send_frame(peer, HB_FRAME_CREDIT, channel, payload, sizeof payload);
}

static size_t
add_string(uint8_t *payload, size_t length, const char *string)
{
    memcpy(payload + length, string, strlen(string) + 1);
    return length + strlen(string) + 1;
}

/* Runs argv (ended by NULL) and returns its channel. */
static uint16_t
run_argv(Peer *peer, uint32_t flags, const char *cwd, const char *env,
         const char *const *argv)
{
    uint8_t payload[HB_WIRE_MAX] = {0};
    uint32_t argc = 0;
    size_t length = add_string(payload, 16, cwd);
    for (; argv[argc]; argc++)
        length = add_string(payload, length, argv[argc]);
    if (env)
        length = add_string(payload, length, env);
    put_u32(payload, argc);
    put_u32(payload + 4, env ? 1 : 0);
    put_u32(payload + 8, flags);
    assert_true(send_frame(peer, HB_FRAME_RUN, ++peer->last_channel, payload, length));
    return peer->last_channel;
}

static uint16_t
run_shell(Peer *peer, uint32_t flags, const char *script)
{
    return run_argv(peer, flags, "", NULL,
                    (const char *const[]){"sh", "-c", script, NULL});
}

typedef struct {
    uint32_t status, signal_number;
    size_t lengths[2]; /* of stdout and stderr */
    char text[2][512]; /* their beginnings */
} Outcome;

static void
keep(Outcome *outcome, int index, const Frame *frame)
{
    size_t at = outcome->lengths[index], room = sizeof outcome->text[0] - 1;
    for (size_t i = 0; i < frame->length && at + i < room; i++)
        outcome->text[index][at + i] = (char)frame->payload[i];
    outcome->lengths[index] += frame->length;
}

/* Takes all frames until the end of CHANNEL, the only one at work; gives all credit back.
 */
static Outcome
finish(Peer *peer, uint16_t channel)
{
    Outcome outcome = {0};
    for (;;) {
        const Frame *frame = receive(peer);
        if (frame->type == HB_FRAME_CREDIT)
            continue;
        assert_int_equal(frame->channel, channel);
        if (frame->type == HB_FRAME_EXIT)
            break;
        assert_true(frame->type == HB_FRAME_STDOUT || frame->type == HB_FRAME_STDERR);
        keep(&outcome, frame->type - HB_FRAME_STDOUT, frame);
        if (frame->length > 0)
            send_credit(peer, channel, frame->type, frame->length);
    }
    outcome.status = get_u32(peer->frame.payload);
    outcome.signal_number = get_u32(peer->frame.payload + 4);
    return outcome;
}

static void
hello(Peer *peer)
{
    const Frame *frame = receive(peer);
    assert_int_equal(frame->type, HB_FRAME_HELLO);
    assert_int_equal(get_u32(frame->payload), HB_WIRE_VERSION);
}

/* Nothing else is on the way before the answer. */
static void
assert_alive(Peer *peer)
{
    send_frame(peer, HB_FRAME_PING, 0, "12345678", 8);
    const Frame *frame = receive(peer);
    assert_int_equal(frame->type, HB_FRAME_PONG);
    assert_memory_equal(frame->payload, "12345678", 8);
}

/* ---- tests
 * -------------------------------------------------------------------------------------
 */

static void
greets_with_version_and_words(void **state)
{
    Peer *peer = *state;
    hello(peer);
    const char *word = (const char *)peer->frame.payload + 4;
    const char *end = (const char *)peer->frame.payload + peer->frame.length;
    int found = 0;
    for (; word < end; word += strlen(word) + 1)
        found += strncmp(word, "kernel=", 7) == 0 || strncmp(word, "uptime=", 7) == 0 ||
                 (strncmp(word, "nonce=", 6) == 0 && strlen(word) == 6 + 32);
    assert_int_equal(found, 3);
    assert_alive(peer);
}

static void
keeps_streams_apart_and_tells_the_status(void **state)
{
    Peer *peer = *state;
    hello(peer);
    Outcome outcome = finish(peer, run_shell(peer, 0, "echo out; echo err >&2; exit 3"));
    assert_string_equal(outcome.text[0], "out\n");
    assert_string_equal(outcome.text[1], "err\n");
    assert_int_equal(outcome.status, 3);
    assert_int_equal(outcome.signal_number, 0);
    outcome = finish(peer, run_shell(peer, 0, "kill -9 $$"));
    assert_int_equal(outcome.signal_number, SIGKILL);
    assert_int_equal(outcome.status, 128 + SIGKILL);
}

static void
gives_directory_and_environment(void **state)
{
    Peer *peer = *state;
    hello(peer);
    const char *const argv[] = {"sh", "-c", "pwd; echo $WORD", NULL};
    Outcome outcome = finish(peer, run_argv(peer, 0, "/dev", "WORD=a=b", argv));
    assert_string_equal(outcome.text[0], "/dev\na=b\n");
}

static void
says_like_a_shell_what_cannot_be_run(void **state)
{
    Peer *peer = *state;
    hello(peer);
    const char *const missing[] = {"no-such-program", NULL};
    Outcome outcome = finish(peer, run_argv(peer, 0, "", NULL, missing));
    assert_int_equal(outcome.status, 127);
    assert_non_null(strstr(outcome.text[1], "no-such-program"));
    const char *const folder[] = {"/dev", NULL};
    assert_int_equal(finish(peer, run_argv(peer, 0, "", NULL, folder)).status, 126);
    const char *const fine[] = {"true", NULL};
    assert_int_equal(finish(peer, run_argv(peer, 0, "/no/such", NULL, fine)).status, 125);
}

/* More than the window in both directions; what comes back must be what went in. */
static void
streams_both_ways(void **state)
{
    enum {
        TOTAL = 3 * HB_WIRE_WINDOW + 1234,
        PIECE = 50000
    };
    Peer *peer = *state;
    hello(peer);
    uint16_t channel = run_shell(peer, 0, "cat");
    size_t sent = 0, back = 0, credit = HB_WIRE_WINDOW;
    static uint8_t piece[PIECE];
    for (;;) {
        while (sent < TOTAL && credit >= PIECE) {
            size_t length = TOTAL - sent < PIECE ? TOTAL - sent : PIECE;
            for (size_t i = 0; i < length; i++)
                piece[i] = (uint8_t)((sent + i) * 7 >> 3);
            send_frame(peer, HB_FRAME_STDIN, channel, piece, length);
            sent += length;
            credit -= length;
            if (sent == TOTAL)
                send_frame(peer, HB_FRAME_STDIN, channel, NULL, 0);
        }
        const Frame *frame = receive(peer);
        if (frame->type == HB_FRAME_EXIT)
            break;
        if (frame->type == HB_FRAME_CREDIT)
            credit += get_u32(frame->payload + 4);
        for (uint32_t i = 0; frame->type == HB_FRAME_STDOUT && i < frame->length;
             i++, back++)
            assert_int_equal(frame->payload[i], (uint8_t)(back * 7 >> 3));
        if (frame->type == HB_FRAME_STDOUT && frame->length > 0)
            send_credit(peer, channel, HB_FRAME_STDOUT, frame->length);
    }
    assert_int_equal(back, TOTAL);
    assert_int_equal(credit, HB_WIRE_WINDOW);
}

/* A command that reads nothing and ends: its input is given back, not lost in the books.
 */
static void
gives_back_input_that_nobody_read(void **state)
{
    Peer *peer = *state;
    hello(peer);
    uint16_t channel = run_shell(peer, 0, "exec <&-; sleep 0.2");
    static uint8_t piece[HB_WIRE_MAX];
    size_t credit = 0;
    for (int i = 0; i < 4; i++)
        send_frame(peer, HB_FRAME_STDIN, channel, piece, sizeof piece);
    while (receive(peer)->type != HB_FRAME_EXIT)
        if (peer->frame.type == HB_FRAME_CREDIT)
            credit += get_u32(peer->frame.payload + 4);
    assert_int_equal(credit, HB_WIRE_WINDOW);
}

static void
a_flood_stops_at_the_window(void **state)
{
    Peer *peer = *state;
    hello(peer);
    uint16_t channel = run_shell(peer, 0, "exec yes");
    size_t taken = 0;
    while (taken < HB_WIRE_WINDOW) {
        const Frame *frame = receive(peer);
        assert_int_equal(frame->type, HB_FRAME_STDOUT);
        taken += frame->length;
    }
    assert_int_equal(taken, HB_WIRE_WINDOW);
    assert_alive(peer); /* and nothing came before the answer */
    uint8_t number[4];
    put_u32(number, SIGTERM);
    send_frame(peer, HB_FRAME_SIGNAL, channel, number, sizeof number);
    send_credit(peer, channel, HB_FRAME_STDOUT, HB_WIRE_WINDOW);
    Outcome outcome = finish(peer, channel);
    assert_int_equal(outcome.signal_number, SIGTERM);
    assert_true(outcome.lengths[0] <= HB_WIRE_WINDOW);
}

static void
a_daemon_left_behind_holds_nothing_open(void **state)
{
    Peer *peer = *state;
    hello(peer);
    Outcome outcome = finish(peer, run_shell(peer, 0, "sleep 5 & echo started"));
    assert_string_equal(outcome.text[0], "started\n");
    /* One that floods the same pipe: what is there at the end of the command is sent, no
     * more. */
    outcome = finish(peer, run_shell(peer, 0, "yes & sleep 0.1"));
    assert_int_equal(outcome.status, 0);
}

static void
signals_reach_the_whole_group(void **state)
{
    Peer *peer = *state;
    hello(peer);
    /* Not before both shells are at their places: a signal that comes while dash starts a
     * program is lost on that one, and dash then waits for its end. */
    uint16_t channel = run_shell(peer, 0, "sh -c 'echo ready; read x'; echo still here");
    const Frame *frame = receive(peer);
    assert_int_equal(frame->type, HB_FRAME_STDOUT);
    assert_string_equal((const char *)frame->payload, "ready\n");
    uint8_t number[4];
    put_u32(number, SIGINT);
    send_frame(peer, HB_FRAME_SIGNAL, channel, number, sizeof number);
    Outcome outcome = finish(peer, channel);
    assert_int_equal(outcome.signal_number, SIGINT);
    assert_int_equal(outcome.lengths[0], 0);
}

static void
gives_a_terminal(void **state)
{
    Peer *peer = *state;
    hello(peer);
    uint16_t channel = run_shell(peer, HB_RUN_TTY,
                                 "read x; stty size; test -t 0 && test -t 2; echo $?$x");
    uint8_t size[4];
    put_u16(size, 41);
    put_u16(size + 2, 123);
    send_frame(peer, HB_FRAME_RESIZE, channel, size, sizeof size);
    send_frame(peer, HB_FRAME_STDIN, channel, "line\n", 5);
    Outcome outcome = finish(peer, channel);
    assert_non_null(strstr(outcome.text[0], "41 123\r\n0line\r\n"));
    channel = run_shell(peer, HB_RUN_TTY, "cat; echo over");
    send_frame(peer, HB_FRAME_STDIN, channel, NULL, 0);
    assert_non_null(strstr(finish(peer, channel).text[0], "over\r\n"));
}

static void
a_terminal_gives_all_that_was_written(void **state)
{
    Peer *peer = *state;
    hello(peer);
    Outcome outcome = finish(peer, run_shell(peer, HB_RUN_TTY,
                                             "i=0; while [ $i -lt 2000 ]; do i=$((i+1)); "
                                             "echo 0123456789012345678; done"));
    assert_int_equal(outcome.lengths[0], 2000 * 21);
}

static void
serves_many_commands_at_once(void **state)
{
    Peer *peer = *state;
    int ended = 0, refused = 0;
    hello(peer);
    for (int i = 0; i < HB_WIRE_CHANNELS + 2; i++)
        run_shell(peer, 0, "read x; echo $x; exit 7");
    for (int i = 0; i < 2; i++)
        refused += receive(peer)->type == HB_FRAME_FAILED;
    assert_int_equal(refused, 2);
    for (uint16_t channel = 1; channel <= HB_WIRE_CHANNELS + 2; channel++)
        send_frame(peer, HB_FRAME_STDIN, channel, "go\n", 3);
    while (ended < HB_WIRE_CHANNELS)
        if (receive(peer)->type == HB_FRAME_EXIT) {
            assert_int_equal(get_u32(peer->frame.payload), 7);
            ended++;
        }
    assert_alive(peer);
}

/* ---- files
 * --------------------------------------------------------------------------------------
 */

static uint16_t
start_put(Peer *peer, const char *name, uint32_t mode)
{
    uint8_t payload[256];
    char path[128];
    put_u32(payload, mode);
    snprintf(path, sizeof path, "%s/%s", peer->folder, name);
    size_t length = add_string(payload, 4, path);
    send_frame(peer, HB_FRAME_PUT, ++peer->last_channel, payload, length);
    return peer->last_channel;
}

static void
start_get(Peer *peer, const char *path)
{
    send_frame(peer, HB_FRAME_GET, ++peer->last_channel, path, strlen(path) + 1);
}

static void
puts_and_gets_files(void **state)
{
    enum {
        PIECES = 9
    };
    Peer *peer = *state;
    static uint8_t piece[HB_WIRE_MAX];
    size_t given = 0, back = 0;
    char path[128];
    struct stat status;
    hello(peer);
    uint16_t channel = start_put(peer, "file", 0751);
    snprintf(path, sizeof path, "%s/file", peer->folder);
    for (int i = 0; i < PIECES; i++) {
        memset(piece, 'a' + i, sizeof piece);
        send_frame(peer, HB_FRAME_DATA, channel, piece, sizeof piece);
        assert_int_equal(receive(peer)->type, HB_FRAME_CREDIT);
        given += get_u32(peer->frame.payload + 4);
        assert_int_not_equal(stat(path, &status), 0);
    }
    assert_int_equal(given, PIECES * sizeof piece);
    send_frame(peer, HB_FRAME_DATA, channel, NULL, 0);
    assert_int_equal(receive(peer)->type, HB_FRAME_DONE);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0751);

    start_get(peer, path);
    while (receive(peer)->type == HB_FRAME_DATA) {
        for (uint32_t i = 0; i < peer->frame.length; i++, back++)
            assert_int_equal(peer->frame.payload[i], 'a' + back / HB_WIRE_MAX);
        send_credit(peer, peer->last_channel, HB_FRAME_DATA, peer->frame.length);
    }
    assert_int_equal(peer->frame.type, HB_FRAME_DONE);
    assert_int_equal(back, PIECES * sizeof piece);
}

static void
says_why_a_file_cannot_be_moved(void **state)
{
    Peer *peer = *state;
    hello(peer);
    start_put(peer, "no/such/folder", 0644);
    assert_int_equal(receive(peer)->type, HB_FRAME_FAILED);
    assert_non_null(strstr((char *)peer->frame.payload, "No such file or directory"));
    start_get(peer, "/no/such/file");
    assert_int_equal(receive(peer)->type, HB_FRAME_FAILED);
    start_get(peer, "/dev/zero");
    assert_int_equal(receive(peer)->type, HB_FRAME_FAILED);
    assert_non_null(strstr((char *)peer->frame.payload, "regular file"));
    assert_alive(peer);
}

static void
a_file_left_half_written_is_removed(void **state)
{
    Peer *peer = *state;
    hello(peer);
    uint16_t channel = start_put(peer, "half", 0644);
    send_frame(peer, HB_FRAME_DATA, channel, "half", 4);
    receive(peer);
    assert_int_equal(leave(peer), 0);
    assert_int_equal(rmdir(peer->folder), 0); /* it is empty */
    assert_int_equal(mkdir(peer->folder, 0700), 0);
}

/* ---- observation
 * ----------------------------------------------------------------------------------- */

static void
observes_its_root(void **state)
{
    Peer *peer = *state;
    char command[256];
    hello(peer);
    snprintf(command, sizeof command,
             "mkdir -p %s/sys/devices/system/cpu && echo 0-3 > "
             "%s/sys/devices/system/cpu/online",
             peer->folder, peer->folder);
    assert_int_equal(system(command), 0);
    send_frame(peer, HB_FRAME_OBSERVE, 9, NULL, 0);
    assert_int_equal(receive(peer)->type, HB_FRAME_OBSERVATION);
    assert_string_equal((char *)peer->frame.payload, "cpus 0-3\n");
    assert_int_equal(receive(peer)->type, HB_FRAME_OBSERVATION);
    assert_int_equal(peer->frame.length, 0);
}

static void
says_that_there_is_nothing_to_observe(void **state)
{
    Peer *peer = *state;
    hello(peer);
    send_frame(peer, HB_FRAME_OBSERVE, 9, NULL, 0);
    assert_int_equal(receive(peer)->type, HB_FRAME_FAILED);
    assert_int_equal(peer->frame.channel, 9);
}

/* ---- conversations
 * ----------------------------------------------------------------------------------- */

static void
frames_may_come_in_any_pieces(void **state)
{
    static const uint8_t frames[] = {8, 0, 0, 0, 65, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8};
    Peer *peer = *state;
    hello(peer);
    for (size_t i = 0; i < sizeof frames; i++) {
        send_bytes(peer, frames + i, 1);
        usleep(500);
    }
    assert_int_equal(receive(peer)->type, HB_FRAME_PONG);
    assert_memory_equal(peer->frame.payload, frames + 8, 8);
}

static void
late_frames_are_dropped(void **state)
{
    Peer *peer = *state;
    hello(peer);
    send_frame(peer, HB_FRAME_STDIN, 77, "late", 4);
    send_frame(peer, HB_FRAME_DATA, 77, "late", 4);
    send_frame(peer, HB_FRAME_SIGNAL, 77, "\017\0\0\0", 4);
    send_credit(peer, 77, HB_FRAME_STDOUT, 100);
    assert_alive(peer);
}

static void
hello_begins_anew(void **state)
{
    Peer *peer = *state;
    char nonce[64];
    hello(peer);
    const char *at = memmem(peer->frame.payload, peer->frame.length, "nonce=", 6);
    assert_non_null(at);
    strncpy(nonce, at, sizeof nonce - 1);
    run_shell(peer, 0, "echo $$; exec sleep 1000");
    assert_int_equal(receive(peer)->type, HB_FRAME_STDOUT);
    pid_t command = atoi((char *)peer->frame.payload);
    send_frame(peer, HB_FRAME_HELLO, 0, "\1\0\0\0", 4);
    hello(peer);
    assert_non_null(
        memmem(peer->frame.payload, peer->frame.length, nonce, strlen(nonce)));
    peer->last_channel = 0; /* numbers are free again */
    assert_int_equal(finish(peer, run_shell(peer, 0, "true")).status, 0);
    for (int i = 0; i < 100 && kill(command, 0) == 0; i++)
        usleep(20000);
    assert_int_equal(kill(command, 0), -1);
}

static void
leaving_ends_the_commands(void **state)
{
    Peer *peer = *state;
    hello(peer);
    run_shell(peer, 0, "echo $$; exec sleep 1000");
    receive(peer);
    pid_t command = atoi((char *)peer->frame.payload);
    assert_int_equal(leave(peer), 0);
    for (int i = 0; i < 100 && kill(command, 0) == 0; i++)
        usleep(20000);
    assert_int_equal(kill(command, 0), -1);
}

/* ---- violations
 * ---------------------------------------------------------------------------------------
 */

/* What was sent breaks the protocol: the reason comes on channel 0, and after that only
 * silence. */
static void
assert_broken(Peer *peer, const char *reason)
{
    do
        receive(peer);
    while (peer->frame.type != HB_FRAME_FAILED);
    assert_int_equal(peer->frame.channel, 0);
    if (!strstr((char *)peer->frame.payload, reason))
        fail_msg("%s is not the reason expected", (char *)peer->frame.payload);
    send_frame(peer, HB_FRAME_PING, 0, "12345678", 8);
    struct pollfd wait = {.fd = peer->fd, .events = POLLIN};
    assert_int_equal(poll(&wait, 1, 50), 0);
    assert_int_equal(leave(peer), 1);
}

static void
refuses_a_long_frame(void **state)
{
    static const uint8_t header[] = {1, 0, 1, 0, 65, 0, 0, 0};
    Peer *peer = *state;
    hello(peer);
    send_bytes(peer, header, sizeof header);
    assert_broken(peer, "longer than");
}

static void
refuses_an_unknown_type(void **state)
{
    Peer *peer = *state;
    hello(peer);
    send_frame(peer, 999, 0, NULL, 0);
    assert_broken(peer, "999");
}

static void
refuses_a_run_that_lies(void **state)
{
    Peer *peer = *state;
    uint8_t payload[] = {255, 255, 255, 127, 0, 0, 0,   0, 0,   0,
                         0,   0,   0,   0,   0, 0, '/', 0, 'x', 0};
    hello(peer);
    send_frame(peer, HB_FRAME_RUN, 1, payload, sizeof payload);
    assert_broken(peer, "RUN");
}

static void
refuses_a_channel_in_use(void **state)
{
    Peer *peer = *state;
    hello(peer);
    run_shell(peer, 0, "sleep 1000");
    peer->last_channel = 0;
    run_shell(peer, 0, "true");
    assert_broken(peer, "in use");
}

static void
refuses_input_without_credit(void **state)
{
    Peer *peer = *state;
    static uint8_t piece[HB_WIRE_MAX];
    hello(peer);
    uint16_t channel = run_shell(peer, 0, "sleep 1000");
    for (int i = 0; i < 6; i++)
        send_frame(peer, HB_FRAME_STDIN, channel, piece, sizeof piece);
    assert_broken(peer, "credit");
}

static void
refuses_a_short_ping(void **state)
{
    Peer *peer = *state;
    hello(peer);
    send_frame(peer, HB_FRAME_PING, 0, "1", 1);
    assert_broken(peer, "PING");
}

/* ---- anything
 * -------------------------------------------------------------------------------------------
 */

static uint32_t
random_next(uint32_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 17;
    return *seed ^= *seed << 5;
}

/* Makes PAYLOAD what the type asks for, more often than not; else few frames would get
 * past the first look at them. */
static size_t
make_plausible(uint16_t type, uint8_t *payload, size_t length, uint32_t *seed)
{
    if (random_next(seed) % 4 == 0)
        return length;
    switch (type) {
    case HB_FRAME_PING:
    case HB_FRAME_CREDIT:
        return 8;
    case HB_FRAME_SIGNAL:
    case HB_FRAME_RESIZE:
        return 4;
    case HB_FRAME_PUT:
        return add_string(payload, 4, random_next(seed) % 2 ? "file" : "no/such");
    case HB_FRAME_GET:
        return add_string(payload, 0, random_next(seed) % 2 ? "file" : "/proc/self/maps");
    case HB_FRAME_RUN:
        memset(payload, 0, 17);
        put_u32(payload, 1);
        put_u32(payload + 8, random_next(seed) % 2);
        return add_string(payload, 17, random_next(seed) % 2 ? "cat" : "yes");
    default:
        return length;
    }
}

static void
send_noise(Peer *peer, uint32_t *seed)
{
    static const uint16_t types[] = {
        HB_FRAME_RUN, HB_FRAME_STDIN,  HB_FRAME_SIGNAL, HB_FRAME_OBSERVE, HB_FRAME_PUT,
        HB_FRAME_GET, HB_FRAME_RESIZE, HB_FRAME_DATA,   HB_FRAME_CREDIT,  HB_FRAME_PING,
        HB_FRAME_RUN, HB_FRAME_STDIN,  HB_FRAME_DATA,   HB_FRAME_HELLO,
    };
    uint8_t payload[64];
    uint16_t type = types[random_next(seed) % (sizeof types / sizeof types[0])];
    size_t length = random_next(seed) % sizeof payload;
    for (size_t i = 0; i < sizeof payload; i++)
        payload[i] = random_next(seed) % 3 ? (uint8_t)random_next(seed) : 0;
    length = make_plausible(type, payload, length, seed);
    send_frame(peer, type, (uint16_t)(random_next(seed) % 40), payload, length);
}

/* Whatever comes, the agent ends as it should: it says what is wrong or it goes on. */
static void
survives_anything(void **state)
{
    for (uint32_t round = 1; round <= 100; round++) {
        void *inner;
        uint32_t seed = round * 2654435761u;
        start_agent(&inner);
        Peer *peer = inner;
        hello(peer);
        for (int i = 0; i < 60; i++)
            send_noise(peer, &seed);
        int status = leave(peer);
        if (status != 0 && status != 1)
            fail_msg("round %u ended the agent with %d", round, status);
        stop_agent(&inner);
    }
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, start_agent, stop_agent)

static int
start_without_core_dumps(void **state)
{
    struct rlimit limit;
    getrlimit(RLIMIT_CORE, &limit);
    limit.rlim_cur = 0;
    setrlimit(RLIMIT_CORE, &limit);
    return start_agent(state);
}

static void
core_dumps_are_let_when_asked_for(void **state)
{
    Peer *peer = *state;
    struct rlimit limit;
    hello(peer);
    getrlimit(RLIMIT_CORE, &limit);
    if (limit.rlim_max != RLIM_INFINITY)
        skip(); /* nobody here may let them */
    Outcome outcome = finish(peer, run_shell(peer, 0, "ulimit -c"));
    assert_string_equal(outcome.text[0], "0\n");
    outcome = finish(peer, run_shell(peer, HB_RUN_CORES, "ulimit -c"));
    assert_string_equal(outcome.text[0], "unlimited\n");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(greets_with_version_and_words),
        CASE(keeps_streams_apart_and_tells_the_status),
        CASE(gives_directory_and_environment),
        CASE(says_like_a_shell_what_cannot_be_run),
        CASE(streams_both_ways),
        CASE(gives_back_input_that_nobody_read),
        CASE(a_flood_stops_at_the_window),
        CASE(a_daemon_left_behind_holds_nothing_open),
        CASE(signals_reach_the_whole_group),
        CASE(gives_a_terminal),
        CASE(a_terminal_gives_all_that_was_written),
        CASE(serves_many_commands_at_once),
        CASE(puts_and_gets_files),
        CASE(says_why_a_file_cannot_be_moved),
        CASE(a_file_left_half_written_is_removed),
        CASE(observes_its_root),
        CASE(says_that_there_is_nothing_to_observe),
        CASE(frames_may_come_in_any_pieces),
        CASE(late_frames_are_dropped),
        CASE(hello_begins_anew),
        CASE(leaving_ends_the_commands),
        CASE(refuses_a_long_frame),
        CASE(refuses_an_unknown_type),
        CASE(refuses_a_run_that_lies),
        CASE(refuses_a_channel_in_use),
        CASE(refuses_input_without_credit),
        CASE(refuses_a_short_ping),
        cmocka_unit_test_setup_teardown(core_dumps_are_let_when_asked_for,
                                        start_without_core_dumps, stop_agent),
        cmocka_unit_test(survives_anything),
    };
    signal(SIGPIPE, SIG_IGN);
    /* A sanitizer's report must not look like the agent's own status. */
    setenv("ASAN_OPTIONS", "exitcode=42", 1);
    setenv("UBSAN_OPTIONS", "exitcode=42:print_stacktrace=1", 1);
    return cmocka_run_group_tests_name("agent", tests, NULL, NULL);
}
