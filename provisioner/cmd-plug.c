/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * hostbed plug, hostbed unplug: a device or memory comes into a host that is up, or
 * leaves it; and the host is compared with what it is to be then.
 */
#include <stdio.h>
#include <string.h>

#include "cmd-live.h"
#include "json-line.h"
#include "units.h"

static gboolean
was_already(JsonObject *answer)
{
    return json_object_get_boolean_member_with_default(answer, "already", FALSE);
}

static const char *
string_of(JsonObject *answer, const char *member)
{
    const char *text = json_line_string(answer, member);
    return text ? text : "?";
}

/* ---- plug
 * ------------------------------------------------------------------------------------------
 */

static void
print_plugged(const LiveName *name, JsonObject *answer)
{
    gint64 node = json_line_int(answer, "node", -1);
    g_autofree char *where = node < 0
                                 ? g_strdup("on no node")
                                 : g_strdup_printf("on node %" G_GINT64_FORMAT, node);
    gint64 memory_bytes = json_line_int(answer, "memory_bytes", 0);
    if (memory_bytes > 0) {
        g_autofree char *size = units_size_text(memory_bytes);
        printf("%s: %s %s %s, %s %s\n", name->host->name, string_of(answer, "device"),
               was_already(answer) ? "is already in" : "is in", string_of(answer, "cell"),
               size, where);
        return;
    }
    printf("%s: %s %s %s, at %s %s\n", name->host->name, string_of(answer, "device"),
           was_already(answer) ? "is already in" : "is in", string_of(answer, "port"),
           string_of(answer, "address"), where);
}

static void
set_option(JsonObject *request, const char *member, char *value)
{
    if (value)
        json_object_set_string_member(request, member, value);
    g_free(value);
}

int
cmd_plug(int argc, char **argv)
{
    int status;
    char *expander = NULL, *port = NULL;
    const GOptionEntry entries[] = {
        {"expander", 0, 0, G_OPTION_ARG_STRING, &expander,
         "Into the first free port below this expander", "BUS|NAME"},
        {"port", 0, 0, G_OPTION_ARG_STRING, &port, "Into this port", "NAME"},
        G_OPTION_ENTRY_NULL,
    };
    if (!cli_parse("plug", &argc, &argv, entries, NULL, &status))
        return status;
    g_autoptr(JsonObject) request = live_call_request("plug", NULL);
    JsonArray *words = json_array_new();
    for (int i = 2; i < argc; i++)
        json_array_add_string_element(words, argv[i]);
    json_object_set_array_member(request, "device", words);
    const gboolean both = expander && port;
    set_option(request, "expander", expander);
    set_option(request, "port", port);
    if (both)
        return cli_fail_with(HB_USAGE, "--expander or --port: one of them");
    if (argc < 3)
        return cli_fail_with(HB_USAGE,
                             "name a host that is up, and what comes into it: hostbed "
                             "plug HOST nic [model=MODEL] [mac=MAC] [network=NAME] "
                             "[id=NAME], or hostbed plug HOST memory size=SIZE "
                             "[cell=NAME] [id=NAME]");
    return cmd_live_change(argv[1], json_object_ref(request), print_plugged);
}

/* ---- unplug
 * ------------------------------------------------------------------------------------------
 */

static gboolean
is_untold(JsonObject *answer)
{
    return json_object_get_boolean_member_with_default(answer, "untold", FALSE);
}

static void
print_unplugged(const LiveName *name, JsonObject *answer)
{
    const char *device = string_of(answer, "device");
    if (is_untold(answer))
        printf("%s: %s is out, and nobody told the host; 'hostbed unplug %s %s' does\n",
               name->host->name, device, name->host->name, device);
    else
        printf("%s: %s %s\n", name->host->name, device,
               was_already(answer) ? "is out already" : "is out");
}

int
cmd_unplug(int argc, char **argv)
{
    int status;
    gboolean surprise = FALSE, untold = FALSE;
    const GOptionEntry entries[] = {
        {"surprise", 0, 0, G_OPTION_ARG_NONE, &surprise,
         "Without asking the host, which finds it gone", NULL},
        {"untold", 0, 0, G_OPTION_ARG_NONE, &untold,
         "By surprise, and the host is not told either", NULL},
        G_OPTION_ENTRY_NULL,
    };
    if (!cli_parse("unplug", &argc, &argv, entries, NULL, &status))
        return status;
    if (argc != 3)
        return cli_fail_with(HB_USAGE, "name a host that is up, and what leaves it: "
                                       "hostbed unplug HOST DEVICE|MEMORY");
    if (surprise && untold)
        return cli_fail_with(HB_USAGE, "--surprise or --untold: one of them");
    JsonObject *request = live_call_request("unplug", NULL);
    json_object_set_string_member(request, "device", argv[2]);
    if (surprise || untold)
        json_object_set_string_member(request, "surprise", untold ? "untold" : "told");
    return cmd_live_change(argv[1], request, print_unplugged);
}
