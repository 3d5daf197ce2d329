/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What an emulator can do as JSON, for the cache and for recorded files.
 */
#include "emulator.h"

#include <json-glib/json-glib.h>
#include <string.h>

#include "error.h"
#include "json-line.h"

/* Of the JSON form; a cache written by another form is probed anew. */
#define EMULATOR_FORMAT 2
/* Recorded facts are some 150 kB; what is a hundred times larger is not ours. */
#define FILE_MAX_BYTES (16 * 1024 * 1024)

/* ---- to JSON
 * ---------------------------------------------------------------------------- */

static int
compare_names(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The keys of TABLE in order of bytes; they stay the table's. */
static GPtrArray *
sorted_keys(GHashTable *table)
{
    GPtrArray *keys = g_ptr_array_sized_new(g_hash_table_size(table));
    GHashTableIter iter;
    gpointer key;
    g_hash_table_iter_init(&iter, table);
    while (g_hash_table_iter_next(&iter, &key, NULL))
        g_ptr_array_add(keys, key);
    g_ptr_array_sort(keys, compare_names);
    return keys;
}

/* Names stand in one string, separated by spaces: a line per device keeps the recorded
 * files readable, and they are read ten times faster than members of an object. */
static char *
names_to_text(GHashTable *set)
{
    g_autoptr(GPtrArray) keys = sorted_keys(set);
    g_ptr_array_add(keys, NULL);
    return g_strjoinv(" ", (char **)keys->pdata);
}

static char *
properties_to_text(GHashTable *properties)
{
    GString *text = g_string_new(NULL);
    g_autoptr(GPtrArray) keys = sorted_keys(properties);
    for (guint i = 0; i < keys->len; i++) {
        const char *name = g_ptr_array_index(keys, i);
        const char *type = g_hash_table_lookup(properties, name);
        g_string_append_printf(text, "%s%s=%s", i ? " " : "", name, type);
    }
    return g_string_free(text, FALSE);
}

/* "0 mem32 131072", "2 io 32", "4 mem64 prefetch 16384" */
static char *
bar_to_text(const EmulatorBar *bar)
{
    const char *space = bar->is_io ? "io" : bar->is_64bit ? "mem64" : "mem32";
    return g_strdup_printf("%d %s%s %" G_GUINT64_FORMAT, bar->index, space,
                           bar->is_prefetchable ? " prefetch" : "", bar->size_bytes);
}

static void
add_names(JsonBuilder *builder, const char *member, GHashTable *set)
{
    g_autofree char *text = names_to_text(set);
    json_builder_set_member_name(builder, member);
    json_builder_add_string_value(builder, text);
}

static void
add_string(JsonBuilder *builder, const char *member, const char *value)
{
    json_builder_set_member_name(builder, member);
    json_builder_add_string_value(builder, value ? value : "");
}

/* The members that a guest can read; the object is begun and ended by the caller. */
static void
add_function(JsonBuilder *builder, const EmulatorDevice *device)
{
    char text[16];
    g_snprintf(text, sizeof text, "%04x:%04x", device->vendor, device->device);
    add_string(builder, "id", text);
    g_snprintf(text, sizeof text, "%04x:%04x", device->subsystem_vendor,
               device->subsystem);
    add_string(builder, "subsystem", text);
    g_snprintf(text, sizeof text, "%06x", device->class_code);
    add_string(builder, "class", text);
    json_builder_set_member_name(builder, "bars");
    json_builder_begin_array(builder);
    for (guint i = 0; i < device->bars->len; i++) {
        g_autofree char *bar = bar_to_text(&g_array_index(device->bars, EmulatorBar, i));
        json_builder_add_string_value(builder, bar);
    }
    json_builder_end_array(builder);
}

static void
add_devices(JsonBuilder *builder, const Emulator *emulator)
{
    json_builder_set_member_name(builder, "devices");
    json_builder_begin_object(builder);
    g_autoptr(GPtrArray) names = sorted_keys(emulator->devices);
    for (guint i = 0; i < names->len; i++) {
        const EmulatorDevice *device =
            emulator_device(emulator, g_ptr_array_index(names, i));
        json_builder_set_member_name(builder, device->name);
        json_builder_begin_object(builder);
        json_builder_set_member_name(builder, "pci");
        json_builder_add_boolean_value(builder, device->is_pci);
        if (device->is_probed)
            add_function(builder, device);
        g_autofree char *properties = properties_to_text(device->properties);
        add_string(builder, "properties", properties);
        json_builder_end_object(builder);
    }
    json_builder_end_object(builder);
}

static void
add_builtin(JsonBuilder *builder, const Emulator *emulator)
{
    json_builder_set_member_name(builder, "builtin");
    json_builder_begin_array(builder);
    for (guint i = 0; i < emulator->builtin->len; i++) {
        const EmulatorBuiltin *builtin = g_ptr_array_index(emulator->builtin, i);
        json_builder_begin_object(builder);
        json_builder_set_member_name(builder, "slot");
        json_builder_add_int_value(builder, builtin->slot);
        json_builder_set_member_name(builder, "function");
        json_builder_add_int_value(builder, builtin->function);
        add_function(builder, builtin->device);
        json_builder_end_object(builder);
    }
    json_builder_end_array(builder);
}

char *
emulator_to_json(const Emulator *emulator)
{
    g_autoptr(JsonBuilder) builder = json_builder_new();
    json_builder_begin_object(builder);
    json_builder_set_member_name(builder, "format");
    json_builder_add_int_value(builder, EMULATOR_FORMAT);
    add_string(builder, "version", emulator->version);
    add_string(builder, "default-machine", emulator->default_machine);
    json_builder_set_member_name(builder, "max-cpus");
    json_builder_add_int_value(builder, emulator->max_cpus);
    add_names(builder, "objects", emulator->objects);
    add_names(builder, "machine-properties", emulator->machine_properties);
    add_names(builder, "machines", emulator->machines);
    add_names(builder, "cpu-models", emulator->cpu_models);
    add_names(builder, "cpu-features", emulator->cpu_features);
    add_builtin(builder, emulator);
    add_devices(builder, emulator);
    json_builder_end_object(builder);

    g_autoptr(JsonNode) root = json_builder_get_root(builder);
    g_autofree char *text = json_to_string(root, TRUE);
    return g_strconcat(text, "\n", NULL);
}

/* ---- from JSON
 * -------------------------------------------------------------------------- */

static gboolean
refuse(GError **error, const char *what)
{
    g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE,
                "these are not emulator facts: %s is missing or malformed", what);
    return FALSE;
}

