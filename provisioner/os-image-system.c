/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "os-image-system.h"

#include "error.h"
#include "fetch.h"
#include "os-image.h"
#include "os-lookup.h"

/* The name of the system's that a recipe has, borrowed; NULL: none has. */
static const char *
recipe_of(const OsFacts *facts)
{
    for (guint i = 0; i < facts->short_ids->len; i++)
        if (os_image_is_recipe(facts->short_ids->pdata[i]))
            return facts->short_ids->pdata[i];
    return NULL;
}

static char *
fetch_image(const OsImageSource *source, ServantEvent event, gpointer user_data,
            GCancellable *cancellable, GError **error)
{
    const char *const urls[] = {source->url, NULL};
    g_autofree char *list = fetch_vendor_list(source->url);
    const FetchRequest request = {.urls = urls, .checksums = list};
    g_autoptr(Fetched) fetched =
        fetch_file(&request, event, user_data, cancellable, error);
    return fetched ? g_strdup(fetched->path) : NULL;
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
