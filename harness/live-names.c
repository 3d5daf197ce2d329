/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "live-names.h"

#include <string.h>

#include "error.h"
#include "nearest.h"

static char *
whole_name(const LiveName *name)
{
    return g_strconcat(name->lab->name, "/", name->host->name, NULL);
}

static gboolean
is_called(const LiveName *name, const char *text)
{
    g_autofree char *whole = whole_name(name);
    return g_str_equal(name->host->name, text) || g_str_equal(whole, text) ||
           (name->lab->hosts->len == 1 && g_str_equal(name->lab->name, text));
}

/* All that TEXT may mean, or (NULL) all there are: GArray of LiveName. */
static GArray *
find_all(const GPtrArray *labs, const char *text)
{
    GArray *found = g_array_new(FALSE, FALSE, sizeof(LiveName));
    for (guint i = 0; i < labs->len; i++) {
        const LiveLab *lab = labs->pdata[i];
        for (guint j = 0; j < lab->hosts->len; j++) {
            const LiveName name = {lab, lab->hosts->pdata[j]};
            if (!text || is_called(&name, text))
                g_array_append_val(found, name);
        }
    }
    return found;
}

/* "a/x, b/x"; owned by the caller. */
static char *
list_names(const GArray *names)
{
    GString *list = g_string_new(NULL);
    for (guint i = 0; i < names->len; i++) {
        g_autofree char *whole = whole_name(&g_array_index(names, LiveName, i));
        g_string_append_printf(list, "%s%s", i > 0 ? ", " : "", whole);
    }
    return g_string_free(list, FALSE);
}

const LiveLab *
live_name_lab(const GPtrArray *labs, const char *text)
{
    for (guint i = 0; i < labs->len; i++) {
        const LiveLab *lab = labs->pdata[i];
        if (g_str_equal(lab->name, text))
            return lab;
    }
    return NULL;
}

static void
add_name(GPtrArray *names, const char *name)
{
    if (!g_ptr_array_find_with_equal_func(names, name, g_str_equal, NULL))
        g_ptr_array_add(names, g_strdup(name));
}

/* What TEXT is probably meant to be, owned by the caller; NULL: nothing. */
static char *
nearest_host(const GArray *all, const char *text)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    for (guint i = 0; i < all->len; i++) {
        const LiveName *name = &g_array_index(all, LiveName, i);
        g_autofree char *whole = whole_name(name);
        add_name(names, strchr(text, '/') ? whole : name->host->name);
        if (name->lab->hosts->len == 1 && !strchr(text, '/'))
            add_name(names, name->lab->name);
    }
    g_ptr_array_add(names, NULL);
    return g_strdup(nearest_name(text, (const char *const *)names->pdata));
}

static void
set_unknown(const GPtrArray *labs, const char *text, GError **error)
{
    g_autoptr(GArray) all = find_all(labs, NULL);
    const LiveLab *lab = live_name_lab(labs, text);
    if (lab && lab->hosts->len > 0) {
        g_autofree char *list =
            g_strdup_printf("%s/%s", lab->name, ((LiveHost *)lab->hosts->pdata[0])->name);
        g_set_error(error, HB_ERROR, HB_USAGE,
                    "'%s' is a lab of %u hosts; name one of them, as in %s", text,
                    lab->hosts->len, list);
        return;
    }
    g_autofree char *list = list_names(all);
    g_autofree char *otherwise =
        all->len == 0  ? g_strdup("no host is; 'hostbed up LAB' brings those of a lab up")
        : all->len < 9 ? g_strdup_printf("there are %s", list)
                       : g_strdup("'hostbed list' tells which are");
    g_autofree char *meant = nearest_host(all, text);
    g_autofree char *hint = nearest_hint(meant, otherwise);
    g_set_error(error, HB_ERROR, HB_USAGE, "no host '%s' is up; %s", text, hint);
}

gboolean
live_name_host(const GPtrArray *labs, const char *text, LiveName *found, GError **error)
{
    g_autoptr(GArray) all = find_all(labs, text);
    if (all->len == 1) {
        *found = g_array_index(all, LiveName, 0);
        return TRUE;
    }
    if (all->len == 0) {
        set_unknown(labs, text, error);
        return FALSE;
    }
    g_autofree char *list = list_names(all);
    g_set_error(error, HB_ERROR, HB_USAGE, "'%s' may be each of %s; say which", text,
                list);
    return FALSE;
}

char *
live_name_no_lab(const GPtrArray *labs, const char *text, gboolean *is_mistake)
{
    g_autoptr(GArray) hosts = find_all(labs, text);
    *is_mistake = TRUE;
    if (hosts->len > 0)
        return g_strdup_printf("'%s' is a host of the lab '%s', which goes down as a "
                               "whole: hostbed down %s",
                               text, g_array_index(hosts, LiveName, 0).lab->name,
                               g_array_index(hosts, LiveName, 0).lab->name);
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    for (guint i = 0; i < labs->len; i++)
        g_ptr_array_add(names, ((LiveLab *)labs->pdata[i])->name);
    g_ptr_array_add(names, NULL);
    const char *meant = nearest_name(text, (const char *const *)names->pdata);
    *is_mistake = meant != NULL;
    g_autofree char *hint = nearest_hint(meant, "nothing is to be done");
    return g_strdup_printf("no lab '%s' is up; %s", text, hint);
}

char *
live_name_of(const GPtrArray *labs, const LiveLab *lab, const LiveHost *host)
{
    g_autoptr(GArray) all = find_all(labs, host->name);
    const LiveName whole = {lab, host};
    return all->len == 1 ? g_strdup(host->name) : whole_name(&whole);
}
