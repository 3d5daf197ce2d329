/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Commands that wait (HB_RUN_WAITS, HB_RUN_GOES_ON).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agent-peer.h"

/* It says who it is, waits, and then repeats what it is told. */
#define WAITS "echo $$; kill -STOP $$; exec cat"
#define IS_ANEW "echo anew"

static pid_t
start_waiting(Peer *peer)
{
    uint16_t channel = peer_run(peer, HB_RUN_WAITS, WAITS);
    peer_send(peer, HB_FRAME_STDIN, channel, NULL,
              0); /* what is told later comes still */
    Outcome outcome = peer_finish(peer, channel);
    assert_int_equal(outcome.status, 0);
    assert_int_equal(outcome.signal_number, 0);
    pid_t pid = (pid_t)atoi(outcome.text[0]);
    assert_true(pid > 0);
    assert_int_equal(kill(pid, 0), 0);
    return pid;
}

static void
it_goes_on_after_another_hello(void **state)
{
    static const char told[] = "\x09\0\0\0WORD=a=b\0more";
    static const char *const argv[] = {"sh", "-c", IS_ANEW, NULL};
    Peer *peer = *state;
    peer_hello(peer);
    start_waiting(peer);
    peer_send(peer, HB_FRAME_HELLO, 0, "\1\0\0\0", 4);
    peer_hello(peer);
    peer->last_channel = 0; /* as who begins anew numbers them */
    uint16_t channel = peer_run_argv(peer, HB_RUN_GOES_ON, "", "WORD=a=b", argv);
    peer_send(peer, HB_FRAME_STDIN, channel, "more", 4);
    peer_send(peer, HB_FRAME_STDIN, channel, NULL, 0);
    Outcome outcome = peer_finish(peer, channel);
    assert_int_equal(outcome.status, 0);
    assert_int_equal(outcome.lengths[0], sizeof told - 1);
    assert_memory_equal(outcome.text[0], told, sizeof told - 1);
}

static void
it_waits_as_often_as_it_stops(void **state)
{
    Peer *peer = *state;
    static const char script[] =
        "for i in 1 2; do echo $i; kill -STOP $$; head -c 4 >/dev/null; done; echo over";
    peer_hello(peer);
    Outcome outcome = peer_finish(peer, peer_run(peer, HB_RUN_WAITS, script));
    assert_string_equal(outcome.text[0], "1\n");
    outcome = peer_finish(peer, peer_run(peer, HB_RUN_WAITS | HB_RUN_GOES_ON, IS_ANEW));
    assert_string_equal(outcome.text[0], "2\n");
    outcome = peer_finish(peer, peer_run(peer, HB_RUN_GOES_ON, IS_ANEW));
    assert_string_equal(outcome.text[0], "over\n");
    outcome = peer_finish(peer, peer_run(peer, HB_RUN_GOES_ON, IS_ANEW));
    assert_string_equal(outcome.text[0], "anew\n");
}

static void
none_of_another_name_goes_on(void **state)
{
    static const char *const argv[] = {"echo", "anew", NULL};
    Peer *peer = *state;
    peer_hello(peer);
    pid_t pid = start_waiting(peer);
    Outcome outcome =
        peer_finish(peer, peer_run_argv(peer, HB_RUN_GOES_ON, "", NULL, argv));
    assert_string_equal(outcome.text[0], "anew\n");
    outcome = peer_finish(peer, peer_run(peer, 0, IS_ANEW));
    assert_string_equal(outcome.text[0], "anew\n");
    assert_int_equal(kill(pid, 0), 0);
}

/* And reaped by the agent. */
static void
assert_gone(pid_t pid)
{
    for (int i = 0; i < 500 && kill(pid, 0) == 0; i++)
        usleep(20000);
    assert_int_equal(kill(pid, 0), -1);
    assert_int_equal(errno, ESRCH);
}

static void
one_waits_at_a_time(void **state)
{
    Peer *peer = *state;
    peer_hello(peer);
    pid_t former = start_waiting(peer);
    pid_t pid = start_waiting(peer);
    assert_int_not_equal(pid, former);
    assert_gone(former);
    assert_int_equal(kill(pid, 0), 0);
}

static void
one_that_was_killed_is_started_anew(void **state)
{
    Peer *peer = *state;
    peer_hello(peer);
    pid_t pid = start_waiting(peer);
    kill(pid, SIGKILL);
    assert_gone(pid);
    Outcome outcome = peer_finish(peer, peer_run(peer, HB_RUN_GOES_ON, IS_ANEW));
    assert_string_equal(outcome.text[0], "anew\n");
}

