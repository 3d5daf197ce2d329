/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent-peer.h"

#define ANSWER_MS 30000

int
peer_start(void **state)
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

int
peer_leave(Peer *peer)
{
    int status;
    close(peer->fd);
    peer->fd = -1;
    assert_int_equal(waitpid(peer->pid, &status, 0), peer->pid);
    peer->pid = 0;
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

int
peer_stop(void **state)
{
    Peer *peer = *state;
    char command[128];
    int status = peer->fd >= 0 ? peer_leave(peer) : 0;
    snprintf(command, sizeof command, "rm -rf %s", peer->folder);
    int removed = system(command);
    free(peer);
    return status || removed;
}

void
put_u16(uint8_t *at, uint16_t value)
{
    at[0] = value & 0xff;
    at[1] = value >> 8;
}

void
put_u32(uint8_t *at, uint32_t value)
{
    put_u16(at, value & 0xffff);
    put_u16(at + 2, value >> 16);
}

uint32_t
get_u32(const uint8_t *at)
{
    return at[0] | at[1] << 8 | at[2] << 16 | (uint32_t)at[3] << 24;
}

bool
peer_send_bytes(Peer *peer, const void *data, size_t length)
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

bool
peer_send(Peer *peer, uint16_t type, uint16_t channel, const void *payload, size_t length)
{
    uint8_t header[HB_WIRE_HEADER];
    put_u32(header, (uint32_t)length);
    put_u16(header + 4, type);
    put_u16(header + 6, channel);
    return peer_send_bytes(peer, header, sizeof header) &&
           peer_send_bytes(peer, payload, length);
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

Frame *
peer_receive(Peer *peer)
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

void
peer_credit(Peer *peer, uint16_t channel, uint16_t type, uint32_t count)
{
    uint8_t payload[8] = {0};
    put_u16(payload, type);
    put_u32(payload + 4, count);
    peer_send(peer, HB_FRAME_CREDIT, channel, payload, sizeof payload);
}

size_t
peer_add_string(uint8_t *payload, size_t length, const char *string)
{
    memcpy(payload + length, string, strlen(string) + 1);
    return length + strlen(string) + 1;
}

uint16_t
peer_run_argv(Peer *peer, uint32_t flags, const char *cwd, const char *env,
              const char *const *argv)
{
    uint8_t payload[HB_WIRE_MAX] = {0};
    uint32_t argc = 0;
    size_t length = peer_add_string(payload, 16, cwd);
    for (; argv[argc]; argc++)
        length = peer_add_string(payload, length, argv[argc]);
    if (env)
        length = peer_add_string(payload, length, env);
    put_u32(payload, argc);
    put_u32(payload + 4, env ? 1 : 0);
    put_u32(payload + 8, flags);
    put_u16(payload + 12, peer->rows);
    put_u16(payload + 14, peer->columns);
    assert_true(peer_send(peer, HB_FRAME_RUN, ++peer->last_channel, payload, length));
    return peer->last_channel;
}

uint16_t
peer_run(Peer *peer, uint32_t flags, const char *script)
{
    return peer_run_argv(peer, flags, "", NULL,
                         (const char *const[]){"sh", "-c", script, NULL});
}

static void
keep(Outcome *outcome, int index, const Frame *frame)
{
    size_t at = outcome->lengths[index], room = sizeof outcome->text[0] - 1;
    for (size_t i = 0; i < frame->length && at + i < room; i++)
        outcome->text[index][at + i] = (char)frame->payload[i];
    outcome->lengths[index] += frame->length;
}

Outcome
peer_finish(Peer *peer, uint16_t channel)
{
    Outcome outcome = {0};
    for (;;) {
        const Frame *frame = peer_receive(peer);
        if (frame->type == HB_FRAME_CREDIT)
            continue;
        assert_int_equal(frame->channel, channel);
        if (frame->type == HB_FRAME_EXIT)
            break;
        assert_true(frame->type == HB_FRAME_STDOUT || frame->type == HB_FRAME_STDERR);
        keep(&outcome, frame->type - HB_FRAME_STDOUT, frame);
        if (frame->length > 0)
            peer_credit(peer, channel, frame->type, frame->length);
    }
    outcome.status = get_u32(peer->frame.payload);
    outcome.signal_number = get_u32(peer->frame.payload + 4);
    return outcome;
}

void
peer_hello(Peer *peer)
{
    const Frame *frame = peer_receive(peer);
    assert_int_equal(frame->type, HB_FRAME_HELLO);
    assert_int_equal(get_u32(frame->payload), HB_WIRE_VERSION);
}

void
assert_peer_alive(Peer *peer)
{
    peer_send(peer, HB_FRAME_PING, 0, "12345678", 8);
    const Frame *frame = peer_receive(peer);
    assert_int_equal(frame->type, HB_FRAME_PONG);
    assert_memory_equal(frame->payload, "12345678", 8);
}

void
peer_prepare(void)
{
    signal(SIGPIPE, SIG_IGN);
    /* A sanitizer's report must not look like the agent's own status. */
    setenv("ASAN_OPTIONS", "exitcode=42", 1);
    setenv("UBSAN_OPTIONS", "exitcode=42:print_stacktrace=1", 1);
}