/* The string MEMBER of OBJECT, or NULL; json-glib's own getters warn at what is not
 * there.
 */
static const char *
get_string(JsonObject *object, const char *member)
{
    JsonNode *node = json_object_get_member(object, member);
    return node && JSON_NODE_HOLDS_VALUE(node) &&
                   json_node_get_value_type(node) == G_TYPE_STRING
               ? json_node_get_string(node)
               : NULL;
}

static gboolean
get_int(JsonObject *object, const char *member, gint64 maximum, int *value)
{
    JsonNode *node = json_object_get_member(object, member);
    if (!node || !JSON_NODE_HOLDS_VALUE(node) ||
        json_node_get_value_type(node) != G_TYPE_INT64)
        return FALSE;
    gint64 number = json_node_get_int(node);
    if (number < 0 || number > maximum)
        return FALSE;
    *value = (int)number;
    return TRUE;
}

/* "8086:10d3" */
static gboolean
get_ids(JsonObject *object, const char *member, guint16 *first, guint16 *second)
{
    const char *text = get_string(object, member);
    guint64 a, b;
    if (!text)
        return FALSE;
    g_auto(GStrv) parts = g_strsplit(text, ":", 3);
    if (g_strv_length(parts) != 2 ||
        !g_ascii_string_to_unsigned(parts[0], 16, 0, G_MAXUINT16, &a, NULL) ||
        !g_ascii_string_to_unsigned(parts[1], 16, 0, G_MAXUINT16, &b, NULL))
        return FALSE;
    *first = (guint16)a;
    *second = (guint16)b;
    return TRUE;
}

