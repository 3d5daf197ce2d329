/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "libvirt-alias.h"

#include <string.h>

#define PREFIX "ua-"

char *
libvirt_alias(const char *id)
{
    GString *alias = g_string_new(PREFIX);
    for (const char *p = id; *p; p++) {
        if (*p == '.')
            g_string_append_c(alias, '_');
        else if (*p == '_')
            g_string_append(alias, "-u");
        else if (*p == '-')
            g_string_append(alias, "--");
        else
            g_string_append_c(alias, *p);
    }
    return g_string_free(alias, FALSE);
}

char *
libvirt_alias_id(const char *alias)
{
    if (!g_str_has_prefix(alias, PREFIX))
        return NULL;
    GString *id = g_string_new(NULL);
    for (const char *p = alias + sizeof PREFIX - 1; *p; p++) {
        if (*p == '_')
            g_string_append_c(id, '.');
        else if (*p == '-' && (p[1] == 'u' || p[1] == '-'))
            g_string_append_c(id, *++p == 'u' ? '_' : '-');
        else
            g_string_append_c(id, *p);
    }
    return g_string_free(id, FALSE);
}

char *
libvirt_alias_of_bus(const char *bus)
{
    return g_str_equal(bus, "pcie.0") ? g_strdup(bus) : libvirt_alias(bus);
}

char *
libvirt_alias_of_path(const char *path)
{
    static const char list[] = "/machine/peripheral/";
    if (!g_str_has_prefix(path, list))
        return g_strdup(path);
    const char *id = path + sizeof list - 1;
    const gsize length = strcspn(id, "/");
    g_autofree char *name = g_strndup(id, length);
    g_autofree char *alias = length > 0 ? libvirt_alias(name) : g_strdup("");
    return g_strconcat(list, alias, id + length, NULL);
}

char *
libvirt_alias_of_line(const char *line)
{
    g_auto(GStrv) words = g_strsplit(line, " ", -1);
    for (char **word = words; *word; word++) {
        g_autofree char *before = *word;
        *word = libvirt_alias_of_path(before);
    }
    return g_strjoinv(" ", words);
}

char *
libvirt_alias_of_port(guint index, gboolean out)
{
    return g_strdup_printf(PREFIX "net-%s-%u", out ? "out" : "in", index);
}
