/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "os-facts.h"

#include <stdio.h>
#include <string.h>

#include "error.h"
#include "json-line.h"

/* Of the database's some 800 systems the longest list has a hundred entries. */
#define LIST_MAX 4096
#define TEXT_MAX 4096
#define HEX "0123456789abcdef"
#define FILE_MAX_BYTES (4 * 1024 * 1024)

/* ---- values ----------------------------------------------------------------------- */

static void
device_free(gpointer data)
{
    OsDevice *device = data;
    g_free(device->name);
    g_free(device->class_name);
    g_free(device);
}

static void
image_free(gpointer data)
{
    OsImageSource *image = data;
    g_free(image->url);
    g_free(image->format);
    g_free(image->variant);
    g_free(image);
}

static void
tree_free(gpointer data)
{
    OsTree *tree = data;
    g_free(tree->url);
    g_free(tree->kernel);
    g_free(tree->initrd);
    g_free(tree);
}

static OsFacts *
facts_new(void)
{
    const OsResources unknown = {OS_UNKNOWN, OS_UNKNOWN, OS_UNKNOWN};
    OsFacts *facts = g_new0(OsFacts, 1);
    facts->minimum = facts->recommended = unknown;
    facts->short_ids = g_ptr_array_new_with_free_func(g_free);
    facts->devices = g_ptr_array_new_with_free_func(device_free);
    facts->lacking = g_ptr_array_new_with_free_func(device_free);
    facts->images = g_ptr_array_new_with_free_func(image_free);
    facts->trees = g_ptr_array_new_with_free_func(tree_free);
    return facts;
}

void
os_facts_free(OsFacts *facts)
{
    if (!facts)
        return;
    g_free(facts->id);
    g_free(facts->short_id);
    g_free(facts->name);
    g_free(facts->version);
    g_free(facts->family);
    g_free(facts->distro);
    g_free(facts->codename);
    g_free(facts->release_date);
    g_free(facts->eol_date);
    g_ptr_array_unref(facts->short_ids);
    g_ptr_array_unref(facts->devices);
    g_ptr_array_unref(facts->lacking);
    g_ptr_array_unref(facts->images);
    g_ptr_array_unref(facts->trees);
    g_free(facts);
}

void
os_answer_free(OsAnswer *answer)
{
    if (!answer)
        return;
    os_facts_free(answer->facts);
    g_clear_pointer(&answer->nearest, g_ptr_array_unref);
    g_free(answer->reason);
    g_free(answer);
}

/* "a", "a or b", "a, b or c" */
static void
append_names(GString *text, const GPtrArray *names)
{
    for (guint i = 0; i < names->len; i++)
        g_string_append_printf(text, "%s%s",
                               i == 0                ? ""
                               : i + 1 == names->len ? " or "
                                                     : ", ",
                               (const char *)names->pdata[i]);
}

char *
os_answer_hint(const OsAnswer *answer)
{
    if (!answer->nearest || answer->nearest->len == 0)
        return g_strdup("'hostbed os' lists all");
    GString *text = g_string_new("did you mean ");
    append_names(text, answer->nearest);
    g_string_append_c(text, '?');
    return g_string_free(text, FALSE);
}

const char *
os_facts_word(const OsFacts *facts)
{
    return *facts->short_id ? facts->short_id : facts->id;
}

const OsDevice *
os_find_device(const GPtrArray *devices, guint16 vendor, guint16 product)
{
    for (guint i = 0; i < devices->len; i++) {
        const OsDevice *device = g_ptr_array_index(devices, i);
        if (device->vendor == vendor && device->product == product)
            return device;
    }
    return NULL;
}

/* ---- reading JSON ----------------------------------------------------------------- */

/* Where we are, so that what is wrong can be named: the first fault stays. */
typedef struct {
    const char *fault; /* static: what is malformed; NULL: nothing so far */
} Reader;

static void
refuse(Reader *reader, const char *what)
{
    if (!reader->fault)
        reader->fault = what;
}

/* One line, bounded, without control characters: it will be printed. */
static gboolean
is_fit(const char *text)
{
    if (strlen(text) > TEXT_MAX)
        return FALSE;
    for (const char *p = text; *p; p = g_utf8_next_char(p))
        if (g_unichar_iscntrl(g_utf8_get_char(p)))
            return FALSE;
    return TRUE;
}

