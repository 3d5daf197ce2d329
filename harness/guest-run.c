/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * One command in the host: its three streams, each with its window, and how it ends.
 */
#include "guest-call.h"

#include <errno.h>
#include <glib-unix.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "error.h"
#include "guest-sink.h"

/* A command that must end has so long after SIGTERM, and the agent so long after SIGKILL.
 */
#define GRACE_MS 5000
/* After SIGPIPE: who lives on ignores it, and would write to nobody for ever. */
#define PIPE_GRACE_MS 1000

typedef struct Run Run;

typedef struct {
    Run *run;
    Intake intake;
    Sink *sink; /* or NULL: only the OUTPUT callback */
    gboolean ended;
} Stream;

struct Run {
    Call call;
    const GuestCommand *command;
    GuestExit *result;
    Stream streams[2]; /* standard output, standard error */
    guint readable;    /* source of stdin_fd, or 0 */
    gboolean stdin_ended;
    guint timer;
    int last_signal; /* of those that we sent because the command must end */
    gboolean nobody_reads;
};

static void
send_signal(Call *call, int number)
{
    wire_send_u32(call->guest->wire, HB_FRAME_SIGNAL, call->channel, (guint32)number);
}

/* ---- standard input
 * ------------------------------------------------------------------------------ */

static void
end_stdin(Run *run)
{
    g_clear_handle_id(&run->readable, g_source_remove);
    if (!run->stdin_ended)
        call_send(&run->call, HB_FRAME_STDIN, NULL, 0);
    run->stdin_ended = TRUE;
}

static gboolean
on_stdin(int fd, GIOCondition condition, gpointer user_data)
{
    Run *run = user_data;
    guint8 bytes[32 * 1024];
    ssize_t n = read(fd, bytes, MIN(sizeof bytes, run->call.room));
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return G_SOURCE_CONTINUE;
    if (n <= 0) {
        end_stdin(run);
        return G_SOURCE_REMOVE;
    }
    call_send(&run->call, HB_FRAME_STDIN, bytes, (gsize)n);
    run->call.room -= (gsize)n;
    if (run->call.room > 0)
        return G_SOURCE_CONTINUE;
    run->readable = 0;
    return G_SOURCE_REMOVE;
}

/* Reads on as long as the command takes what was read. */
static void
watch_stdin(Call *call)
{
    Run *run = (Run *)call;
    if (run->stdin_ended || run->readable || call->room == 0)
        return;
    run->readable = g_unix_fd_add(run->command->stdin_fd, G_IO_IN | G_IO_HUP | G_IO_ERR,
                                  on_stdin, run);
}

/* ---- when it must end
 * ------------------------------------------------------------------------------- */

static gboolean
on_not_killed(gpointer user_data)
{
    Run *run = user_data;
    run->timer = 0;
    call_done(&run->call, g_error_new(HB_ERROR, HB_GUEST_HANG,
                                      "the command did not end although it was killed"));
    return G_SOURCE_REMOVE;
}

static gboolean
on_not_ended(gpointer user_data)
{
    Run *run = user_data;
    run->last_signal = SIGKILL;
    send_signal(&run->call, SIGKILL);
    run->timer = g_timeout_add(GRACE_MS, on_not_killed, run);
    return G_SOURCE_REMOVE;
}

static gboolean
on_timeout(gpointer user_data)
{
    Run *run = user_data;
    run->result->timed_out = TRUE;
    run->last_signal = SIGTERM;
    send_signal(&run->call, SIGTERM);
    run->timer = g_timeout_add(GRACE_MS, on_not_ended, run);
    return G_SOURCE_REMOVE;
}

static void
on_nobody_reads(Run *run)
{
    if (run->nobody_reads || run->call.ended_by_agent)
        return;
    run->nobody_reads = TRUE;
    run->last_signal = SIGPIPE;
    send_signal(&run->call, SIGPIPE);
    g_clear_handle_id(&run->timer, g_source_remove);
    run->timer = g_timeout_add(PIPE_GRACE_MS, on_not_ended, run);
}

/* ---- output
 * --------------------------------------------------------------------------------------------
 */

static void
finish_if_flushed(Run *run)
{
    gboolean flushed = TRUE;
    for (int i = 0; i < 2; i++)
        if (run->streams[i].sink && !sink_is_empty(run->streams[i].sink))
            flushed = FALSE;
    if (run->call.ended_by_agent && flushed)
        call_done(&run->call, NULL);
}

static void
on_moved(Sink *sink, gsize bytes, gpointer user_data)
{
    Stream *stream = user_data;
    Run *run = stream->run;
    int error = sink_errno(sink);
    if (error == EPIPE) {
        on_nobody_reads(run);
    } else if (error != 0) {
        send_signal(&run->call, SIGKILL);
        call_done(&run->call,
                  g_error_new(HB_ERROR, HB_INFRASTRUCTURE,
                              "the command's standard %s cannot be written: %s",
                              stream == &run->streams[0] ? "output" : "error",
                              g_strerror(error)));
    }
    if (!run->call.ended_by_agent)
        intake_give_back(&stream->intake, &run->call, bytes);
    finish_if_flushed(run);
}

static void
on_output(Run *run, Stream *stream, const guint8 *payload, gsize length)
{
    if (stream->ended) {
        call_broken(&run->call, "output after the end of output");
        return;
    }
    if (length == 0) {
        stream->ended = TRUE;
        return;
    }
    if (!intake_take(&stream->intake, &run->call, length))
        return;
    if (run->command->output)
        run->command->output(stream == &run->streams[0] ? 1 : 2, payload, length,
                             run->command->user_data);
    if (stream->sink)
        sink_write(stream->sink, payload, length);
    else
        intake_give_back(&stream->intake, &run->call, length);
}

