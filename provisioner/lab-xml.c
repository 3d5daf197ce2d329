/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lab-xml.h"

#include <string.h>

#include <libxml/parserInternals.h>

#include "autoptr.h"

#define QUOTE_MAX 60

typedef struct {
    Findings *findings;
    const char *file;
    const char *text;
    gsize length;
    xmlParserCtxt *context;
    LabXml *root;    /* owned */
    LabXml *current; /* the innermost open element */
    guint depth, elements, attributes;
    gboolean refused; /* one finding is enough: what follows it is noise */
} Reader;

static void
free_attribute(gpointer data)
{
    LabXmlAttribute *attribute = data;
    g_free(attribute->name);
    g_free(attribute->value);
    g_free(attribute);
}

static void
free_element(gpointer data)
{
    lab_xml_free(data);
}

void
lab_xml_free(LabXml *element)
{
    g_free(element->name);
    g_clear_pointer(&element->attributes, g_ptr_array_unref);
    g_clear_pointer(&element->children, g_ptr_array_unref);
    g_clear_pointer(&element->asked, g_ptr_array_unref);
    if (element->text)
        g_string_free(element->text, TRUE);
    if (element->blanks)
        g_string_free(element->blanks, TRUE);
    g_free(element);
}

char *
lab_xml_quote(const char *text)
{
    GString *out = g_string_new(NULL);
    glong shown = 0;
    for (const char *at = text; *at && shown < QUOTE_MAX;
         at = g_utf8_next_char(at), shown++) {
        gunichar c = g_utf8_get_char(at);
        if (c == '\n' || c == '\t' || c == '\r')
            c = ' ';
        g_string_append_unichar(out, g_unichar_isprint(c) ? c : 0xfffd);
    }
    if (shown == QUOTE_MAX)
        g_string_append(out, "…");
    return g_string_free(out, FALSE);
}

/* ---- before libxml2 sees it ----------------------------------------------------- */

static int
count_lines(const char *text, gsize length)
{
    int lines = 0;
    for (const char *end = text + length;
         (text = memchr(text, '\n', (gsize)(end - text)));)
        lines++, text++;
    return lines;
}

/* The value of `encoding` in the XML declaration, or NULL. libxml2 is told to take the
 * bytes as UTF-8 whatever stands there, so a different promise is refused here. */
static char *
declared_encoding(const char *text, gsize length)
{
    if (length < 5 || memcmp(text, "<?xml", 5) != 0)
        return NULL;
    const char *end = g_strstr_len(text, (gssize)length, "?>");
    const char *at = end ? g_strstr_len(text, end - text, "encoding") : NULL;
    if (!at)
        return NULL;
    at += strlen("encoding");
    while (at < end && strchr(" \t\r\n=", *at))
        at++;
    if (at == end || (*at != '"' && *at != '\''))
        return NULL;
    const char *close = memchr(at + 1, *at, (gsize)(end - at - 1));
    return close ? g_strndup(at + 1, (gsize)(close - at - 1)) : NULL;
}

static gboolean
check_encoding(const char *text, gsize length, const char *file, Findings *findings)
{
    const char *bad = NULL;
    if (length >= 2 &&
        (memcmp(text, "\xff\xfe", 2) == 0 || memcmp(text, "\xfe\xff", 2) == 0)) {
        findings_add(findings, FINDING_ERROR, (FilePos){file, 1}, "xml",
                     "the file is encoded as UTF-16; save it as UTF-8");
        return FALSE;
    }
    if (!g_utf8_validate_len(text, length, &bad)) {
        findings_add(findings, FINDING_ERROR,
                     (FilePos){file, count_lines(text, (gsize)(bad - text)) + 1}, "xml",
                     "byte 0x%02x is not UTF-8 here; save the file as UTF-8",
                     (guint8)*bad);
        return FALSE;
    }
    g_autofree char *declared = declared_encoding(text, length);
    if (declared && g_ascii_strcasecmp(declared, "UTF-8") != 0 &&
        g_ascii_strcasecmp(declared, "US-ASCII") != 0) {
        g_autofree char *quoted = lab_xml_quote(declared);
        findings_add(findings, FINDING_ERROR, (FilePos){file, 1}, "xml",
                     "the file says that its encoding is '%s'; a lab is UTF-8", quoted);
        return FALSE;
    }
    return TRUE;
}