/* Owned by the caller, never NULL; WHAT is the member's name. */
static char *
read_text(Reader *reader, JsonObject *object, const char *what)
{
    JsonNode *node = json_object_get_member(object, what);
    if (!node)
        return g_strdup("");
    if (!JSON_NODE_HOLDS_VALUE(node) || json_node_get_value_type(node) != G_TYPE_STRING ||
        !is_fit(json_node_get_string(node))) {
        refuse(reader, what);
        return g_strdup("");
    }
    return json_node_dup_string(node);
}

static char *
read_needed(Reader *reader, JsonObject *object, const char *what)
{
    char *text = read_text(reader, object, what);
    if (*text == '\0')
        refuse(reader, what);
    return text;
}

static gint64
read_number(Reader *reader, JsonObject *object, const char *what, gint64 maximum)
{
    JsonNode *node = json_object_get_member(object, what);
    if (!node)
        return OS_UNKNOWN;
    if (!JSON_NODE_HOLDS_VALUE(node) || json_node_get_value_type(node) != G_TYPE_INT64 ||
        json_node_get_int(node) < 0 || json_node_get_int(node) > maximum) {
        refuse(reader, what);
        return OS_UNKNOWN;
    }
    return json_node_get_int(node);
}

static gboolean
read_bool(Reader *reader, JsonObject *object, const char *what)
{
    JsonNode *node = json_object_get_member(object, what);
    if (!node)
        return FALSE;
    if (!JSON_NODE_HOLDS_VALUE(node) ||
        json_node_get_value_type(node) != G_TYPE_BOOLEAN) {
        refuse(reader, what);
        return FALSE;
    }
    return json_node_get_boolean(node);
}

/* The member as an array, or NULL if it is missing or wrong. */
static JsonArray *
read_array(Reader *reader, JsonObject *object, const char *what)
{
    JsonNode *node = json_object_get_member(object, what);
    if (!node)
        return NULL;
    if (!JSON_NODE_HOLDS_ARRAY(node) ||
        json_array_get_length(json_node_get_array(node)) > LIST_MAX) {
        refuse(reader, what);
        return NULL;
    }
    return json_node_get_array(node);
}

static void
read_objects(Reader *reader, JsonObject *object, const char *what, GPtrArray *list,
             gpointer (*read_one)(Reader *reader, JsonObject *element))
{
    JsonArray *array = read_array(reader, object, what);
    for (guint i = 0; array && i < json_array_get_length(array); i++) {
        JsonNode *element = json_array_get_element(array, i);
        if (JSON_NODE_HOLDS_OBJECT(element))
            g_ptr_array_add(list, read_one(reader, json_node_get_object(element)));
        else
            refuse(reader, what);
    }
}

static gpointer
read_device(Reader *reader, JsonObject *object)
{
    OsDevice *device = g_new0(OsDevice, 1);
    g_autofree char *pci = read_needed(reader, object, "pci");
    if (strlen(pci) != 9 || pci[4] != ':' || strspn(pci, HEX) != 4 ||
        strspn(pci + 5, HEX) != 4)
        refuse(reader, "pci");
    else
        sscanf(pci, "%4hx:%4hx", &device->vendor, &device->product);
    device->name = read_needed(reader, object, "name");
    device->class_name = read_text(reader, object, "class");
    return device;
}

static gpointer
read_image(Reader *reader, JsonObject *object)
{
    OsImageSource *image = g_new0(OsImageSource, 1);
    image->url = read_needed(reader, object, "url");
    image->format = read_needed(reader, object, "format");
    image->variant = read_text(reader, object, "variant");
    image->cloud_init = read_bool(reader, object, "cloud-init");
    return image;
}

static gpointer
read_tree(Reader *reader, JsonObject *object)
{
    OsTree *tree = g_new0(OsTree, 1);
    tree->url = read_needed(reader, object, "url");
    tree->kernel = read_text(reader, object, "kernel");
    tree->initrd = read_text(reader, object, "initrd");
    return tree;
}

