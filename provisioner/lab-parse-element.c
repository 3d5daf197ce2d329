/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Children of an element: which it may have and how often, copies of those that are
 * counted, and findings for attributes and text that nobody wanted.
 */
#include <string.h>

#include "lab-parse.h"
#include "nearest.h"

static void
tell_unknown_attributes(LabParser *parser, LabXml *element)
{
    for (guint i = 0; element->attributes && i < element->attributes->len; i++) {
        const LabXmlAttribute *attribute = g_ptr_array_index(element->attributes, i);
        if (attribute->asked)
            continue;
        g_autoptr(GPtrArray) names = g_ptr_array_new();
        for (guint j = 0; element->asked && j < element->asked->len; j++)
            g_ptr_array_add(names, g_ptr_array_index(element->asked, j));
        g_ptr_array_add(names, NULL);
        const char *const *known = (const char *const *)names->pdata;
        const char *meant = nearest_name(attribute->name, known);
        g_autofree char *name = lab_xml_quote(attribute->name);
        g_autofree char *all = lab_list_of(known);
        if (meant)
            lab_say(parser, attribute->pos, "schema",
                    "<%s> has no attribute %s; did you mean %s?", element->name, name,
                    meant);
        else if (names->len == 1)
            lab_say(parser, attribute->pos, "schema", "<%s> has no attributes, so no %s",
                    element->name, name);
        else
            lab_say(parser, attribute->pos, "schema",
                    "<%s> has no attribute %s; it can have %s", element->name, name, all);
    }
}

void
lab_no_text(LabParser *parser, LabXml *element)
{
    if (!element->text)
        return;
    g_strstrip(element->text->str);
    g_autofree char *quoted = lab_xml_quote(element->text->str);
    lab_say(parser, element->text_pos, "schema",
            "<%s> holds elements, not text; remove '%s' or make it a comment",
            element->name, quoted);
}

/* Words of libvirt's domain XML that have another place here. */
static const struct {
    const char *name, *hint;
} libvirt_words[] = {
    {"address", "write bus, slot and function as attributes of the element itself"},
    {"controller", "write <expander> or <port>"},
    {"cputune", "hostbed does not pin CPUs"},
    {"devices", "a device stands in the <port> that it is plugged into"},
    {"disk", "write <nvme/>, or <image> for what the host boots"},
    {"domain", "the root element is <lab>; a machine in it is a <host>"},
    {"driver", "write what it says as attributes of <iommu>"},
    {"hostdev", "hostbed hands in no real devices"},
    {"interface", "write <nic>"},
    {"memory", "memory is an attribute of <cell>"},
    {"memoryBacking", "write <hugepages> in the <cell>"},
    {"numa", "cells stand directly in <host>"},
    {"os", "write <machine>, <firmware> and <kernel> directly in <host>"},
    {"topology", "write sockets, dies, cores and threads as attributes of <cpu>"},
    {"vcpu", "the CPUs are those of all cells together"},
};

/* Elements of the language, and where they belong. */
static const struct {
    const char *name, *place;
} places[] = {
    {"lab", "a file"},
    {"host", "<lab>"},
    {"network", "<lab>"},
    {"uplink", "<network>"},
    {"service", "<uplink>"},
    {"forward", "<network>"},
    {"description", "<lab>"},
    {"cpu", "<host>"},
    {"feature", "<cpu>"},
    {"firmware", "<host>"},
    {"kernel", "<host>"},
    {"machine", "<host>"},
    {"image", "<host>"},
    {"copy", "<image>"},
    {"write", "<image>"},
    {"link", "<image>"},
    {"first-boot", "<image>"},
    {"package", "<image>"},
    {"mirror", "<image>"},
    {"proxy", "<image>"},
    {"ssh-key", "<image>"},
    {"iommu", "<host>"},
    {"cell", "<host>"},
    {"maxMemory", "<host>"},
    {"interconnects", "<host>"},
    {"qemu", "<host>"},
    {"arg", "<qemu>"},
    {"hugepages", "<cell>"},
    {"distances", "<cell>"},
    {"sibling", "<distances>"},
    {"cache", "<cell>"},
    {"latency", "<interconnects>"},
    {"bandwidth", "<interconnects>"},
    {"expander", "<cell>, or in <host> if it belongs to none"},
    {"port", "<expander>, or in <host> for bus 0"},
    {"switch", "<port>"},
    {"downstream", "<switch>"},
    {"nic", "<port> or <downstream>, or in <host> for bus 0"},
    {"nvme", "<port> or <downstream>, or in <host> for bus 0"},
    {"device", "<port> or <downstream>, or in <host> for bus 0"},
    {"property", "a device or <iommu>"},
};

