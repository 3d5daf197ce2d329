/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "nearest.h"

#include <string.h>

/* How many insertions, removals, changes and swaps of neighbours lead from A to B
 * (Damerau's restricted distance), with case and '_' for '-' not counted. Words longer
 * than ROWS are far. */
static guint
distance(const char *a, const char *b)
{
    enum {
        ROWS = 40
    };
    g_autofree char *x = g_strdelimit(g_ascii_strdown(a, -1), "_", '-');
    g_autofree char *y = g_strdelimit(g_ascii_strdown(b, -1), "_", '-');
    gsize m = strlen(x), n = strlen(y);
    if (m >= ROWS || n >= ROWS)
        return G_MAXUINT;
    guint d[ROWS][ROWS];
    for (gsize i = 0; i <= m; i++)
        for (gsize j = 0; j <= n; j++) {
            if (i == 0 || j == 0) {
                d[i][j] = (guint)(i + j);
                continue;
            }
            guint change = d[i - 1][j - 1] + (x[i - 1] != y[j - 1]);
            d[i][j] = MIN(change, MIN(d[i - 1][j], d[i][j - 1]) + 1);
            if (i > 1 && j > 1 && x[i - 1] == y[j - 2] && x[i - 2] == y[j - 1])
                d[i][j] = MIN(d[i][j], d[i - 2][j - 2] + 1);
        }
    return d[m][n];
}

const char *
nearest_name(const char *text, const char *const *names)
{
    const char *nearest = NULL;
    guint least = G_MAXUINT;
    for (; *names; names++) {
        guint far = distance(text, *names);
        gboolean close = far <= MAX(1, strlen(*names) / 3) && far < strlen(*names);
        if (close && far < least) {
            least = far;
            nearest = *names;
        }
    }
    return nearest;
}

static gint
compare_names(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

const char *
nearest_key(const char *text, GHashTable *table, gboolean (*is_fit)(gconstpointer value))
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    GHashTableIter iter;
    gpointer key, value;
    g_hash_table_iter_init(&iter, table);
    while (g_hash_table_iter_next(&iter, &key, &value))
        if (!is_fit || is_fit(value))
            g_ptr_array_add(names, key);
    g_ptr_array_sort(names, compare_names);
    g_ptr_array_add(names, NULL);
    return nearest_name(text, (const char *const *)names->pdata);
}

char *
nearest_hint(const char *meant, const char *otherwise)
{
    return meant ? g_strdup_printf("did you mean %s?", meant) : g_strdup(otherwise);
}

char *
nearest_or_all(const char *text, GPtrArray *names, const char *none)
{
    g_autofree char *all = g_strjoinv(", ", (GStrv)names->pdata);
    g_autofree char *there = g_strconcat("there are ", all, NULL);
    return nearest_hint(nearest_name(text, (const char *const *)names->pdata),
                        *all ? there : none);
}
