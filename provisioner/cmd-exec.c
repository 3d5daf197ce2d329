/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * hostbed exec: a command in a host that is up, as if it ran here. What the supervisor
 * passes on is the agent's own protocol, so the command is relayed as by hostbed run.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cmd-live.h"
#include "cmd-run.h"
#include "live-wire.h"

static gboolean
parse(int *argc, char **argv, RunOptions *options, int *before, int *status)
{
    const GOptionEntry entries[] = {
        {"tty", 't', 0, G_OPTION_ARG_NONE, &options->tty, "Give the command a terminal",
         NULL},
        {"timeout", 0, 0, G_OPTION_ARG_DOUBLE, &options->timeout_s,
         "End it after so long (status 4)", "SECONDS"},
        {"env", 0, 0, G_OPTION_ARG_STRING_ARRAY, &options->program.env,
         "Set a variable for the command; without a value: as it is here",
         "NAME[=VALUE]"},
        {"chdir", 0, 0, G_OPTION_ARG_FILENAME, &options->program.chdir,
         "Start the command in this folder of the host", "DIR"},
        G_OPTION_ENTRY_NULL,
    };
    if (!cli_parse_divided("exec", argc, argv, entries, NULL, before, status) ||
        !cli_program_check(&options->program, status))
        return FALSE;
    if (options->timeout_s >= 0 && options->timeout_s <= 1e6)
        return TRUE;
    *status =
        cli_fail_with(HB_USAGE, "--timeout takes seconds, from 0 (none) to 1000000");
    return FALSE;
}

/* How a host that failed did, by what is written of it now. */
static HbStatus
status_of(const LiveName *name)
{
    g_autoptr(GPtrArray) labs = NULL;
    LiveName now;
    g_autofree char *text = g_strdup_printf("%s/%s", name->lab->name, name->host->name);
    return cmd_live_find(text, &labs, &now, NULL) ? now.host->status : HB_OK;
}

/* What became of a host whose agent does not answer any more, in its supervisor's words,
 * and with the status that it would have by run. */
static void
explain(const LiveName *name, GError **error)
{
    g_autoptr(GError) reason = NULL;
    if ((*error)->code != HB_EMULATOR_DIED && (*error)->code != HB_GUEST_HANG)
        return;
    int fd = cmd_live_ask(name, live_call_request("agent", NULL), NULL, &reason);
    if (fd >= 0) {
        close(fd);
        if ((*error)->code != HB_EMULATOR_DIED)
            return;
        reason = g_error_new(HB_ERROR, HB_EMULATOR_DIED,
                             "the host was reset or restored while the command ran");
    }
    const HbStatus status = status_of(name);
    if (status != HB_OK)
        reason->code = (int)status;
    g_clear_error(error);
    *error = g_steal_pointer(&reason);
}

static gboolean
run(RunSession *session, const LiveName *name, GuestExit *result, GError **error)
{
    g_auto(GStrv) env = run_environment(session->options);
    GuestCommand command = {
        .argv = session->argv,
        .cwd = session->options->program.chdir,
        .env = (const char *const *)env,
        .tty = session->options->tty,
        .stdin_fd = STDIN_FILENO,
        .stdout_fd = STDOUT_FILENO,
        .stderr_fd = STDERR_FILENO,
        .timeout_ms = session->deadline_us ? run_time_left_ms(session) : 0,
    };
    int fd = cmd_live_ask(name, live_call_request("agent", NULL), NULL, error);
    if (fd < 0)
        return FALSE;
    g_autoptr(Guest) guest = guest_new(fd);
    gboolean ok = guest_wait_hello(guest, session->interrupt, error);
    session->guest = guest;
    if (ok) {
        session->command_runs = TRUE;
        run_make_raw(session);
        run_first_size(&command);
        ok = guest_run(guest, &command, result, session->interrupt, error);
        run_restore_terminal(session);
        session->command_runs = FALSE;
    }
    session->guest = NULL;
    if (!ok)
        explain(name, error);
    return ok;
}

int
cmd_exec_in(const LiveName *name, const RunOptions *options, const char *const *argv)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GCancellable) interrupt = g_cancellable_new();
    RunSession session = {.options = options,
                          .argv = argv,
                          .start_us = g_get_monotonic_time(),
                          .interrupt = interrupt,
                          .doing = "waiting for the host"};
    GuestExit result = {0};
    run_watch(&session);
    g_cancellable_push_current(interrupt);
    run(&session, name, &result, &error);
    g_cancellable_pop_current(interrupt);
    return run_finish(&session, &result, error);
}

int
cmd_exec(int argc, char **argv)
{
    static const char *const shell[] = {"sh", NULL};
    int status, before = 0;
    g_autoptr(GError) error = NULL;
    g_auto(RunOptions) options = {0};
    if (!parse(&argc, argv, &options, &before, &status))
        return status;
    if (argc < 2)
        return cli_fail_with(HB_USAGE, "name a host that is up, and a command: hostbed "
                                       "exec HOST -- COMMAND [ARGUMENT…]");
    if (argc > 2 && before != 1)
        return cli_fail_with(HB_USAGE, "put '--' before the command, so that its options "
                                       "stay its own: hostbed exec HOST -- COMMAND "
                                       "[ARGUMENT…]");
    /* Who only names a host wants to be in it. */
    options.tty = options.tty || (argc == 2 && isatty(STDIN_FILENO));
    g_autoptr(GPtrArray) labs = NULL;
    LiveName name;
    if (!cmd_live_find(argv[1], &labs, &name, &error))
        return cli_fail(error);
    return cmd_exec_in(&name, &options, argc > 2 ? (const char *const *)argv + 2 : shell);
}
