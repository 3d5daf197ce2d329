/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lab-change.h"

#include <string.h>

#include "autoptr.h"
#include "error.h"
#include "lab-xml.h"
#include "nearest.h"

/* ---- words
 * ------------------------------------------------------------------------------------------
 */

/* What only the author of a lab can decide: where the firmware finds what. */
static const char *const refused[] = {
    "count", "slot", "function", "multifunction", "vfs", NULL,
};

static gboolean fail(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);

static gboolean
fail(GError **error, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    g_autofree char *message = g_strdup_vprintf(format, args);
    va_end(args);
    g_set_error_literal(error, HB_ERROR, HB_USAGE, message);
    return FALSE;
}

static gboolean
check_kind(const char *kind, GError **error)
{
    static const char *const kinds[] = {"nic", "nvme", "device", "memory", NULL};
    if (kind && g_strv_contains(kinds, kind) && !g_str_equal(kind, "memory"))
        return TRUE;
    if (!kind)
        return fail(error, "say what is to be plugged: nic, nvme, device or memory");
    g_autofree char *hint =
        nearest_hint(nearest_name(kind, kinds), "there are nic, nvme, device and memory");
    return fail(error, "'%s' is nothing that can be plugged; %s", kind, hint);
}

/* WORD, "model=igb", as an attribute of XML. */
static gboolean
add_attribute(xmlNode *element, const char *word, GError **error)
{
    const char *equals = strchr(word, '=');
    gsize length = equals ? (gsize)(equals - word) : 0;
    g_autofree char *name = g_strndup(word, length);
    if (length == 0 || strspn(name, "abcdefghijklmnopqrstuvwxyz-") != length)
        return fail(error, "'%s' is no attribute with its value, as in model=igb", word);
    if (g_str_equal(name, "port") || g_str_equal(name, "expander"))
        return fail(error,
                    "where it goes is an option of plug, --%s, and no attribute: "
                    "--%s=%s",
                    name, name, equals + 1);
    if (g_strv_contains(refused, name))
        return fail(error,
                    "%s of what is plugged cannot be chosen while the host runs; "
                    "leave it out",
                    name);
    if (!g_utf8_validate(equals + 1, -1, NULL))
        return fail(error, "the value of %s is not UTF-8", name);
    xmlNewProp(element, BAD_CAST name, BAD_CAST(equals + 1));
    return TRUE;
}

/* A host with an empty port; *PORT: that. */
static xmlDoc *
new_lab(xmlNode **port)
{
    xmlDoc *document = xmlNewDoc(BAD_CAST "1.0");
    xmlNode *lab = xmlNewNode(NULL, BAD_CAST "lab");
    xmlDocSetRootElement(document, lab);
    xmlNewProp(lab, BAD_CAST "xmlns", BAD_CAST LAB_NAMESPACE);
    xmlNewProp(lab, BAD_CAST "name", BAD_CAST "plug");
    xmlNode *host = xmlNewChild(lab, NULL, BAD_CAST "host", NULL);
    xmlNewProp(host, BAD_CAST "name", BAD_CAST "plug");
    xmlNode *cell = xmlNewChild(host, NULL, BAD_CAST "cell", NULL);
    xmlNewProp(cell, BAD_CAST "cpus", BAD_CAST "0");
    xmlNewProp(cell, BAD_CAST "memory", BAD_CAST "1 GiB");
    xmlNode *expander = xmlNewChild(cell, NULL, BAD_CAST "expander", NULL);
    *port = xmlNewChild(expander, NULL, BAD_CAST "port", NULL);
    return document;
}

/* WORDS in a lab of their own, so that they are read as a lab's are. */
static char *
write_lab(const char *const *words, GError **error)
{
    if (!check_kind(words[0], error))
        return NULL;
    xmlNode *port;
    g_autoptr(xmlDoc) document = new_lab(&port);
    g_autoptr(xmlBuffer) buffer = xmlBufferCreate();
    xmlNode *element = xmlNewChild(port, NULL, BAD_CAST words[0], NULL);
    for (const char *const *word = words + 1; *word; word++)
        if (!add_attribute(element, *word, error))
            return NULL;
    xmlNodeDump(buffer, document, xmlDocGetRootElement(document), 0, 0);
    return g_strdup((const char *)xmlBufferContent(buffer));
}

static gboolean
is_given(const char *const *words, const char *attribute)
{
    gsize length = strlen(attribute);
    for (; *words; words++)
        if (strncmp(*words, attribute, length) == 0 && (*words)[length] == '=')
            return TRUE;
    return FALSE;
}

LabNode *
lab_change_device(const char *const *words, GError **error)
{
    g_autoptr(Findings) findings = findings_new();
    g_autofree char *text = write_lab(words, error);
    g_autoptr(Lab) lab =
        text ? lab_parse_text(text, strlen(text), "plug", findings) : NULL;
    if (!text)
        return NULL;
    if (!findings_ok(findings) || !lab) {
        fail(error, "%s", findings_get(findings, 0)->message);
        return NULL;
    }
    const LabHost *host = lab->hosts->pdata[0];
    const LabCell *cell = host->cells->pdata[0];
    const LabNode *expander = cell->nodes->pdata[0], *port = expander->children->pdata[0];
    LabNode *node = g_ptr_array_steal_index(port->children, 0);
    if (!is_given(words, "id"))
        g_clear_pointer(&node->id, g_free);
    return node;
}

/* ---- ports
 * ------------------------------------------------------------------------------------------
 */

/* The node of this id in the list, or below it; *LIST is where it stands. */
static LabNode *
find_below(GPtrArray **list, const char *id)
{
    GPtrArray *nodes = *list;
    for (guint i = 0; i < nodes->len; i++) {
        LabNode *node = nodes->pdata[i];
        if (g_str_equal(node->id, id))
            return node;
        *list = node->children;
        LabNode *found = find_below(list, id);
        if (found)
            return found;
    }
    *list = nodes;
    return NULL;
}

static LabNode *
find(const LabHost *host, const char *id, GPtrArray **list)
{
    *list = host->nodes;
    LabNode *found = find_below(list, id);
    for (guint i = 0; !found && i < host->cells->len; i++) {
        *list = ((LabCell *)host->cells->pdata[i])->nodes;
        found = find_below(list, id);
    }
    return found;
}

LabNode *
lab_change_find(const LabHost *host, const char *id)
{
    GPtrArray *list;
    return find(host, id, &list);
}

/* No element of the file has this number; what shares one would be told of as its copies.
 */
static guint
element_of(const char *id)
{
    return G_MAXUINT - g_str_hash(id) % (G_MAXUINT / 2);
}

void
lab_change_plug(LabHost *host, const char *port, LabNode *node)
{
    GPtrArray *list;
    LabNode *parent = find(host, port, &list);
    g_return_if_fail(parent != NULL);
    if (!node->id)
        node->id = g_strdup_printf("%s.%s0", port, lab_kind_name(node->kind));
    node->pos = parent->pos;
    node->element = element_of(node->id);
    node->parent = parent;
    g_ptr_array_add(parent->children, node);
}

LabNode *
lab_change_unplug(LabHost *host, const char *id, const char **port)
{
    guint index;
    GPtrArray *list;
    LabNode *node = find(host, id, &list);
    if (!node || !node->parent || !g_ptr_array_find(list, node, &index))
        return NULL;
    if (port)
        *port = node->parent->id;
    return g_ptr_array_steal_index(list, index);
}
