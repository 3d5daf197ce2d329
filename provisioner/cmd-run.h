/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * hostbed run, in three files: cmd-run.c reads the command line and the lab;
 * cmd-run-host.c starts the host and runs the command in it; cmd-run-terminal.c is for
 * the person before it: progress, signals, deadline, the terminal itself. hostbed exec
 * has the last with it, for the command is the same to that person.
 */
#pragma once

#include <termios.h>

#include "bind.h"
#include "boot.h"
#include "cli-program.h"
#include "cli-trace.h"
#include "cli.h"
#include "guest.h"
#include "outbox.h"

typedef struct {
    CliMachine machine;
    CliProgram program;
    CliTrace trace;
    char *host, *log_dir, *connect;
    GStrv modules;
    double timeout_s;
    gboolean tty, capture, no_retry, warm, verbose;
    gboolean ends_silently; /* nobody is told that a signal ended it */
} RunOptions;

void run_options_clear(RunOptions *options);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(RunOptions, run_options_clear)

/* One call of this command. */
typedef struct {
    const RunOptions *options;
    const char *const *argv;      /* of the command inside, as given */
    Bindings *bindings;           /* NULL until the lab is planned */
    Outbox *outbox;               /* of --out, or NULL */
    gint64 start_us, deadline_us; /* 0: none */
    Boot *boot;                   /* NULL until the host is up */
    Guest *guest;                 /* its agent, or (hostbed exec) a way to it */
    GCancellable *interrupt;      /* ends the host */
    const char *log_dir;          /* of the host; NULL: it has none yet */
    gboolean command_runs, command_was_signalled, timed_out;
    gboolean keep_logs; /* something happened that a person may want to understand */
    const char *doing;  /* for the progress line; static */
    gboolean progress_shown;
    struct termios terminal; /* as it was */
    gboolean terminal_is_raw;
} RunSession;

/* ---- cmd-run.c
 * ----------------------------------------------------------------------------------------
 */

/* *WORD names a program: one of a folder of this machine by its whole path, which it has
 * in the host, too; owned by the caller. NULL: it stays as it is. */
char *run_program_path(const char *word);

/* ---- cmd-run-host.c
 * ------------------------------------------------------------------------------------ */

/* What decides what a host for SESSION's command, whose BINDINGS are known, is made of.
 */
typedef struct {
    BootOptions boot;
    GStrv modules;
    const char *commands[2];
} RunHost;

void run_host_init(RunHost *host, const RunSession *session, const Plan *plan,
                   const char *emulator, Accel accel);
void run_host_clear(RunHost *host);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(RunHost, run_host_clear)

/* Boots PLAN and runs the command in it; the host is gone when this returns. */
int run_in_host(RunSession *session, const Plan *plan, const char *emulator, Accel accel,
                const char *log_dir);
/* The status to exit with, and a sentence where it is ours. RESULT may be NULL where
 * there is an ERROR. */
int run_finish(RunSession *session, const GuestExit *result, const GError *error);

/* ---- cmd-run-terminal.c
 * -------------------------------------------------------------------------------- */

/* From now on signals are the command's or end the host, --timeout runs, and who waits is
 * told what for. Once, when the session begins. */
void run_watch(RunSession *session);
/* What is being done (static); USER_DATA is the RunSession. */
void run_step(const char *what, gpointer user_data);
/* Before anything else is written to standard error. */
void run_clear_progress(RunSession *session);
/* Until --timeout; only where there is a deadline. */
guint run_time_left_ms(const RunSession *session);
/* Around the command: keys go to it as they are, and it has the size of our terminal. */
void run_make_raw(RunSession *session);
void run_restore_terminal(RunSession *session);
/* --env, and TERM for a terminal; owned by the caller. */
GStrv run_environment(const RunOptions *options);
/* Has the command's terminal, if it gets one, begin with the size of ours. */
void run_first_size(GuestCommand *command);
