/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Commands and files with an agent that is played (played-agent.h) and keeps to the
 * protocol. guest-lies.c has those that do not.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "error.h"
#include "played-agent.h"

/* ---- HELLO
 * ----------------------------------------------------------------------------------------
 */

static void
hello_tells_its_words(void **state)
{
    Peer peer = peer_meet(played_hello);
    assert_string_equal(guest_hello(peer.guest, "kernel"), "6.1.0");
    assert_string_equal(guest_hello_nth(peer.guest, "trouble", 1), "two");
    assert_null(guest_hello_nth(peer.guest, "trouble", 2));
    assert_null(guest_hello(peer.guest, "kern"));
    peer_part(&peer);
}

/* ---- commands
 * ----------------------------------------------------------------------------------------
 */

static void
run_once(int fd)
{
    static const char request[] = "\2\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0"
                                  "/tmp\0some\0command\0A=b";
    played_hello(fd);
    const PlayedFrame *run = played_expect(fd, HB_FRAME_RUN);
    guint channel = run->channel;
    if (run->length != sizeof request ||
        memcmp(run->payload, request, sizeof request) != 0)
        _exit(1);
    if (played_expect(fd, HB_FRAME_STDIN)->length != 0)
        _exit(2);
    played_send(fd, HB_FRAME_STDOUT, channel, "out\0put", 7);
    played_send(fd, HB_FRAME_STDERR, channel, "err", 3);
    played_send(fd, HB_FRAME_PING, 0, "12345678", 8);
    if (memcmp(played_expect(fd, HB_FRAME_PONG)->payload, "12345678", 8) != 0)
        _exit(3);
    played_send(fd, HB_FRAME_STDOUT, channel, "", 0);
    played_send(fd, HB_FRAME_STDERR, channel, "", 0);
    played_exit(fd, channel, 42, 0);
}

static void
collect(int stream, const guint8 *data, gsize length, gpointer user_data)
{
    GString **texts = user_data;
    g_string_append_len(texts[stream - 1], (const char *)data, (gssize)length);
}

static void
output_and_status_come_apart(void **state)
{
    Peer peer = peer_meet(run_once);
    GString *texts[2] = {g_string_new(""), g_string_new("")};
    const char *env[] = {"A=b", NULL};
    GuestCommand command = {SOME_COMMAND, .env = env, .cwd = "/tmp", .output = collect,
                            .user_data = texts};
    GuestExit result;
    assert_true(guest_run(peer.guest, &command, &result, NULL, NULL));
    assert_int_equal(result.status, 42);
    assert_int_equal(result.signal, 0);
    assert_int_equal(texts[0]->len, 7);
    assert_memory_equal(texts[0]->str, "out\0put", 7);
    assert_string_equal(texts[1]->str, "err");
    g_string_free(texts[0], TRUE);
    g_string_free(texts[1], TRUE);
    peer_part(&peer);
}

/* `cat`, with windows of its own that it holds to; counts that we hold to ours. */
static void
echo_everything(int fd)
{
    played_hello(fd);
    guint channel = played_expect(fd, HB_FRAME_RUN)->channel;
    gsize room = HB_WIRE_WINDOW, uncredited = 0;
    g_autoptr(GByteArray) kept = g_byte_array_new();
    gboolean ended = FALSE;
    while (!ended || kept->len > 0) {
        gsize piece = MIN(MIN(room, kept->len), 10000);
        if (piece > 0) {
            played_send(fd, HB_FRAME_STDOUT, channel, kept->data, piece);
            g_byte_array_remove_range(kept, 0, (guint)piece);
            room -= piece;
            if (!ended)
                played_credit(fd, channel, HB_FRAME_STDIN, (guint32)piece);
            uncredited -= piece;
            continue;
        }
        const PlayedFrame *frame = played_receive(fd);
        if (!frame)
            _exit(1);
        if (frame->type == HB_FRAME_CREDIT && frame->payload[0] == HB_FRAME_STDOUT) {
            room += *(const guint32 *)(const void *)(frame->payload + 4);
        } else if (frame->type == HB_FRAME_STDIN) {
            ended = frame->length == 0;
            uncredited += frame->length;
            g_byte_array_append(kept, frame->payload, frame->length);
            if (uncredited > HB_WIRE_WINDOW)
                _exit(2);
        } else if (frame->type == HB_FRAME_PING) {
            played_send(fd, HB_FRAME_PONG, 0, frame->payload, 8);
        } else {
            _exit(3);
        }
    }
    played_send(fd, HB_FRAME_STDOUT, channel, "", 0);
    played_exit(fd, channel, 0, 0);
}

