/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tap-line.h"

#include <string.h>

static gboolean
skip_word(const char **p, const char *word)
{
    if (!g_str_has_prefix(*p, word))
        return FALSE;
    *p += strlen(word);
    return TRUE;
}

void
tap_line_skip_blanks(const char **p)
{
    while (**p == ' ' || **p == '\t')
        (*p)++;
}

/* A number that ends at a blank, '#' or the end; at most G_MAXINT32, which no plan
 * reaches. */
static gboolean
read_number(const char **p, gint64 *number)
{
    const char *start = *p;
    gint64 value = 0;
    while (g_ascii_isdigit(**p)) {
        value = MIN(value * 10 + (**p - '0'), G_MAXINT32);
        (*p)++;
    }
    if (*p == start || (**p && !strchr(" \t#", **p))) {
        *p = start;
        return FALSE;
    }
    *number = value;
    return TRUE;
}

/* The '#' that starts a directive: not escaped, at the start or behind a blank, and
 * followed by one of the two words. Any other '#' is part of the description. */
static const char *
find_directive(const char *text, TapDirective *directive, const char **reason)
{
    for (const char *p = text; *p; p++) {
        if (*p == '\\' && p[1]) {
            p++;
            continue;
        }
        if (*p != '#' || (p != text && p[-1] != ' ' && p[-1] != '\t'))
            continue;
        const char *word = p + 1;
        tap_line_skip_blanks(&word);
        if (g_ascii_strncasecmp(word, "skip", 4) != 0 &&
            g_ascii_strncasecmp(word, "todo", 4) != 0)
            continue;
        *directive =
            g_ascii_tolower(*word) == 's' ? TAP_DIRECTIVE_SKIP : TAP_DIRECTIVE_TODO;
        while (*word && *word != ' ' && *word != '\t')
            word++; /* "SKIPPED", "skip:" */
        tap_line_skip_blanks(&word);
        *reason = word;
        return p;
    }
    return NULL;
}

static char *
unescape(const char *text, gsize length)
{
    GString *plain = g_string_sized_new(length);
    for (gsize i = 0; i < length; i++) {
        if (text[i] == '\\' && i + 1 < length &&
            (text[i + 1] == '#' || text[i + 1] == '\\'))
            i++;
        g_string_append_c(plain, text[i]);
    }
    return g_strstrip(g_string_free(plain, FALSE));
}

void
tap_point_clear(TapPoint *point)
{
    g_free(point->name);
    g_free(point->reason);
}

gboolean
tap_line_point(const char *line, TapPoint *point)
{
    const char *p = line;
    point->ok = !skip_word(&p, "not ok");
    if (point->ok && !skip_word(&p, "ok"))
        return FALSE;
    if (*p && *p != ' ' && *p != '\t')
        return FALSE;
    tap_line_skip_blanks(&p);
    point->number = -1;
    if (read_number(&p, &point->number))
        tap_line_skip_blanks(&p);
    if (*p == '-' && (p[1] == ' ' || p[1] == '\0'))
        p++;
    tap_line_skip_blanks(&p);

    const char *reason = "", *hash = find_directive(p, &point->directive, &reason);
    point->name = unescape(p, hash ? (gsize)(hash - p) : strlen(p));
    point->reason = g_strdup(reason);
    return TRUE;
}

gboolean
tap_line_plan(const char *line, gint64 *count, char **skip_reason)
{
    const char *p = line;
    if (!skip_word(&p, "1.."))
        return FALSE;
    if (!read_number(&p, count))
        return FALSE;
    tap_line_skip_blanks(&p);
    TapDirective directive = TAP_DIRECTIVE_NONE;
    const char *reason = "";
    if (find_directive(p, &directive, &reason) && directive == TAP_DIRECTIVE_SKIP)
        *skip_reason = g_strdup(reason);
    return TRUE;
}
