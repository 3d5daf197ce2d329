/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The emulator is played by a child process at the other end of a socketpair: it says its
 * text at once and then, for every line that it hears, the next answer.
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
#include "qmp.h"

#define GREETING "{\"QMP\": {\"version\": {}, \"capabilities\": []}}\r\n"
#define CAPABILITIES "{\"return\": {}, \"id\": 1}\r\n"
/* For what must happen: far more than a busy machine takes, so that only a fault reaches
 * it. */
#define TIMEOUT_MS 60000

typedef struct {
    Qmp *qmp;
    pid_t child;
} Peer;

static void
say(int fd, const char *text)
{
    while (*text) {
        ssize_t n = write(fd, text, strlen(text));
        if (n < 0)
            _exit(1);
        text += n;
    }
}

/* Reads one line; FALSE at the end. What came behind the line is kept for the next. */
static gboolean
hear(int fd)
{
    static char bytes[64 * 1024];
    static ssize_t length, at;
    for (;;) {
        const char *newline = at < length ? memchr(bytes + at, '\n', length - at) : NULL;
        if (newline) {
            at = newline + 1 - bytes;
            return TRUE;
        }
        at = 0;
        length = read(fd, bytes, sizeof bytes);
        if (length <= 0)
            return FALSE;
    }
}

/* ANSWERS ends with NULL; the first is said unasked. Then the peer keeps quiet, or
 * closes. */
static Peer
play(const char *const *answers, gboolean closes)
{
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(fds[0]);
        say(fds[1], answers[0]);
        for (int i = 1; answers[i] && hear(fds[1]); i++)
            say(fds[1], answers[i]);
        if (!closes)
            while (hear(fds[1])) {
            }
        _exit(0);
    }
    close(fds[1]);
    return (Peer){qmp_new(fds[0]), child};
}

static void
peer_clear(Peer *peer)
{
    qmp_free(peer->qmp);
    kill(peer->child, SIGKILL);
    waitpid(peer->child, NULL, 0);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Peer, peer_clear)

static void
assert_connect_fails(const char *const *answers, const char *word)
{
    g_auto(Peer) peer = play(answers, TRUE);
    g_autoptr(GError) error = NULL;
    assert_false(qmp_connect(peer.qmp, TIMEOUT_MS, &error));
    assert_int_equal(error->code, HB_EMULATOR_DIED);
    assert_non_null(strstr(error->message, word));
}

static void
calls_get_their_answers(void **state)
{
    const char *answers[] = {GREETING, CAPABILITIES,
                             "{\"return\": {\"running\": true}, \"id\": 2}\n", NULL};
    g_auto(Peer) peer = play(answers, FALSE);
    g_autoptr(GError) error = NULL;
    assert_true(qmp_connect(peer.qmp, TIMEOUT_MS, &error));
    g_autoptr(JsonNode) result =
        qmp_call(peer.qmp, "query-status", NULL, -1, TIMEOUT_MS, &error);
    assert_non_null(result);
    assert_true(json_object_get_boolean_member(json_node_get_object(result), "running"));
}

static void
refusals_keep_the_emulators_words(void **state)
{
    const char *answers[] = {GREETING, CAPABILITIES,
                             "{\"id\": 2, \"error\": {\"class\": \"GenericError\", "
                             "\"desc\": \"no such bus %s\"}}\n",
                             "{\"id\": 3, \"return\": {}}\n", NULL};
    g_auto(Peer) peer = play(answers, FALSE);
    g_autoptr(GError) error = NULL;
    assert_true(qmp_connect(peer.qmp, TIMEOUT_MS, &error));
    assert_null(qmp_call(peer.qmp, "device_add", NULL, -1, TIMEOUT_MS, &error));
    assert_int_equal(error->code, HB_UNSUPPORTED);
    assert_string_equal(error->message,
                        "device_add: the emulator refused: no such bus %s");
    g_clear_error(&error);
    g_autoptr(JsonNode) next = qmp_call(peer.qmp, "stop", NULL, -1, TIMEOUT_MS, &error);
    assert_non_null(next);
}

