/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "measure.h"

#define FORM                                                                             \
    "^measure ([a-z0-9][a-z0-9-]{0,39}) (-?[0-9]{1,15}(?:\\.[0-9]{1,6})?) "              \
    "([A-Za-z/%]{1,10})$"

Measure *
measure_parse(const char *text)
{
    static GRegex *form;
    if (g_once_init_enter(&form)) {
        GRegex *compiled = g_regex_new(FORM, G_REGEX_DOLLAR_ENDONLY, 0, NULL);
        g_once_init_leave(&form, compiled);
    }
    g_autoptr(GMatchInfo) match = NULL;
    if (!g_regex_match(form, text, 0, &match))
        return NULL;
    Measure *measure = g_new0(Measure, 1);
    measure->name = g_match_info_fetch(match, 1);
    measure->value = g_match_info_fetch(match, 2);
    measure->unit = g_match_info_fetch(match, 3);
    return measure;
}

void
measure_free(Measure *measure)
{
    if (!measure)
        return;
    g_free(measure->name);
    g_free(measure->value);
    g_free(measure->unit);
    g_free(measure);
}

char *
measure_text(const Measure *measure)
{
    return g_strdup_printf("measure %s %s %s", measure->name, measure->value,
                           measure->unit);
}

static void
free_element(gpointer measure)
{
    measure_free(measure);
}

GPtrArray *
measures_new(void)
{
    return g_ptr_array_new_with_free_func(free_element);
}
