/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Blocks: titles, paragraphs, lists, what is to be printed as it stands.
 */
#include "rst.h"

#include <string.h>

#define RANKS 8

typedef struct {
    char **lines; /* ends with NULL */
    guint at;
    guint columns;
    gboolean styled;
    GString *out;
} Page;

/* ---- lines
 * ------------------------------------------------------------------------------------------
 */

static gboolean
is_blank(const char *line)
{
    return line[strspn(line, " \t")] == '\0';
}

static guint
indent_of(const char *line)
{
    return (guint)strspn(line, " ");
}

/* A line of one of the signs that stand below titles. */
static gboolean
is_rule(const char *line)
{
    return *line && strchr("=-~^", *line) && strlen(line) >= 3 &&
           strspn(line, (char[]){*line, '\0'}) == strlen(line);
}

/* ---- titles
 * -----------------------------------------------------------------------------------------
 */

/* Whether a title begins at LINES[I]; *KIND what marks its rank, *TEXT where it stands.
 */
static gboolean
title_at(char *const *lines, guint i, int *kind, guint *text)
{
    if (is_rule(lines[i]) && lines[i + 1] && !is_blank(lines[i + 1]) && lines[i + 2] &&
        strcmp(lines[i], lines[i + 2]) == 0) {
        *kind = lines[i][0] + 256;
        *text = i + 1;
        return TRUE;
    }
    *kind = lines[i + 1] ? lines[i + 1][0] : 0;
    *text = i;
    return !is_blank(lines[i]) && lines[i][0] != ' ' && !is_rule(lines[i]) &&
           lines[i + 1] && is_rule(lines[i + 1]);
}

/* Ranks are in the order in which their marks come first. */
static guint
rank_of(int *kinds, int kind)
{
    guint rank = 0;
    while (rank < RANKS - 1 && kinds[rank] && kinds[rank] != kind)
        rank++;
    kinds[rank] = kind;
    return rank;
}

/* Without marks, and those of XML. */
static char *
bare_title(const char *line)
{
    char *title = rst_words(line, FALSE);
    char *to = title;
    for (const char *from = title; *from; from++)
        if (!strchr("<>", *from))
            *to++ = *from;
    *to = '\0';
    return title;
}

GPtrArray *
rst_titles(const char *document)
{
    GPtrArray *titles = g_ptr_array_new_with_free_func(g_free);
    g_auto(GStrv) lines = g_strsplit(document, "\n", -1);
    int kind;
    guint text;
    for (guint i = 0; lines[i]; i++) {
        if (!title_at(lines, i, &kind, &text))
            continue;
        g_ptr_array_add(titles, bare_title(lines[text]));
        i = text + 1;
    }
    return titles;
}

char *
rst_section(const char *document, const char *title)
{
    g_auto(GStrv) lines = g_strsplit(document, "\n", -1);
    int kinds[RANKS] = {0}, kind;
    guint text, rank = G_MAXUINT;
    GString *section = NULL;
    for (guint i = 0; lines[i]; i++) {
        guint count = 1;
        if (title_at(lines, i, &kind, &text)) {
            guint found = rank_of(kinds, kind);
            g_autofree char *bare = bare_title(lines[text]);
            if (section && found <= rank)
                break;
            if (!section && g_ascii_strcasecmp(bare, title) == 0) {
                section = g_string_new(NULL);
                rank = found;
            }
            count = text + 2 - i;
        }
        for (guint n = 0; n < count; n++)
            if (section)
                g_string_append_printf(section, "%s\n", lines[i + n]);
        i += count - 1;
    }
    return section ? g_string_free(section, FALSE) : NULL;
}

/* ---- blocks
 * -----------------------------------------------------------------------------------------
 */

static void
skip_block(Page *page, guint indent)
{
    while (page->lines[page->at] &&
           (is_blank(page->lines[page->at]) || indent_of(page->lines[page->at]) > indent))
        page->at++;
}

/* The lines below that stand further in than INDENT, as they are. */
static void
as_it_stands(Page *page, guint indent)
{
    guint blank = 0;
    skip_block(page, G_MAXUINT);
    if (page->out->len > 0 && !g_str_has_suffix(page->out->str, "\n\n"))
        g_string_append_c(page->out, '\n');
    for (; page->lines[page->at]; page->at++) {
        const char *line = page->lines[page->at];
        if (is_blank(line)) {
            blank++;
            continue;
        }
        if (indent_of(line) <= indent)
            break;
        for (; blank > 0; blank--)
            g_string_append_c(page->out, '\n');
        g_string_append_printf(page->out, "%s\n", line);
    }
    if (blank > 0)
        g_string_append_c(page->out, '\n');
}

/* ":widths: 1 2" */
static gboolean
is_option(const char *line)
{
    return line && line[indent_of(line)] == ':';
}

/* ".. something": code stands as it is, a table is a list of its cells, and of comments
 * nothing is shown. */
