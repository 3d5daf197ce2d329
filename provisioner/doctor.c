/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "doctor.h"

#include "error.h"

static const char *const state_names[] = {
    [DOCTOR_OK] = "ok",
    [DOCTOR_LIMITED] = "limited",
    [DOCTOR_MISSING] = "missing",
};

/* Green, yellow, red (ECMA-48 SGR). */
static const char *const state_colours[] = {
    [DOCTOR_OK] = "\033[32m",
    [DOCTOR_LIMITED] = "\033[33m",
    [DOCTOR_MISSING] = "\033[31m",
};

const char *
doctor_state_name(DoctorState state)
{
    return state_names[state];
}

static void
item_free(DoctorItem *item)
{
    g_free(item->text);
    g_free(item->remedy);
    g_clear_pointer(&item->facts, json_object_unref);
    g_free(item);
}

GPtrArray *
doctor_items_new(void)
{
    return g_ptr_array_new_with_free_func((GDestroyNotify)item_free);
}

DoctorItem *
doctor_add(GPtrArray *items, DoctorState state, const char *name, char *text,
           char *remedy, JsonObject *facts)
{
    DoctorItem *item = g_new0(DoctorItem, 1);
    *item = (DoctorItem){state, HB_INFRASTRUCTURE, name, text, remedy, facts};
    g_ptr_array_add(items, item);
    return item;
}

int
doctor_status(GPtrArray *items)
{
    for (guint i = 0; i < items->len; i++) {
        const DoctorItem *item = g_ptr_array_index(items, i);
        if (item->state == DOCTOR_MISSING)
            return item->status;
    }
    return HB_OK;
}

char *
doctor_to_text(GPtrArray *items, gboolean colour)
{
    GString *text = g_string_new(NULL);
    for (guint i = 0; i < items->len; i++) {
        const DoctorItem *item = g_ptr_array_index(items, i);
        g_string_append_printf(
            text, "%s%-8s%s%-12s%s\n", colour ? state_colours[item->state] : "",
            state_names[item->state], colour ? "\033[0m" : "", item->name, item->text);
        if (item->remedy)
            g_string_append_printf(text, "%20s%s\n", "", item->remedy);
    }
    return g_string_free(text, FALSE);
}

static JsonObject *
item_to_json(const DoctorItem *item)
{
    JsonObject *object = json_object_new();
    json_object_set_string_member(object, "name", item->name);
    json_object_set_string_member(object, "state", state_names[item->state]);
    json_object_set_string_member(object, "text", item->text);
    if (item->remedy)
        json_object_set_string_member(object, "remedy", item->remedy);
    if (item->facts)
        json_object_set_object_member(object, "facts", json_object_ref(item->facts));
    return object;
}

char *
doctor_to_json(GPtrArray *items)
{
    JsonArray *array = json_array_new();
    for (guint i = 0; i < items->len; i++)
        json_array_add_object_element(array, item_to_json(g_ptr_array_index(items, i)));
    JsonObject *object = json_object_new();
    json_object_set_boolean_member(object, "usable", doctor_status(items) == HB_OK);
    json_object_set_array_member(object, "items", array);
    g_autoptr(JsonNode) root = json_node_new(JSON_NODE_OBJECT);
    json_node_take_object(root, object);
    g_autofree char *text = json_to_string(root, TRUE);
    return g_strconcat(text, "\n", NULL);
}