static gboolean
has_byte_order_mark(const char *text, gsize length)
{
    return length >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0;
}

/* Where the markup at TEXT, a '<', ends; *ATTRIBUTES is the number of its quoted values.
 */
static const char *
skip_markup(const char *text, const char *end, guint *attributes)
{
    static const struct {
        const char *start, *end;
    } opaque[] = {{"<!--", "-->"}, {"<![CDATA[", "]]>"}, {"<?", "?>"}};
    *attributes = 0;
    for (gsize i = 0; i < G_N_ELEMENTS(opaque); i++)
        if ((gsize)(end - text) >= strlen(opaque[i].start) &&
            memcmp(text, opaque[i].start, strlen(opaque[i].start)) == 0) {
            const char *close = g_strstr_len(text, end - text, opaque[i].end);
            return close ? close + strlen(opaque[i].end) : end;
        }
    for (text++; text < end && *text != '>'; text++)
        if (*text == '"' || *text == '\'') {
            ++*attributes;
            const char *close = memchr(text + 1, *text, (gsize)(end - text - 1));
            if (!close)
                return end;
            text = close;
        }
    return text;
}

/* libxml2 2.9 compares each attribute of an element with all others, which for a million
 * of them takes minutes, so they are counted before it sees them. */
static gboolean
check_attributes(const char *text, gsize length, const char *file, Findings *findings)
{
    const char *end = text + length;
    const char *at = text;
    while (at < end && (at = memchr(at, '<', (gsize)(end - at)))) {
        guint attributes = 0;
        const char *after = skip_markup(at, end, &attributes);
        if (attributes > LAB_XML_MAX_ATTRIBUTES) {
            findings_add(
                findings, FINDING_ERROR,
                (FilePos){file, count_lines(text, (gsize)(at - text)) + 1}, "xml",
                "the element has more than %d attributes; no element of a lab has",
                LAB_XML_MAX_ATTRIBUTES);
            return FALSE;
        }
        at = after;
    }
    return TRUE;
}

static gboolean
check_bytes(const char *text, gsize length, const char *file, Findings *findings)
{
    if (length == (has_byte_order_mark(text, length) ? 3 : 0)) {
        findings_add(findings, FINDING_ERROR, (FilePos){file, 0}, "xml",
                     "the file is empty; a lab begins with <lab xmlns='" LAB_NAMESPACE
                     "' "
                     "name='…'>");
        return FALSE;
    }
    if (length > LAB_XML_MAX_BYTES) {
        findings_add(
            findings, FINDING_ERROR, (FilePos){file, 0}, "xml",
            "the file has more than %d MiB; a lab is smaller, say copies with count",
            LAB_XML_MAX_BYTES / (1024 * 1024));
        return FALSE;
    }
    return check_encoding(text, length, file, findings) &&
           check_attributes(text, length, file, findings);
}

/* ---- libxml2's events ----------------------------------------------------------- */

static void refuse(Reader *reader, int line, const char *format, ...) G_GNUC_PRINTF(3, 4);

static void
refuse(Reader *reader, int line, const char *format, ...)
{
    if (reader->refused)
        return;
    reader->refused = TRUE;
    va_list args;
    va_start(args, format);
    g_autofree char *message = g_strdup_vprintf(format, args);
    va_end(args);
    findings_add(reader->findings, FINDING_ERROR, (FilePos){reader->file, line}, "xml",
                 "%s", message);
    xmlStopParser(reader->context);
}

static int
current_line(const Reader *reader)
{
    return reader->context->input ? reader->context->input->line : 0;
}

/* The start tag that libxml2 has just read, from its '<'. An unescaped '<' cannot stand
 * in an attribute's value, so the last one is it. */
