/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Several who speak with one agent, which is played (played-agent.h).
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "error.h"
#include "played-agent.h"

/* One more who speaks with the agent of PEER. */
static Guest *
join(const Peer *peer)
{
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    guest_share(peer->guest, fds[0]);
    Guest *guest = guest_new(fds[1]);
    assert_true(guest_wait_hello(guest, NULL, NULL));
    return guest;
}

static void
run_well(Guest *guest, int status)
{
    GuestCommand command = {SOME_COMMAND};
    GuestExit result;
    g_autoptr(GError) error = NULL;
    assert_true(guest_run(guest, &command, &result, NULL, &error));
    assert_int_equal(result.status, status);
}

/* ---- two at once
 * ------------------------------------------------------------------------------------ */

/* Two commands, of which the second ends first. */
static void
serve_two(int fd)
{
    played_hello(fd);
    guint first = played_expect(fd, HB_FRAME_RUN)->channel;
    played_expect(fd, HB_FRAME_STDIN);
    guint second = played_expect(fd, HB_FRAME_RUN)->channel;
    played_expect(fd, HB_FRAME_STDIN);
    if (first == second)
        _exit(1);
    played_exit(fd, second, 2, 0);
    played_exit(fd, first, 1, 0);
}

static gboolean
run_second(gpointer user_data)
{
    run_well(user_data, 2);
    return G_SOURCE_REMOVE;
}

static void
two_have_commands_at_once(void **state)
{
    Peer peer = peer_meet(serve_two);
    g_autoptr(Guest) one = join(&peer);
    g_autoptr(Guest) other = join(&peer);
    assert_string_equal(guest_hello(other, "kernel"), "6.1.0");
    g_idle_add(run_second, other);
    run_well(one, 1);
    peer_part(&peer);
}

/* ---- one leaves
 * -------------------------------------------------------------------------------------
 */

#define PIECE 50000

/* All of a piece is given back. */
static void
expect_credit(const PlayedFrame *frame, guint channel)
{
    if (frame->channel != channel || frame->payload[0] != HB_FRAME_STDOUT ||
        *(const guint32 *)(const void *)(frame->payload + 4) != PIECE)
        _exit(2);
}

/* A command whose reader goes away is killed, and what it still says costs no room. */
static void
outlive_a_reader(int fd)
{
    static const char bytes[PIECE];
    played_hello(fd);
    guint channel = played_expect(fd, HB_FRAME_RUN)->channel;
    played_expect(fd, HB_FRAME_STDIN);
    played_send(fd, HB_FRAME_STDOUT, channel, bytes, PIECE);
    /* By the one who leaves, and by the one who sees it. */
    const PlayedFrame *frame;
    for (int i = 0; i < 2; i++) {
        frame = played_expect(fd, HB_FRAME_SIGNAL);
        if (frame->channel != channel || frame->payload[0] != SIGKILL)
            _exit(1);
    }
    expect_credit(played_expect(fd, HB_FRAME_CREDIT), channel);
    played_send(fd, HB_FRAME_STDOUT, channel, bytes, PIECE);
    /* The next command may come before the credit for that. */
    guint next = 0;
    gboolean given_back = FALSE;
    while (next == 0 || !given_back) {
        frame = played_receive(fd);
        if (frame->type == HB_FRAME_RUN)
            next = frame->channel;
        if (frame->type == HB_FRAME_CREDIT)
            expect_credit(frame, channel);
        given_back |= frame->type == HB_FRAME_CREDIT;
    }
    if (next == channel)
        _exit(3);
    played_exit(fd, channel, 137, 9);
    played_exit(fd, next, 0, 0);
}

typedef struct {
    gsize bytes;
    GCancellable *enough;
} Reader;

static void
leave(int stream, const guint8 *data, gsize length, gpointer user_data)
{
    Reader *reader = user_data;
    reader->bytes += length;
    if (reader->bytes == PIECE)
        g_cancellable_cancel(reader->enough);
}

static void
what_one_leaves_is_killed(void **state)
{
    Peer peer = peer_meet(outlive_a_reader);
    g_autoptr(GCancellable) enough = g_cancellable_new();
    Reader reader = {.enough = enough};
    Guest *one = join(&peer);
    GuestCommand command = {SOME_COMMAND, .output = leave, .user_data = &reader};
    GuestExit result;
    assert_false(guest_run(one, &command, &result, enough, NULL));
    guest_free(one);
    while (g_main_context_iteration(NULL, FALSE)) { /* that it left is seen */
    }
    g_autoptr(Guest) other = join(&peer);
    run_well(other, 0);
    peer_part(&peer);
}

/* ---- one who breaks the protocol
 * -------------------------------------------------------------------- */

static void
serve_one(int fd)
{
    guint channel = played_begin(fd);
    played_expect(fd, HB_FRAME_STDIN);
    played_exit(fd, channel, 0, 0);
}

/* Frames that the agent would end the conversation for, with everybody. */
static void
send_nonsense(int fd)
{
    static const char bytes[HB_WIRE_MAX];
    played_send(fd, HB_FRAME_HELLO, 0, "", 0);
    played_send(fd, HB_FRAME_STDIN, 7, bytes, sizeof bytes);
    played_send(fd, HB_FRAME_EXIT, 7, bytes, 8);
}

static void
one_who_breaks_the_protocol_is_alone_with_it(void **state)
{
    int fds[2];
    char byte;
    Peer peer = peer_meet(serve_one);
    g_autoptr(Guest) other = join(&peer);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    send_nonsense(fds[1]);
    guest_share(peer.guest, fds[0]);
    run_well(other, 0);
    while (g_main_context_iteration(NULL, FALSE)) {
    }
    while (read(fds[1], &byte, 1) > 0) { /* the HELLO, and then the end */
    }
    close(fds[1]);
    peer_part(&peer);
}

/* ---- the agent leaves
 * ------------------------------------------------------------------------------- */

static void
leave_at_once(int fd)
{
    played_begin(fd);
}

static void
note_end(gpointer user_data)
{
    *(gboolean *)user_data = TRUE;
}

static void
the_agents_end_is_told(void **state)
{
    gboolean ended = FALSE;
    Peer peer = peer_meet(leave_at_once);
    guest_set_end(peer.guest, note_end, &ended);
    g_autoptr(Guest) one = join(&peer);
    GuestCommand command = {SOME_COMMAND};
    GuestExit result;
    g_autoptr(GError) error = NULL;
    assert_false(guest_run(one, &command, &result, NULL, &error));
    assert_int_equal(error->code, HB_EMULATOR_DIED);
    assert_true(ended);
    assert_non_null(guest_ended(peer.guest));
    peer_part(&peer);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_have_commands_at_once),
        cmocka_unit_test(what_one_leaves_is_killed),
        cmocka_unit_test(one_who_breaks_the_protocol_is_alone_with_it),
        cmocka_unit_test(the_agents_end_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