#define FLOOD (20 * 1024 * 1024)

/* A child that writes FLOOD bytes of a pattern to a pipe; the pipe's end to read. */
static int
start_source(void)
{
    int fds[2];
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    if (fork() == 0) {
        guint32 numbers[1024];
        for (guint32 i = 0; i < FLOOD / 4; i++) {
            numbers[i % 1024] = i;
            if (i % 1024 == 1023)
                played_put(fds[1], numbers, sizeof numbers);
        }
        _exit(0);
    }
    close(fds[1]);
    return fds[0];
}

/* A child that checks the pattern, slowly at first; the pipe's end to write. */
static int
start_drain(pid_t *child)
{
    int fds[2];
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    *child = fork();
    if (*child == 0) {
        close(fds[1]);
        guint32 numbers[1024];
        usleep(200000);
        for (guint32 i = 0; i < FLOOD / 4; i++)
            if ((i % 1024 == 0 && !played_get(fds[0], numbers, sizeof numbers)) ||
                numbers[i % 1024] != i)
                _exit(1);
        _exit(read(fds[0], numbers, 1) == 0 ? 0 : 2);
    }
    close(fds[0]);
    return fds[1];
}

static void
hear_greetings(int fd)
{
    played_hello(fd);
    const PlayedFrame *frame = played_expect(fd, HB_FRAME_HELLO);
    if (frame->length != 4)
        _exit(20);
    played_hello(fd);
    frame = played_expect(fd, HB_FRAME_HELLO);
    const char *seed = (const char *)frame->payload + 4;
    if (frame->length <= 4 || frame->payload[frame->length - 1] != '\0' ||
        strncmp(seed, "seed=", 5) != 0 || strlen(seed) != 5 + 128)
        _exit(21);
    const char *clock = seed + strlen(seed) + 1;
    gint64 seconds = g_get_real_time() / G_USEC_PER_SEC;
    if (strncmp(clock, "clock=", 6) != 0 || seconds - atoll(clock + 6) > 60 ||
        atoll(clock + 6) > seconds)
        _exit(22);
    played_hello(fd);
}

static void
a_greeting_begins_anew(void **state)
{
    g_autoptr(GError) error = NULL;
    Peer peer = peer_meet(hear_greetings);
    for (int restored = FALSE; restored <= TRUE; restored++) {
        if (!guest_greet(peer.guest, restored, NULL, &error))
            fail_msg("%s", error->message);
        assert_non_null(guest_hello(peer.guest, "nonce"));
        assert_null(guest_hello_nth(peer.guest, "nonce", 1));
    }
    peer_part(&peer);
}

static void
floods_pass_unharmed(void **state)
{
    int status;
    pid_t drain;
    int in = start_source(), out = start_drain(&drain);
    Peer peer = peer_meet(echo_everything);
    GuestCommand command = {
        .argv = played_argv, .stdin_fd = in, .stdout_fd = out, .stderr_fd = -1};
    GuestExit result;
    g_autoptr(GError) error = NULL;
    if (!guest_run(peer.guest, &command, &result, NULL, &error))
        fail_msg("%s", error->message);
    peer_part(&peer);
    close(in);
    close(out);
    assert_int_equal(waitpid(drain, &status, 0), drain);
    assert_int_equal(status, 0);
    while (waitpid(-1, NULL, WNOHANG) > 0) {
    }
}