static const char *
start_tag(const Reader *reader, gsize *length)
{
    glong consumed = xmlByteConsumed(reader->context);
    gsize end = CLAMP(consumed, 0, (glong)reader->length);
    gsize start = end;
    while (start > 0 && reader->text[start - 1] != '<')
        start--;
    if (start > 0)
        start--;
    *length = end - start;
    return reader->text + start;
}

/* libxml2 tells the line where a start tag ends; people look for the attribute itself. */
static int
attribute_line(const char *tag, gsize length, int first_line, const char *name)
{
    gsize name_length = strlen(name);
    const char *end = tag + length;
    const char *at = tag;
    while (at < end && !strchr(" \t\r\n", *at)) /* the element's name */
        at++;
    while (at < end) {
        while (at < end && strchr(" \t\r\n", *at))
            at++;
        if ((gsize)(end - at) > name_length && memcmp(at, name, name_length) == 0 &&
            strchr("= \t\r\n", at[name_length]))
            return first_line + count_lines(tag, (gsize)(at - tag));
        while (at < end && *at != '"' && *at != '\'')
            at++;
        const char *close = at < end ? memchr(at + 1, *at, (gsize)(end - at - 1)) : NULL;
        at = close ? close + 1 : end;
    }
    return first_line;
}

static char *
qualified_name(const xmlChar *prefix, const xmlChar *local)
{
    return prefix ? g_strdup_printf("%s:%s", (const char *)prefix, (const char *)local)
                  : g_strdup((const char *)local);
}

static GPtrArray *
read_attributes(Reader *reader, int count, const xmlChar **attributes, const char *tag,
                gsize length, int first_line)
{
    GPtrArray *list = g_ptr_array_new_with_free_func(free_attribute);
    for (int i = 0; i < count; i++) {
        const xmlChar **fields =
            attributes + (gsize)i * 5; /* name, prefix, URI, start, end */
        LabXmlAttribute *attribute = g_new0(LabXmlAttribute, 1);
        attribute->name = qualified_name(fields[1], fields[0]);
        attribute->value =
            g_strndup((const char *)fields[3], (gsize)(fields[4] - fields[3]));
        attribute->pos = (FilePos){
            reader->file, attribute_line(tag, length, first_line, attribute->name)};
        g_ptr_array_add(list, attribute);
    }
    return list;
}

static void
append_element(Reader *reader, LabXml *element)
{
    LabXml *parent = reader->current;
    element->parent = parent;
    if (!parent) {
        reader->root = element;
    } else {
        if (!parent->children)
            parent->children = g_ptr_array_new_with_free_func(free_element);
        g_ptr_array_add(parent->children, element);
    }
    reader->current = element;
}

static void
on_start_element(void *data, const xmlChar *local, const xmlChar *prefix,
                 const xmlChar *uri, int namespace_count, const xmlChar **namespaces,
                 int attribute_count, int defaulted_count, const xmlChar **attributes)
{
    Reader *reader = data;
    if (reader->refused)
        return;
    gsize length = 0;
    const char *tag = start_tag(reader, &length);
    int first_line = current_line(reader) - count_lines(tag, length);
    if (++reader->depth > LAB_XML_MAX_DEPTH)
        return refuse(reader, first_line,
                      "elements are nested more than %d deep; a lab never needs that",
                      LAB_XML_MAX_DEPTH);
    if (++reader->elements > LAB_XML_MAX_ELEMENTS)
        return refuse(reader, first_line,
                      "the file has more than %d elements; say copies with count",
                      LAB_XML_MAX_ELEMENTS);
    reader->attributes += (guint)attribute_count;
    if (reader->attributes > LAB_XML_MAX_ALL_ATTRIBUTES)
        return refuse(reader, first_line,
                      "the file has more than %d attributes; say copies with count",
                      LAB_XML_MAX_ALL_ATTRIBUTES);

    LabXml *element = g_new0(LabXml, 1);
    element->name = qualified_name(prefix, local);
    element->is_foreign = g_strcmp0((const char *)uri, LAB_NAMESPACE) != 0;
    element->pos = (FilePos){reader->file, first_line};
    element->number = reader->elements;
    element->count = 1;
    element->weight = 1 + (guint)length / 64;
    if (attribute_count > 0)
        element->attributes =
            read_attributes(reader, attribute_count, attributes, tag, length, first_line);
    append_element(reader, element);
}

