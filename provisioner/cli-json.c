/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli-json.h"

#include <stdio.h>

void
cli_print_json(JsonObject *object)
{
    g_autoptr(JsonNode) node = json_node_new(JSON_NODE_OBJECT);
    json_node_take_object(node, object);
    cli_print_json_node(node);
}

void
cli_print_json_node(JsonNode *node)
{
    g_autofree char *text = json_to_string(node, TRUE);
    puts(text);
}

void
cli_print_kept(const char *name, JsonArray *entries, gint64 maximum_bytes)
{
    JsonObject *object = json_object_new();
    gint64 bytes = 0;
    for (guint i = 0; i < json_array_get_length(entries); i++)
        bytes += json_object_get_int_member(json_array_get_object_element(entries, i),
                                            "bytes");
    json_object_set_int_member(object, "bytes", bytes);
    json_object_set_int_member(object, "maximum", maximum_bytes);
    json_object_set_array_member(object, name, entries);
    cli_print_json(object);
}

char *
cli_time_text(gint64 seconds)
{
    g_autoptr(GDateTime) time = g_date_time_new_from_unix_utc(seconds);
    return g_date_time_format(time, "%Y-%m-%dT%H:%M:%SZ");
}
