/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "error.h"
#include "json-line.h"
#include "live-private.h"
#include "live-wire.h"
#include "nearest.h"

/* ---- up and down
 * ------------------------------------------------------------------------------------ */

GStrv
live_request_strings(JsonObject *object, const char *member)
{
    g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
    JsonArray *array = json_line_array(object, member);
    for (guint i = 0; array && i < json_array_get_length(array); i++) {
        JsonNode *element = json_array_get_element(array, i);
        if (json_node_get_value_type(element) == G_TYPE_STRING)
            g_strv_builder_add(builder, json_node_get_string(element));
    }
    return g_strv_builder_end(builder);
}

static gboolean
check_digest(const LiveServer *server, JsonObject *request, GError **error)
{
    const LiveServeOptions *options = server->options;
    if (g_strcmp0(json_line_string(request, "digest"), options->digest) == 0)
        return TRUE;
    g_set_error(error, HB_ERROR, HB_USAGE,
                "a lab '%s' is up, of %s as that was then, and this is another; "
                "'hostbed down %s' takes it down, and --name gives this one a name of "
                "its own",
                options->name, options->file, options->name);
    return FALSE;
}

static void
on_up(Client *client)
{
    LiveServer *server = client->server;
    g_autoptr(GError) error = NULL;
    g_auto(GStrv) names = live_request_strings(client->request, "hosts");
    if (!check_digest(server, client->request, &error) ||
        !live_host_want(server, (const char *const *)names, &error)) {
        live_client_fail(client, error);
        return;
    }
    if (live_host_any_wanted(server) || server->starting) {
        client->waits_up = TRUE;
        client->traces =
            json_object_get_boolean_member_with_default(client->request, "trace", FALSE);
        return;
    }
    JsonObject *answer = json_object_new();
    json_object_set_boolean_member(answer, "already", TRUE);
    live_client_answer(client, answer);
}

static void
on_down(Client *client)
{
    client->waits_down = TRUE;
    live_server_down(client->server);
}

/* ---- what needs a host
 * ------------------------------------------------------------------------------ */

static void
on_agent(Client *client, Host *host)
{
    JsonObject *object = json_object_new();
    json_object_set_object_member(object, "answer", json_object_new());
    live_client_send(client, object);
    guest_share(host->boot->guest, live_client_steal(client));
}

static void
on_printed(const char *bytes, gsize length, gpointer user_data)
{
    Host *host = user_data;
    LiveServer *server = host->server;
    for (guint i = 0; i < server->clients->len; i++) {
        Client *client = server->clients->pdata[i];
        if (client->console == host && client->outgoing->len < LIVE_CONSOLE_MAX)
            live_client_write(client, bytes, length);
    }
}

void
live_request_listen(Host *host)
{
    machine_set_console_listener(host->boot->machine, on_printed, host);
}

static void
on_console(Client *client, Host *host)
{
    JsonObject *object = json_object_new();
    json_object_set_object_member(object, "answer", json_object_new());
    live_client_send(client, object);
    client->console = host;
}

/* What an answer of the emulator is for: it may come when nobody waits any more. */
typedef struct {
    LiveServer *server;
    Client *client;
    Host *host;
    char *command;
} Asked;

static void
asked_free(Asked *asked)
{
    g_free(asked->command);
    g_free(asked);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Asked, asked_free)

static gboolean
still_waits(const Asked *asked)
{
    return g_ptr_array_find(asked->server->clients, asked->client, NULL);
}

/* The names in RESULT, of query-commands, which are its own; ends with NULL. */
static GPtrArray *
names_of(JsonNode *result)
{
    GPtrArray *names = g_ptr_array_new();
    JsonArray *list =
        result && JSON_NODE_HOLDS_ARRAY(result) ? json_node_get_array(result) : NULL;
    for (guint i = 0; list && i < json_array_get_length(list); i++) {
        const char *name = json_line_string(json_line_element(list, i), "name");
        if (name)
            g_ptr_array_add(names, (gpointer)name);
    }
    g_ptr_array_add(names, NULL);
    return names;
}