static void
on_event(const char *event, JsonObject *data, gpointer user_data)
{
    GString *seen = user_data;
    g_string_append_printf(seen, "%s%s;", event ? event : "END", data ? "+data" : "");
}

static void
events_come_anywhere(void **state)
{
    const char *answers[] = {
        GREETING "{\"event\": \"EARLY\"}\n", CAPABILITIES,
        "{\"event\": \"RESET\", \"data\": {\"guest\": true}}\n{\"event\": \"STOP\"}\n"
        "{\"return\": {}, \"id\": 2}\n{\"event\": \"SHUTDOWN\", \"data\": {}}\n",
        NULL};
    g_auto(Peer) peer = play(answers, TRUE);
    g_autoptr(GString) seen = g_string_new("");
    qmp_set_event_handler(peer.qmp, on_event, seen);
    assert_true(qmp_connect(peer.qmp, TIMEOUT_MS, NULL));
    g_autoptr(JsonNode) result = qmp_call(peer.qmp, "cont", NULL, -1, TIMEOUT_MS, NULL);
    assert_non_null(result);
    while (!strstr(seen->str, "END"))
        g_main_context_iteration(NULL, TRUE);
    assert_string_equal(seen->str, "EARLY;RESET+data;STOP;SHUTDOWN+data;END;");
    g_autoptr(GError) error = NULL;
    assert_null(qmp_call(peer.qmp, "cont", NULL, -1, TIMEOUT_MS, &error));
    assert_int_equal(error->code, HB_EMULATOR_DIED);
}

static void
an_end_at_any_time_is_an_error(void **state)
{
    const char *nothing[] = {"", NULL};
    const char *half[] = {"{\"QMP\": {", NULL};
    const char *greeting_only[] = {GREETING, "", NULL};
    assert_connect_fails(nothing, "ended");
    assert_connect_fails(half, "ended");
    assert_connect_fails(greeting_only, "qmp_capabilities");
}

static void
nonsense_is_an_error(void **state)
{
    static const char *const garbage[] = {
        "\x7f\x45LF\x01\n",
        "SSH-2.0-OpenSSH\r\n",
        "[1, 2]\n",
        "{}\n",
        "{\"event\": 5}\n",
        "\"\xff\xfe\"\n",
        "{\"return\": 1}\n",
        "{\"return\": 1, \"id\": 77}\n",
        "{\"error\": 1, \"id\": \"x\"}\n",
    };
    for (gsize i = 0; i < G_N_ELEMENTS(garbage); i++) {
        const char *answers[] = {garbage[i], NULL};
        assert_connect_fails(answers, "makes no sense");
    }
    g_autofree char *deep = g_strnfill(100000, '[');
    g_autofree char *line = g_strconcat("{\"a\": ", deep, "\n", NULL);
    const char *answers[] = {line, NULL};
    assert_connect_fails(answers, "makes no sense");
}

static void
long_lines_are_read_and_endless_ones_refused(void **state)
{
    g_autofree char *padding = g_strnfill(1000000, 'x');
    g_autofree char *reply =
        g_strdup_printf("{\"return\": {\"all\": \"%s\"}, \"id\": 2}\n", padding);
    const char *answers[] = {GREETING, CAPABILITIES, reply, NULL};
    g_auto(Peer) peer = play(answers, FALSE);
    assert_true(qmp_connect(peer.qmp, TIMEOUT_MS, NULL));
    g_autoptr(JsonNode) result =
        qmp_call(peer.qmp, "query-qmp-schema", NULL, -1, TIMEOUT_MS, NULL);
    assert_non_null(result);

    g_autofree char *endless = g_strnfill(17 * 1024 * 1024, 'y');
    const char *flood[] = {endless, NULL};
    assert_connect_fails(flood, "16 MiB");
}

/* DEPTH arrays in each other. */
static char *
nested_reply(guint depth)
{
    g_autofree char *open = g_strnfill(depth, '['), *close = g_strnfill(depth, ']');
    return g_strdup_printf("{\"return\": %s%s, \"id\": 2}\n", open, close);
}

