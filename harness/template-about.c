/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * template.json, in both directions. It may come from anywhere.
 */
#include <json-glib/json-glib.h>
#include <string.h>

#include "error.h"
#include "json-line.h"
#include "template-key.h"
#include "template-store.h"

#define FORMAT 1
#define PEERS_MAX 255
#define WORD_MAX 4096 /* bytes of a text about it */
#define SIZE_MAX_BYTES ((goffset)1 << 46)

static void
file_free(gpointer data)
{
    TemplateFile *file = data;
    g_free(file->name);
    g_free(file->checksum);
    g_free(file);
}

static void
peer_free(gpointer data)
{
    TemplatePeer *peer = data;
    g_free(peer->host);
    g_free(peer->nonce);
    g_free(peer);
}

GPtrArray *
template_files_new(void)
{
    return g_ptr_array_new_with_free_func(file_free);
}

TemplateAbout *
template_about_new(void)
{
    TemplateAbout *about = g_new0(TemplateAbout, 1);
    about->inputs = template_inputs_new();
    about->files = template_files_new();
    about->peers = g_ptr_array_new_with_free_func(peer_free);
    return about;
}

void
template_about_add_peer(TemplateAbout *about, const char *host, const char *nonce)
{
    TemplatePeer *peer = g_new0(TemplatePeer, 1);
    peer->host = g_strdup(host);
    peer->nonce = g_strdup(nonce);
    g_ptr_array_add(about->peers, peer);
}

void
template_about_free(TemplateAbout *about)
{
    if (!about)
        return;
    g_ptr_array_unref(about->inputs);
    g_ptr_array_unref(about->files);
    g_ptr_array_unref(about->peers);
    g_free(about->key);
    g_free(about->lab);
    g_free(about->host);
    g_free(about->emulator);
    g_free(about->kernel);
    g_free(about->nonce);
    g_free(about->made);
    g_free(about);
}

/* ---- to JSON
 * --------------------------------------------------------------------------------------
 */

static JsonArray *
inputs_to_json(const GPtrArray *inputs)
{
    JsonArray *array = json_array_new();
    for (guint i = 0; i < inputs->len; i++) {
        const TemplateInput *input = inputs->pdata[i];
        JsonObject *object = json_object_new();
        json_object_set_string_member(object, "name", input->name);
        json_object_set_string_member(object, "value", input->value);
        json_array_add_object_element(array, object);
    }
    return array;
}

static JsonArray *
files_to_json(const GPtrArray *files)
{
    JsonArray *array = json_array_new();
    for (guint i = 0; i < files->len; i++) {
        const TemplateFile *file = files->pdata[i];
        JsonObject *object = json_object_new();
        json_object_set_string_member(object, "name", file->name);
        json_object_set_int_member(object, "size", file->size);
        json_object_set_string_member(object, "checksum", file->checksum);
        json_array_add_object_element(array, object);
    }
    return array;
}

static JsonArray *
peers_to_json(const GPtrArray *peers)
{
    JsonArray *array = json_array_new();
    for (guint i = 0; i < peers->len; i++) {
        const TemplatePeer *peer = peers->pdata[i];
        JsonObject *object = json_object_new();
        json_object_set_string_member(object, "host", peer->host);
        json_object_set_string_member(object, "nonce", peer->nonce);
        json_array_add_object_element(array, object);
    }
    return array;
}

/* What is text about it, for both directions. */
static const struct {
    const char *name;
    gsize offset;
} words[] = {
    {"key", G_STRUCT_OFFSET(TemplateAbout, key)},
    {"lab", G_STRUCT_OFFSET(TemplateAbout, lab)},
    {"host", G_STRUCT_OFFSET(TemplateAbout, host)},
    {"emulator", G_STRUCT_OFFSET(TemplateAbout, emulator)},
    {"kernel", G_STRUCT_OFFSET(TemplateAbout, kernel)},
    {"nonce", G_STRUCT_OFFSET(TemplateAbout, nonce)},
    {"made", G_STRUCT_OFFSET(TemplateAbout, made)},
};

char *
template_about_to_json(const TemplateAbout *about)
{
    JsonObject *object = json_object_new();
    json_object_set_int_member(object, "format", FORMAT);
    for (gsize i = 0; i < G_N_ELEMENTS(words); i++)
        json_object_set_string_member(object, words[i].name,
                                      G_STRUCT_MEMBER(char *, about, words[i].offset));
    json_object_set_boolean_member(object, "memory-readonly", about->memory_readonly);
    json_object_set_array_member(object, "inputs", inputs_to_json(about->inputs));
    if (about->peers->len > 0)
        json_object_set_array_member(object, "peers", peers_to_json(about->peers));
    json_object_set_array_member(object, "files", files_to_json(about->files));
    g_autoptr(JsonNode) node = json_node_init_object(json_node_alloc(), object);
    json_object_unref(object);
    g_autofree char *text = json_to_string(node, TRUE);
    return g_strconcat(text, "\n", NULL);
}

/* ---- from JSON
 * ------------------------------------------------------------------------------------ */

static gboolean
refuse(GError **error, const char *what)
{
    g_set_error(error, HB_ERROR, HB_USAGE, TEMPLATE_ABOUT_FILE " %s", what);
    return FALSE;
}

/* NULL: there is no such text. */
static const char *
get_text(JsonObject *object, const char *name, gsize maximum)
{
    JsonNode *node = json_object_get_member(object, name);
    const char *text = node && json_node_get_value_type(node) == G_TYPE_STRING
                           ? json_node_get_string(node)
                           : NULL;
    return text && strlen(text) <= maximum ? text : NULL;
}

