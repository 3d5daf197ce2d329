/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Attributes and children of an element, typed, with findings. An attribute becomes known
 * by being asked for, so the list of what an element may have stands nowhere twice.
 */
#include <string.h>

#include "lab-parse.h"
#include "nearest.h"
#include "units.h"

/* ---- findings ------------------------------------------------------------------- */

void
lab_say(LabParser *parser, FilePos pos, const char *check, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    g_autofree char *message = g_strdup_vprintf(format, args);
    va_end(args);
    parser->faulty |= parser->part;

    guint told = g_hash_table_size(parser->told);
    if (told > LAB_MAX_FINDINGS ||
        !g_hash_table_add(parser->told, g_strdup_printf("%d:%s", pos.line, message)))
        return;
    if (told == LAB_MAX_FINDINGS)
        findings_add(
            parser->findings, FINDING_ERROR, (FilePos){pos.file, 0}, check,
            "more than %d things are wrong; correct the first ones and try again",
            LAB_MAX_FINDINGS);
    else
        findings_add(parser->findings, FINDING_ERROR, pos, check, "%s", message);
}

/* "a, b or c" of NAMES (ends with NULL). */
static char *
list_of(const char *const *names)
{
    GString *text = g_string_new(NULL);
    for (gsize i = 0; names[i]; i++)
        g_string_append_printf(text, "%s%s",
                               i == 0         ? ""
                               : names[i + 1] ? ", "
                                              : " or ",
                               names[i]);
    return g_string_free(text, FALSE);
}

/* ---- attributes ----------------------------------------------------------------- */

static LabXmlAttribute *
find_attribute(const LabXml *element, const char *name)
{
    for (guint i = 0; element->attributes && i < element->attributes->len; i++) {
        LabXmlAttribute *attribute = g_ptr_array_index(element->attributes, i);
        if (strcmp(attribute->name, name) == 0)
            return attribute;
    }
    return NULL;
}

static void
remember_asked(LabXml *element, const char *name)
{
    if (!element->asked)
        element->asked = g_ptr_array_new();
    if (!g_ptr_array_find_with_equal_func(element->asked, name, g_str_equal, NULL))
        g_ptr_array_add(element->asked, (gpointer)name);
}

static char *
ask(LabXml *element, const char *name)
{
    remember_asked(element, name);
    LabXmlAttribute *attribute = find_attribute(element, name);
    if (!attribute)
        return NULL;
    attribute->asked = TRUE;
    return attribute->value;
}

const char *
lab_attr(LabParser *parser, LabXml *element, const char *name)
{
    char *value = ask(element, name);
    return value ? g_strstrip(value) : NULL;
}

/* Whether another attribute is probably meant to be this one; then that is told. */
static gboolean
is_mistyped(const LabXml *element, const char *name)
{
    const char *const names[] = {name, NULL};
    for (guint i = 0; element->attributes && i < element->attributes->len; i++) {
        const LabXmlAttribute *attribute = g_ptr_array_index(element->attributes, i);
        if (!attribute->asked && nearest_name(attribute->name, names))
            return TRUE;
    }
    return FALSE;
}

static void
tell_missing(LabParser *parser, const LabXml *element, const char *name)
{
    if (is_mistyped(element, name))
        return;
    lab_say(parser, element->pos, "schema", "<%s> has no attribute %s, which it needs",
            element->name, name);
}

const char *
lab_attr_needed(LabParser *parser, LabXml *element, const char *name)
{
    const char *value = lab_attr(parser, element, name);
    if (!value)
        tell_missing(parser, element, name);
    return value;
}

const char *
lab_attr_raw(LabParser *parser, LabXml *element, const char *name)
{
    const char *value = ask(element, name);
    if (!value)
        tell_missing(parser, element, name);
    return value;
}

FilePos
lab_attr_pos(const LabXml *element, const char *name)
{
    const LabXmlAttribute *attribute = find_attribute(element, name);
    return attribute ? attribute->pos : element->pos;
}

void
lab_attr_wrong(LabParser *parser, const LabXml *element, const char *name,
               const char *what)
{
    const LabXmlAttribute *attribute = find_attribute(element, name);
    g_autofree char *value = lab_xml_quote(attribute ? attribute->value : "");
    lab_say(parser, lab_attr_pos(element, name), "schema", "<%s>: %s='%s' %s",
            element->name, name, value, what);
}

