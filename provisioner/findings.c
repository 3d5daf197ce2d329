/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "findings.h"

/* So many findings of one check on one line are told apart; more are told once. Errors
 * are told longer, since each needs a mend. */
#define SHOWN_ALIKE 3
#define SHOWN_ALIKE_ERRORS 8

struct Findings {
    GPtrArray *list; /* Finding, sorted on demand */
};

static const char *const level_names[] = {
    [FINDING_ERROR] = "error",
    [FINDING_UNSUPPORTED] = "unsupported",
    [FINDING_WARNING] = "warning",
    [FINDING_NOTE] = "note",
};

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
    return findings;
}

void
findings_free(Findings *findings)
{
    g_ptr_array_unref(findings->list);
    g_free(findings);
}

static gboolean
comes_after(const Finding *a, const Finding *b)
{
    int by_file = g_strcmp0(a->pos.file, b->pos.file);
    return by_file > 0 || (by_file == 0 && a->pos.line > b->pos.line);
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

/* How many findings from AT on say the same of the same element: one with a count is
 * many. Errors are all told: each needs a mend. */
static guint
count_alike(const Findings *findings, guint at)
{
    const Finding *first = findings_get(findings, at);
    guint end = at + 1;
    while (end < findings->list->len && first->pos.line > 0) {
        const Finding *next = findings_get(findings, end);
        if (next->level != first->level || next->pos.line != first->pos.line ||
            g_strcmp0(next->pos.file, first->pos.file) != 0 ||
            g_strcmp0(next->check, first->check) != 0)
            break;
        end++;
    }
    return end - at;
}

char *
findings_to_text(const Findings *findings)
{
    GString *text = g_string_new(NULL);
    for (guint i = 0; i < findings->list->len;) {
        const Finding *finding = findings_get(findings, i);
        guint alike = count_alike(findings, i);
        guint shown =
            finding->level >= FINDING_WARNING ? SHOWN_ALIKE : SHOWN_ALIKE_ERRORS;
        append_place(text, finding->pos);
        g_string_append_printf(text, "%s: %s", level_names[finding->level],
                               finding->message);
        if (alike > shown)
            g_string_append_printf(text, " (and %u more like it from this line)",
                                   alike - 1);
        g_string_append_printf(text, " [%s]\n", finding->check);
        i += alike > shown ? alike : 1;
    }
    return g_string_free(text, FALSE);
}
