/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A child process that cannot outlive us. Private to launch*.c.
 */
#pragma once

#include <gio/gio.h>

typedef struct {
    const char *const *argv; /* argv[0] is the program's path */
    const char *const *envp; /* its whole environment */
    const int *fds;          /* descriptors it inherits under the same numbers */
    gsize n_fds;
    int stderr_fd; /* becomes its standard output and error; its input is empty */
    gboolean
        small_pages; /* no transparent huge pages: it touches its memory here and there */
} LaunchChild;

/* Starts it in a session of its own. It is killed when the *thread* that calls this ends,
 * however that happens, so call it from the main thread; what it started itself, when the
 * process ends (guardian.h). */
gboolean launch_child_spawn(const LaunchChild *options, GPid *pid, GError **error);

/* SIGKILL to it and all its children, and waits until it is gone. */
void launch_child_kill(GPid pid);
/* Waits at most TIMEOUT_MS for its end; then *STATUS is as of waitpid(), and its children
 * are killed. FALSE: it lives. */
gboolean launch_child_reap(GPid pid, guint timeout_ms, int *status);
