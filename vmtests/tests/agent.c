/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The agent's services, asked for as the protocol says. agent-lies.c is about who does
 * not keep to it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent-peer.h"

static void
greets_with_version_and_words(void **state)
{
    Peer *peer = *state;
    peer_hello(peer);
    const char *word = (const char *)peer->frame.payload + 4;
    const char *end = (const char *)peer->frame.payload + peer->frame.length;
    int found = 0;
    for (; word < end; word += strlen(word) + 1)
        found += strncmp(word, "kernel=", 7) == 0 || strncmp(word, "uptime=", 7) == 0 ||
                 (strncmp(word, "nonce=", 6) == 0 && strlen(word) == 6 + 32);
    assert_int_equal(found, 3);
    assert_peer_alive(peer);
}

static void
keeps_streams_apart_and_tells_the_status(void **state)
{
    Peer *peer = *state;
    peer_hello(peer);
    Outcome outcome =
        peer_finish(peer, peer_run(peer, 0, "echo out; echo err >&2; exit 3"));
    assert_string_equal(outcome.text[0], "out\n");
    assert_string_equal(outcome.text[1], "err\n");
    assert_int_equal(outcome.status, 3);
    assert_int_equal(outcome.signal_number, 0);
    outcome = peer_finish(peer, peer_run(peer, 0, "kill -9 $$"));
    assert_int_equal(outcome.signal_number, SIGKILL);
    assert_int_equal(outcome.status, 128 + SIGKILL);
}

static void
gives_directory_and_environment(void **state)
{
    Peer *peer = *state;
    peer_hello(peer);
    const char *const argv[] = {"sh", "-c", "pwd; echo $WORD", NULL};
    Outcome outcome = peer_finish(peer, peer_run_argv(peer, 0, "/dev", "WORD=a=b", argv));
    assert_string_equal(outcome.text[0], "/dev\na=b\n");
}

