/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * hostbed link: the cables of a host's NICs.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cmd-live.h"
#include "json-line.h"

static const char *
text_of(JsonObject *nic, const char *member)
{
    const char *text = json_line_string(nic, member);
    return text ? text : "-";
}

static void
print_nics(JsonObject *answer)
{
    JsonArray *nics = json_object_get_array_member(answer, "nics");
    for (guint i = 0; nics && i < json_array_get_length(nics); i++) {
        JsonObject *nic = json_array_get_object_element(nics, i);
        printf("%-32s %s  %-4s  %s\n", text_of(nic, "device"), text_of(nic, "address"),
               json_object_get_boolean_member_with_default(nic, "up", TRUE) ? "up"
                                                                            : "down",
               text_of(nic, "network"));
    }
}

static void
print_change(const char *host, JsonObject *answer)
{
    const gboolean up = json_object_get_boolean_member(answer, "up");
    printf("%s: the link of %s is %s%s\n", host, text_of(answer, "device"),
           up ? "up" : "down",
           json_object_get_boolean_member(answer, "already") ? " already" : "");
    if (json_object_get_boolean_member(answer, "unnoticed"))
        fprintf(stderr,
                "hostbed: warning: no frame passes, but the host has not noticed: its "
                "driver tells a carrier as before (e1000e does before QEMU 8)\n");
}

int
cmd_link(int argc, char **argv)
{
    int status;
    g_autoptr(JsonObject) answer = NULL;
    if (!cli_parse("link", &argc, &argv, NULL, NULL, &status))
        return status;
    const gboolean down = argc == 4 && g_str_equal(argv[3], "down");
    if (argc != 2 && !down && !(argc == 4 && g_str_equal(argv[3], "up")))
        return cli_fail_with(HB_USAGE,
                             "name a host that is up, and a NIC of it: hostbed link HOST "
                             "NIC up|down; hostbed link HOST tells its NICs");
    JsonObject *request = live_call_request("link", NULL);
    if (argc == 4) {
        json_object_set_string_member(request, "device", argv[2]);
        json_object_set_boolean_member(request, "up", !down);
    }
    if (!cmd_live_answer(argv[1], request, &answer, &status))
        return status;
    if (argc == 4)
        print_change(argv[1], answer);
    else
        print_nics(answer);
    return HB_OK;
}
