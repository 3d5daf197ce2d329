/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Words and lines: **strong**, *slanted*, ``as it is``, `reference <target>`_.
 */
#include "rst.h"

#include <string.h>

#define STRONG "\033[1m"
#define SLANTED "\033[4m"
#define PLAIN "\033[0m"

/* ---- marks
 * ------------------------------------------------------------------------------------------
 */

/* The text between marks, and where it goes on; or NULL: there is no such mark here. */
static const char *
marked(const char *at, const char *mark, const char *end, gsize *length)
{
    gsize begin = strlen(mark);
    if (strncmp(at, mark, begin) != 0 || at[begin] == '\0' || at[begin] == ' ')
        return NULL;
    const char *last = strstr(at + begin, end);
    if (!last || last == at + begin || last[-1] == ' ')
        return NULL;
    *length = (gsize)(last - at - begin);
    return last + strlen(end);
}

static void
append_styled(GString *out, const char *text, gsize length, const char *style,
              gboolean styled)
{
    if (styled)
        g_string_append(out, style);
    for (const char *end = text + length; text < end; text++) {
        gboolean escapes = *text == '\\' && text + 1 < end;
        text += escapes;
        if (!escapes || *text != ' ')
            g_string_append_c(out, *text);
    }
    if (styled)
        g_string_append(out, PLAIN);
}

/* "text <target>" is the text, and where to look unless that says so. */
static void
append_reference(GString *out, const char *text, gsize length)
{
    g_autofree char *whole = g_strndup(text, length);
    char *target = g_str_has_suffix(whole, ">") ? strstr(whole, " <") : NULL;
    if (!target) {
        g_string_append(out, whole);
        return;
    }
    *target = '\0';
    whole[length - 1] = '\0';
    target += 2;
    g_string_append(out, whole);
    if (strstr(target, "://"))
        g_string_append_printf(out, " (%s)", target);
}

/* What stands at AT, if it is marked; where it goes on, or NULL. */
static const char *
append_marked(GString *out, const char *at, gboolean styled)
{
    gsize length;
    const char *next;
    if ((next = marked(at, "``", "``", &length)))
        g_string_append_len(out, at + 2, (gssize)length);
    else if ((next = marked(at, "**", "**", &length)))
        append_styled(out, at + 2, length, STRONG, styled);
    else if ((next = marked(at, "`", "`_", &length)))
        append_reference(out, at + 1, length);
    else if ((next = marked(at, "*", "*", &length)))
        append_styled(out, at + 1, length, SLANTED, styled);
    return next;
}

char *
rst_words(const char *text, gboolean styled)
{
    GString *out = g_string_new(NULL);
    const char *at = text;
    while (*at) {
        gboolean may_begin = at == text || !g_ascii_isalnum(at[-1]);
        const char *next = may_begin ? append_marked(out, at, styled) : NULL;
        if (!next && *at == '\\' && at[1]) {
            g_string_append_len(out, at + 1, at[1] != ' ');
            next = at + 2;
        }
        if (!next)
            g_string_append_c(out, *at);
        at = next ? next : at + 1;
    }
    return g_string_free(out, FALSE);
}

/* ---- lines
 * ------------------------------------------------------------------------------------------
 */

/* What is seen of WORD: no sequences of the terminal's. */
static guint
width_of(const char *word)
{
    guint width = 0;
    while (*word) {
        if (*word == '\033') {
            word += strcspn(word, "m");
            word += *word == 'm';
            continue;
        }
        width++;
        word = g_utf8_next_char(word);
    }
    return width;
}

void
rst_wrap(GString *out, const char *text, const char *first, const char *rest,
         guint columns)
{
    g_auto(GStrv) words = g_strsplit(text, " ", -1);
    guint at = width_of(first);
    gboolean begins = TRUE;
    g_string_append(out, first);
    for (char **word = words; *word; word++) {
        guint width = width_of(*word);
        if (**word == '\0')
            continue;
        if (!begins && at + 1 + width > columns) {
            g_string_append_printf(out, "\n%s", rest);
            at = width_of(rest);
            begins = TRUE;
        }
        g_string_append_printf(out, "%s%s", begins ? "" : " ", *word);
        at += width + !begins;
        begins = FALSE;
    }
    g_string_append_c(out, '\n');
}
