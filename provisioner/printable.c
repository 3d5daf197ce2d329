/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "printable.h"

#include <string.h>

char *
printable(const void *bytes, gsize length, gsize maximum)
{
    const char *at = bytes, *end = at + length;
    while (at < end && g_ascii_isspace(*at))
        at++;
    while (end > at && (g_ascii_isspace(end[-1]) || end[-1] == '\0'))
        end--;
    GString *text = g_string_new(NULL);
    while (at < end && text->len < maximum) {
        gunichar c = g_utf8_get_char_validated(at, end - at);
        if (c == (gunichar)-1 || c == (gunichar)-2 || c == 0) {
            g_string_append_c(text, '?');
            at++;
            continue;
        }
        if (c == '\t')
            g_string_append_c(text, ' ');
        else
            g_string_append_unichar(text, g_unichar_iscntrl(c) ? '?' : c);
        at = g_utf8_next_char(at);
    }
    if (at < end)
        g_string_append(text, "…");
    return g_string_free(text, FALSE);
}
