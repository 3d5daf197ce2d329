/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "servant.h"

#include <errno.h>
#include <glib-unix.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "autoptr.h"
#include "child.h"
#include "error.h"
#include "json-line.h"
#include "libexec.h"
#include "printable.h"
#include "tail.h"
#include "unpack.h"

#define STDERR_TAIL 2048
#define SENTENCE_MAX 4096
#define QUOTE_MAX 100

typedef struct {
    const char *program;
    const ServantLimits *limits;
    ServantEvent event;
    gpointer user_data;
    int output, errors; /* our ends of its streams, or -1 */
    gboolean output_is_open, errors_are_open;
    GByteArray *input;          /* the beginning of a line */
    GString *complaint;         /* the end of its standard error */
    gint64 said_bytes, said_us; /* how much, and when last */
    JsonObject *answer;
    GError *refusal;                 /* what it said itself */
    GError *failure;                 /* what we say of it; we do not listen any more */
    gboolean ended, late, cancelled; /* it has ended, should have, has been told to */
} Talk;

static void
talk_clear(Talk *talk)
{
    if (talk->output >= 0)
        close(talk->output);
    if (talk->errors >= 0)
        close(talk->errors);
    g_clear_pointer(&talk->input, g_byte_array_unref);
    g_string_free(talk->complaint, TRUE);
    g_clear_pointer(&talk->answer, json_object_unref);
    g_clear_error(&talk->refusal);
    g_clear_error(&talk->failure);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Talk, talk_clear)

static void G_GNUC_PRINTF(2, 3) fail(Talk *talk, const char *format, ...)
{
    if (talk->failure)
        return;
    va_list args;
    va_start(args, format);
    g_autofree char *what = g_strdup_vprintf(format, args);
    va_end(args);
    talk->failure =
        g_error_new(HB_ERROR, HB_INFRASTRUCTURE, "%s %s", talk->program, what);
}

/* ---- what it says
 * ---------------------------------------------------------------------------------- */

/* Only what is a status of ours, and none that would tell of success or a test. */
static HbStatus
status_of(JsonObject *message)
{
    gint64 status = json_line_int(message, "status", HB_INFRASTRUCTURE);
    return (status >= HB_USAGE && status <= HB_INFRASTRUCTURE) || status == HB_INTERRUPTED
               ? (HbStatus)status
               : HB_INFRASTRUCTURE;
}

static void
take_refusal(Talk *talk, JsonObject *message, const char *sentence)
{
    g_autofree char *text = printable(sentence, strlen(sentence), SENTENCE_MAX);
    if (!talk->refusal)
        talk->refusal = g_error_new_literal(HB_ERROR, (int)status_of(message), text);
}

static void
take_line(const char *line, gpointer user_data)
{
    Talk *talk = user_data;
    if (talk->failure)
        return;
    talk->said_bytes += (gint64)strlen(line);
    if (talk->said_bytes > talk->limits->total_bytes) {
        fail(talk, "does not stop talking");
        return;
    }
    g_autoptr(JsonObject) message = json_line_parse_object(line, strlen(line));
    const char *sentence = message ? json_line_string(message, "error") : NULL;
    JsonNode *answer = message ? json_object_get_member(message, "answer") : NULL;
    if (talk->answer || talk->refusal) {
        fail(talk, "says more after its answer");
    } else if (message && json_line_string(message, "event")) {
        if (talk->event)
            talk->event(message, talk->user_data);
    } else if (sentence) {
        take_refusal(talk, message, sentence);
    } else if (answer && JSON_NODE_HOLDS_OBJECT(answer)) {
        talk->answer = json_node_dup_object(answer);
    } else {
        g_autofree char *quote = printable(line, strlen(line), QUOTE_MAX);
        fail(talk, "said what is no answer: '%s'", quote);
    }
}

static gboolean
on_output(int fd, GIOCondition condition, gpointer user_data)
{
    Talk *talk = user_data;
    JsonLines lines =
        json_line_read(fd, talk->input, talk->limits->line_bytes, take_line, talk);
    talk->said_us = g_get_monotonic_time();
    if (lines == JSON_LINES_TOO_LONG)
        fail(talk, "said a line of more than %" G_GSIZE_FORMAT " bytes",
             talk->limits->line_bytes);
    talk->output_is_open = lines == JSON_LINES_GO_ON;
    return talk->output_is_open;
}

static gboolean
on_errors(int fd, GIOCondition condition, gpointer user_data)
{
    Talk *talk = user_data;
    char buffer[4096];
    ssize_t got = read(fd, buffer, sizeof(buffer));
    if (got > 0)
        tail_add(talk->complaint, buffer, (gsize)got, STDERR_TAIL);
    talk->errors_are_open = got > 0 || (got < 0 && (errno == EINTR || errno == EAGAIN));
    return talk->errors_are_open;
}

