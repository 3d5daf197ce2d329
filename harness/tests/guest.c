/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The agent is played by a child process at the other end of a socketpair: a function
 * that reads and writes frames, blocking. It ends with _exit(0) when it was treated as
 * the protocol says.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "error.h"
#include "guest.h"
#include "wire.h"

/* ---- the agent's side
 * ------------------------------------------------------------------------ */

typedef struct {
    guint32 length;
    guint16 type, channel;
    guint8 payload[HB_WIRE_MAX];
} Frame;

static void
put_bytes(int fd, const void *data, gsize length)
{
    for (const char *at = data; length > 0;) {
        ssize_t n = write(fd, at, length);
        if (n <= 0)
            _exit(10);
        at += n;
        length -= (gsize)n;
    }
}

static gboolean
get_bytes(int fd, void *data, gsize length)
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

static void
send_frame(int fd, guint type, guint channel, const void *payload, gsize length)
{
    struct {
        guint32 length;
        guint16 type, channel;
    } header = {(guint32)length, (guint16)type, (guint16)channel};
    put_bytes(fd, &header, sizeof header);
    put_bytes(fd, payload, length);
}

static const Frame *
receive(int fd)
{
    static Frame frame;
    if (!get_bytes(fd, &frame, HB_WIRE_HEADER) || frame.length > HB_WIRE_MAX ||
        !get_bytes(fd, frame.payload, frame.length))
        return NULL;
    return &frame;
}

/* The next frame, which must be of TYPE. */
static const Frame *
expect(int fd, guint type)
{
    const Frame *frame = receive(fd);
    if (!frame || frame->type != type)
        _exit(20 + (int)(frame ? frame->type : 0));
    return frame;
}

static void
say_hello(int fd)
{
    static const char hello[] =
        "\1\0\0\0kernel=6.1.0\0nonce=abcd\0trouble=one\0trouble=two";
    send_frame(fd, HB_FRAME_HELLO, 0, hello, sizeof hello);
}

static void
send_exit(int fd, guint channel, guint32 status, guint32 number)
{
    guint32 payload[2] = {status, number};
    send_frame(fd, HB_FRAME_EXIT, channel, payload, sizeof payload);
}

static void
send_credit(int fd, guint channel, guint stream, guint32 bytes)
{
    guint32 payload[2] = {stream, bytes};
    send_frame(fd, HB_FRAME_CREDIT, channel, payload, sizeof payload);
}

/* ---- our side
 * ---------------------------------------------------------------------------------- */

typedef struct {
    Guest *guest;
    pid_t child;
} Peer;

static Peer
play(void (*agent)(int fd))
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

static Peer
play_and_meet(void (*agent)(int fd))
{
    Peer peer = play(agent);
    g_autoptr(GError) error = NULL;
    assert_true(guest_wait_hello(peer.guest, NULL, &error));
    return peer;
}

