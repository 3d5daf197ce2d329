/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cmd-run.h"

#include <glib-unix.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* Who waits longer than this is told what for, if it is a person. */
#define PATIENCE_MS 2000
#define PROGRESS_MS 1000

/* ---- progress
 * --------------------------------------------------------------------------------------
 */

void
run_clear_progress(RunSession *session)
{
    if (session->progress_shown)
        fputs("\r\033[K", stderr);
    session->progress_shown = FALSE;
}

static gboolean
on_progress(gpointer user_data)
{
    RunSession *session = user_data;
    gint64 passed_us = g_get_monotonic_time() - session->start_us;
    if (passed_us < PATIENCE_MS * 1000LL || session->command_runs)
        return G_SOURCE_CONTINUE;
    fprintf(stderr, "\r\033[Khostbed: %s, %.0f s", session->doing,
            (double)passed_us / G_USEC_PER_SEC);
    session->progress_shown = TRUE;
    return G_SOURCE_CONTINUE;
}

void
run_step(const char *what, gpointer user_data)
{
    RunSession *session = user_data;
    session->doing = what;
    if (session->options->verbose)
        fprintf(stderr, "hostbed: [%.3f s] %s\n",
                (double)(g_get_monotonic_time() - session->start_us) / G_USEC_PER_SEC,
                what);
}

/* ---- signals and deadlines
 * ----------------------------------------------------------------------------- */

/* The first Ctrl-C is for the command; who presses it again wants out. */
static gboolean
on_sigint(gpointer user_data)
{
    RunSession *session = user_data;
    if (session->command_runs && !session->command_was_signalled) {
        session->command_was_signalled = TRUE;
        guest_signal(session->guest, SIGINT);
    } else {
        g_cancellable_cancel(session->interrupt);
    }
    return G_SOURCE_CONTINUE;
}

static gboolean
on_end_signal(gpointer user_data)
{
    RunSession *session = user_data;
    g_cancellable_cancel(session->interrupt);
    return G_SOURCE_CONTINUE;
}

static gboolean
on_resize(gpointer user_data)
{
    RunSession *session = user_data;
    struct winsize size;
    if (session->command_runs && ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0)
        guest_resize(session->guest, size.ws_row, size.ws_col);
    return G_SOURCE_CONTINUE;
}

void
run_first_size(GuestCommand *command)
{
    struct winsize size;
    if (command->tty && ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0) {
        command->rows = size.ws_row;
        command->columns = size.ws_col;
    }
}

/* While the command runs, guest_run() keeps the time. */
static gboolean
on_deadline(gpointer user_data)
{
    RunSession *session = user_data;
    if (!session->command_runs) {
        session->timed_out = TRUE;
        g_cancellable_cancel(session->interrupt);
    }
    return G_SOURCE_REMOVE;
}

guint
run_time_left_ms(const RunSession *session)
{
    gint64 left_us = session->deadline_us - g_get_monotonic_time();
    return (guint)CLAMP(left_us / 1000, 1, G_MAXINT);
}

/* ---- terminal
 * ---------------------------------------------------------------------------------------------
 */

/* Keys go to the command as they are: its own terminal, inside, makes Ctrl-C a signal. */
void
run_make_raw(RunSession *session)
{
    if (!session->options->tty || tcgetattr(STDIN_FILENO, &session->terminal) != 0)
        return;
    struct termios raw = session->terminal;
    cfmakeraw(&raw);
    session->terminal_is_raw = tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) == 0;
}

void
run_restore_terminal(RunSession *session)
{
    if (session->terminal_is_raw)
        tcsetattr(STDIN_FILENO, TCSADRAIN, &session->terminal);
    session->terminal_is_raw = FALSE;
}

GStrv
run_environment(const RunOptions *options)
{
    g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
    g_auto(GStrv) asked = cli_program_environment(&options->program);
    const char *term = g_getenv("TERM");
    g_autofree char *term_word = g_strconcat("TERM=", term ? term : "dumb", NULL);
    if (options->tty)
        g_strv_builder_add(builder, term_word);
    g_strv_builder_addv(builder, (const char **)asked);
    return g_strv_builder_end(builder);
}

void
run_watch(RunSession *session)
{
    signal(SIGPIPE, SIG_IGN);
    g_unix_signal_add(SIGINT, on_sigint, session);
    g_unix_signal_add(SIGTERM, on_end_signal, session);
    cli_watch_signal(SIGHUP, on_end_signal, session);
    g_unix_signal_add(SIGWINCH, on_resize, session);
    if (!session->options->verbose && cli_rewrites_lines(STDERR_FILENO) &&
        !cli_trace_is_on_terminal(&session->options->trace))
        g_timeout_add(PROGRESS_MS, on_progress, session);
    if (session->options->timeout_s > 0) {
        session->deadline_us =
            session->start_us + (gint64)(session->options->timeout_s * G_USEC_PER_SEC);
        g_timeout_add(run_time_left_ms(session), on_deadline, session);
    }
}