/* ---- how long it may take
 * ---------------------------------------------------------------------------- */

static gboolean
on_silence(gpointer user_data)
{
    Talk *talk = user_data;
    gint64 silent_us = g_get_monotonic_time() - talk->said_us;
    if (silent_us >= talk->limits->silence_ms * (gint64)1000)
        fail(talk, "has said nothing for %.1f s", (double)silent_us / 1e6);
    return G_SOURCE_CONTINUE;
}

static gboolean
set_true(gpointer user_data)
{
    gboolean *flag = user_data;
    *flag = TRUE;
    return G_SOURCE_REMOVE;
}

static gboolean
on_cancelled(GCancellable *cancellable, gpointer user_data)
{
    return set_true(user_data);
}

static gboolean
on_end(int fd, GIOCondition condition, gpointer user_data)
{
    return set_true(user_data);
}

/* Takes SOURCE. */
static void
attach(GPtrArray *sources, GSource *source, GSourceFunc function, gpointer user_data)
{
    g_source_set_callback(source, function, user_data, NULL);
    g_source_attach(source, g_main_context_get_thread_default());
    g_ptr_array_add(sources, source);
}

static void
source_end(gpointer source)
{
    g_source_destroy(source);
    g_source_unref(source);
}

static void
attach_all(Talk *talk, GPtrArray *sources, int pidfd, GCancellable *cancellable)
{
    const GIOCondition readable = G_IO_IN | G_IO_HUP | G_IO_ERR;
    attach(sources, g_unix_fd_source_new(talk->output, readable),
           G_SOURCE_FUNC(on_output), talk);
    attach(sources, g_unix_fd_source_new(talk->errors, readable),
           G_SOURCE_FUNC(on_errors), talk);
    attach(sources, g_timeout_source_new(talk->limits->silence_ms), on_silence, talk);
    attach(sources, g_unix_fd_source_new(pidfd, G_IO_IN), G_SOURCE_FUNC(on_end),
           &talk->ended);
    if (cancellable)
        attach(sources, g_cancellable_source_new(cancellable),
               G_SOURCE_FUNC(on_cancelled), &talk->cancelled);
}

/* Turns until the program has ended, or is not worth to be waited for. */
static void
listen(Talk *talk, Child *child, int pidfd, GCancellable *cancellable)
{
    gboolean told = FALSE, ends = FALSE;
    g_autoptr(GPtrArray) sources = g_ptr_array_new_with_free_func(source_end);
    attach_all(talk, sources, pidfd, cancellable);
    while (!talk->ended && !talk->late && !talk->failure) {
        if (talk->cancelled && !told) {
            kill(child_pid(child), SIGTERM);
            told = TRUE;
        }
        if (!ends && (told || !talk->output_is_open || talk->answer || talk->refusal)) {
            attach(sources, g_timeout_source_new(talk->limits->end_ms), set_true,
                   &talk->late);
            ends = TRUE;
        }
        g_main_context_iteration(g_main_context_get_thread_default(), TRUE);
    }
}

static gboolean
is_readable(int fd)
{
    struct pollfd waiting = {.fd = fd, .events = POLLIN};
    return poll(&waiting, 1, 0) > 0;
}

/* What it said last is still on its way; whoever else could say something is ended. */
static void
listen_to_rest(Talk *talk, Child *child)
{
    child_kill(child);
    while (talk->output_is_open && !talk->failure && is_readable(talk->output))
        on_output(talk->output, G_IO_IN, talk);
    while (talk->errors_are_open && is_readable(talk->errors))
        on_errors(talk->errors, G_IO_IN, talk);
}

/* ---- from start to end
 * ------------------------------------------------------------------------------- */

/* Why there is no answer. CODE is child_wait()'s. */
static void
explain(Talk *talk, int code)
{
    g_autofree char *words =
        printable(talk->complaint->str, talk->complaint->len, STDERR_TAIL);
    const char *colon = *words ? ": " : "";
    if (talk->late)
        fail(talk, "does not end");
    else if (code < 0)
        fail(talk, "was ended by signal %d (%s)%s%s", -code, g_strsignal(-code), colon,
             words);
    else if (code > 0)
        fail(talk, "failed with status %d%s%s", code, colon, words);
    else
        fail(talk, "ended without an answer%s%s", colon, words);
}

/* Its own sentence, and what else was written to its standard error, by a library or a
 * program that it started: often the cause. */
static void
refuse(Talk *talk, GError **error)
{
    g_strchomp(talk->complaint->str);
    g_autofree char *words =
        printable(talk->complaint->str, strlen(talk->complaint->str), STDERR_TAIL);
    g_propagate_error(error, g_steal_pointer(&talk->refusal));
    if (error && *words) {
        g_autofree char *sentence = (*error)->message;
        (*error)->message =
            g_strdup_printf("%s (it was heard saying: %s)", sentence, words);
    }
}