/* ---- ends
 * ----------------------------------------------------------------------------------------------
 */

/* Writes until SIGPIPE comes. */
static void
write_until_signal(int fd)
{
    guint channel = played_begin(fd);
    gsize room = HB_WIRE_WINDOW;
    for (;;) {
        if (room >= 1000) {
            static char bytes[1000];
            played_send(fd, HB_FRAME_STDOUT, channel, bytes, sizeof bytes);
            room -= sizeof bytes;
            if (room > HB_WIRE_WINDOW / 2)
                continue;
        }
        const PlayedFrame *frame = played_receive(fd);
        if (!frame)
            _exit(1);
        if (frame->type == HB_FRAME_CREDIT)
            room += *(const guint32 *)(const void *)(frame->payload + 4);
        if (frame->type == HB_FRAME_SIGNAL && frame->payload[0] == SIGKILL) {
            played_exit(fd, channel, 0, SIGKILL);
            return;
        }
        if (frame->type == HB_FRAME_SIGNAL && frame->payload[0] != SIGPIPE)
            _exit(2);
    }
}

static void
nobody_reading_ends_it_like_sigpipe(void **state)
{
    int fds[2];
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    close(fds[0]);
    Peer peer = peer_meet(write_until_signal);
    GuestCommand command = {
        .argv = played_argv, .stdin_fd = -1, .stdout_fd = fds[1], .stderr_fd = -1};
    GuestExit result;
    g_autoptr(GError) error = NULL;
    assert_true(guest_run(peer.guest, &command, &result, NULL, &error));
    assert_int_equal(result.signal, SIGPIPE);
    peer_part(&peer);
    close(fds[1]);
}

static void
end_on_signal(int fd)
{
    for (guint number = 0;; number = 0) {
        const PlayedFrame *frame = played_receive(fd);
        if (!frame)
            return;
        if (frame->type == HB_FRAME_SIGNAL) {
            number = frame->payload[0];
            played_exit(fd, frame->channel, 0, number);
        }
    }
}

static void
meet_and_end_on_signal(int fd)
{
    played_hello(fd);
    end_on_signal(fd);
}

static gboolean
on_interrupt(gpointer user_data)
{
    guest_signal(user_data, SIGINT);
    guest_resize(user_data, 24, 80);
    return G_SOURCE_REMOVE;
}

static gboolean
on_cancel(gpointer user_data)
{
    g_cancellable_cancel(user_data);
    return G_SOURCE_REMOVE;
}

static void
signals_timeouts_and_cancellation_end_it(void **state)
{
    Peer peer = peer_meet(meet_and_end_on_signal);
    g_autoptr(GCancellable) cancellable = g_cancellable_new();
    GuestCommand command = {SOME_COMMAND};
    GuestExit result;
    g_autoptr(GError) error = NULL;
    guest_signal(peer.guest, SIGINT); /* none runs: no effect */
    g_timeout_add(20, on_interrupt, peer.guest);
    assert_true(guest_run(peer.guest, &command, &result, cancellable, &error));
    assert_int_equal(result.signal, SIGINT);
    assert_false(result.timed_out);

    command.timeout_ms = 20;
    assert_true(guest_run(peer.guest, &command, &result, cancellable, &error));
    assert_int_equal(result.signal, SIGTERM);
    assert_true(result.timed_out);

    command.timeout_ms = 0;
    g_timeout_add(20, on_cancel, cancellable);
    assert_false(guest_run(peer.guest, &command, &result, cancellable, &error));
    assert_int_equal(error->code, HB_INTERRUPTED);

    /* the end of the cancelled one comes late, and means nothing */
    command.timeout_ms = 20;
    assert_true(guest_run(peer.guest, &command, &result, NULL, NULL));
    peer_part(&peer);
}