static gboolean
get_number(JsonObject *object, const char *name, gint64 *number)
{
    JsonNode *node = json_object_get_member(object, name);
    if (!node || json_node_get_value_type(node) != G_TYPE_INT64)
        return FALSE;
    *number = json_node_get_int(node);
    return TRUE;
}

static gboolean
is_digest(const char *text)
{
    return text && strlen(text) == 64 && strspn(text, "0123456789abcdef") == 64;
}

static gboolean
read_inputs(TemplateAbout *about, JsonObject *object, GError **error)
{
    JsonArray *array = json_line_array(object, "inputs");
    guint count = array ? json_array_get_length(array) : 0;
    for (guint i = 0; i < count; i++) {
        JsonObject *element = json_line_element(array, i);
        const char *name = element ? get_text(element, "name", WORD_MAX) : NULL;
        const char *value =
            element ? get_text(element, "value", TEMPLATE_ABOUT_MAX) : NULL;
        if (!name || !value)
            return refuse(error, "has an input without name or value");
        template_inputs_add(about->inputs, name, value);
    }
    g_autofree char *key = template_inputs_key(about->inputs);
    return g_str_equal(key, about->key) || refuse(error, "has a key that is not that of "
                                                         "its inputs");
}

static TemplateFile *
read_file(JsonObject *object)
{
    const char *name = get_text(object, "name", WORD_MAX);
    const char *checksum = get_text(object, "checksum", 64);
    gint64 size = 0;
    if (!name || !is_digest(checksum) || !get_number(object, "size", &size) ||
        size <= 0 || size > SIZE_MAX_BYTES)
        return NULL;
    TemplateFile *file = g_new0(TemplateFile, 1);
    file->name = g_strdup(name);
    file->checksum = g_strdup(checksum);
    file->size = size;
    return file;
}

/* Names are not taken from there but compared with those that they must be. */
static gboolean
read_files(TemplateAbout *about, JsonObject *object, GError **error)
{
    JsonArray *array = json_line_array(object, "files");
    guint count = array ? json_array_get_length(array) : 0;
    TemplateOrder order = {0};
    for (guint i = 0; i < count; i++) {
        JsonObject *element = json_line_element(array, i);
        TemplateFile *file = element ? read_file(element) : NULL;
        if (file)
            g_ptr_array_add(about->files, file);
        if (!file || !template_order_take(&order, about->peers->len, file->name))
            return refuse(error, "names a file that a template does not have");
    }
    return template_order_is_whole(&order, about->peers->len) ||
           refuse(error, "names no state or no memory of a host, or no networks");
}

static gboolean
read_peers(TemplateAbout *about, JsonObject *object, GError **error)
{
    JsonArray *array = json_line_array(object, "peers");
    guint count = array ? json_array_get_length(array) : 0;
    if (count > PEERS_MAX || (!array && json_object_has_member(object, "peers")))
        return refuse(error, "has peers that are none, or too many");
    for (guint i = 0; i < count; i++) {
        JsonObject *element = json_line_element(array, i);
        const char *host = element ? get_text(element, "host", WORD_MAX) : NULL;
        const char *nonce = element ? get_text(element, "nonce", WORD_MAX) : NULL;
        if (!host || !nonce)
            return refuse(error, "has a peer without host or nonce");
        template_about_add_peer(about, host, nonce);
    }
    return TRUE;
}

static gboolean
read_words(TemplateAbout *about, JsonObject *object, GError **error)
{
    gint64 format = 0;
    if (!get_number(object, "format", &format) || format != FORMAT)
        return refuse(error, "is of another form than this hostbed's");
    for (gsize i = 0; i < G_N_ELEMENTS(words); i++) {
        const char *text = get_text(object, words[i].name, WORD_MAX);
        if (!text)
            return refuse(error, "lacks something that a template has");
        G_STRUCT_MEMBER(char *, about, words[i].offset) = g_strdup(text);
    }
    JsonNode *node = json_object_get_member(object, "memory-readonly");
    about->memory_readonly = node && json_node_get_value_type(node) == G_TYPE_BOOLEAN &&
                             json_node_get_boolean(node);
    return is_digest(about->key) || refuse(error, "has a key that is none");
}

/* What is listed is what was started. */
static gboolean
check_names(const TemplateAbout *about, GError **error)
{
    gboolean is_of =
        template_inputs_are_of(about->inputs, about->lab, about->host, FALSE);
    for (guint i = 0; is_of && i < about->peers->len; i++) {
        const TemplatePeer *peer = about->peers->pdata[i];
        is_of = template_inputs_are_of(about->inputs, about->lab, peer->host, TRUE);
    }
    return is_of || refuse(error, "names another lab or host than the arguments that the "
                                  "emulator was started with");
}

TemplateAbout *
template_about_from_json(const char *text, gsize length, GError **error)
{
    g_autoptr(TemplateAbout) about = template_about_new();
    g_autoptr(JsonObject) object =
        length <= TEMPLATE_ABOUT_MAX ? json_line_parse_object(text, length) : NULL;
    if (!object) {
        refuse(error, "is no JSON object");
        return NULL;
    }
    return read_words(about, object, error) && read_inputs(about, object, error) &&
                   read_peers(about, object, error) && check_names(about, error) &&
                   read_files(about, object, error)
               ? g_steal_pointer(&about)
               : NULL;
}
