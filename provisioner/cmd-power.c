/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * hostbed pause, resume, nmi: what happens to a server without its doing.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cmd-live.h"

/* Asks for REQUEST (taken) of the host called HOST. *ANSWER is the caller's. */
static gboolean
ask(const char *host, JsonObject *request, JsonObject **answer, int *status)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) labs = NULL;
    LiveName name;
    int fd = -1;
    signal(SIGPIPE, SIG_IGN);
    g_autoptr(CliInterrupt) interrupt = cli_interrupt_new();
    if (cmd_live_find(host, &labs, &name, &error))
        fd = cmd_live_ask(&name, request, answer, &error);
    else
        json_object_unref(request);
    *status = fd >= 0 ? HB_OK : cli_fail(error);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

/* COMMAND, which needs no more than a host, and afterwards the host is DONE. */
static int
run(const char *command, int argc, char **argv, const char *done)
{
    int status;
    g_autoptr(JsonObject) answer = NULL;
    if (!cli_parse(command, &argc, &argv, NULL, NULL, &status))
        return status;
    if (argc != 2)
        return cli_fail_with(HB_USAGE, "name a host that is up: hostbed %s HOST",
                             command);
    if (!ask(argv[1], live_call_request(command, NULL), &answer, &status))
        return status;
    const gboolean already =
        json_object_get_boolean_member_with_default(answer, "already", FALSE);
    printf("%s %s%s\n", argv[1], done, already ? " already" : "");
    return HB_OK;
}

int
cmd_pause(int argc, char **argv)
{
    return run("pause", argc, argv, "is paused");
}

int
cmd_resume(int argc, char **argv)
{
    return run("resume", argc, argv, "goes on");
}

int
cmd_nmi(int argc, char **argv)
{
    return run("nmi", argc, argv, "got an NMI");
}