static gboolean
bar_from_text(const char *text, EmulatorBar *bar)
{
    g_auto(GStrv) words = g_strsplit(text, " ", 5);
    guint count = g_strv_length(words);
    guint64 index;
    if (count < 3 || count > 4 ||
        !g_ascii_string_to_unsigned(words[0], 10, 0, 6, &index, NULL) ||
        !g_ascii_string_to_unsigned(words[count - 1], 10, 1, G_MAXUINT64,
                                    &bar->size_bytes, NULL))
        return FALSE;
    bar->index = (int)index;
    bar->is_io = strcmp(words[1], "io") == 0;
    bar->is_64bit = strcmp(words[1], "mem64") == 0;
    bar->is_prefetchable = count == 4;
    return (bar->is_io || bar->is_64bit || strcmp(words[1], "mem32") == 0) &&
           (count == 3 || strcmp(words[2], "prefetch") == 0);
}

static gboolean
get_bars(JsonObject *object, GArray *bars)
{
    JsonArray *array = json_line_array(object, "bars");
    for (guint i = 0; array && i < json_array_get_length(array); i++) {
        JsonNode *node = json_array_get_element(array, i);
        EmulatorBar bar = {0};
        if (!JSON_NODE_HOLDS_VALUE(node) ||
            json_node_get_value_type(node) != G_TYPE_STRING ||
            !bar_from_text(json_node_get_string(node), &bar))
            return FALSE;
        g_array_append_val(bars, bar);
    }
    return array != NULL;
}

/* The members written by add_function(). */
static gboolean
get_function(JsonObject *object, EmulatorDevice *device)
{
    guint64 class_code;
    const char *class_text = get_string(object, "class");
    if (!class_text ||
        !g_ascii_string_to_unsigned(class_text, 16, 0, 0xffffff, &class_code, NULL) ||
        !get_ids(object, "id", &device->vendor, &device->device) ||
        !get_ids(object, "subsystem", &device->subsystem_vendor, &device->subsystem) ||
        !get_bars(object, device->bars))
        return FALSE;
    device->class_code = (guint32)class_code;
    device->is_probed = TRUE;
    return TRUE;
}

/* Each word of TEXT: the part before '=' and the part after it ("" if there is none). */
static void
each_word(const char *text, void (*add)(GHashTable *, char *, const char *),
          GHashTable *table)
{
    while (*text) {
        gsize length = strcspn(text, " ");
        g_autofree char *word = g_strndup(text, length);
        char *value = strchr(word, '=');
        if (value)
            *value++ = '\0';
        if (*word)
            add(table, word, value ? value : "");
        text += length + (text[length] == ' ');
    }
}

static void
add_name(GHashTable *set, char *name, const char *value)
{
    g_hash_table_add(set, g_strdup(name));
}

static void
add_property(GHashTable *properties, char *name, const char *type)
{
    g_hash_table_insert(properties, g_strdup(name), g_strdup(type));
}

static gboolean
get_names(JsonObject *object, const char *member, GHashTable *set)
{
    const char *text = get_string(object, member);
    if (text)
        each_word(text, add_name, set);
    return text != NULL;
}

static EmulatorDevice *
device_from_json(const char *name, JsonObject *object)
{
    EmulatorDevice *device = emulator_device_new(name);
    JsonNode *pci = object ? json_object_get_member(object, "pci") : NULL;
    const char *properties = object ? get_string(object, "properties") : NULL;
    if (!pci || !JSON_NODE_HOLDS_VALUE(pci) || !properties ||
        (json_object_has_member(object, "id") && !get_function(object, device))) {
        emulator_device_free(device);
        return NULL;
    }
    device->is_pci = json_node_get_boolean(pci);
    each_word(properties, add_property, device->properties);
    return device;
}

