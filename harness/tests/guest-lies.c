/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Agents that do not keep to the protocol: what they say ends the conversation, and
 * becomes words.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "error.h"
#include "played-agent.h"

static void
close_at_once(int fd)
{
}

static void
say_future_hello(int fd)
{
    played_send(fd, HB_FRAME_HELLO, 0, "\2\0\0\0", 4);
}

static void
say_unended_hello(int fd)
{
    played_send(fd, HB_FRAME_HELLO, 0, "\1\0\0\0kernel", 10);
}

static void
print_garbage(int fd)
{
    played_put(fd, "\033[2JWelcome to a shell\r\n$ ", 24);
}

static void
bad_hellos_are_refused(void **state)
{
    static const struct {
        void (*agent)(int fd);
        int code;
    } cases[] = {{close_at_once, HB_EMULATOR_DIED},
                 {say_future_hello, HB_FAIL},
                 {say_unended_hello, HB_FAIL},
                 {print_garbage, HB_FAIL}};
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        Peer peer = peer_play(cases[i].agent);
        g_autoptr(GError) error = NULL;
        assert_false(guest_wait_hello(peer.guest, NULL, &error));
        assert_int_equal(error->code, cases[i].code);
        peer_part_by_force(&peer);
    }
}

static void
flood_over_window(int fd)
{
    static char zeros[HB_WIRE_MAX];
    played_hello(fd);
    guint channel = played_expect(fd, HB_FRAME_RUN)->channel;
    for (int i = 0; i < 100; i++)
        played_send(fd, HB_FRAME_STDOUT, channel, zeros, sizeof zeros);
}

static void
a_flood_without_credit_is_refused(void **state)
{
    int fds[2];
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    Peer peer = peer_meet(flood_over_window);
    GuestCommand command = {
        .argv = played_argv, .stdin_fd = -1, .stdout_fd = fds[1], .stderr_fd = -1};
    GuestExit result;
    g_autoptr(GError) error = NULL;
    assert_false(guest_run(peer.guest, &command, &result, NULL, &error));
    assert_non_null(strstr(error->message, "more output than it had room for"));
    peer_part_by_force(&peer);
    close(fds[0]);
    close(fds[1]);
}

/* ---- lies
 * ---------------------------------------------------------------------------------------------
 */

static void
lie_length(int fd)
{
    played_begin(fd);
    played_put(fd, "\1\0\1\0\2\0\1\0", 8);
}

static void
lie_type(int fd)
{
    played_send(fd, HB_FRAME_RUN, played_begin(fd), "", 0);
}

static void
lie_channel(int fd)
{
    played_exit(fd, played_begin(fd) + 1, 0, 0);
}

static void
lie_status(int fd)
{
    played_exit(fd, played_begin(fd), 256, 0);
}

static void
lie_credit(int fd)
{
    played_credit(fd, played_begin(fd), HB_FRAME_STDIN, 1);
}

static void
lie_ping(int fd)
{
    played_begin(fd);
    played_send(fd, HB_FRAME_PING, 0, "1", 1);
}

static void
lie_kind(int fd)
{
    played_send(fd, HB_FRAME_OBSERVATION, played_begin(fd), "x", 1);
}

static void
lie_after_end(int fd)
{
    guint channel = played_begin(fd);
    played_send(fd, HB_FRAME_STDOUT, channel, "", 0);
    played_send(fd, HB_FRAME_STDOUT, channel, "x", 1);
}

static void
hello_again(int fd)
{
    played_begin(fd);
    played_hello(fd);
}

static void
give_up(int fd)
{
    played_begin(fd);
    static const char reason[] = "no\033[31m memory\n";
    played_send(fd, HB_FRAME_FAILED, 0, reason, sizeof reason);
    while (played_receive(fd)) {
    }
}

static void
refuse(int fd)
{
    static const char reason[] = "fork: %s%n";
    played_send(fd, HB_FRAME_FAILED, played_begin(fd), reason, sizeof reason);
    while (played_receive(fd)) {
    }
}

static void
die(int fd)
{
    played_begin(fd);
}

static void
lies_end_the_conversation(void **state)
{
    static void (*const liars[])(int fd) = {lie_length, lie_type,     lie_channel,
                                            lie_status, lie_credit,   lie_ping,
                                            lie_kind,   lie_after_end};
    for (gsize i = 0; i < G_N_ELEMENTS(liars); i++)
        assert_peer_fails(liars[i], HB_FAIL, "broke its protocol");
    assert_peer_fails(hello_again, HB_FAIL, "started anew");
}

static void
failures_have_their_words(void **state)
{
    g_autofree char *given_up = peer_failure(give_up, HB_FAIL);
    assert_string_equal(given_up, "the host's agent gave up: no?[31m memory");
    g_autofree char *refused = peer_failure(refuse, HB_FAIL);
    assert_string_equal(refused, "the host's agent: fork: %s%n");
    assert_peer_fails(die, HB_EMULATOR_DIED, "closed the channel");
}

static void
silence_is_a_hang(void **state)
{
    assert_peer_fails(played_keep_quiet, HB_GUEST_HANG, "has not answered for 2 s");
}

int
main(void)
{
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_hellos_are_refused),
        cmocka_unit_test(a_flood_without_credit_is_refused),
        cmocka_unit_test(lies_end_the_conversation),
        cmocka_unit_test(failures_have_their_words),
        cmocka_unit_test(silence_is_a_hang),
    };
    return cmocka_run_group_tests_name("guest-lies", tests, NULL, NULL);
}