static void
on_end_element(void *data, const xmlChar *local, const xmlChar *prefix,
               const xmlChar *uri)
{
    Reader *reader = data;
    if (reader->refused)
        return;
    reader->depth--;
    LabXml *element = reader->current;
    if (element->text)
        element->weight += (guint)(element->text->len / 64);
    reader->current = element->parent;
}

/* Blanks that stand before text are part of it; those between elements cost nothing. */
static void
remember_blanks(LabXml *element, const char *text, gsize length)
{
    if (element->children)
        return;
    if (!element->blanks)
        element->blanks = g_string_new(NULL);
    g_string_append_len(element->blanks, text, (gssize)length);
}

static void
on_characters(void *data, const xmlChar *characters, int length)
{
    Reader *reader = data;
    if (reader->refused || !reader->current || length <= 0)
        return;
    const char *text = (const char *)characters;
    LabXml *element = reader->current;
    if (!element->text) {
        gsize blanks = 0;
        while (blanks < (gsize)length && strchr(" \t\r\n", text[blanks]))
            blanks++;
        if (blanks == (gsize)length) {
            remember_blanks(element, text, blanks);
            return;
        }
        int lines_after = count_lines(text + blanks, (gsize)length - blanks);
        element->text_pos = (FilePos){reader->file, current_line(reader) - lines_after};
        element->text = g_string_new(element->blanks ? element->blanks->str : "");
    }
    g_string_append_len(element->text, text, length);
}

static void
on_doctype(void *data, const xmlChar *name, const xmlChar *external,
           const xmlChar *system)
{
    Reader *reader = data;
    refuse(reader, current_line(reader),
           "a lab has no DOCTYPE and no entities of its own; remove the <!DOCTYPE …>");
}

/* libxml2's message without its line end. */
static void
on_error(void *data, xmlError *problem)
{
    Reader *reader = data;
    if (problem->level < XML_ERR_ERROR)
        return;
    g_autofree char *message =
        g_strdup(problem->message ? problem->message : "unknown error");
    g_strstrip(message);
    g_autofree char *quoted = lab_xml_quote(message);
    refuse(reader, problem->line, "this is not well-formed XML: %s", quoted);
}

static void
run_parser(Reader *reader)
{
    g_autoptr(xmlParserCtxt) context =
        xmlCreateMemoryParserCtxt(reader->text, (int)reader->length);
    if (!context)
        return refuse(reader, 0, "the XML parser has no memory left");
    *context->sax = (xmlSAXHandler){
        .initialized = XML_SAX2_MAGIC,
        .internalSubset = on_doctype,
        .startElementNs = on_start_element,
        .endElementNs = on_end_element,
        .characters = on_characters,
        .cdataBlock = on_characters,
        .serror = on_error,
    };
    context->userData = reader;
    reader->context = context;
    xmlCtxtUseOptions(context, XML_PARSE_NONET | XML_PARSE_IGNORE_ENC);
    xmlParseDocument(context);
    if (!context->wellFormed)
        refuse(reader, current_line(reader), "this is not well-formed XML");
    reader->context = NULL;
}

LabXml *
lab_xml_read(const char *text, gsize length, const char *file, Findings *findings)
{
    if (!check_bytes(text, length, file, findings))
        return NULL;
    if (has_byte_order_mark(text, length))
        text += 3, length -= 3;

    Reader reader = {.findings = findings, .file = file, .text = text, .length = length};
    run_parser(&reader);
    if (reader.refused)
        g_clear_pointer(&reader.root, lab_xml_free);
    return reader.root;
}