static JsonObject *
conclude(Talk *talk, Child *child, GError **error)
{
    int code = 0;
    gboolean is_well = talk->ended && child_wait(child, 0, &code) && code == 0 &&
                       talk->answer && !talk->failure;
    if (talk->failure) {
        g_propagate_error(error, g_steal_pointer(&talk->failure));
    } else if (talk->cancelled) {
        g_set_error(error, HB_ERROR, HB_INTERRUPTED, "%s was interrupted", talk->program);
    } else if (talk->refusal) {
        refuse(talk, error);
    } else if (!is_well) {
        explain(talk, code);
        g_propagate_error(error, g_steal_pointer(&talk->failure));
    }
    return is_well && !talk->cancelled ? g_steal_pointer(&talk->answer) : NULL;
}

/* The order as a file in memory: however large, and whether it is read or not, nobody
 * waits for the other. -1 on error. */
static int
write_order(JsonNode *order, GError **error)
{
    g_autofree char *text = json_to_string(order, FALSE);
    if (!g_utf8_validate(text, -1, NULL)) {
        g_set_error_literal(error, HB_ERROR, HB_USAGE,
                            "a file or folder that this needs has a name that is not in "
                            "UTF-8; rename it, or give it a link with another name");
        return -1;
    }
    g_auto(AutoFd) fd = memfd_create("order", MFD_CLOEXEC);
    if (fd < 0 || !unpack_write_all(fd, text, strlen(text), "an order", error) ||
        lseek(fd, 0, SEEK_SET) != 0) {
        if (error && !*error)
            g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE, "cannot write an order: %s",
                        g_strerror(errno));
        return -1;
    }
    int whole = fd;
    fd = -1;
    return whole;
}

static Child *
start(Talk *talk, const char *path, JsonNode *order, GError **error)
{
    int output[2], errors[2];
    g_auto(AutoFd) input = write_order(order, error);
    if (input < 0 || !g_unix_open_pipe(output, FD_CLOEXEC, error))
        return NULL;
    talk->output = output[0];
    g_auto(AutoFd) its_output = output[1];
    if (!g_unix_open_pipe(errors, FD_CLOEXEC, error))
        return NULL;
    talk->errors = errors[0];
    g_auto(AutoFd) its_errors = errors[1];
    const ChildStreams streams = {input, its_output, its_errors};
    talk->said_us = g_get_monotonic_time();
    return child_start_talking((const char *const[]){path, NULL}, &streams, error);
}

static JsonObject *
ask(Talk *talk, const char *path, JsonNode *order, GCancellable *cancellable,
    GError **error)
{
    g_autoptr(Child) child = start(talk, path, order, error);
    if (!child)
        return NULL;
    g_auto(AutoFd) pidfd = (int)syscall(SYS_pidfd_open, child_pid(child), 0);
    if (pidfd < 0) {
        g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE, "cannot watch %s: %s",
                    talk->program, g_strerror(errno));
        return NULL;
    }
    listen(talk, child, pidfd, cancellable);
    if (talk->ended)
        listen_to_rest(talk, child);
    return conclude(talk, child, error);
}

char *
servant_path(const char *program, GError **error)
{
    g_autofree char *path = libexec_path(program);
    if (access(path, X_OK) == 0)
        return g_steal_pointer(&path);
    g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE,
                "hostbed was built without %s, for lack of a library; './quickstart "
                "images' installs what it needs and builds hostbed anew",
                program);
    return NULL;
}

JsonObject *
servant_ask_within(const ServantLimits *limits, const char *program, JsonNode *order,
                   ServantEvent event, gpointer user_data, GCancellable *cancellable,
                   GError **error)
{
    g_auto(Talk) talk = {
        .program = program,
        .limits = limits,
        .event = event,
        .user_data = user_data,
        .output = -1,
        .errors = -1,
        .output_is_open = TRUE,
        .errors_are_open = TRUE,
        .input = g_byte_array_new(),
        .complaint = g_string_new(NULL),
    };
    g_autofree char *path = servant_path(program, error);
    return path ? ask(&talk, path, order, cancellable, error) : NULL;
}

JsonObject *
servant_ask(const char *program, JsonNode *order, ServantEvent event, gpointer user_data,
            GCancellable *cancellable, GError **error)
{
    return servant_ask_within(&SERVANT_LIMITS, program, order, event, user_data,
                              cancellable, error);
}

void
servant_say(ServantEvent event, gpointer user_data, const char *what)
{
    if (!event)
        return;
    g_autoptr(JsonObject) progress = json_object_new();
    json_object_set_string_member(progress, "event", "progress");
    json_object_set_string_member(progress, "what", what);
    event(progress, user_data);
}