static void
says_like_a_shell_what_cannot_be_run(void **state)
{
    Peer *peer = *state;
    peer_hello(peer);
    const char *const missing[] = {"no-such-program", NULL};
    Outcome outcome = peer_finish(peer, peer_run_argv(peer, 0, "", NULL, missing));
    assert_int_equal(outcome.status, 127);
    assert_non_null(strstr(outcome.text[1], "no-such-program"));
    const char *const folder[] = {"/dev", NULL};
    assert_int_equal(peer_finish(peer, peer_run_argv(peer, 0, "", NULL, folder)).status,
                     126);
    const char *const fine[] = {"true", NULL};
    assert_int_equal(
        peer_finish(peer, peer_run_argv(peer, 0, "/no/such", NULL, fine)).status, 125);
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
    peer_hello(peer);
    uint16_t channel = peer_run(peer, 0, "cat");
    size_t sent = 0, back = 0, credit = HB_WIRE_WINDOW;
    static uint8_t piece[PIECE];
    for (;;) {
        while (sent < TOTAL && credit >= PIECE) {
            size_t length = TOTAL - sent < PIECE ? TOTAL - sent : PIECE;
            for (size_t i = 0; i < length; i++)
                piece[i] = (uint8_t)((sent + i) * 7 >> 3);
            peer_send(peer, HB_FRAME_STDIN, channel, piece, length);
            sent += length;
            credit -= length;
            if (sent == TOTAL)
                peer_send(peer, HB_FRAME_STDIN, channel, NULL, 0);
        }
        const Frame *frame = peer_receive(peer);
        if (frame->type == HB_FRAME_EXIT)
            break;
        if (frame->type == HB_FRAME_CREDIT)
            credit += get_u32(frame->payload + 4);
        for (uint32_t i = 0; frame->type == HB_FRAME_STDOUT && i < frame->length;
             i++, back++)
            assert_int_equal(frame->payload[i], (uint8_t)(back * 7 >> 3));
        if (frame->type == HB_FRAME_STDOUT && frame->length > 0)
            peer_credit(peer, channel, HB_FRAME_STDOUT, frame->length);
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
    peer_hello(peer);
    uint16_t channel = peer_run(peer, 0, "exec <&-; sleep 0.2");
    static uint8_t piece[HB_WIRE_MAX];
    size_t credit = 0;
    for (int i = 0; i < 4; i++)
        peer_send(peer, HB_FRAME_STDIN, channel, piece, sizeof piece);
    while (peer_receive(peer)->type != HB_FRAME_EXIT)
        if (peer->frame.type == HB_FRAME_CREDIT)
            credit += get_u32(peer->frame.payload + 4);
    assert_int_equal(credit, HB_WIRE_WINDOW);
}

static void
a_flood_stops_at_the_window(void **state)
{
    Peer *peer = *state;
    peer_hello(peer);
    uint16_t channel = peer_run(peer, 0, "exec yes");
    size_t taken = 0;
    while (taken < HB_WIRE_WINDOW) {
        const Frame *frame = peer_receive(peer);
        assert_int_equal(frame->type, HB_FRAME_STDOUT);
        taken += frame->length;
    }
    assert_int_equal(taken, HB_WIRE_WINDOW);
    assert_peer_alive(peer); /* and nothing came before the answer */
    uint8_t number[4];
    put_u32(number, SIGTERM);
    peer_send(peer, HB_FRAME_SIGNAL, channel, number, sizeof number);
    peer_credit(peer, channel, HB_FRAME_STDOUT, HB_WIRE_WINDOW);
    Outcome outcome = peer_finish(peer, channel);
    assert_int_equal(outcome.signal_number, SIGTERM);
    assert_true(outcome.lengths[0] <= HB_WIRE_WINDOW);
}

static void
a_daemon_left_behind_holds_nothing_open(void **state)
{
    Peer *peer = *state;
    peer_hello(peer);
    Outcome outcome = peer_finish(peer, peer_run(peer, 0, "sleep 5 & echo started"));
    assert_string_equal(outcome.text[0], "started\n");
    /* One that floods the same pipe: what is there at the end of the command is sent, no
     * more. */
    outcome = peer_finish(peer, peer_run(peer, 0, "yes & sleep 0.1"));
    assert_int_equal(outcome.status, 0);
}

static void
signals_reach_the_whole_group(void **state)
{
    Peer *peer = *state;
    peer_hello(peer);
    /* Not before both shells are at their places: a signal that comes while dash starts a
     * program is lost on that one, and dash then waits for its end. */
    uint16_t channel = peer_run(peer, 0, "sh -c 'echo ready; read x'; echo still here");
    const Frame *frame = peer_receive(peer);
    assert_int_equal(frame->type, HB_FRAME_STDOUT);
    assert_string_equal((const char *)frame->payload, "ready\n");
    uint8_t number[4];
    put_u32(number, SIGINT);
    peer_send(peer, HB_FRAME_SIGNAL, channel, number, sizeof number);
    Outcome outcome = peer_finish(peer, channel);
    assert_int_equal(outcome.signal_number, SIGINT);
    assert_int_equal(outcome.lengths[0], 0);
}

static void
gives_a_terminal(void **state)
{
    Peer *peer = *state;
    peer_hello(peer);
    peer->rows = 17;
    peer->columns = 301;
    Outcome outcome = peer_finish(peer, peer_run(peer, HB_RUN_TTY, "stty size"));
    assert_string_equal(outcome.text[0], "17 301\r\n");
    uint16_t channel = peer_run(peer, HB_RUN_TTY,
                                "read x; stty size; test -t 0 && test -t 2; echo $?$x");
    uint8_t size[4];
    put_u16(size, 41);
    put_u16(size + 2, 123);
    peer_send(peer, HB_FRAME_RESIZE, channel, size, sizeof size);
    peer_send(peer, HB_FRAME_STDIN, channel, "line\n", 5);
    outcome = peer_finish(peer, channel);
    assert_non_null(strstr(outcome.text[0], "41 123\r\n0line\r\n"));
    channel = peer_run(peer, HB_RUN_TTY, "cat; echo over");
    peer_send(peer, HB_FRAME_STDIN, channel, NULL, 0);
    assert_non_null(strstr(peer_finish(peer, channel).text[0], "over\r\n"));
}

static void
a_terminal_gives_all_that_was_written(void **state)
{
    Peer *peer = *state;
    peer_hello(peer);
    Outcome outcome =
        peer_finish(peer, peer_run(peer, HB_RUN_TTY,
                                   "i=0; while [ $i -lt 2000 ]; do i=$((i+1)); "
                                   "echo 0123456789012345678; done"));
    assert_int_equal(outcome.lengths[0], 2000 * 21);
}

static void
serves_many_commands_at_once(void **state)
{
    Peer *peer = *state;
    int ended = 0, refused = 0;
    peer_hello(peer);
    for (int i = 0; i < HB_WIRE_CHANNELS + 2; i++)
        peer_run(peer, 0, "read x; echo $x; exit 7");
    for (int i = 0; i < 2; i++)
        refused += peer_receive(peer)->type == HB_FRAME_FAILED;
    assert_int_equal(refused, 2);
    for (uint16_t channel = 1; channel <= HB_WIRE_CHANNELS + 2; channel++)
        peer_send(peer, HB_FRAME_STDIN, channel, "go\n", 3);
    while (ended < HB_WIRE_CHANNELS)
        if (peer_receive(peer)->type == HB_FRAME_EXIT) {
            assert_int_equal(get_u32(peer->frame.payload), 7);
            ended++;
        }
    assert_peer_alive(peer);
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
    size_t length = peer_add_string(payload, 4, path);
    peer_send(peer, HB_FRAME_PUT, ++peer->last_channel, payload, length);
    return peer->last_channel;
}

static void
start_get(Peer *peer, const char *path)
{
    peer_send(peer, HB_FRAME_GET, ++peer->last_channel, path, strlen(path) + 1);
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
    peer_hello(peer);
    uint16_t channel = start_put(peer, "file", 0751);
    snprintf(path, sizeof path, "%s/file", peer->folder);
    for (int i = 0; i < PIECES; i++) {
        memset(piece, 'a' + i, sizeof piece);
        peer_send(peer, HB_FRAME_DATA, channel, piece, sizeof piece);
        assert_int_equal(peer_receive(peer)->type, HB_FRAME_CREDIT);
        given += get_u32(peer->frame.payload + 4);
        assert_int_not_equal(stat(path, &status), 0);
    }
    assert_int_equal(given, PIECES * sizeof piece);
    peer_send(peer, HB_FRAME_DATA, channel, NULL, 0);
    assert_int_equal(peer_receive(peer)->type, HB_FRAME_DONE);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0751);

    start_get(peer, path);
    while (peer_receive(peer)->type == HB_FRAME_DATA) {
        for (uint32_t i = 0; i < peer->frame.length; i++, back++)
            assert_int_equal(peer->frame.payload[i], 'a' + back / HB_WIRE_MAX);
        peer_credit(peer, peer->last_channel, HB_FRAME_DATA, peer->frame.length);
    }
    assert_int_equal(peer->frame.type, HB_FRAME_DONE);
    assert_int_equal(back, PIECES * sizeof piece);
}

