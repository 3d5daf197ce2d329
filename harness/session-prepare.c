/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The state that suites start from: commands make it in a host that was checked, once for
 * all its clones.
 */
#include "error.h"
#include "printable.h"
#include "session-private.h"
#include "tail.h"

#define LOG_MAX (16 * 1024 * 1024)
#define TAIL_MAX 400

typedef struct {
    LogFile *log;
    GString *tail; /* the end of what was said */
} Listener;

static void
listen(int stream, const guint8 *data, gsize length, gpointer user_data)
{
    Listener *listener = user_data;
    log_file_write(listener->log, data, length);
    tail_add(listener->tail, data, length, TAIL_MAX);
}

static gboolean
is_well(const Session *session, const Suite *command, const GuestExit *end,
        const GString *tail, GError **error)
{
    if (end->status == 0 && end->signal == 0 && !end->timed_out)
        return TRUE;
    g_autofree char *line = g_strjoinv(" ", command->command);
    g_autofree char *said = printable(tail->str, tail->len, TAIL_MAX);
    g_autofree char *how =
        end->timed_out
            ? g_strdup_printf("did not end within %u s", command->timeout_seconds)
        : end->signal ? g_strdup_printf("was ended by signal %d", end->signal)
                      : g_strdup_printf("ended with status %d", end->status);
    g_set_error(error, HB_ERROR, end->timed_out ? HB_TIMEOUT : HB_FAIL,
                "'%s', which was to prepare the host, %s%s%s; logs: %s", line, how,
                *said ? "; it said last: " : "", said, session->log_dir);
    return FALSE;
}

static gboolean
run_command(Session *session, const Suite *suite, Listener *listener, GError **error)
{
    const SessionOptions *options = session->options;
    g_auto(GStrv) argv = NULL, environment = NULL;
    if (!session_prepare_foreign(session, suite, &argv, &environment, error))
        return FALSE;
    const GuestCommand command = {
        .argv = (const char *const *)argv,
        .env = (const char *const *)environment,
        .cwd = options->folder,
        .stdin_fd = -1,
        .stdout_fd = -1,
        .stderr_fd = -1,
        .output = listen,
        .user_data = listener,
        .timeout_ms = suite_timeout_ms(suite, options->driver->accel(session->host)),
    };
    GuestExit end = {0};
    g_string_truncate(listener->tail, 0);
    return options->driver->run(session->host, &command, &end, error) &&
           options->driver->sound(session->host, error) &&
           is_well(session, suite, &end, listener->tail, error);
}

gboolean
session_prepare_host(Session *session, GError **error)
{
    const GPtrArray *commands = session->options->prepare;
    if (!commands || commands->len == 0)
        return TRUE;
    g_autoptr(LogFile) log =
        log_file_open(session->log_dir, "prepare.log", LOG_MAX, error);
    if (!log)
        return FALSE;
    session_step(session, "preparing the host");
    g_autoptr(GString) tail = g_string_new(NULL);
    Listener listener = {log, tail};
    for (guint i = 0; i < commands->len; i++)
        if (!run_command(session, commands->pdata[i], &listener, error))
            return FALSE;
    return TRUE;
}
