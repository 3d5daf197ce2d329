/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * An observation without what the one who compares knows better than the host: functions
 * that have left their ports, and of which nobody has told it.
 */
#include <string.h>

#include "compare.h"

/* Set of the addresses of what LINES say is right behind PORTS. */
static GHashTable *
functions_behind(char **lines, const char *const *ports)
{
    GHashTable *functions = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    for (; *lines; lines++) {
        if (!g_str_has_prefix(*lines, "pci "))
            continue;
        g_auto(GStrv) words = g_strsplit(*lines, " ", 5);
        if (g_strv_length(words) == 4 && g_str_equal(words[2], "parent") &&
            g_strv_contains(ports, words[3]))
            g_hash_table_add(functions, g_strdup(words[1]));
    }
    return functions;
}

static gboolean
is_about(const char *line, GHashTable *functions)
{
    if (!g_str_has_prefix(line, "pci "))
        return FALSE;
    g_auto(GStrv) words = g_strsplit(line, " ", 3);
    return words[1] && g_hash_table_contains(functions, words[1]);
}

/* The GROUP's line without FUNCTIONS, empty if it has no other members; NULL: it has none
 * of them. Owned by the caller. */
static char *
group_without(const char *group, GHashTable *functions)
{
    g_autoptr(GString) rest = g_string_new("group");
    g_auto(GStrv) words = g_strsplit(group, " ", -1);
    gboolean has_any = FALSE;
    for (guint i = 1; words[i]; i++) {
        if (g_hash_table_contains(functions, words[i]))
            has_any = TRUE;
        else
            g_string_append_printf(rest, " %s", words[i]);
    }
    if (!has_any)
        return NULL;
    return g_strdup(strchr(rest->str, ' ') ? rest->str : "");
}

static gint
compare_lines(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The lines of both, each where it belongs, so that what was in order stays so; those of
 * GROUPS are in order. Owned by the caller. */
static char *
merge(const GPtrArray *lines, const GPtrArray *groups)
{
    guint next = 0;
    g_autoptr(GPtrArray) all = g_ptr_array_new();
    for (guint i = 0; i < lines->len; i++) {
        const char *line = lines->pdata[i];
        while (next < groups->len && (!*line || strcmp(groups->pdata[next], line) < 0))
            g_ptr_array_add(all, groups->pdata[next++]);
        g_ptr_array_add(all, (gpointer)line);
    }
    g_ptr_array_add(all, NULL);
    return g_strjoinv("\n", (GStrv)all->pdata);
}

char *
compare_forget_behind(const char *observation, const char *const *ports)
{
    g_auto(GStrv) lines = g_strsplit(observation, "\n", -1);
    g_autoptr(GHashTable) functions = functions_behind(lines, ports);
    g_autoptr(GPtrArray) kept = g_ptr_array_new();
    g_autoptr(GPtrArray) groups = g_ptr_array_new_with_free_func(g_free);
    for (char **line = lines; *line; line++) {
        g_autofree char *rest =
            g_str_has_prefix(*line, "group ") ? group_without(*line, functions) : NULL;
        if (rest && *rest)
            g_ptr_array_add(groups, g_steal_pointer(&rest));
        else if (!rest && !is_about(*line, functions))
            g_ptr_array_add(kept, *line);
    }
    g_ptr_array_sort(groups, compare_lines);
    return merge(kept, groups);
}
