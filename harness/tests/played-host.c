/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "played-host.h"

const char *
played_retried(void *host)
{
    return NULL;
}

Accel
played_accel(void *host)
{
    return ACCEL_TCG;
}

gboolean
played_put(void *host, const char *path, guint mode, GBytes *content, GError **error)
{
    return TRUE;
}

gboolean
played_sound(void *host, GError **error)
{
    return TRUE;
}

GPtrArray *
played_suites(const char *const *names)
{
    GPtrArray *list = g_ptr_array_new();
    for (; *names; names++)
        g_ptr_array_add(list, (gpointer)suite_find(*names));
    return list;
}
