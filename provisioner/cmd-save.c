/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * hostbed save, hostbed restore: what a host that is up is at one moment, and is again.
 */
#include <stdio.h>
#include <string.h>

#include "cli-json.h"
#include "cmd-live.h"
#include "json-line.h"
#include "units.h"

static JsonObject *
request_new(const char *what, const char *name)
{
    JsonObject *request = live_call_request(what, NULL);
    if (name)
        json_object_set_string_member(request, "name", name);
    return request;
}

static char *
size_of(JsonObject *state)
{
    return units_about_text((guint64)json_line_int(state, "bytes", 0));
}

/* ---- save
 * ------------------------------------------------------------------------------------------
 */

static void
print_states(JsonObject *answer)
{
    JsonArray *states = json_object_get_array_member(answer, "states");
    for (guint i = 0; states && i < json_array_get_length(states); i++) {
        JsonObject *state = json_array_get_object_element(states, i);
        const char *name = json_line_string(state, "name");
        g_autofree char *size = size_of(state);
        g_autoptr(GDateTime) time =
            g_date_time_new_from_unix_local(json_line_int(state, "time", 0));
        g_autofree char *when =
            time ? g_date_time_format(time, "%Y-%m-%d %H:%M:%S") : g_strdup("-");
        printf("%-32s  %s  %9s\n", name ? name : "?", when, size);
    }
}

static int
list(const char *host, gboolean json)
{
    int status;
    g_autoptr(JsonObject) answer = NULL;
    if (!cmd_live_answer(host, request_new("saved", NULL), &answer, &status))
        return status;
    if (json)
        cli_print_json(json_object_ref(answer));
    else
        print_states(answer);
    return HB_OK;
}

static int
drop(const char *host, const char *name)
{
    int status;
    g_autoptr(JsonObject) answer = NULL;
    if (!cmd_live_answer(host, request_new("forget", name), &answer, &status))
        return status;
    printf("%s: the state %s is removed\n", host, name);
    return HB_OK;
}

static int
save(const char *host, const char *name)
{
    int status;
    g_autoptr(JsonObject) answer = NULL;
    if (!cmd_live_answer(host, request_new("save", name), &answer, &status))
        return status;
    g_autofree char *size = size_of(answer);
    printf("%s is saved as %s: %s\n", host, name, size);
    return HB_OK;
}

int
cmd_save(int argc, char **argv)
{
    int status;
    gboolean removes = FALSE, json = FALSE;
    const GOptionEntry entries[] = {
        {"remove", 0, 0, G_OPTION_ARG_NONE, &removes, "Throw the state NAME away", NULL},
        {"json", 0, 0, G_OPTION_ARG_NONE, &json, "List as JSON", NULL},
        G_OPTION_ENTRY_NULL,
    };
    if (!cli_parse("save", &argc, &argv, entries, NULL, &status))
        return status;
    if (argc < 2 || argc > 3 || (removes && (argc == 2 || json)) || (json && argc == 3))
        return cli_fail_with(
            HB_USAGE, "name a host that is up, and what its state is to be "
                      "called: hostbed save HOST NAME; without NAME, --json or not, "
                      "what is saved is listed, and --remove HOST NAME throws "
                      "it away");
    if (argc == 2)
        return list(argv[1], json);
    return removes ? drop(argv[1], argv[2]) : save(argv[1], argv[2]);
}

/* ---- restore
 * ------------------------------------------------------------------------------------------
 */

static void
print_restored(const LiveName *name, JsonObject *answer)
{
    const char *state = json_line_string(answer, "name");
    printf("%s is what it was when it was saved as %s\n", name->host->name,
           state ? state : "?");
}

int
cmd_restore(int argc, char **argv)
{
    int status;
    if (!cli_parse("restore", &argc, &argv, NULL, NULL, &status))
        return status;
    if (argc != 3)
        return cli_fail_with(
            HB_USAGE, "name a host of a lab that is up, and a state of it: hostbed "
                      "restore HOST NAME; 'hostbed save HOST' lists them");
    return cmd_live_change(argv[1], request_new("restore", argv[2]), print_restored);
}
