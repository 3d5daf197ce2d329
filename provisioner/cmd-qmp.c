/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * hostbed qmp: one command to the emulator of a host that is up.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli-json.h"
#include "cmd-live.h"
#include "json-line.h"

/* ARGUMENTS (or NULL) as the member of REQUEST. */
static gboolean
add_arguments(JsonObject *request, const char *arguments, int *status)
{
    JsonObject *object =
        arguments ? json_line_parse_object(arguments, strlen(arguments)) : NULL;
    if (object)
        json_object_set_object_member(request, "arguments", object);
    if (!arguments || object)
        return TRUE;
    *status = cli_fail_with(
        HB_USAGE, "'%s' is no object of JSON, as in '{\"id\": \"nic0\"}'", arguments);
    return FALSE;
}

int
cmd_qmp(int argc, char **argv)
{
    int status;
    if (!cli_parse("qmp", &argc, &argv, NULL, NULL, &status))
        return status;
    if (argc < 3 || argc > 4)
        return cli_fail_with(HB_USAGE, "name a host that is up, and a command of QMP: "
                                       "hostbed qmp HOST COMMAND [JSON]");
    signal(SIGPIPE, SIG_IGN);
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) labs = NULL;
    LiveName name;
    g_autoptr(JsonObject) request = live_call_request("qmp", NULL);
    json_object_set_string_member(request, "command", argv[2]);
    if (!add_arguments(request, argv[3], &status))
        return status;
    if (!cmd_live_find(argv[1], &labs, &name, &error))
        return cli_fail(error);
    g_autoptr(CliInterrupt) interrupt = cli_interrupt_new();
    g_autoptr(JsonObject) answer = NULL;
    int fd = cmd_live_ask(&name, g_steal_pointer(&request), &answer, &error);
    if (fd < 0)
        return cli_fail(error);
    close(fd);
    cmd_live_print();
    cli_print_json_node(json_object_get_member(answer, "return"));
    return HB_OK;
}