static void
directive(Page *page)
{
    const char *line = page->lines[page->at++];
    guint indent = indent_of(line);
    const char *name = line + indent + 3;
    gboolean is_code = g_str_has_prefix(name, "code-block::");
    gboolean is_table = g_str_has_prefix(name, "list-table::");
    if (!is_code && !is_table) {
        skip_block(page, indent);
        return;
    }
    while (is_option(page->lines[page->at]))
        page->at++;
    if (is_code)
        as_it_stands(page, indent);
}

/* A list's mark at TEXT ("* ", "- ", "1. ", and both of a table's row); its length. */
static gsize
bullet(const char *text)
{
    if ((*text == '*' || *text == '-') && text[1] == ' ')
        return 2 + bullet(text + 2);
    gsize digits = strspn(text, "0123456789");
    return digits > 0 && digits < 3 && strncmp(text + digits, ". ", 2) == 0 ? digits + 2
                                                                            : 0;
}

static gboolean
is_directive(const char *line)
{
    return strncmp(line + indent_of(line), ".. ", 3) == 0;
}

/* Lines that belong together, filled anew. */
static void
paragraph(Page *page)
{
    const char *line = page->lines[page->at++];
    guint indent = indent_of(line);
    gsize mark = bullet(line + indent);
    g_autoptr(GString) text = g_string_new(line + indent + mark);
    for (const char *next; (next = page->lines[page->at]); page->at++) {
        if (is_blank(next) || indent_of(next) != indent + mark ||
            bullet(next + indent + mark) || is_directive(next))
            break;
        g_string_append_printf(text, " %s", next + indent + mark);
    }
    gboolean leads = g_str_has_suffix(text->str, "::");
    if (leads)
        g_string_truncate(text, text->len - 1);
    g_autofree char *words = rst_words(text->str, page->styled);
    g_autofree char *first =
        g_strdup_printf("%*s%.*s", (int)indent, "", (int)mark, line + indent);
    g_autofree char *rest = g_strnfill(indent + mark, ' ');
    if (strcmp(text->str, ":") != 0)
        rst_wrap(page->out, words, first, rest, page->columns);
    if (leads)
        as_it_stands(page, indent);
}

/* The cells of LINE, which begin where BORDER's columns do. */
static void
table_row(GString *out, const char *line, const char *border)
{
    glong length = g_utf8_strlen(line, -1);
    for (glong begin = 0; begin < length;) {
        glong column = begin + (glong)strcspn(border + begin, " ");
        glong end = column + (glong)strspn(border + column, " ");
        gboolean is_last = border[end] == '\0' || end >= length;
        g_autofree char *cell = g_utf8_substring(line, begin, is_last ? length : end);
        g_autofree char *words = rst_words(g_strchomp(cell), FALSE);
        glong missing = end - begin - g_utf8_strlen(words, -1);
        g_string_append(out, words);
        if (!is_last)
            g_string_append_printf(out, "%*s", (int)MAX(missing, 1), "");
        begin = is_last ? length : end;
    }
    g_string_append_c(out, '\n');
}

/* "====  ====" around rows. */
static void
simple_table(Page *page)
{
    const char *border = page->lines[page->at];
    do
        table_row(page->out, page->lines[page->at++], border);
    while (page->lines[page->at] && !is_blank(page->lines[page->at]));
}

static void
title(Page *page, guint text)
{
    g_autofree char *words = rst_words(g_strchug(page->lines[text]), FALSE);
    g_string_append_printf(page->out, page->styled ? "\033[1m%s\033[0m\n" : "%s\n",
                           words);
    page->at = text + 2;
}

static void
block(Page *page)
{
    const char *line = page->lines[page->at];
    int kind;
    guint text;
    if (is_blank(line)) {
        if (page->out->len > 0 && !g_str_has_suffix(page->out->str, "\n\n"))
            g_string_append_c(page->out, '\n');
        page->at++;
    } else if (title_at(page->lines, page->at, &kind, &text)) {
        title(page, text);
    } else if (is_directive(line)) {
        directive(page);
    } else if (g_str_has_prefix(line, "===") && strchr(line, ' ')) {
        simple_table(page);
    } else if (g_str_has_prefix(line, "| ")) {
        g_autofree char *words = rst_words(line + 2, page->styled);
        g_string_append_printf(page->out, "%s\n", words);
        page->at++;
    } else {
        paragraph(page);
    }
}

char *
rst_to_text(const char *document, guint columns, gboolean styled)
{
    g_auto(GStrv) lines = g_strsplit(document, "\n", -1);
    GString *out = g_string_new(NULL);
    Page page = {.lines = lines, .columns = columns, .styled = styled, .out = out};
    while (page.lines[page.at])
        block(&page);
    while (g_str_has_suffix(out->str, "\n\n"))
        g_string_truncate(out, out->len - 1);
    return g_string_free(out, FALSE);
}