static void
says_why_a_file_cannot_be_moved(void **state)
{
    Peer *peer = *state;
    peer_hello(peer);
    start_put(peer, "no/such/folder", 0644);
    assert_int_equal(peer_receive(peer)->type, HB_FRAME_FAILED);
    assert_non_null(strstr((char *)peer->frame.payload, "No such file or directory"));
    start_get(peer, "/no/such/file");
    assert_int_equal(peer_receive(peer)->type, HB_FRAME_FAILED);
    start_get(peer, "/dev/zero");
    assert_int_equal(peer_receive(peer)->type, HB_FRAME_FAILED);
    assert_non_null(strstr((char *)peer->frame.payload, "regular file"));
    assert_peer_alive(peer);
}

static void
a_file_left_half_written_is_removed(void **state)
{
    Peer *peer = *state;
    peer_hello(peer);
    uint16_t channel = start_put(peer, "half", 0644);
    peer_send(peer, HB_FRAME_DATA, channel, "half", 4);
    peer_receive(peer);
    assert_int_equal(peer_leave(peer), 0);
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
    peer_hello(peer);
    snprintf(command, sizeof command,
             "mkdir -p %s/sys/devices/system/cpu && echo 0-3 > "
             "%s/sys/devices/system/cpu/online",
             peer->folder, peer->folder);
    assert_int_equal(system(command), 0);
    peer_send(peer, HB_FRAME_OBSERVE, 9, NULL, 0);
    assert_int_equal(peer_receive(peer)->type, HB_FRAME_OBSERVATION);
    assert_string_equal((char *)peer->frame.payload, "cpus 0-3\n");
    assert_int_equal(peer_receive(peer)->type, HB_FRAME_OBSERVATION);
    assert_int_equal(peer->frame.length, 0);
}

