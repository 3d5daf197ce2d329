/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "error.h"
#include "played-agent.h"

void
played_put(int fd, const void *data, gsize length)
{
    for (const char *at = data; length > 0;) {
        ssize_t n = write(fd, at, length);
        if (n <= 0)
            _exit(10);
        at += n;
        length -= (gsize)n;
    }
}

gboolean
played_get(int fd, void *data, gsize length)
{
    for (char *at = data; length > 0;) {
        ssize_t n = read(fd, at, length);
        if (n <= 0)
            return FALSE;
        at += n;
        length -= (gsize)n;
    }
    return TRUE;
}

void
played_send(int fd, guint type, guint channel, const void *payload, gsize length)
{
    struct {
        guint32 length;
        guint16 type, channel;
    } header = {(guint32)length, (guint16)type, (guint16)channel};
    played_put(fd, &header, sizeof header);
    played_put(fd, payload, length);
}

const PlayedFrame *
played_receive(int fd)
{
    static PlayedFrame frame;
    if (!played_get(fd, &frame, HB_WIRE_HEADER) || frame.length > HB_WIRE_MAX ||
        !played_get(fd, frame.payload, frame.length))
        return NULL;
    return &frame;
}

const PlayedFrame *
played_expect(int fd, guint type)
{
    const PlayedFrame *frame = played_receive(fd);
    if (!frame || frame->type != type)
        _exit(20 + (int)(frame ? frame->type : 0));
    return frame;
}

void
played_hello(int fd)
{
    static const char hello[] =
        "\1\0\0\0kernel=6.1.0\0nonce=abcd\0trouble=one\0trouble=two";
    played_send(fd, HB_FRAME_HELLO, 0, hello, sizeof hello);
}

void
played_exit(int fd, guint channel, guint32 status, guint32 number)
{
    guint32 payload[2] = {status, number};
    played_send(fd, HB_FRAME_EXIT, channel, payload, sizeof payload);
}

void
played_credit(int fd, guint channel, guint stream, guint32 bytes)
{
    guint32 payload[2] = {stream, bytes};
    played_send(fd, HB_FRAME_CREDIT, channel, payload, sizeof payload);
}

Peer
peer_play(void (*agent)(int fd))
{
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(fds[0]);
        agent(fds[1]);
        _exit(0);
    }
    close(fds[1]);
    return (Peer){guest_new(fds[0]), child};
}

Peer
peer_meet(void (*agent)(int fd))
{
    Peer peer = peer_play(agent);
    g_autoptr(GError) error = NULL;
    assert_true(guest_wait_hello(peer.guest, NULL, &error));
    return peer;
}

void
peer_part(Peer *peer)
{
    int status;
    g_clear_pointer(&peer->guest, guest_free);
    assert_int_equal(waitpid(peer->child, &status, 0), peer->child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

void
peer_part_by_force(Peer *peer)
{
    guest_free(peer->guest);
    kill(peer->child, SIGKILL);
    waitpid(peer->child, NULL, 0);
}

const char *const played_argv[] = {"some", "command", NULL};

void
played_keep_quiet(int fd)
{
    played_hello(fd);
    while (played_receive(fd)) {
    }
}

char *
peer_failure(void (*agent)(int fd), int code)
{
    Peer peer = peer_meet(agent);
    GuestCommand command = {SOME_COMMAND};
    GuestExit result;
    g_autoptr(GError) error = NULL;
    if (agent == played_keep_quiet)
        guest_set_silence_limit(peer.guest, 2);
    assert_false(guest_run(peer.guest, &command, &result, NULL, &error));
    assert_int_equal(error->code, code);
    peer_part_by_force(&peer);
    return g_strdup(error->message);
}

void
assert_peer_fails(void (*agent)(int fd), int code, const char *word)
{
    g_autofree char *message = peer_failure(agent, code);
    assert_non_null(strstr(message, word));
}

guint
played_begin(int fd)
{
    played_hello(fd);
    return played_expect(fd, HB_FRAME_RUN)->channel;
}
