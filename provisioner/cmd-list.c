/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * hostbed list: what is up. It asks no supervisor, so that one that hangs is told about
 * as quickly as another.
 */
#include <stdio.h>
#include <string.h>

#include "cli-json.h"
#include "cmd-live.h"
#include "units.h"

/* ---- memory
 * -----------------------------------------------------------------------------------------
 */

/* The kilobytes behind FIELD in a file of /proc; -1: it cannot be told. */
static gint64
read_kb(int pid, const char *name, const char *field)
{
    char line[256];
    gint64 kb = -1;
    g_autofree char *path = g_strdup_printf("/proc/%d/%s", pid, name);
    FILE *file = fopen(path, "re");
    while (file && kb < 0 && fgets(line, sizeof line, file))
        if (g_str_has_prefix(line, field))
            kb = g_ascii_strtoll(line + strlen(field), NULL, 10);
    if (file)
        fclose(file);
    return kb;
}

/* What the emulator takes of the machine's memory, EXACT: its part of what is shared
 * counted; -1: it cannot be told. */
static gint64
memory_kb(const LiveLab *lab, const LiveHost *host, gboolean exact)
{
    if (lab->dead || host->pid <= 0)
        return -1;
    return exact ? read_kb(host->pid, "smaps_rollup", "Pss:")
                 : read_kb(host->pid, "status", "RssAnon:");
}

/* More hosts than these are told about with what each has for itself, which the kernel
 * knows without walking through its pages (a millisecond and more for each). */
#define EXACT_HOSTS 16

static char *
memory_text(const LiveLab *lab, const LiveHost *host, gboolean exact)
{
    gint64 kb = memory_kb(lab, host, exact);
    if (kb < 0)
        return g_strdup("-");
    return g_strdup_printf("%s%" G_GINT64_FORMAT " MiB", exact ? "" : ">", kb / 1024);
}

static gboolean
is_exact(const GPtrArray *labs)
{
    guint count = 0;
    for (guint i = 0; i < labs->len; i++)
        count += ((LiveLab *)labs->pdata[i])->hosts->len;
    return count <= EXACT_HOSTS;
}

/* ---- for a person
 * ------------------------------------------------------------------------------------ */

static char *
time_text(gint64 since_s)
{
    g_autoptr(GDateTime) time = g_date_time_new_from_unix_local(since_s);
    return time ? g_date_time_format(time, "%F %T") : g_strdup("?");
}

static void
print_ways_in(const char *name, const LiveLab *lab, const LiveHost *host)
{
    printf("  hostbed exec %s", name);
    for (guint i = 0; i < host->forwards->len; i++) {
        const LiveForward *forward = host->forwards->pdata[i];
        printf("; %s is its port %d", forward->to, forward->port);
    }
    if (lab->connect)
        printf("; started by %s", lab->connect);
    printf("\n");
}

static void
print_host(const GPtrArray *labs, const LiveLab *lab, const LiveHost *host)
{
    g_autofree char *whole = g_strconcat(lab->name, "/", host->name, NULL);
    g_autofree char *name = live_name_of(labs, lab, host);
    g_autofree char *since = time_text(host->since_s);
    g_autofree char *memory = memory_text(lab, host, is_exact(labs));
    const char *state = lab->dead ? "dead" : live_host_state_name(host->state);
    printf("%-28s %-8s  %s  %9s", whole, state, since, memory);
    if (lab->dead)
        printf("  %s; 'hostbed down %s' clears it\n", lab->dead, lab->name);
    else if (host->state == LIVE_FAILED)
        printf("  %s; 'hostbed up %s' starts it again\n", host->reason,
               lab->file ? lab->file : lab->name);
    else if (host->state == LIVE_PAUSED)
        printf("  hostbed resume %s\n", name);
    else if (host->state == LIVE_OFF)
        printf("  hostbed power %s on\n", name);
    else if (host->state == LIVE_UP)
        print_ways_in(name, lab, host);
    else
        printf("\n");
}

static void
print_lab(const GPtrArray *labs, const LiveLab *lab)
{
    for (guint i = 0; i < lab->hosts->len; i++)
        print_host(labs, lab, lab->hosts->pdata[i]);
    if (lab->hosts->len > 0)
        return;
    g_autofree char *since = time_text(lab->since_s);
    if (lab->dead)
        printf("%-28s %-8s  %s  %9s  %s; 'hostbed down %s' clears it\n", lab->name,
               "dead", since, "-", lab->dead, lab->name);
    else
        printf("%-28s %-8s  %s  %9s\n", lab->name, "starting", since, "-");
}

/* ---- for a program
 * ----------------------------------------------------------------------------------- */

/* Where the logs are stands beside it. */
static void
set_reason(const LiveHost *host, JsonObject *object)
{
    g_autofree char *logs = g_strconcat("; logs: ", host->logs, NULL);
    if (!host->reason || !host->logs || !g_str_has_suffix(host->reason, logs))
        return;
    g_autofree char *reason =
        g_strndup(host->reason, strlen(host->reason) - strlen(logs));
    json_object_set_string_member(object, "reason", reason);
}

static void
add_memory(const LiveLab *lab, const LiveHost *host, gboolean exact, JsonObject *object)
{
    gint64 kb = memory_kb(lab, host, exact);
    if (kb >= 0)
        json_object_set_int_member(
            object, exact ? "memory_bytes" : "private_memory_bytes", kb * 1024);
}

/* What was written down of it when it lived says nothing any more. */
static void
set_dead(JsonObject *object)
{
    json_object_set_string_member(object, "state", "dead");
    json_object_remove_member(object, "pid");
}

/* What is known of LAB but for what its supervisor keeps for itself. */
static JsonNode *
describe(const LiveLab *lab, gboolean exact)
{
    JsonNode *node = live_lab_to_json(lab);
    JsonObject *object = json_node_get_object(node);
    JsonArray *hosts = json_object_get_array_member(object, "hosts");
    json_object_remove_member(object, "digest");
    json_object_remove_member(object, "boot");
    for (guint i = 0; i < lab->hosts->len; i++) {
        const LiveHost *host = lab->hosts->pdata[i];
        add_memory(lab, host, exact, json_array_get_object_element(hosts, i));
        set_reason(host, json_array_get_object_element(hosts, i));
        if (lab->dead)
            set_dead(json_array_get_object_element(hosts, i));
    }
    return node;
}

static void
print_json(const GPtrArray *labs)
{
    JsonArray *array = json_array_new();
    for (guint i = 0; i < labs->len; i++)
        json_array_add_element(array, describe(labs->pdata[i], is_exact(labs)));
    JsonObject *object = json_object_new();
    json_object_set_array_member(object, "labs", array);
    cli_print_json(object);
}

int
cmd_list(int argc, char **argv)
{
    int status;
    gboolean json = FALSE;
    const GOptionEntry entries[] = {
        {"json", 0, 0, G_OPTION_ARG_NONE, &json, "As JSON", NULL},
        G_OPTION_ENTRY_NULL,
    };
    if (!cli_parse("list", &argc, &argv, entries, NULL, &status))
        return status;
    if (argc > 1)
        return cli_fail_with(HB_USAGE, "'hostbed list' takes no names; it lists all");
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) labs = live_lab_read_all(&error);
    if (!labs)
        return cli_fail(error);
    if (json) {
        print_json(labs);
        return HB_OK;
    }
    for (guint i = 0; i < labs->len; i++)
        print_lab(labs, labs->pdata[i]);
    if (labs->len == 0)
        fputs("no lab is up; 'hostbed up LAB' brings one up\n", stderr);
    return HB_OK;
}