static void
on_commands(JsonNode *result, const GError *error G_GNUC_UNUSED, gpointer user_data)
{
    g_autoptr(Asked) asked = user_data;
    if (!still_waits(asked))
        return;
    g_autoptr(GPtrArray) names = names_of(result);
    g_autofree char *hint =
        nearest_hint(nearest_name(asked->command, (const char *const *)names->pdata),
                     "'hostbed qmp HOST query-commands' lists those that it has");
    g_autoptr(GError) unknown =
        g_error_new(HB_ERROR, HB_UNSUPPORTED, "the emulator has no command '%s'; %s",
                    asked->command, hint);
    live_client_fail(asked->client, unknown);
}

/* QEMU qapi/qmp-dispatch.c. */
static gboolean
is_unknown(const char *command, const GError *error)
{
    g_autofree char *words =
        g_strdup_printf("The command %s has not been found", command);
    return error && g_str_has_suffix(error->message, words);
}

static void
on_qmp_reply(JsonNode *result, const GError *error, gpointer user_data)
{
    g_autoptr(Asked) asked = user_data;
    if (!still_waits(asked))
        return;
    if (is_unknown(asked->command, error)) {
        Machine *machine = asked->host->boot->machine;
        qmp_send(machine_qmp(machine), "query-commands", NULL, on_commands,
                 g_steal_pointer(&asked));
        return;
    }
    if (error) {
        live_client_fail(asked->client, error);
        return;
    }
    JsonObject *answer = json_object_new();
    json_object_set_member(answer, "return", json_node_copy(result));
    live_client_answer(asked->client, answer);
}

/* What ends a host behind our back, or takes from us what we hold it by. */
static const struct {
    const char *command, *instead;
} refused[] = {
    {"quit", "'hostbed down' ends hosts"},
    {"system_reset", "'hostbed reset' starts it anew"},
    {"system_powerdown", "'hostbed power HOST button' presses it"},
    {"qmp_capabilities", "that has been negotiated"},
    {"migrate", "a template is made by 'hostbed up --warm'"},
    {"migrate-incoming", "a template is used by 'hostbed up --warm'"},
    {"chardev-remove", "its channels are hostbed's"},
    {"chardev-change", "its channels are hostbed's"},
    {"getfd", "no descriptor comes with it"},
    {"add-fd", "no descriptor comes with it"},
    {"human-monitor-command", "QMP has commands that say what they do"},
};

static gboolean
check_command(const char *command, GError **error)
{
    for (gsize i = 0; command && i < G_N_ELEMENTS(refused); i++) {
        if (!g_str_equal(command, refused[i].command))
            continue;
        g_set_error(error, HB_ERROR, HB_USAGE, "'%s' is not for a host that is up: %s",
                    command, refused[i].instead);
        return FALSE;
    }
    if (!command || !*command ||
        strspn(command, G_CSET_A_2_Z G_CSET_a_2_z G_CSET_DIGITS "-_.") !=
            strlen(command)) {
        g_set_error_literal(
            error, HB_ERROR, HB_USAGE,
            "a command of QMP is called by letters, digits, '-', '_' and '.'");
        return FALSE;
    }
    return TRUE;
}

static void
on_qmp(Client *client, Host *host)
{
    g_autoptr(GError) error = NULL;
    const char *command = json_line_string(client->request, "command");
    JsonNode *arguments = json_object_get_member(client->request, "arguments");
    if (!check_command(command, &error)) {
        live_client_fail(client, error);
        return;
    }
    Asked *asked = g_new(Asked, 1);
    *asked = (Asked){client->server, client, host, g_strdup(command)};
    qmp_send(machine_qmp(host->boot->machine), command,
             arguments && JSON_NODE_HOLDS_OBJECT(arguments)
                 ? json_node_dup_object(arguments)
                 : NULL,
             on_qmp_reply, asked);
}