/* Nothing is left of a host that is no machine of its own. */
static void
what_waits_ends_with_the_agent(void **state)
{
    Peer *peer = *state;
    peer_hello(peer);
    pid_t pid = start_waiting(peer);
    assert_int_equal(peer_leave(peer), 0);
    assert_gone(pid);
}

static size_t
output_of_pong(Peer *peer)
{
    size_t got = 0;
    peer_send(peer, HB_FRAME_PING, 0, "12345678", 8);
    while (peer_receive(peer)->type != HB_FRAME_PONG) {
        assert_int_equal(peer->frame.type, HB_FRAME_STDOUT);
        got += peer->frame.length;
    }
    return got;
}

/* Else the next one would be thought to have said it. */
static void
it_waits_when_all_is_heard(void **state)
{
    static const char script[] = "head -c 300000 /dev/zero; kill -STOP $$; echo again";
    Peer *peer = *state;
    size_t got = 0;
    peer_hello(peer);
    uint16_t channel = peer_run(peer, HB_RUN_WAITS, script);
    while (got < HB_WIRE_WINDOW) {
        assert_int_equal(peer_receive(peer)->type, HB_FRAME_STDOUT);
        got += peer->frame.length;
    }
    /* It has stopped before long, and that is not told. */
    for (int i = 0; i < 20; i++) {
        assert_int_equal(output_of_pong(peer), 0);
        usleep(10000);
    }
    peer_credit(peer, channel, HB_FRAME_STDOUT, (uint32_t)got);
    Outcome outcome = peer_finish(peer, channel);
    assert_int_equal(got + outcome.lengths[0], 300000);
    outcome = peer_finish(peer, peer_run(peer, HB_RUN_GOES_ON, IS_ANEW));
    assert_string_equal(outcome.text[0], "again\n");
}

static int64_t
used_us(clockid_t clock)
{
    struct timespec used;
    assert_int_equal(clock_gettime(clock, &used), 0);
    return used.tv_sec * INT64_C(1000000) + used.tv_nsec / 1000;
}

/* The agent has one CPU with those it starts, maybe. */
static void
the_agent_rests_until_it_waits(void **state)
{
    Peer *peer = *state;
    clockid_t clock;
    peer_hello(peer);
    uint16_t channel = peer_run(peer, HB_RUN_WAITS, "sleep 1; kill -STOP $$");
    peer_send(peer, HB_FRAME_STDIN, channel, NULL, 0);
    assert_peer_alive(peer);
    assert_int_equal(clock_getcpuclockid(peer->pid, &clock), 0);
    int64_t before = used_us(clock);
    peer_finish(peer, channel);
    assert_in_range(used_us(clock) - before, 0, 50000);
}

/* It is only one that was stopped, and goes on when it is told by a signal: the first may
 * come before it has stopped. */
static void
who_may_not_wait_is_not_told_as_ended(void **state)
{
    Peer *peer = *state;
    uint8_t number[4];
    peer_hello(peer);
    uint16_t channel = peer_run(peer, 0, "kill -STOP $$; exit 7");
    put_u32(number, SIGCONT);
    const Frame *frame = &peer->frame;
    for (int i = 0; i < 500 && frame->type != HB_FRAME_EXIT; i++) {
        peer_send(peer, HB_FRAME_SIGNAL, channel, number, sizeof number);
        peer_send(peer, HB_FRAME_PING, 0, "12345678", 8);
        do
            frame = peer_receive(peer);
        while (frame->type != HB_FRAME_PONG && frame->type != HB_FRAME_EXIT);
        usleep(1000);
    }
    assert_int_equal(frame->type, HB_FRAME_EXIT);
    assert_int_equal(frame->payload[0], 7);
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, peer_start, peer_stop)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(it_goes_on_after_another_hello),
        CASE(it_waits_as_often_as_it_stops),
        CASE(none_of_another_name_goes_on),
        CASE(one_waits_at_a_time),
        CASE(one_that_was_killed_is_started_anew),
        CASE(what_waits_ends_with_the_agent),
        CASE(it_waits_when_all_is_heard),
        CASE(the_agent_rests_until_it_waits),
        CASE(who_may_not_wait_is_not_told_as_ended),
    };
    peer_prepare();
    return cmocka_run_group_tests_name("agent-wait", tests, NULL, NULL);
}
