/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <string.h>

#include "cache.h"
#include "units.h"

char *
cache_path(const char *kind, const char *name)
{
    return g_build_filename(g_get_user_cache_dir(), "hostbed", kind, name, NULL);
}

static gboolean
is_key(const char *name)
{
    return strlen(name) == 64 && strspn(name, "0123456789abcdef") == 64;
}

GPtrArray *
cache_keys(const char *kind)
{
    GPtrArray *keys = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *path = cache_path(kind, NULL);
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    const char *name;
    while (dir && (name = g_dir_read_name(dir)))
        if (is_key(name))
            g_ptr_array_add(keys, g_strdup(name));
    return keys;
}

gboolean
cache_remove_key(const char *kind, const char *key)
{
    g_autofree char *path = cache_path(kind, key);
    g_autofree char *word = g_strdup_printf(".new-gone-%08x", g_random_int());
    g_autofree char *aside = cache_path(kind, word);
    /* What is aside goes with the next prune, should we die. */
    if (!is_key(key) || rename(path, aside) != 0)
        return FALSE;
    cache_remove_tree(aside);
    return TRUE;
}

gint64
cache_maximum(const char *variable, gint64 default_bytes, GError **error)
{
    gint64 bytes = 0;
    const char *text = g_getenv(variable);
    if (!text || !*text)
        return default_bytes;
    if (units_parse_size(text, &bytes, error))
        return bytes;
    g_prefix_error(error, "%s '%s' ", variable, text);
    return -1;
}