/* ---- which it is
 * ------------------------------------------------------------------------------------ */

static const struct {
    const char *name;
    void (*on_lab)(Client *client);
    void (*on_host)(Client *client, Host *host);
} requests[] = {
    {"up", on_up, NULL},
    {"down", on_down, NULL},
    {"agent", NULL, on_agent},
    {"console", NULL, on_console},
    {"qmp", NULL, on_qmp},
    {"verify", NULL, live_work_add},
    {"plug", NULL, live_work_add},
    {"unplug", NULL, live_work_add},
    {"pause", NULL, live_work_add},
    {"resume", NULL, live_work_add},
    {"nmi", NULL, live_work_add},
    {"link", NULL, live_work_add},
    {"disk", NULL, live_work_add},
    {"power", NULL, live_work_add},
    {"save", NULL, live_work_add},
    {"saved", NULL, live_work_add},
    {"forget", NULL, live_work_add},
    {"restore", NULL, live_work_add},
};

GError *
live_request_obstacle(const char *name, const Host *host, const char *request)
{
    /* What the emulator does, whatever the guest does. */
    static const char *const still[] = {"console", "qmp", "pause", "resume", NULL};
    /* What is done without the guest, or to one that is off, too. */
    static const char *const always[] = {"power", "saved", "forget", "restore", NULL};
    if (host && host->told && request && g_strv_contains(always, request))
        return NULL;
    const gboolean paused = host && host->boot && host->told->state == LIVE_PAUSED;
    if (host && host->boot && host->told->state == LIVE_UP)
        return NULL;
    if (paused && request && g_strv_contains(still, request))
        return NULL;
    if (paused)
        return g_error_new(HB_ERROR, HB_FAIL,
                           "the host '%s' is paused; 'hostbed resume %s' has it go on",
                           name, name);
    if (!host || !host->told)
        return g_error_new(HB_ERROR, HB_USAGE, "the host '%s' is not up", name);
    if (host->told->state == LIVE_OFF)
        return g_error_new(HB_ERROR, HB_FAIL,
                           "the host '%s' is off; 'hostbed power %s on' starts it", name,
                           name);
    if (host->told->state == LIVE_FAILED)
        return g_error_new(
            HB_ERROR, HB_FAIL,
            "the host '%s' is not up any more: %s; 'hostbed power %s on' starts "
            "it again",
            name, host->told->reason, name);
    return g_error_new(HB_ERROR, HB_FAIL, "the host '%s' is being started", name);
}

void
live_request(Client *client)
{
    LiveServer *server = client->server;
    const char *name = json_line_string(client->request, "request");
    const char *host_name = json_line_string(client->request, "host");
    Host *host = host_name ? live_host_find(server, host_name) : NULL;
    for (gsize i = 0; i < G_N_ELEMENTS(requests); i++) {
        if (g_strcmp0(name, requests[i].name) != 0)
            continue;
        g_autoptr(GError) obstacle =
            live_request_obstacle(host_name ? host_name : "", host, name);
        if (requests[i].on_lab)
            requests[i].on_lab(client);
        else if (host && (host->standing || (host->boot && live_host_has_ended(host))))
            g_queue_push_tail(&server->deferred, client);
        else if (obstacle)
            live_client_fail(client, obstacle);
        else
            requests[i].on_host(client, host);
        return;
    }
    g_autoptr(GError) error =
        g_error_new(HB_ERROR, HB_USAGE,
                    "the supervisor of this lab does not know '%s'; it may be of "
                    "another version of hostbed",
                    name ? name : "");
    live_client_fail(client, error);
}

void
live_request_deferred(LiveServer *server)
{
    Client *client;
    while ((client = g_queue_pop_head(&server->deferred)))
        live_request(client);
}