static void
read_resources(Reader *reader, JsonObject *object, const char *what,
               OsResources *resources)
{
    JsonNode *node = json_object_get_member(object, what);
    if (!node)
        return;
    if (!JSON_NODE_HOLDS_OBJECT(node)) {
        refuse(reader, what);
        return;
    }
    JsonObject *inside = json_node_get_object(node);
    resources->memory_bytes = read_number(reader, inside, "memory-bytes", G_MAXINT64);
    resources->storage_bytes = read_number(reader, inside, "storage-bytes", G_MAXINT64);
    resources->cpus = (int)read_number(reader, inside, "cpus", G_MAXINT);
}

static guint
read_firmware(Reader *reader, JsonObject *object, const char *what)
{
    JsonArray *array = read_array(reader, object, what);
    guint kinds = 0;
    for (guint i = 0; array && i < json_array_get_length(array); i++) {
        JsonNode *node = json_array_get_element(array, i);
        const char *kind =
            JSON_NODE_HOLDS_VALUE(node) ? json_node_get_string(node) : NULL;
        if (g_strcmp0(kind, "bios") == 0)
            kinds |= OS_FIRMWARE_BIOS;
        else if (g_strcmp0(kind, "efi") == 0)
            kinds |= OS_FIRMWARE_EFI;
        else if (!kind)
            refuse(reader, what);
    }
    return kinds;
}

static void
read_short_ids(Reader *reader, JsonObject *object, GPtrArray *short_ids)
{
    static const char what[] = "short-ids";
    JsonArray *array = read_array(reader, object, what);
    for (guint i = 0; array && i < json_array_get_length(array); i++) {
        JsonNode *node = json_array_get_element(array, i);
        const char *text =
            JSON_NODE_HOLDS_VALUE(node) ? json_node_get_string(node) : NULL;
        if (text && is_fit(text))
            g_ptr_array_add(short_ids, g_strdup(text));
        else
            refuse(reader, what);
    }
}

static void
read_identity(Reader *reader, JsonObject *object, OsFacts *facts)
{
    facts->id = read_needed(reader, object, "id");
    facts->short_id = read_text(reader, object, "short-id");
    read_short_ids(reader, object, facts->short_ids);
    facts->name = read_needed(reader, object, "name");
    facts->version = read_text(reader, object, "version");
    facts->family = read_text(reader, object, "family");
    facts->distro = read_text(reader, object, "distro");
    facts->codename = read_text(reader, object, "codename");
    facts->release_date = read_text(reader, object, "release-date");
    facts->eol_date = read_text(reader, object, "eol-date");
}

OsFacts *
os_facts_from_json(JsonObject *object, GError **error)
{
    g_autoptr(OsFacts) facts = facts_new();
    Reader reader = {NULL};
    read_identity(&reader, object, facts);
    read_resources(&reader, object, "minimum", &facts->minimum);
    read_resources(&reader, object, "recommended", &facts->recommended);
    facts->firmware = read_firmware(&reader, object, "firmware");
    facts->firmware_lacking = read_firmware(&reader, object, "firmware-lacking");
    read_objects(&reader, object, "devices", facts->devices, read_device);
    read_objects(&reader, object, "lacking", facts->lacking, read_device);
    read_objects(&reader, object, "images", facts->images, read_image);
    read_objects(&reader, object, "trees", facts->trees, read_tree);
    if (!reader.fault)
        return g_steal_pointer(&facts);
    g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE,
                "these are not facts of an operating system: %s is missing or malformed",
                reader.fault);
    return NULL;
}

OsFacts *
os_facts_load(const char *filename, GError **error)
{
    g_autofree char *text = NULL;
    gsize length;
    g_autoptr(GError) failure = NULL;
    if (!g_file_get_contents(filename, &text, &length, &failure)) {
        g_set_error_literal(error, HB_ERROR, HB_INFRASTRUCTURE, failure->message);
        return NULL;
    }
    g_autoptr(JsonObject) object =
        length <= FILE_MAX_BYTES ? json_line_parse_object(text, length) : NULL;
    if (!object) {
        g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE,
                    "%s: facts of an operating system are a JSON object below 4 MiB",
                    filename);
        return NULL;
    }
    OsFacts *facts = os_facts_from_json(object, error);
    if (!facts)
        g_prefix_error(error, "%s: ", filename);
    return facts;
}