static char *
unknown_child_hint(const LabXml *child, const LabChild *children)
{
    for (gsize i = 0; i < G_N_ELEMENTS(places); i++)
        if (strcmp(child->name, places[i].name) == 0)
            return g_strdup_printf("it stands in %s", places[i].place);
    for (gsize i = 0; i < G_N_ELEMENTS(libvirt_words); i++)
        if (strcmp(child->name, libvirt_words[i].name) == 0)
            return g_strdup(libvirt_words[i].hint);

    g_autoptr(GPtrArray) names = g_ptr_array_new();
    for (; children->name; children++)
        g_ptr_array_add(names, (gpointer)children->name);
    g_ptr_array_add(names, NULL);
    const char *const *known = (const char *const *)names->pdata;
    if (names->len == 1)
        return g_strdup("it holds none");
    const char *meant = nearest_name(child->name, known);
    g_autofree char *all = lab_list_of(known);
    return meant ? g_strdup_printf("did you mean <%s>?", meant)
                 : g_strdup_printf("it can hold %s", all);
}

static void
tell_unknown_child(LabParser *parser, LabXml *element, const LabXml *child,
                   const LabChild *children)
{
    element->has_unknown = TRUE;
    g_autofree char *name = lab_xml_quote(child->name);
    if (child->is_foreign) {
        lab_say(parser, child->pos, "schema",
                "<%s> is not in the namespace " LAB_NAMESPACE
                ", so it means nothing here; "
                "remove it",
                name);
        return;
    }
    g_autofree char *hint = unknown_child_hint(child, children);
    lab_say(parser, child->pos, "schema", "<%s> cannot hold <%s>; %s", element->name,
            name, hint);
}

/* The number of copies that the author asks for. */
static guint
read_count(LabParser *parser, LabXml *element)
{
    int count = 1;
    lab_attr_int(parser, element, "count", 1, LAB_MAX_COUNT, &count);
    return (guint)count;
}

/* An element may be in another one that is itself copied: copies multiply, so they have a
 * budget. */
static gboolean
take_copy(LabParser *parser, const LabXml *element, gboolean counted)
{
    parser->copies += counted;
    parser->weight += element->weight;
    if (parser->copies <= LAB_MAX_COPIES && parser->weight <= LAB_MAX_WEIGHT)
        return TRUE;
    parser->exhausted = TRUE;
    lab_say(
        parser, element->pos, "count",
        "with its counts the lab has more than %d elements, or %d MiB of text; make the "
        "counts smaller",
        LAB_MAX_COPIES, LAB_MAX_WEIGHT * 64 / (1024 * 1024));
    return FALSE;
}

/* Once enough is known to be wrong, what follows would only cost time. */
static gboolean
is_given_up(const LabParser *parser)
{
    return parser->exhausted || g_hash_table_size(parser->told) > LAB_MAX_FINDINGS;
}

static void
parse_child(LabParser *parser, LabXml *child, const LabChild *how, gpointer parent)
{
    child->count = how->counted ? read_count(parser, child) : 1;
    for (child->copy = 0; child->copy < child->count; child->copy++) {
        if (is_given_up(parser) || !take_copy(parser, child, how->counted))
            return;
        how->parse(parser, child, parent);
        child->copies++;
    }
}

static const LabChild *
find_child(const LabChild *children, const LabXml *child)
{
    for (; !child->is_foreign && children->name; children++) {
        /* A prefix is as good as a default namespace. */
        const char *colon = strchr(child->name, ':');
        if (strcmp(children->name, colon ? colon + 1 : child->name) == 0)
            return children;
    }
    return NULL;
}

static void
check_once(LabParser *parser, const LabXml *element, guint index, const LabChild *how)
{
    const LabXml *child = g_ptr_array_index(element->children, index);
    for (guint i = 0; i < index; i++) {
        const LabXml *other = g_ptr_array_index(element->children, i);
        if (!other->is_foreign && strcmp(other->name, child->name) == 0) {
            lab_say(parser, child->pos, "schema",
                    "<%s> has a second <%s>; the first is in line %d, and one is enough",
                    element->name, child->name, other->pos.line);
            return;
        }
    }
}

void
lab_children(LabParser *parser, LabXml *element, const LabChild *children,
             gpointer parent)
{
    tell_unknown_attributes(parser, element);
    lab_no_text(parser, element);
    for (guint i = 0; element->children && i < element->children->len; i++) {
        LabXml *child = g_ptr_array_index(element->children, i);
        if (is_given_up(parser))
            return;
        const LabChild *how = find_child(children, child);
        if (!how) {
            tell_unknown_child(parser, element, child, children);
            continue;
        }
        const guint outer = parser->part;
        parser->part = how->part ? how->part : outer;
        if (how->once)
            check_once(parser, element, i, how);
        parse_child(parser, child, how, parent);
        parser->part = outer;
    }
}

void
lab_no_children(LabParser *parser, LabXml *element)
{
    static const LabChild none[] = {{NULL}};
    lab_children(parser, element, none, NULL);
}