/* ---- its end
 * --------------------------------------------------------------------------------------------
 */

static void
on_exit_frame(Run *run, const guint8 *payload, gsize length)
{
    guint32 status = length == 8 ? wire_u32(payload) : G_MAXUINT32;
    guint32 number = length == 8 ? wire_u32(payload + 4) : G_MAXUINT32;
    if (status > 255 || number > 64) {
        call_broken(&run->call, "an EXIT with an impossible status");
        return;
    }
    run->result->status = (int)status;
    run->result->signal = (int)number;
    if (run->nobody_reads && number == SIGKILL && run->last_signal == SIGKILL)
        run->result->signal = SIGPIPE;
    run->call.ended_by_agent = TRUE;
    finish_if_flushed(run);
}

static void
on_frame(Call *call, guint type, const guint8 *payload, gsize length)
{
    Run *run = (Run *)call;
    if (type == HB_FRAME_STDOUT)
        on_output(run, &run->streams[0], payload, length);
    else if (type == HB_FRAME_STDERR)
        on_output(run, &run->streams[1], payload, length);
    else if (type == HB_FRAME_EXIT)
        on_exit_frame(run, payload, length);
    else
        call_broken(call, "a command ran, and something else than output came");
}

/* ---- the request
 * ------------------------------------------------------------------------------------------
 */

static void
append_u32(GByteArray *request, guint32 value)
{
    guint32 value_le = GUINT32_TO_LE(value);
    g_byte_array_append(request, (const guint8 *)&value_le, sizeof value_le);
}

static void
append_strings(GByteArray *request, const char *const *strings)
{
    for (; strings && *strings; strings++)
        g_byte_array_append(request, (const guint8 *)*strings,
                            (guint)strlen(*strings) + 1);
}

static GByteArray *
run_request(const GuestCommand *command)
{
    const char *cwd[] = {command->cwd ? command->cwd : "/", NULL};
    GByteArray *request = g_byte_array_new();
    append_u32(request, g_strv_length((char **)command->argv));
    append_u32(request, command->env ? g_strv_length((char **)command->env) : 0);
    append_u32(request, (command->tty ? HB_RUN_TTY : 0) |
                            (command->core_dumps ? HB_RUN_CORES : 0) |
                            (command->may_wait ? HB_RUN_WAITS : 0) |
                            (command->may_go_on ? HB_RUN_GOES_ON : 0));
    append_u32(request, command->rows | (guint32)command->columns << 16);
    append_strings(request, cwd);
    append_strings(request, command->argv);
    append_strings(request, command->env);
    return request;
}

static void
open_streams(Run *run)
{
    const int fds[] = {run->command->stdout_fd, run->command->stderr_fd};
    for (int i = 0; i < 2; i++) {
        Stream *stream = &run->streams[i];
        stream->run = run;
        stream->intake.stream = i == 0 ? HB_FRAME_STDOUT : HB_FRAME_STDERR;
        if (fds[i] >= 0)
            stream->sink = sink_new(fds[i], on_moved, stream);
    }
}

static void
close_streams(Run *run)
{
    g_clear_handle_id(&run->readable, g_source_remove);
    g_clear_handle_id(&run->timer, g_source_remove);
    for (int i = 0; i < 2; i++)
        g_clear_pointer(&run->streams[i].sink, sink_free);
}

gboolean
guest_run(Guest *guest, const GuestCommand *command, GuestExit *result,
          GCancellable *cancellable, GError **error)
{
    *result = (GuestExit){0};
    Run run = {
        .call = {.frame = on_frame, .more_room = watch_stdin, .outgoing = HB_FRAME_STDIN},
        .command = command,
        .result = result};
    g_autoptr(GByteArray) request = run_request(command);
    if (request->len > HB_WIRE_MAX) {
        g_set_error(
            error, HB_ERROR, HB_USAGE,
            "the command and its environment take %u bytes, but at most %d can be sent; "
            "put the rest on its standard input, or in a script for --with",
            request->len, HB_WIRE_MAX);
        return FALSE;
    }
    if (!call_begin(&run.call, guest, error))
        return FALSE;
    open_streams(&run);
    call_send(&run.call, HB_FRAME_RUN, request->data, request->len);
    if (command->stdin_fd < 0)
        end_stdin(&run);
    else
        watch_stdin(&run.call);
    if (command->timeout_ms > 0)
        run.timer = g_timeout_add(command->timeout_ms, on_timeout, &run);

    gboolean ok = call_finish(&run.call, cancellable, error);
    if (!run.call.ended_by_agent)
        send_signal(&run.call, SIGKILL);
    close_streams(&run);
    return ok;
}

/* The command that is running, or NULL. */
static Call *
running_command(Guest *guest)
{
    Call *call = guest->call;
    return call && call->frame == on_frame && !call->ended_by_agent ? call : NULL;
}

void
guest_signal(Guest *guest, int signal_number)
{
    Call *call = running_command(guest);
    if (call)
        send_signal(call, signal_number);
}

void
guest_time_out(Guest *guest)
{
    Run *run = (Run *)running_command(guest);
    if (!run || run->last_signal != 0)
        return;
    g_clear_handle_id(&run->timer, g_source_remove);
    on_timeout(run);
}

void
guest_resize(Guest *guest, guint rows, guint columns)
{
    Call *call = running_command(guest);
    const guint8 payload[] = {rows & 255, rows >> 8 & 255, columns & 255,
                              columns >> 8 & 255};
    if (call)
        call_send(call, HB_FRAME_RESIZE, payload, sizeof payload);
}
