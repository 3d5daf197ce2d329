/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A short-lived program that is asked something (an emulator's facts, a proof that KVM
 * works, a version): ended with us and with all that it started, never outliving its
 * Child, its standard error kept for the message. Standard input and output are /dev/null
 * but for descriptors handed over. Hosts are launch.h's.
 */
#pragma once

#include <gio/gio.h>

typedef struct Child Child;

/* Starts ARGV (argv[0] is a path). FD, if not -1, becomes descriptor 3 of the program and
 * is closed here. With OUTPUT its standard output is kept too. Call it from a thread that
 * lives as long as the child: the parent-death signal follows the thread. */
Child *child_start(const char *const *argv, int fd, gboolean output, GError **error);

/* Descriptors that become a program's standard streams; they stay the caller's. */
typedef struct {
    int input, output, errors;
} ChildStreams;

/* The same for a program that is talked to. What it says is not kept here, and what it
 * writes to files has no limit. */
Child *
child_start_talking(const char *const *argv, const ChildStreams *streams, GError **error);
/* Kills the program with its children; child_wait() will tell when they are dead. */
void child_kill(Child *child);
/* The same, and waits until it is gone. */
void child_free(Child *child);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Child, child_free)

/* Waits for the end. FALSE: it still runs after TIMEOUT_MS, or the thread's current
 * GCancellable (g_cancellable_get_current()) was cancelled; where there is one, the main
 * context turns while we wait. *CODE is the exit status, or the signal's number as a
 * negative number. */
gboolean child_wait(Child *child, guint timeout_ms, int *code);

/* What it said last on standard error: at most the last three lines, one line, printable;
 * "" if nothing. The result is owned by the caller. Not for one that is talked to, nor
 * are the next two. */
char *child_complaint(Child *child);
/* All of its standard output, as it is; owned by the caller. */
char *child_output(Child *child);
GPid child_pid(const Child *child);
/* The first line of its standard output, or "". The result is owned by the caller. */
char *child_first_line(Child *child);
