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

/* "2.5%", owned by the caller; NULL: nothing. */
static char *
loss_text(JsonObject *nic)
{
    gint64 loss = json_line_int(nic, "loss", 0);
    if (loss <= 0)
        return NULL;
    return loss % 10 ? g_strdup_printf("%d.%d%%", (int)(loss / 10), (int)(loss % 10))
                     : g_strdup_printf("%d%%", (int)(loss / 10));
}

/* "loss=2.5%", the sign or not → 25; -1: it is none. */
static int
parse_loss(const char *text)
{
    g_autoptr(GRegex) words = g_regex_new("^loss=(0*[0-9]{1,3})(?:\\.([0-9])0*)?%?$",
                                          G_REGEX_DOLLAR_ENDONLY, 0, NULL);
    g_autoptr(GMatchInfo) match = NULL;
    if (!g_regex_match(words, text, 0, &match))
        return -1;
    g_autofree char *whole = g_match_info_fetch(match, 1);
    g_autofree char *tenths = g_match_info_fetch(match, 2);
    gint64 loss = g_ascii_strtoll(whole, NULL, 10) * 10;
    loss += tenths && *tenths ? *tenths - '0' : 0;
    return loss <= 1000 ? (int)loss : -1;
}

static void
print_nics(JsonObject *answer)
{
    JsonArray *nics = json_object_get_array_member(answer, "nics");
    for (guint i = 0; nics && i < json_array_get_length(nics); i++) {
        JsonObject *nic = json_array_get_object_element(nics, i);
        g_autofree char *loss = loss_text(nic);
        printf(
            "%-32s %s  %-4s  %s%s%s\n", text_of(nic, "device"), text_of(nic, "address"),
            json_object_get_boolean_member_with_default(nic, "up", TRUE) ? "up" : "down",
            text_of(nic, "network"), loss ? ", loses " : "", loss ? loss : "");
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
        fprintf(
            stderr,
            "hostbed: warning: no frame passes, but the host has not noticed: its "
            "driver tells a carrier as before (that of an e1000e of QEMU 7.2 does)\n");
}

static void
print_loss(const char *host, JsonObject *answer)
{
    g_autofree char *loss = loss_text(answer);
    printf("%s: the link of %s loses %s%s\n", host, text_of(answer, "device"),
           loss ? loss : "nothing",
           json_object_get_boolean_member(answer, "already") ? " already" : "");
}

int
cmd_link(int argc, char **argv)
{
    int status;
    g_autoptr(JsonObject) answer = NULL;
    if (!cli_parse("link", &argc, &argv, NULL, NULL, &status))
        return status;
    const gboolean down = argc == 4 && g_str_equal(argv[3], "down");
    const int loss = argc == 4 ? parse_loss(argv[3]) : -1;
    const gboolean is_known =
        down || loss >= 0 || argc != 4 || g_str_equal(argv[3], "up");
    if (!is_known)
        return cli_fail_with(
            HB_USAGE,
            "'%s' is nothing that a link does; write up, down, or "
            "loss=PERCENT with a percentage up to 100, such as loss=2.5%%",
            argv[3]);
    if (argc != 2 && argc != 4)
        return cli_fail_with(
            HB_USAGE, "name a host that is up, and a NIC of it: hostbed link HOST "
                      "NIC up|down|loss=PERCENT; hostbed link HOST tells its NICs");
    JsonObject *request = live_call_request("link", NULL);
    if (argc == 4) {
        json_object_set_string_member(request, "device", argv[2]);
        if (loss >= 0)
            json_object_set_int_member(request, "loss", loss);
        else
            json_object_set_boolean_member(request, "up", !down);
    }
    if (!cmd_live_answer(argv[1], request, &answer, &status))
        return status;
    if (loss >= 0)
        print_loss(argv[1], answer);
    else if (argc == 4)
        print_change(argv[1], answer);
    else
        print_nics(answer);
    return HB_OK;
}