static void
says_that_there_is_nothing_to_observe(void **state)
{
    Peer *peer = *state;
    peer_hello(peer);
    peer_send(peer, HB_FRAME_OBSERVE, 9, NULL, 0);
    assert_int_equal(peer_receive(peer)->type, HB_FRAME_FAILED);
    assert_int_equal(peer->frame.channel, 9);
}

/* ---- conversations
 * ----------------------------------------------------------------------------------- */

static void
frames_may_come_in_any_pieces(void **state)
{
    static const uint8_t frames[] = {8, 0, 0, 0, 65, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8};
    Peer *peer = *state;
    peer_hello(peer);
    for (size_t i = 0; i < sizeof frames; i++) {
        peer_send_bytes(peer, frames + i, 1);
        usleep(500);
    }
    assert_int_equal(peer_receive(peer)->type, HB_FRAME_PONG);
    assert_memory_equal(peer->frame.payload, frames + 8, 8);
}

static void
late_frames_are_dropped(void **state)
{
    Peer *peer = *state;
    peer_hello(peer);
    peer_send(peer, HB_FRAME_STDIN, 77, "late", 4);
    peer_send(peer, HB_FRAME_DATA, 77, "late", 4);
    peer_send(peer, HB_FRAME_SIGNAL, 77, "\017\0\0\0", 4);
    peer_credit(peer, 77, HB_FRAME_STDOUT, 100);
    assert_peer_alive(peer);
}

static void
hello_begins_anew(void **state)
{
    Peer *peer = *state;
    char nonce[64];
    peer_hello(peer);
    const char *at = memmem(peer->frame.payload, peer->frame.length, "nonce=", 6);
    assert_non_null(at);
    strncpy(nonce, at, sizeof nonce - 1);
    peer_run(peer, 0, "echo $$; exec sleep 1000");
    assert_int_equal(peer_receive(peer)->type, HB_FRAME_STDOUT);
    pid_t command = atoi((char *)peer->frame.payload);
    peer_send(peer, HB_FRAME_HELLO, 0, "\1\0\0\0", 4);
    peer_hello(peer);
    assert_non_null(
        memmem(peer->frame.payload, peer->frame.length, nonce, strlen(nonce)));
    peer->last_channel = 0; /* numbers are free again */
    assert_int_equal(peer_finish(peer, peer_run(peer, 0, "true")).status, 0);
    for (int i = 0; i < 100 && kill(command, 0) == 0; i++)
        usleep(20000);
    assert_int_equal(kill(command, 0), -1);
}

static void
leaving_ends_the_commands(void **state)
{
    Peer *peer = *state;
    peer_hello(peer);
    peer_run(peer, 0, "echo $$; exec sleep 1000");
    peer_receive(peer);
    pid_t command = atoi((char *)peer->frame.payload);
    assert_int_equal(peer_leave(peer), 0);
    for (int i = 0; i < 100 && kill(command, 0) == 0; i++)
        usleep(20000);
    assert_int_equal(kill(command, 0), -1);
}

static int
start_without_core_dumps(void **state)
{
    struct rlimit limit;
    getrlimit(RLIMIT_CORE, &limit);
    limit.rlim_cur = 0;
    setrlimit(RLIMIT_CORE, &limit);
    return peer_start(state);
}

static void
core_dumps_are_let_when_asked_for(void **state)
{
    Peer *peer = *state;
    struct rlimit limit;
    peer_hello(peer);
    getrlimit(RLIMIT_CORE, &limit);
    if (limit.rlim_max != RLIM_INFINITY)
        skip(); /* nobody here may let them */
    Outcome outcome = peer_finish(peer, peer_run(peer, 0, "ulimit -c"));
    assert_string_equal(outcome.text[0], "0\n");
    outcome = peer_finish(peer, peer_run(peer, HB_RUN_CORES, "ulimit -c"));
    assert_string_equal(outcome.text[0], "unlimited\n");
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, peer_start, peer_stop)

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
        cmocka_unit_test_setup_teardown(core_dumps_are_let_when_asked_for,
                                        start_without_core_dumps, peer_stop),
    };
    peer_prepare();
    return cmocka_run_group_tests_name("agent", tests, NULL, NULL);
}