static void
long_commands_are_refused(void **state)
{
    Peer peer = peer_meet(meet_and_end_on_signal);
    g_autofree char *word = g_strnfill(HB_WIRE_MAX, 'x');
    const char *argv[] = {"echo", word, NULL};
    GuestCommand command = {
        .argv = argv, .stdin_fd = -1, .stdout_fd = -1, .stderr_fd = -1};
    GuestExit result;
    g_autoptr(GError) error = NULL;
    assert_false(guest_run(peer.guest, &command, &result, NULL, &error));
    assert_int_equal(error->code, HB_USAGE);
    peer_part(&peer);
}

/* ---- observation and files
 * -------------------------------------------------------------------------------- */

/* Keeps one file, gives back what was put, observes itself in two pieces. */
static void
keep_a_file(int fd)
{
    g_autoptr(GByteArray) file = g_byte_array_new();
    const PlayedFrame *frame;
    played_hello(fd);
    while ((frame = played_receive(fd))) {
        guint channel = frame->channel;
        if (frame->type == HB_FRAME_OBSERVE) {
            played_send(fd, HB_FRAME_OBSERVATION, channel, "cell 0\n", 7);
            played_send(fd, HB_FRAME_OBSERVATION, channel, "cell 1\n", 7);
            played_send(fd, HB_FRAME_OBSERVATION, channel, "", 0);
        } else if (frame->type == HB_FRAME_DATA && frame->length > 0) {
            g_byte_array_append(file, frame->payload, frame->length);
            played_credit(fd, channel, HB_FRAME_DATA, frame->length);
        } else if (frame->type == HB_FRAME_DATA) {
            played_send(fd, HB_FRAME_DONE, channel, "", 0);
        } else if (frame->type == HB_FRAME_GET) {
            gsize at = 0, room = HB_WIRE_WINDOW;
            while (at < file->len) {
                gsize piece = MIN(MIN(file->len - at, room), HB_WIRE_MAX);
                played_send(fd, HB_FRAME_DATA, channel, file->data + at, piece);
                at += piece;
                room -= piece;
                while (room == 0)
                    room += *(
                        const guint32 *)(const void *)(played_expect(fd, HB_FRAME_CREDIT)
                                                           ->payload +
                                                       4);
            }
            played_send(fd, HB_FRAME_DONE, channel, "", 0);
        }
    }
}

static void
observations_and_files_travel_whole(void **state)
{
    Peer peer = peer_meet(keep_a_file);
    g_autoptr(GError) error = NULL;
    g_autofree char *observation = guest_observe(peer.guest, NULL, &error);
    assert_string_equal(observation, "cell 0\ncell 1\n");

    gsize length = 1000003;
    guint8 *data = g_malloc(length);
    for (gsize i = 0; i < length; i++)
        data[i] = (guint8)(i * 7);
    g_autoptr(GBytes) content = g_bytes_new_take(data, length);
    assert_true(guest_put(peer.guest, "/tmp/x", 0644, content, NULL, &error));
    g_autoptr(GBytes) back = guest_get(peer.guest, "/tmp/x", length, NULL, &error);
    assert_non_null(back);
    assert_true(g_bytes_equal(content, back));

    assert_null(guest_get(peer.guest, "/tmp/x", length - 1, NULL, &error));
    assert_non_null(strstr(error->message, "/tmp/x: the file is larger"));
    peer_part_by_force(&peer);
}

int
main(void)
{
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hello_tells_its_words),
        cmocka_unit_test(output_and_status_come_apart),
        cmocka_unit_test(a_greeting_begins_anew),
        cmocka_unit_test(floods_pass_unharmed),
        cmocka_unit_test(nobody_reading_ends_it_like_sigpipe),
        cmocka_unit_test(signals_timeouts_and_cancellation_end_it),
        cmocka_unit_test(long_commands_are_refused),
        cmocka_unit_test(observations_and_files_travel_whole),
    };
    return cmocka_run_group_tests_name("guest", tests, NULL, NULL);
}
