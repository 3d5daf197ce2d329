/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "os-image-system.h"

#include "error.h"
#include "fetch.h"
#include "os-image.h"
#include "os-lookup.h"

/* How long a server may be silent where there is another way. */
#define STALL_S 5

/* The name of the system's that a recipe has, borrowed; NULL: none has. */
static const char *
recipe_of(const OsFacts *facts)
{
    for (guint i = 0; i < facts->short_ids->len; i++)
        if (os_image_is_recipe(facts->short_ids->pdata[i]))
            return facts->short_ids->pdata[i];
    return NULL;
}

static void
tell(ServantEvent event, gpointer user_data, const char *url, const char *why)
{
    g_autofree char *name = fetch_file_name(url);
    g_autofree char *what = g_strdup_printf("%s as it was fetched before: %s", name, why);
    servant_say(event, user_data, what);
}

/* What was fetched stays good: a host whose vendor cannot be asked starts all the same,
 * and nobody is asked who could not say whether there is something new. */
static char *
fetch_image(const OsImageSource *source, ServantEvent event, gpointer user_data,
            GCancellable *cancellable, GError **error)
{
    const char *const urls[] = {source->url, NULL};
    g_autofree char *list = fetch_vendor_list(source->url);
    const FetchRequest kept = {.urls = urls, .offline = TRUE};
    g_autoptr(Fetched) before = fetch_file(&kept, NULL, NULL, NULL, NULL);
    if (before && !list) {
        tell(event, user_data, source->url, "its vendor lists no checksums");
        return g_strdup(before->path);
    }
    const FetchRequest request = {
        .urls = urls, .checksums = list, .stall_s = before ? STALL_S : 0};
    g_autoptr(GError) failure = NULL;
    g_autoptr(Fetched) fetched =
        fetch_file(&request, event, user_data, cancellable, &failure);
    if (fetched)
        return g_strdup(fetched->path);
    if (!before || hb_error_status(failure) == HB_INTERRUPTED) {
        g_propagate_error(error, g_steal_pointer(&failure));
        return NULL;
    }
    tell(event, user_data, source->url, failure->message);
    return g_strdup(before->path);
}

static gboolean
is_disk(const OsImageSource *source)
{
    return g_str_equal(source->format, "qcow2") || g_str_equal(source->format, "raw");
}

char *
os_image_of_system(const char *os, ServantEvent event, gpointer user_data,
                   GCancellable *cancellable, GError **error)
{
    if (os_image_is_recipe(os))
        return g_strdup(os);
    g_autoptr(OsFacts) facts = os_lookup(os, error);
    if (!facts)
        return NULL;
    if (recipe_of(facts))
        return g_strdup(recipe_of(facts));
    for (guint i = 0; i < facts->images->len; i++)
        if (is_disk(facts->images->pdata[i]))
            return fetch_image(facts->images->pdata[i], event, user_data, cancellable,
                               error);
    g_set_error(error, HB_ERROR, HB_UNSUPPORTED,
                "no recipe is called %s, and libosinfo knows no disk image of it; name a "
                "disk, a tarball or a folder with <image from='…'>",
                os);
    return NULL;
}