static gboolean
read_number(LabParser *parser, LabXml *element, const char *name, gboolean may_be_hex,
            gint64 minimum, gint64 maximum, gint64 *value)
{
    const char *text = lab_attr(parser, element, name);
    if (!text)
        return FALSE;
    if (!may_be_hex && (g_str_has_prefix(text, "0x") || g_str_has_prefix(text, "0X"))) {
        lab_attr_wrong(parser, element, name, "is not a decimal number");
        return FALSE;
    }
    g_autoptr(GError) error = NULL;
    if (units_parse_number(text, minimum, maximum, value, &error))
        return TRUE;
    lab_attr_wrong(parser, element, name, error->message);
    return FALSE;
}

gboolean
lab_attr_number(LabParser *parser, LabXml *element, const char *name, gint64 minimum,
                gint64 maximum, gint64 *value)
{
    return read_number(parser, element, name, FALSE, minimum, maximum, value);
}

gboolean
lab_attr_int(LabParser *parser, LabXml *element, const char *name, int minimum,
             int maximum, int *value)
{
    gint64 number = 0;
    if (!read_number(parser, element, name, FALSE, minimum, maximum, &number))
        return FALSE;
    *value = (int)number;
    return TRUE;
}

gboolean
lab_attr_pci(LabParser *parser, LabXml *element, const char *name, int minimum,
             int maximum, int *value)
{
    gint64 number = 0;
    if (!read_number(parser, element, name, TRUE, minimum, maximum, &number))
        return FALSE;
    *value = (int)number;
    return TRUE;
}

gboolean
lab_attr_size(LabParser *parser, LabXml *element, const char *name, gint64 *value)
{
    const char *text = lab_attr(parser, element, name);
    if (!text)
        return FALSE;
    g_autoptr(GError) error = NULL;
    if (units_parse_size(text, value, &error))
        return TRUE;
    lab_attr_wrong(parser, element, name, error->message);
    return FALSE;
}

/* Up to 18 digits, zeros in front not counted. */
static gboolean
is_size_number(const char *text)
{
    gsize length = strlen(text);
    return length > 0 && strspn(text, "0123456789") == length &&
           length - strspn(text, "0") <= 18;
}

gboolean
lab_attr_size_unit(LabParser *parser, LabXml *element, const char *name, gint64 *value)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", NULL};
    const char *number = lab_attr(parser, element, name);
    const char *unit = lab_attr(parser, element, "unit");
    if (!unit)
        return lab_attr_size(parser, element, name, value);
    if (!number && is_mistyped(element, name))
        return FALSE;
    if (!number) {
        lab_say(parser, lab_attr_pos(element, "unit"), "schema",
                "<%s>: unit belongs to %s, which is not there", element->name, name);
        return FALSE;
    }
    if (!is_size_number(number)) {
        lab_attr_wrong(parser, element, name,
                       "is not a whole number, which it must be where unit is given");
        return FALSE;
    }
    int index = 0;
    if (!lab_attr_choice(parser, element, "unit", units, &index))
        return FALSE;
    g_autoptr(GError) error = NULL;
    g_autofree char *both = g_strdup_printf("%s %s", number, unit);
    if (units_parse_size(both, value, &error))
        return TRUE;
    lab_say(parser, lab_attr_pos(element, name), "size", "<%s>: %s='%s' %s",
            element->name, name, both, error->message);
    return FALSE;
}

gboolean
lab_attr_choice(LabParser *parser, LabXml *element, const char *name,
                const char *const *names, int *value)
{
    const char *text = lab_attr(parser, element, name);
    if (!text)
        return FALSE;
    for (int i = 0; names[i]; i++)
        if (strcmp(text, names[i]) == 0) {
            *value = i;
            return TRUE;
        }
    const char *meant = nearest_name(text, names);
    g_autofree char *all = list_of(names);
    g_autofree char *what = meant
                                ? g_strdup_printf("is not known; did you mean %s?", meant)
                                : g_strdup_printf("is not known; it can be %s", all);
    lab_attr_wrong(parser, element, name, what);
    return FALSE;
}

