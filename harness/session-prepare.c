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
    g_autofree char *said = printable(tail->str, tail->len, TAIL_MAX);
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

static gboolean
run_command(Session *session, const Suite *suite, LogFile *log, GError **error)
{
    const SessionOptions *options = session->options;
    g_auto(GStrv) argv = NULL, environment = NULL;
    if (!session_prepare_foreign(session, suite, &argv, &environment, error))
        return FALSE;
    g_autofree char *line = g_strjoinv(" ", suite->command);
    const Task task = {
        .words = "to prepare the host",
        .program = line,
        .command = {.argv = (const char *const *)argv,
                    .env = (const char *const *)environment,
                    .cwd = options->folder,
                    .timeout_ms =
                        suite_timeout_ms(suite, options->driver->accel(session->host))},
    };
    return run_task(session, &task, log, error);
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
    for (guint i = 0; i < commands->len; i++)
        if (!run_command(session, commands->pdata[i], log, error))
            return FALSE;
    return TRUE;
}

/* ---- in a clone
 * -------------------------------------------------------------------------------------
 */

gboolean
session_prepares_later(const Session *session)
{
    const SessionOptions *options = session->options;
    return options->keep && options->prepare && options->prepare->len > 0 &&
           options->driver->branch && !session->prepared &&
           session_wants_template(session);
}

/* A host that can be frozen, with all that was prepared. NULL, and *CANNOT: not here. */
static void *
prepare_clone(Session *session, guint try, gboolean *cannot, GError **error)
{
    const SessionOptions *options = session->options;
    g_autofree char *name =
        try == 0 ? g_strdup("prepared") : g_strdup_printf("prepared-try%u", try + 1);
    session_stop_host(session);
    session_choose_log_dir(session, name);
    session->host = options->driver->branch(session->template, session->log_dir,
                                            options->interrupt, error);
    *cannot = session->host == NULL;
    session->unprepared = session->host && !session_prepare_host(session, error);
    if (session->unprepared)
        session_stop_host(session);
    return session->host;
}

/* Takes the place of the template that it was made from. */
static gboolean
freeze_prepared(Session *session, GError **error)
{
    const SessionDriver *driver = session->options->driver;
    g_autofree char *observation = NULL;
    if (session->options->check_clones &&
        !(observation = session_observe(session, error)))
        return FALSE;
    void *template = driver->freeze(&session->host, error);
    if (!template)
        return FALSE;
    session_discard_template(session);
    session->template = template;
    session->frozen_observation = g_steal_pointer(&observation);
    session->prepared = TRUE;
    return TRUE;
}

gboolean
session_prepare_template(Session *session, GError **error)
{
    g_autoptr(GError) failure = NULL;
    gint64 before = g_get_monotonic_time();
    gboolean cannot = FALSE;
    for (guint try = 0; !prepare_clone(session, try, &cannot, &failure) && !cannot;
         try++) {
        if (try >= session->options->retries || session_is_final(session, failure)) {
            g_propagate_error(error, g_steal_pointer(&failure));
            return FALSE;
        }
        g_clear_error(&failure);
    }
    gboolean done = session->host && freeze_prepared(session, &failure);
    if (session_interrupted(session) || session->late) {
        g_clear_error(&failure);
        return TRUE;
    }
    double seconds = (double)(g_get_monotonic_time() - before) / G_USEC_PER_SEC;
    g_autofree char *how =
        done ? g_strdup_printf("%s; prepared in %.2f s", session->how, seconds)
             : g_strdup_printf("what is prepared cannot be frozen: %s", failure->message);
    session->cold = !done;
    if (!done) {
        session_stop_host(session);
        session_discard_template(session);
    }
    session_tell_template(session, how);
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
                    .timeout_ms = (guint)MIN(limit_ms, (double)G_MAXINT)},
    };
    g_autoptr(LogFile) log = log_file_open(session->log_dir, "state.log", LOG_MAX, error);
    session_step(session, step);
    return log && run_task(session, &task, log, error);
}
