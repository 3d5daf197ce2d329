/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * hostbed pause, resume, nmi, power, reset: what happens to a server without its doing.
 */
#include <stdio.h>
#include <string.h>

#include "cmd-live.h"

/* REQUEST (taken); afterwards HOST is DONE. */
static int
ask(const char *host, JsonObject *request, const char *done)
{
    int status;
    g_autoptr(JsonObject) answer = NULL;
    if (!cmd_live_answer(host, request, &answer, &status))
        return status;
    const gboolean already =
        json_object_get_boolean_member_with_default(answer, "already", FALSE);
    printf("%s %s%s\n", host, done, already ? " already" : "");
    return HB_OK;
}

/* COMMAND, which needs no more than a host. */
static int
run(const char *command, int argc, char **argv, const char *done)
{
    int status;
    if (!cli_parse(command, &argc, &argv, NULL, NULL, &status))
        return status;
    if (argc != 2)
        return cli_fail_with(HB_USAGE, "name a host that is up: hostbed %s HOST",
                             command);
    return ask(argv[1], live_call_request(command, NULL), done);
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

/* ---- power
 * ------------------------------------------------------------------------------------ */

static const struct {
    const char *action, *done;
} actions[] = {
    {"on", "is on"},
    {"off", "is off"},
    {"button", "has switched itself off"},
    {"reset", "was reset, and is up"},
};

static int
act(const char *host, guint which)
{
    JsonObject *request = live_call_request("power", NULL);
    json_object_set_string_member(request, "action", actions[which].action);
    return ask(host, request, actions[which].done);
}

int
cmd_power(int argc, char **argv)
{
    int status;
    if (!cli_parse("power", &argc, &argv, NULL, NULL, &status))
        return status;
    for (guint i = 0; argc == 3 && i < G_N_ELEMENTS(actions); i++)
        if (g_str_equal(argv[2], actions[i].action))
            return act(argv[1], i);
    if (argc == 3)
        return cli_fail_with(HB_USAGE,
                             "'%s' is nothing that can be done to a host's power; write "
                             "on, off, button or reset",
                             argv[2]);
    return cli_fail_with(HB_USAGE, "name a host of a lab that is up, and what to do: "
                                   "hostbed power HOST on|off|button|reset");
}

int
cmd_reset(int argc, char **argv)
{
    int status;
    if (!cli_parse("reset", &argc, &argv, NULL, NULL, &status))
        return status;
    if (argc != 2)
        return cli_fail_with(HB_USAGE, "name a host that is up: hostbed reset HOST");
    return act(argv[1], G_N_ELEMENTS(actions) - 1);
}
