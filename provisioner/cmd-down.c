/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * hostbed down: ends labs, and clears what is left of those that ended by themselves.
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cli-wait.h"
#include "cmd-live.h"
#include "json-line.h"
#include "live-dir.h"

/* A supervisor that has not ended its emulators by then never will. */
#define PATIENCE_MS 20000

/* ---- one that lives
 * --------------------------------------------------------------------------------- */

/* Until PID has ended wholly: while a process ends, its connections close before its
 * locks are let go of. */
static void
kill_and_wait(pid_t pid)
{
    struct pollfd end = {.fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN};
    kill(pid, SIGKILL);
    if (end.fd < 0)
        return;
    poll(&end, 1, PATIENCE_MS);
    close(end.fd);
}

/* The one at the other end of FD; its emulators die with it. */
static void
kill_supervisor(int fd, const char *name)
{
    struct ucred peer = {0};
    socklen_t length = sizeof peer;
    cli_wait_clear();
    fprintf(stderr,
            "hostbed: warning: the supervisor of '%s' did not answer, and is "
            "killed\n",
            name);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 && peer.pid > 1)
        kill_and_wait(peer.pid);
}

/* Asks the supervisor of NAME to end. FALSE: interrupted. */
static gboolean
ask(const char *dir, const char *name, GError **error)
{
    g_autoptr(GError) failure = NULL;
    int fd = live_connect(dir, name, NULL);
    if (fd < 0) /* it is gone meanwhile, or was killed */
        return TRUE;
    g_autofree char *what = g_strdup_printf("taking down %s", name);
    g_autoptr(CliWait) wait = cli_wait_new(what);
    json_line_write(fd, live_call_request("down", NULL));
    gboolean ended = live_call_wait_end(fd, PATIENCE_MS, &failure);
    if (!ended && failure->code == HB_TIMEOUT)
        kill_supervisor(fd, name);
    if (!ended && failure->code == HB_TIMEOUT)
        ended = live_call_wait_end(fd, PATIENCE_MS, &failure);
    close(fd);
    if (!ended)
        g_propagate_error(error, g_steal_pointer(&failure));
    return ended;
}

/* ---- all of it
 * --------------------------------------------------------------------------------------
 */

static int
down(const char *dir, const LiveLab *lab)
{
    g_autoptr(GError) error = NULL;
    if (!lab->dead && !ask(dir, lab->name, &error))
        return cli_fail(error);
    gboolean cleared = live_clear(dir, lab->name, &error);
    if (error)
        return cli_fail(error);
    if (lab->dead)
        printf("%s was dead (%s), and is cleared\n", lab->name, lab->dead);
    else
        printf("%s is down%s\n", lab->name, cleared ? "; it was killed" : "");
    return HB_OK;
}

/* Whether WORD means LAB: by its name, or its file. */
static gboolean
is_meant(const LiveLab *lab, const char *word)
{
    g_autofree char *file = g_canonicalize_filename(word, NULL);
    return g_str_equal(lab->name, word) || g_strcmp0(lab->file, file) == 0;
}

/* One that is not up is as it should be, unless the name is a mistake. */
static int
tell_not_up(const GPtrArray *labs, const char *word)
{
    gboolean is_mistake;
    g_autofree char *why = live_name_no_lab(labs, word, &is_mistake);
    if (is_mistake)
        return cli_fail_with(HB_USAGE, "%s", why);
    printf("%s\n", why);
    return HB_OK;
}

static int
down_word(const char *dir, const GPtrArray *labs, const char *word)
{
    gboolean any = FALSE;
    int status = HB_OK;
    for (guint i = 0; i < labs->len; i++) {
        if (word && !is_meant(labs->pdata[i], word))
            continue;
        int one = down(dir, labs->pdata[i]);
        status = one != HB_OK ? one : status;
        any = TRUE;
    }
    return any || !word ? status : tell_not_up(labs, word);
}

int
cmd_down(int argc, char **argv)
{
    int status;
    gboolean all = FALSE;
    const GOptionEntry entries[] = {
        {"all", 0, 0, G_OPTION_ARG_NONE, &all, "All labs that are up or dead", NULL},
        G_OPTION_ENTRY_NULL,
    };
    if (!cli_parse("down", &argc, &argv, entries, NULL, &status))
        return status;
    if (all == (argc > 1))
        return cli_fail_with(HB_USAGE, "name labs that are up, or all: hostbed down "
                                       "LAB…, or hostbed down --all");
    signal(SIGPIPE, SIG_IGN);
    g_autoptr(GError) error = NULL;
    g_autoptr(CliInterrupt) interrupt = cli_interrupt_new();
    g_autoptr(GPtrArray) labs = live_lab_read_all(&error);
    if (!labs)
        return cli_fail(error);
    g_autofree char *dir = live_dir(FALSE, NULL);
    if (all)
        return down_word(dir, labs, NULL);
    for (int i = 1; i < argc; i++) {
        int one = down_word(dir, labs, argv[i]);
        status = i == 1 || one != HB_OK ? one : status;
    }
    return status;
}
