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

JsonObject *
cli_kept_json(const char *name, const GPtrArray *list,
              JsonObject *(*to_json)(gconstpointer item), gint64 maximum_bytes)
{
    JsonObject *object = json_object_new();
    JsonArray *entries = json_array_new();
    gint64 bytes = 0;
    for (guint i = 0; i < list->len; i++) {
        JsonObject *entry = to_json(list->pdata[i]);
        bytes += json_object_get_int_member(entry, "bytes");
        json_array_add_object_element(entries, entry);
    }
    json_object_set_int_member(object, "bytes", bytes);
    json_object_set_int_member(object, "maximum", maximum_bytes);
    json_object_set_array_member(object, name, entries);
    return object;
}

void
cli_print_kept(const char *name, const GPtrArray *list,
               JsonObject *(*to_json)(gconstpointer item), gint64 maximum_bytes)
{
    cli_print_json(cli_kept_json(name, list, to_json, maximum_bytes));
}

char *
cli_time_text(gint64 seconds)
{
    g_autoptr(GDateTime) time = g_date_time_new_from_unix_utc(seconds);
    return g_date_time_format(time, "%Y-%m-%dT%H:%M:%SZ");
}
