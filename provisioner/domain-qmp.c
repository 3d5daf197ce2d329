/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "domain-qmp.h"

#include <string.h>

#include "json-line.h"
#include "libvirt-alias.h"

char *
domain_qmp_greeting(void)
{
    JsonObject *version = json_object_new();
    JsonObject *words = json_object_new();
    JsonObject *greeting = json_object_new();
    json_object_set_string_member(version, "package", "libvirt");
    json_object_set_object_member(words, "version", version);
    json_object_set_array_member(words, "capabilities", json_array_new());
    json_object_set_object_member(greeting, "QMP", words);
    return json_line(greeting);
}

/* Takes REPLY. */
static char *
with_id(JsonObject *reply, JsonNode *id)
{
    if (json_object_has_member(reply, "id"))
        json_object_remove_member(reply, "id");
    if (id)
        json_object_set_member(reply, "id", json_node_copy(id));
    return json_line(reply);
}

char *
domain_qmp_refusal(const char *why, JsonNode *id)
{
    JsonObject *error = json_object_new();
    JsonObject *reply = json_object_new();
    json_object_set_string_member(error, "class", "GenericError");
    json_object_set_string_member(error, "desc", why);
    json_object_set_object_member(reply, "error", error);
    return with_id(reply, id);
}

char *
domain_qmp_reply(const char *text, JsonNode *id)
{
    JsonObject *reply = json_line_parse_object(text, strlen(text));
    if (!reply)
        return domain_qmp_refusal("libvirt gave a reply that is no JSON object", id);
    return with_id(reply, id);
}

/* Where commands and events name devices, by ids of hostbed's. */
static const struct {
    const char *command, *argument;
    char *(*alias)(const char *id);
} names[] = {
    {"device_add", "id", libvirt_alias},
    {"device_add", "bus", libvirt_alias_of_bus},
    {"device_del", "id", libvirt_alias},
    {"set_link", "name", libvirt_alias},
    {"qom-list", "path", libvirt_alias_of_path},
    {"qom-get", "path", libvirt_alias_of_path},
    {"qom-set", "path", libvirt_alias_of_path},
    {"human-monitor-command", "command-line", libvirt_alias_of_line},
};

static void
name_devices(JsonObject *command)
{
    JsonObject *arguments = json_line_object(command, "arguments");
    for (gsize i = 0; arguments && i < G_N_ELEMENTS(names); i++) {
        const char *id = json_line_string(arguments, names[i].argument);
        if (!id || g_strcmp0(json_line_string(command, "execute"), names[i].command) != 0)
            continue;
        g_autofree char *alias = names[i].alias(id);
        json_object_set_string_member(arguments, names[i].argument, alias);
    }
}

static void
name_device_of_event(JsonObject *data)
{
    const char *alias = json_line_string(data, "device");
    g_autofree char *id = alias ? libvirt_alias_id(alias) : NULL;
    if (id)
        json_object_set_string_member(data, "device", id);
}

char *
domain_qmp_command(const char *line, JsonNode **id, char **reply)
{
    g_autoptr(JsonObject) command = json_line_parse_object(line, strlen(line));
    *id = NULL;
    *reply = NULL;
    if (!command) {
        *reply = domain_qmp_refusal("what came is no JSON object", NULL);
        return NULL;
    }
    JsonNode *own = json_object_get_member(command, "id");
    if (own) {
        *id = json_node_copy(own);
        json_object_remove_member(command, "id");
    }
    /* libvirt has done this. */
    if (g_strcmp0(json_line_string(command, "execute"), "qmp_capabilities") == 0) {
        JsonObject *done = json_object_new();
        json_object_set_object_member(done, "return", json_object_new());
        *reply = with_id(done, *id);
        return NULL;
    }
    name_devices(command);
    return json_line(json_object_ref(command));
}

char *
domain_qmp_event(const char *name, gint64 seconds, guint microseconds,
                 const char *details)
{
    JsonObject *data = details ? json_line_parse_object(details, strlen(details)) : NULL;
    JsonObject *stamp = json_object_new();
    JsonObject *event = json_object_new();
    json_object_set_int_member(stamp, "seconds", seconds);
    json_object_set_int_member(stamp, "microseconds", microseconds);
    json_object_set_object_member(event, "timestamp", stamp);
    json_object_set_string_member(event, "event", name);
    if (data) {
        JsonObject *about = json_line_object(data, "info"); /* of ACPI_DEVICE_OST */
        name_device_of_event(data);
        if (about)
            name_device_of_event(about);
        json_object_set_object_member(event, "data", data);
    }
    return json_line(event);
}
