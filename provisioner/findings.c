/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "findings.h"

struct Findings {
    GPtrArray *list;   /* Finding, by place */
    GHashTable *alike; /* char *, as alike() makes it → Finding, of the list */
};

static const char *const level_names[] = {
    [FINDING_ERROR] = "error",
    [FINDING_UNSUPPORTED] = "unsupported",
    [FINDING_WARNING] = "warning",
    [FINDING_NOTE] = "note",
};

const char *
finding_level_name(FindingLevel level)
{
    return level_names[level];
}

static void
finding_free(gpointer data)
{
    Finding *finding = data;
    g_free(finding->message);
    g_free(finding);
}

Findings *
findings_new(void)
{
    Findings *findings = g_new0(Findings, 1);
    findings->list = g_ptr_array_new_with_free_func(finding_free);
    findings->alike = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    return findings;
}

void
findings_free(Findings *findings)
{
    g_hash_table_unref(findings->alike);
    g_ptr_array_unref(findings->list);
    g_free(findings);
}

static gboolean
comes_after(const Finding *a, const Finding *b)
{
    int by_file = g_strcmp0(a->pos.file, b->pos.file);
    return by_file > 0 || (by_file == 0 && a->pos.line > b->pos.line);
}

/* The end of the number at TEXT: digits, with the letters, colons and dots of addresses
 * where it begins a word. TEXT itself if there is none. */
static const char *
skip_number(const char *text, gboolean begins_word)
{
    gboolean has_digit = FALSE;
    const char *end = text;
    if (!begins_word && !g_ascii_isdigit(*end))
        return text;
    for (; g_ascii_isxdigit(*end) || (end > text && (*end == ':' || *end == '.')); end++)
        has_digit = has_digit || g_ascii_isdigit(*end);
    return has_digit ? end : text;
}

/* The same for findings about copies of one element: their ids and addresses differ by
 * numbers, the rest does not. */
static char *
alike(const Finding *finding)
{
    GString *key = g_string_new(NULL);
    g_string_printf(key, "%d %s %s:%d ", finding->level, finding->check,
                    finding->pos.file ? finding->pos.file : "", finding->pos.line);
    gboolean begins_word = TRUE;
    for (const char *at = finding->message; *at;) {
        const char *end = skip_number(at, begins_word);
        begins_word = !g_ascii_isalnum(*at);
        g_string_append_c(key, end > at ? '0' : *at);
        at = MAX(end, at + 1);
    }
    return g_string_free(key, FALSE);
}

/* Counts FINDING, and frees it, if it says of a further copy what was said already. */
static gboolean
is_repeated(Findings *findings, Finding *finding)
{
    if (finding->pos.line == 0)
        return FALSE;
    char *key = alike(finding);
    Finding *first = g_hash_table_lookup(findings->alike, key);
    if (!first) {
        g_hash_table_insert(findings->alike, key, finding);
        return FALSE;
    }
    g_free(key);
    first->more++;
    finding_free(finding);
    return TRUE;
}

void
findings_add(Findings *findings, FindingLevel level, FilePos pos, const char *check,
             const char *format, ...)
{
    Finding *finding = g_new0(Finding, 1);
    va_list args;
    va_start(args, format);
    finding->message = g_strdup_vprintf(format, args);
    va_end(args);
    finding->level = level;
    finding->pos = pos;
    finding->check = check;
    if (is_repeated(findings, finding))
        return;

    guint at = findings->list->len;
    while (at > 0 && comes_after(g_ptr_array_index(findings->list, at - 1), finding))
        at--;
    g_ptr_array_insert(findings->list, (gint)at, finding);
}

guint
findings_count(const Findings *findings, FindingLevel level)
{
    guint count = 0;
    for (guint i = 0; i < findings->list->len; i++)
        count += findings_get(findings, i)->level == level;
    return count;
}

guint
findings_total(const Findings *findings)
{
    return findings->list->len;
}

const Finding *
findings_get(const Findings *findings, guint index)
{
    g_return_val_if_fail(index < findings->list->len, NULL);
    return g_ptr_array_index(findings->list, index);
}

gboolean
findings_ok(const Findings *findings)
{
    return findings_count(findings, FINDING_ERROR) == 0 &&
           findings_count(findings, FINDING_UNSUPPORTED) == 0;
}

static void
append_place(GString *text, FilePos pos)
{
    if (!pos.file)
        return;
    g_string_append(text, pos.file);
    if (pos.line > 0)
        g_string_append_printf(text, ":%d", pos.line);
    g_string_append(text, ": ");
}

char *
finding_text(const Finding *finding)
{
    if (finding->more == 0)
        return g_strdup(finding->message);
    return g_strdup_printf("%s (and %u more like it from this line)", finding->message,
                           finding->more);
}

char *
findings_to_text(const Findings *findings)
{
    GString *text = g_string_new(NULL);
    for (guint i = 0; i < findings->list->len; i++) {
        const Finding *finding = findings_get(findings, i);
        append_place(text, finding->pos);
        g_autofree char *said = finding_text(finding);
        g_string_append_printf(text, "%s: %s [%s]\n", level_names[finding->level], said,
                               finding->check);
    }
    return g_string_free(text, FALSE);
}