gboolean
lab_attr_switch(LabParser *parser, LabXml *element, const char *name, LabSwitch *value)
{
    static const char *const names[] = {"off", "on", NULL};
    int index = 0;
    if (!lab_attr_choice(parser, element, name, names, &index))
        return FALSE;
    *value = index ? LAB_ON : LAB_OFF;
    return TRUE;
}

gboolean
lab_attr_text(LabParser *parser, LabXml *element, const char *name, char **value)
{
    const char *text = lab_attr(parser, element, name);
    if (!text)
        return FALSE;
    if (*text == '\0') {
        lab_attr_wrong(parser, element, name, "is empty; leave the attribute out");
        return FALSE;
    }
    g_free(*value);
    *value = g_strdup(text);
    return TRUE;
}

static gboolean
is_word(const char *text)
{
    for (const char *at = text; *at; at++)
        if (!g_ascii_isalnum(*at) && !strchr("._-", *at))
            return FALSE;
    return *text != '\0';
}

gboolean
lab_attr_word(LabParser *parser, LabXml *element, const char *name, char **value)
{
    const char *text = lab_attr(parser, element, name);
    if (!text)
        return FALSE;
    if (!is_word(text) || !g_ascii_isalnum(*text)) {
        lab_attr_wrong(parser, element, name,
                       "is not a name; it may have letters, digits, '.', '_' and '-'");
        return FALSE;
    }
    g_free(*value);
    *value = g_strdup(text);
    return TRUE;
}

/* ---- ids ------------------------------------------------------------------------ */

gboolean
lab_is_id(const char *text)
{
    return g_ascii_isalpha(*text) && is_word(text) && strlen(text) <= LAB_MAX_ID;
}

/* The largest number that an id counts up from; with 8192 copies none has more digits
 * than people read. */
#define MAX_FIRST 999999999

/* The number at the end of PATTERN without its '+', and where it begins; 0 if there is
 * none. */
static guint64
first_number(const char *pattern, gsize *stem)
{
    *stem = strlen(pattern);
    while (*stem > 0 && g_ascii_isdigit(pattern[*stem - 1]))
        --*stem;
    return g_ascii_strtoull(pattern + *stem, NULL, 10); /* too large saturates */
}

/* "eth5+" → "eth5", "eth6", … in the order in which the copies of this element are made.
 */
static char *
counted_up(LabParser *parser, const LabXml *element, const char *attribute,
           const char *plain)
{
    gsize stem = 0;
    guint64 first = first_number(plain, &stem);
    if (first > MAX_FIRST) {
        lab_say(parser, lab_attr_pos(element, attribute), "id",
                "<%s>: %s='%s+' counts from more than %d; begin with a lower number",
                element->name, attribute, plain, MAX_FIRST);
        first = 0;
    }
    return g_strdup_printf("%.*s%" G_GUINT64_FORMAT, (int)stem, plain,
                           first + element->copies);
}

char *
lab_attr_id(LabParser *parser, LabXml *element, const char *attribute,
            const char *default_stem, guint index)
{
    const char *text = lab_attr(parser, element, attribute);
    gboolean counts_up = text && g_str_has_suffix(text, "+");
    g_autofree char *plain =
        g_strndup(text ? text : "", text ? strlen(text) - counts_up : 0);
    if (text && !lab_is_id(plain))
        lab_attr_wrong(
            parser, element, attribute,
            "is not an id: a letter first, then letters, digits, '.', '_', '-', at "
            "most 64 in all, and '+' at the end to count up");
    if (!text || !lab_is_id(plain))
        return g_strdup_printf("%s%u", default_stem, index);
    if (counts_up)
        return counted_up(parser, element, attribute, plain);
    return element->count > 1 ? g_strdup_printf("%s%u", text, element->copy)
                              : g_strdup(text);
}

/* ---- elements ------------------------------------------------------------------- */

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
        g_autofree char *all = list_of(known);
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
    {"disk", "write <nvme/>"},
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
    {"description", "<lab>"},
    {"cpu", "<host>"},
    {"feature", "<cpu>"},
    {"firmware", "<host>"},
    {"kernel", "<host>"},
    {"machine", "<host>"},
    {"iommu", "<host>"},
    {"cell", "<host>"},
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
    g_autofree char *all = list_of(known);
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