/* The agent must have been content. */
static void
part(Peer *peer)
{
    int status;
    g_clear_pointer(&peer->guest, guest_free);
    assert_int_equal(waitpid(peer->child, &status, 0), peer->child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void
part_by_force(Peer *peer)
{
    guest_free(peer->guest);
    kill(peer->child, SIGKILL);
    waitpid(peer->child, NULL, 0);
}

static const char *const some_argv[] = {"some", "command", NULL};
#define SOME_COMMAND .argv = some_argv, .stdin_fd = -1, .stdout_fd = -1, .stderr_fd = -1

static void
keep_quiet(int fd)
{
    say_hello(fd);
    while (receive(fd)) {
    }
}

/* AGENT's behaviour must end the conversation, or the command, with CODE; the message,
 * owned by the caller. */
static char *
run_failure(void (*agent)(int fd), int code)
{
    Peer peer = play_and_meet(agent);
    GuestCommand command = {SOME_COMMAND};
    GuestExit result;
    g_autoptr(GError) error = NULL;
    if (agent == keep_quiet)
        guest_set_silence_limit(peer.guest, 2);
    assert_false(guest_run(peer.guest, &command, &result, NULL, &error));
    assert_int_equal(error->code, code);
    part_by_force(&peer);
    return g_strdup(error->message);
}

/* The same; the message has WORD. */
static void
assert_run_fails(void (*agent)(int fd), int code, const char *word)
{
    g_autofree char *message = run_failure(agent, code);
    assert_non_null(strstr(message, word));
}

/* ---- HELLO
 * ----------------------------------------------------------------------------------------
 */

static void
hello_tells_its_words(void **state)
{
    Peer peer = play_and_meet(say_hello);
    assert_string_equal(guest_hello(peer.guest, "kernel"), "6.1.0");
    assert_string_equal(guest_hello_nth(peer.guest, "trouble", 1), "two");
    assert_null(guest_hello_nth(peer.guest, "trouble", 2));
    assert_null(guest_hello(peer.guest, "kern"));
    part(&peer);
}

static void
close_at_once(int fd)
{
}

static void
say_future_hello(int fd)
{
    send_frame(fd, HB_FRAME_HELLO, 0, "\2\0\0\0", 4);
}

static void
say_unended_hello(int fd)
{
    send_frame(fd, HB_FRAME_HELLO, 0, "\1\0\0\0kernel", 10);
}

static void
print_garbage(int fd)
{
    put_bytes(fd, "\033[2JWelcome to a shell\r\n$ ", 24);
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
        Peer peer = play(cases[i].agent);
        g_autoptr(GError) error = NULL;
        assert_false(guest_wait_hello(peer.guest, NULL, &error));
        assert_int_equal(error->code, cases[i].code);
        part_by_force(&peer);
    }
}

/* ---- commands
 * ----------------------------------------------------------------------------------------
 */

static void
run_once(int fd)
{
    static const char request[] = "\2\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0"
                                  "/tmp\0some\0command\0A=b";
    say_hello(fd);
    const Frame *run = expect(fd, HB_FRAME_RUN);
    guint channel = run->channel;
    if (run->length != sizeof request ||
        memcmp(run->payload, request, sizeof request) != 0)
        _exit(1);
    if (expect(fd, HB_FRAME_STDIN)->length != 0)
        _exit(2);
    send_frame(fd, HB_FRAME_STDOUT, channel, "out\0put", 7);
    send_frame(fd, HB_FRAME_STDERR, channel, "err", 3);
    send_frame(fd, HB_FRAME_PING, 0, "12345678", 8);
    if (memcmp(expect(fd, HB_FRAME_PONG)->payload, "12345678", 8) != 0)
        _exit(3);
    send_frame(fd, HB_FRAME_STDOUT, channel, "", 0);
    send_frame(fd, HB_FRAME_STDERR, channel, "", 0);
    send_exit(fd, channel, 42, 0);
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
    Peer peer = play_and_meet(run_once);
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
    part(&peer);
}

/* `cat`, with windows of its own that it holds to; counts that we hold to ours. */
static void
echo_everything(int fd)
{
    say_hello(fd);
    guint channel = expect(fd, HB_FRAME_RUN)->channel;
    gsize room = HB_WIRE_WINDOW, uncredited = 0;
    g_autoptr(GByteArray) kept = g_byte_array_new();
    gboolean ended = FALSE;
    while (!ended || kept->len > 0) {
        gsize piece = MIN(MIN(room, kept->len), 10000);
        if (piece > 0) {
            send_frame(fd, HB_FRAME_STDOUT, channel, kept->data, piece);
            g_byte_array_remove_range(kept, 0, (guint)piece);
            room -= piece;
            if (!ended)
                send_credit(fd, channel, HB_FRAME_STDIN, (guint32)piece);
            uncredited -= piece;
            continue;
        }
        const Frame *frame = receive(fd);
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
            send_frame(fd, HB_FRAME_PONG, 0, frame->payload, 8);
        } else {
            _exit(3);
        }
    }
    send_frame(fd, HB_FRAME_STDOUT, channel, "", 0);
    send_exit(fd, channel, 0, 0);
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
                put_bytes(fds[1], numbers, sizeof numbers);
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
            if ((i % 1024 == 0 && !get_bytes(fds[0], numbers, sizeof numbers)) ||
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
    say_hello(fd);
    const Frame *frame = expect(fd, HB_FRAME_HELLO);
    if (frame->length != 4)
        _exit(20);
    say_hello(fd);
    frame = expect(fd, HB_FRAME_HELLO);
    const char *seed = (const char *)frame->payload + 4;
    if (frame->length <= 4 || frame->payload[frame->length - 1] != '\0' ||
        strncmp(seed, "seed=", 5) != 0 || strlen(seed) != 5 + 128)
        _exit(21);
    const char *clock = seed + strlen(seed) + 1;
    gint64 seconds = g_get_real_time() / G_USEC_PER_SEC;
    if (strncmp(clock, "clock=", 6) != 0 || seconds - atoll(clock + 6) > 60 ||
        atoll(clock + 6) > seconds)
        _exit(22);
    say_hello(fd);
}

static void
a_greeting_begins_anew(void **state)
{
    g_autoptr(GError) error = NULL;
    Peer peer = play_and_meet(hear_greetings);
    for (int restored = FALSE; restored <= TRUE; restored++) {
        if (!guest_greet(peer.guest, restored, NULL, &error))
            fail_msg("%s", error->message);
        assert_non_null(guest_hello(peer.guest, "nonce"));
        assert_null(guest_hello_nth(peer.guest, "nonce", 1));
    }
    part(&peer);
}

static void
floods_pass_unharmed(void **state)
{
    int status;
    pid_t drain;
    int in = start_source(), out = start_drain(&drain);
    Peer peer = play_and_meet(echo_everything);
    GuestCommand command = {
        .argv = some_argv, .stdin_fd = in, .stdout_fd = out, .stderr_fd = -1};
    GuestExit result;
    g_autoptr(GError) error = NULL;
    if (!guest_run(peer.guest, &command, &result, NULL, &error))
        fail_msg("%s", error->message);
    part(&peer);
    close(in);
    close(out);
    assert_int_equal(waitpid(drain, &status, 0), drain);
    assert_int_equal(status, 0);
    while (waitpid(-1, NULL, WNOHANG) > 0) {
    }
}

static void
flood_over_window(int fd)
{
    static char zeros[HB_WIRE_MAX];
    say_hello(fd);
    guint channel = expect(fd, HB_FRAME_RUN)->channel;
    for (int i = 0; i < 100; i++)
        send_frame(fd, HB_FRAME_STDOUT, channel, zeros, sizeof zeros);
}

static void
a_flood_without_credit_is_refused(void **state)
{
    int fds[2];
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    Peer peer = play_and_meet(flood_over_window);
    GuestCommand command = {
        .argv = some_argv, .stdin_fd = -1, .stdout_fd = fds[1], .stderr_fd = -1};
    GuestExit result;
    g_autoptr(GError) error = NULL;
    assert_false(guest_run(peer.guest, &command, &result, NULL, &error));
    assert_non_null(strstr(error->message, "more output than it had room for"));
    part_by_force(&peer);
    close(fds[0]);
    close(fds[1]);
}

/* ---- lies
 * ---------------------------------------------------------------------------------------------
 */

static guint
begin(int fd)
{
    say_hello(fd);
    return expect(fd, HB_FRAME_RUN)->channel;
}

static void
lie_length(int fd)
{
    begin(fd);
    put_bytes(fd, "\1\0\1\0\2\0\1\0", 8);
}

static void
lie_type(int fd)
{
    send_frame(fd, HB_FRAME_RUN, begin(fd), "", 0);
}

static void
lie_channel(int fd)
{
    send_exit(fd, begin(fd) + 1, 0, 0);
}

static void
lie_status(int fd)
{
    send_exit(fd, begin(fd), 256, 0);
}

static void
lie_credit(int fd)
{
    send_credit(fd, begin(fd), HB_FRAME_STDIN, 1);
}

static void
lie_ping(int fd)
{
    begin(fd);
    send_frame(fd, HB_FRAME_PING, 0, "1", 1);
}

static void
lie_kind(int fd)
{
    send_frame(fd, HB_FRAME_OBSERVATION, begin(fd), "x", 1);
}

static void
lie_after_end(int fd)
{
    guint channel = begin(fd);
    send_frame(fd, HB_FRAME_STDOUT, channel, "", 0);
    send_frame(fd, HB_FRAME_STDOUT, channel, "x", 1);
}

static void
hello_again(int fd)
{
    begin(fd);
    say_hello(fd);
}

static void
give_up(int fd)
{
    begin(fd);
    static const char reason[] = "no\033[31m memory\n";
    send_frame(fd, HB_FRAME_FAILED, 0, reason, sizeof reason);
    while (receive(fd)) {
    }
}

static void
refuse(int fd)
{
    static const char reason[] = "fork: %s%n";
    send_frame(fd, HB_FRAME_FAILED, begin(fd), reason, sizeof reason);
    while (receive(fd)) {
    }
}

static void
die(int fd)
{
    begin(fd);
}

static void
lies_end_the_conversation(void **state)
{
    static void (*const liars[])(int fd) = {lie_length, lie_type,     lie_channel,
                                            lie_status, lie_credit,   lie_ping,
                                            lie_kind,   lie_after_end};
    for (gsize i = 0; i < G_N_ELEMENTS(liars); i++)
        assert_run_fails(liars[i], HB_FAIL, "broke its protocol");
    assert_run_fails(hello_again, HB_FAIL, "started anew");
}

static void
failures_have_their_words(void **state)
{
    g_autofree char *given_up = run_failure(give_up, HB_FAIL);
    assert_string_equal(given_up, "the host's agent gave up: no?[31m memory");
    g_autofree char *refused = run_failure(refuse, HB_FAIL);
    assert_string_equal(refused, "the host's agent: fork: %s%n");
    assert_run_fails(die, HB_EMULATOR_DIED, "closed the channel");
}

static void
silence_is_a_hang(void **state)
{
    assert_run_fails(keep_quiet, HB_GUEST_HANG, "has not answered for 2 s");
}

/* ---- ends
 * ----------------------------------------------------------------------------------------------
 */

/* Writes until SIGPIPE comes. */
static void
write_until_signal(int fd)
{
    guint channel = begin(fd);
    gsize room = HB_WIRE_WINDOW;
    for (;;) {
        if (room >= 1000) {
            static char bytes[1000];
            send_frame(fd, HB_FRAME_STDOUT, channel, bytes, sizeof bytes);
            room -= sizeof bytes;
            if (room > HB_WIRE_WINDOW / 2)
                continue;
        }
        const Frame *frame = receive(fd);
        if (!frame)
            _exit(1);
        if (frame->type == HB_FRAME_CREDIT)
            room += *(const guint32 *)(const void *)(frame->payload + 4);
        if (frame->type == HB_FRAME_SIGNAL && frame->payload[0] == SIGKILL) {
            send_exit(fd, channel, 0, SIGKILL);
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
    Peer peer = play_and_meet(write_until_signal);
    GuestCommand command = {
        .argv = some_argv, .stdin_fd = -1, .stdout_fd = fds[1], .stderr_fd = -1};
    GuestExit result;
    g_autoptr(GError) error = NULL;
    assert_true(guest_run(peer.guest, &command, &result, NULL, &error));
    assert_int_equal(result.signal, SIGPIPE);
    part(&peer);
    close(fds[1]);
}

static void
end_on_signal(int fd)
{
    for (guint number = 0;; number = 0) {
        const Frame *frame = receive(fd);
        if (!frame)
            return;
        if (frame->type == HB_FRAME_SIGNAL) {
            number = frame->payload[0];
            send_exit(fd, frame->channel, 0, number);
        }
    }
}

static void
meet_and_end_on_signal(int fd)
{
    say_hello(fd);
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
    Peer peer = play_and_meet(meet_and_end_on_signal);
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
    part(&peer);
}

static void
long_commands_are_refused(void **state)
{
    Peer peer = play_and_meet(meet_and_end_on_signal);
    g_autofree char *word = g_strnfill(HB_WIRE_MAX, 'x');
    const char *argv[] = {"echo", word, NULL};
    GuestCommand command = {
        .argv = argv, .stdin_fd = -1, .stdout_fd = -1, .stderr_fd = -1};
    GuestExit result;
    g_autoptr(GError) error = NULL;
    assert_false(guest_run(peer.guest, &command, &result, NULL, &error));
    assert_int_equal(error->code, HB_USAGE);
    part(&peer);
}

/* ---- observation and files
 * -------------------------------------------------------------------------------- */

/* Keeps one file, gives back what was put, observes itself in two pieces. */
static void
keep_a_file(int fd)
{
    g_autoptr(GByteArray) file = g_byte_array_new();
    const Frame *frame;
    say_hello(fd);
    while ((frame = receive(fd))) {
        guint channel = frame->channel;
        if (frame->type == HB_FRAME_OBSERVE) {
            send_frame(fd, HB_FRAME_OBSERVATION, channel, "cell 0\n", 7);
            send_frame(fd, HB_FRAME_OBSERVATION, channel, "cell 1\n", 7);
            send_frame(fd, HB_FRAME_OBSERVATION, channel, "", 0);
        } else if (frame->type == HB_FRAME_DATA && frame->length > 0) {
            g_byte_array_append(file, frame->payload, frame->length);
            send_credit(fd, channel, HB_FRAME_DATA, frame->length);
        } else if (frame->type == HB_FRAME_DATA) {
            send_frame(fd, HB_FRAME_DONE, channel, "", 0);
        } else if (frame->type == HB_FRAME_GET) {
            gsize at = 0, room = HB_WIRE_WINDOW;
            while (at < file->len) {
                gsize piece = MIN(MIN(file->len - at, room), HB_WIRE_MAX);
                send_frame(fd, HB_FRAME_DATA, channel, file->data + at, piece);
                at += piece;
                room -= piece;
                while (room == 0)
                    room += *(const guint32 *)(const void *)(expect(fd, HB_FRAME_CREDIT)
                                                                 ->payload +
                                                             4);
            }
            send_frame(fd, HB_FRAME_DONE, channel, "", 0);
        }
    }
}

static void
observations_and_files_travel_whole(void **state)
{
    Peer peer = play_and_meet(keep_a_file);
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
    part_by_force(&peer);
}

int
main(void)
{
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hello_tells_its_words),
        cmocka_unit_test(bad_hellos_are_refused),
        cmocka_unit_test(output_and_status_come_apart),
        cmocka_unit_test(a_greeting_begins_anew),
        cmocka_unit_test(floods_pass_unharmed),
        cmocka_unit_test(a_flood_without_credit_is_refused),
        cmocka_unit_test(lies_end_the_conversation),
        cmocka_unit_test(failures_have_their_words),
        cmocka_unit_test(silence_is_a_hang),
        cmocka_unit_test(nobody_reading_ends_it_like_sigpipe),
        cmocka_unit_test(signals_timeouts_and_cancellation_end_it),
        cmocka_unit_test(long_commands_are_refused),
        cmocka_unit_test(observations_and_files_travel_whole),
    };
    return cmocka_run_group_tests_name("guest", tests, NULL, NULL);
}
