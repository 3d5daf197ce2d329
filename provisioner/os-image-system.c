/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "os-image-system.h"

#include "error.h"
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

char *
os_image_of_system(const char *os, GError **error)
{
    if (os_image_is_recipe(os))
        return g_strdup(os);
    g_autoptr(OsFacts) facts = os_lookup(os, error);
    if (!facts)
        return NULL;
    if (recipe_of(facts))
        return g_strdup(recipe_of(facts));
    g_set_error(error, HB_ERROR, HB_UNSUPPORTED,
                "no recipe is called %s; name a disk, a tarball or a folder with <image "
                "from='…'>",
                os);
    return NULL;
}