static gboolean
get_devices(JsonObject *root, Emulator *emulator, GError **error)
{
    JsonObject *devices = json_line_object(root, "devices");
    if (!devices)
        return refuse(error, "the list of devices");
    JsonObjectIter iter;
    const char *name;
    JsonNode *node;
    json_object_iter_init(&iter, devices);
    while (json_object_iter_next(&iter, &name, &node)) {
        EmulatorDevice *device = device_from_json(name, json_line_as_object(node));
        if (!device)
            return refuse(error, name);
        emulator_add_device(emulator, device);
    }
    return TRUE;
}

static gboolean
get_builtin(JsonObject *root, Emulator *emulator, GError **error)
{
    JsonArray *array = json_line_array(root, "builtin");
    for (guint i = 0; array && i < json_array_get_length(array); i++) {
        JsonObject *object = json_line_element(array, i);
        int slot, function;
        EmulatorDevice *device = emulator_device_new(NULL);
        if (!object || !get_int(object, "slot", 31, &slot) ||
            !get_int(object, "function", 7, &function) || !get_function(object, device)) {
            emulator_device_free(device);
            return refuse(error, "a built-in function");
        }
        device->is_pci = TRUE;
        g_ptr_array_add(emulator->builtin, emulator_builtin_new(slot, function, device));
    }
    return array ? TRUE : refuse(error, "the list of built-in functions");
}

static gboolean
get_machine(JsonObject *root, Emulator *emulator, GError **error)
{
    int format;
    if (!get_int(root, "format", G_MAXINT, &format) || format != EMULATOR_FORMAT)
        return refuse(error, "their format number");
    emulator->version = g_strdup(get_string(root, "version"));
    emulator->default_machine = g_strdup(get_string(root, "default-machine"));
    if (!emulator->version || !emulator->default_machine)
        return refuse(error, "the version or the default machine");
    if (!get_int(root, "max-cpus", G_MAXINT, &emulator->max_cpus))
        return refuse(error, "the number of CPUs");
    if (!get_names(root, "objects", emulator->objects) ||
        !get_names(root, "machine-properties", emulator->machine_properties) ||
        !get_names(root, "machines", emulator->machines) ||
        !get_names(root, "cpu-models", emulator->cpu_models) ||
        !get_names(root, "cpu-features", emulator->cpu_features))
        return refuse(error, "a list of names");
    return TRUE;
}

Emulator *
emulator_from_json(const char *json, gssize length, GError **error)
{
    g_autoptr(JsonParser) parser = json_parser_new_immutable();
    g_autoptr(GError) broken = NULL;
    if (!g_utf8_validate(json, length, NULL) ||
        !json_parser_load_from_data(parser, json, length, &broken)) {
        g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE,
                    "these are not emulator facts: %s",
                    broken ? broken->message : "the text is not UTF-8");
        return NULL;
    }
    g_autoptr(Emulator) emulator = emulator_new();
    JsonObject *root = json_line_as_object(json_parser_get_root(parser));
    if (!root) {
        refuse(error, "the outermost object");
        return NULL;
    }
    if (!get_machine(root, emulator, error) || !get_builtin(root, emulator, error) ||
        !get_devices(root, emulator, error))
        return NULL;
    return g_steal_pointer(&emulator);
}

Emulator *
emulator_load(const char *filename, GError **error)
{
    g_autofree char *text = NULL;
    gsize length;
    g_autoptr(GError) failure = NULL;
    if (!g_file_get_contents(filename, &text, &length, &failure)) {
        g_set_error_literal(error, HB_ERROR, HB_INFRASTRUCTURE, failure->message);
        return NULL;
    }
    if (length > FILE_MAX_BYTES) {
        g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE,
                    "%s: emulator facts are smaller than 16 MiB", filename);
        return NULL;
    }
    Emulator *emulator = emulator_from_json(text, (gssize)length, error);
    if (!emulator)
        g_prefix_error(error, "%s: ", filename);
    return emulator;
}
