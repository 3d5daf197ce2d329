/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The state that suites start from: commands make it in a host that was checked, once for
 * all its clones; or a program of ours, the state that a suite declares.
 */
#include <string.h>

#include "case-limit.h"
#include "error.h"
#include "link-wire.h"
#include "links.h"
#include "prepare-layer.h"
#include "printable.h"
#include "session-private.h"
#include "tail.h"

#define LOG_MAX (16 * 1024 * 1024)
#define TAIL_MAX 400
/* A process that does next to nothing, under emulation on a busy machine. */
#define BRING_MS 120000

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

/* What a program is to do in the host. */
typedef struct {
    const char *words;   /* "to prepare the host" */
    const char *program; /* as a person knows it */
    GuestCommand command;
} Task;

static gboolean
is_well(const Session *session, const Task *task, const GuestExit *end,
        const GString *tail, GError **error)
{
    if (end->status == 0 && end->signal == 0 && !end->timed_out)
        return TRUE;
    /* Lines of one sentence. */
    g_autofree char *lines = g_strstrip(g_strndup(tail->str, tail->len));
    g_auto(GStrv) each = g_strsplit(lines, "\n", -1);
    g_autofree char *text = g_strjoinv(" | ", each);
    g_autofree char *said = printable(text, strlen(text), TAIL_MAX);
    g_autofree char *how =
        end->timed_out
            ? g_strdup_printf("did not end within %u s", task->command.timeout_ms / 1000)
        : end->signal ? g_strdup_printf("was ended by signal %d", end->signal)
                      : g_strdup_printf("ended with status %d", end->status);
    g_set_error(error, HB_ERROR, end->timed_out ? HB_TIMEOUT : HB_FAIL,
                "'%s', which was %s, %s%s%s; logs: %s", task->program, task->words, how,
                *said ? "; it said last: " : "", said, session->log_dir);
    return FALSE;
}

/* TASK's command has all but what listens. */
static gboolean
run_task(Session *session, const Task *task, LogFile *log, GError **error)
{
    const SessionDriver *driver = session->options->driver;
    g_autoptr(GString) tail = g_string_new(NULL);
    Listener listener = {log, tail};
    GuestCommand command = task->command;
    GuestExit end = {0};
    command.stdin_fd = command.stdout_fd = command.stderr_fd = -1;
    command.output = listen;
    command.user_data = &listener;
    return driver->run(session->host, &command, &end, error) &&
           driver->sound(session->host, error) &&
           is_well(session, task, &end, tail, error);
}

/* ---- somebody else's
 * ------------------------------------------------------------------------------------ */

/* Puts the program of LAYER where it is called. */
static gboolean
bring(Session *session, const PrepareLayer *layer, LogFile *log, GError **error)
{
    const char *path = layer->suite->command[0];
    g_autofree char *folder = g_path_get_dirname(path);
    const char *const argv[] = {"mkdir", "-p", folder, NULL};
    const Task task = {
        .words = "to make room for what prepares the host",
        .program = "mkdir -p",
        .command = {.argv = argv, .timeout_ms = BRING_MS},
    };
    return !layer->program || (run_task(session, &task, log, error) &&
                               session->options->driver->put(session->host, path, 0755,
                                                             layer->program, error));
}

static gboolean
run_layer(Session *session, guint index, LogFile *log, GError **error)
{
    const SessionOptions *options = session->options;
    const GPtrArray *layers = session->prepares;
    const PrepareLayer *layer = layers->pdata[index];
    g_auto(GStrv) argv = NULL, environment = NULL;
    if (!bring(session, layer, log, error) ||
        !session_prepare_foreign(session, layer->suite, &argv, &environment, error))
        return FALSE;
    g_autofree char *line = g_strjoinv(" ", layer->suite->command);
    g_autofree char *words = layers->len == 1
                                 ? g_strdup("to prepare the host")
                                 : g_strdup_printf("to prepare the host (layer %u of %u)",
                                                   index + 1, layers->len);
    const Task task = {
        .words = words,
        .program = line,
        .command = {.argv = (const char *const *)argv,
                    .env = (const char *const *)environment,
                    .cwd = options->folder,
                    .timeout_ms = suite_timeout_ms(
                        layer->suite, options->driver->accel(session->host))},
    };
    return run_task(session, &task, log, error);
}

gboolean
session_read_layers(Session *session, GError **error)
{
    if (!session->prepares)
        session->prepares = prepare_layers_new(session->options, error);
    return session->prepares != NULL;
}

gboolean
session_prepare_host(Session *session, guint first, guint end, GError **error)
{
    if (first >= end)
        return TRUE;
    g_autoptr(LogFile) log =
        log_file_open(session->log_dir, "prepare.log", LOG_MAX, error);
    if (!log || !session_read_layers(session, error))
        return FALSE;
    session_step(session, "preparing the host");
    for (guint i = first; i < end; i++)
        if (!run_layer(session, i, log, error))
            return FALSE;
    return TRUE;
}

/* ---- ours
 * ---------------------------------------------------------------------------------------
 */

static GStrv
state_environment(const Session *session, const HostState *state, double slowness)
{
    char text[G_ASCII_DTOSTR_BUF_SIZE];
    g_ascii_formatd(text, sizeof text, "%.1f", slowness);
    GStrv environment = suite_environment(session->options->plan);
    environment = g_environ_setenv(environment, "HOSTBED_SLOWNESS", text, TRUE);
    if (session->options->plan->peers && session->options->plan->peers->len > 0) {
        g_autofree char *joined = links_environment(session->options->plan);
        const char *value = strchr(joined, '=') + 1;
        environment = g_environ_setenv(environment, LINK_JOINED, value, TRUE);
    }
    return g_environ_setenv(environment, "HOSTBED_STATE", state->name, TRUE);
}

gboolean
session_reach_in_host(Session *session, const HostState *state, GError **error)
{
    const SessionOptions *options = session->options;
    const SessionDriver *driver = options->driver;
    Accel accel = driver->accel(session->host);
    double slowness = driver->time_out
                          ? case_limit_slowness(options->plan, accel, session->boot_us)
                          : 1;
    double limit_ms = slowness * host_state_timeout_ms(state, accel);
    g_autofree char *program =
        g_build_filename(SUITE_PROGRAMS_PATH, state->program, NULL);
    g_autofree char *words = g_strdup_printf("to reach the state '%s'", state->name);
    g_autofree char *step = g_strdup_printf("reaching the state '%s'", state->name);
    g_auto(GStrv) environment = state_environment(session, state, slowness);
    const Suite *suite = suite_find(state->program);
    if (suite && !session_serve_peers(session, suite, error))
        return FALSE;
    const char *const argv[] = {program, NULL};
    const Task task = {
        .words = words,
        .program = state->program,
        .command = {.argv = argv,
                    .env = (const char *const *)environment,
                    .may_wait = TRUE,
                    .may_go_on = TRUE,
                    .timeout_ms = (guint)MIN(limit_ms, (double)G_MAXINT)},
    };
    g_autoptr(LogFile) log = log_file_open(session->log_dir, "state.log", LOG_MAX, error);
    session_step(session, step);
    return log && run_task(session, &task, log, error);
}