static gboolean
is_taken(const char *reply)
{
    const char *answers[] = {GREETING, CAPABILITIES, reply, NULL};
    g_auto(Peer) peer = play(answers, FALSE);
    assert_true(qmp_connect(peer.qmp, TIMEOUT_MS, NULL));
    g_autoptr(JsonNode) result = qmp_call(peer.qmp, "ask", NULL, -1, TIMEOUT_MS, NULL);
    return result != NULL;
}

/* A CPU model of QEMU's has some 440 properties, each an object; they are beside each
 * other. */
static void
many_objects_are_not_deep(void **state)
{
    g_autoptr(GString) list = g_string_new("{\"return\": [{\"name\": \"]{[\\\"{\"}");
    for (int i = 0; i < 2000; i++)
        g_string_append(list, ", {\"name\": \"type\", \"type\": \"string\"}");
    g_string_append(list, "], \"id\": 2}\n");
    assert_true(is_taken(list->str));
    g_autofree char *deepest = nested_reply(255), *too_deep = nested_reply(256);
    assert_true(is_taken(deepest));
    assert_false(is_taken(too_deep));
}

static void
silence_has_a_limit(void **state)
{
    const char *mute[] = {"", NULL};
    g_auto(Peer) peer = play(mute, FALSE);
    g_autoptr(GError) error = NULL;
    assert_false(qmp_connect(peer.qmp, 50, &error));
    assert_int_equal(error->code, HB_EMULATOR_DIED);
    assert_non_null(strstr(error->message, "did not greet"));

    const char *answers[] = {GREETING, CAPABILITIES, NULL};
    g_auto(Peer) second = play(answers, FALSE);
    g_clear_error(&error);
    assert_true(qmp_connect(second.qmp, TIMEOUT_MS, NULL));
    assert_null(qmp_call(second.qmp, "stop", NULL, -1, 50, &error));
    assert_non_null(strstr(error->message, "stop: the emulator did not answer"));
}

/* The emulator's side is this process here: it takes the descriptor out of the message.
 */
static void
a_descriptor_travels_with_its_command(void **state)
{
    int fds[2], pipe_fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
    g_autoptr(Qmp) qmp = qmp_new(fds[0]);
    g_autoptr(GError) error = NULL;
    assert_null(qmp_call(qmp, "getfd", NULL, pipe_fds[1], 20, &error));

    char text[256], control[256];
    struct iovec bytes = {text, sizeof text};
    struct msghdr message = {.msg_iov = &bytes,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof control};
    assert_true(recvmsg(fds[1], &message, 0) > 0);
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    assert_non_null(header);
    int received;
    memcpy(&received, CMSG_DATA(header), sizeof received);
    close(pipe_fds[1]);
    assert_int_equal(write(received, "x", 1), 1);
    assert_int_equal(read(pipe_fds[0], text, 1), 1);
    close(received);
    close(pipe_fds[0]);
    close(fds[1]);
}

static void
large_commands_wait_for_room(void **state)
{
    const char *answers[] = {GREETING, CAPABILITIES, "{\"return\": {}, \"id\": 2}\n",
                             NULL};
    g_auto(Peer) peer = play(answers, FALSE);
    assert_true(qmp_connect(peer.qmp, TIMEOUT_MS, NULL));
    JsonObject *arguments = json_object_new();
    g_autofree char *value = g_strnfill(3000000, 'z');
    json_object_set_string_member(arguments, "value", value);
    g_autoptr(JsonNode) result =
        qmp_call(peer.qmp, "set", arguments, -1, TIMEOUT_MS, NULL);
    assert_non_null(result);
}

int
main(void)
{
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_get_their_answers),
        cmocka_unit_test(refusals_keep_the_emulators_words),
        cmocka_unit_test(events_come_anywhere),
        cmocka_unit_test(an_end_at_any_time_is_an_error),
        cmocka_unit_test(nonsense_is_an_error),
        cmocka_unit_test(long_lines_are_read_and_endless_ones_refused),
        cmocka_unit_test(many_objects_are_not_deep),
        cmocka_unit_test(silence_has_a_limit),
        cmocka_unit_test(a_descriptor_travels_with_its_command),
        cmocka_unit_test(large_commands_wait_for_room),
    };
    return cmocka_run_group_tests_name("qmp", tests, NULL, NULL);
}
