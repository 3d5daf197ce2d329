/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Attributes of an element, typed, with findings. An attribute becomes known by being
 * asked for, so the list of what an element may have stands nowhere twice.
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

char *
lab_list_of(const char *const *names)
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
    g_autofree char *all = lab_list_of(names);
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
