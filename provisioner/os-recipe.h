/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Recipes: lists of packages of which the base of an image is built where there is none
 * to fetch. A recipe is a key file NAME.recipe (docs/operating-systems.rst), the user's
 * own before those that ship; what it does not say, the recipe that it comes from says.
 */
#pragma once

#include <gio/gio.h>

#include "servant.h"

typedef struct {
    char *id;     /* "debian12-libvirt" */
    char *name;   /* for people */
    char *debian; /* the release: "bookworm" */
    char *os;     /* of libosinfo's database: "debian12"; NULL: it does not say */
    GPtrArray *packages, *exclude, *modules; /* char * */
    gint64 size_bytes;
} OsRecipe;

void os_recipe_free(OsRecipe *recipe);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(OsRecipe, os_recipe_free)

/* HB_USAGE: there is none, or it is no recipe. */
OsRecipe *os_recipe_load(const char *id, GError **error);
/* Names of all, by the alphabet; ends with NULL. */
GStrv os_recipe_names(void);

typedef struct {
    const char *mirror, *proxy; /* or NULL */
    ServantEvent event;         /* or NULL */
    gpointer user_data;
    GCancellable *cancellable;
} OsRecipeBuild;

/* All that the base depends on, but what the packages are today: 64 digits. */
char *os_recipe_digest(const OsRecipe *recipe, const char *mirror);
/* A qcow2 disk that is one file system with these packages, in the cache; it is built if
 * it is not there. Its path, owned by the caller. */
char *os_recipe_base(const OsRecipe *recipe, const OsRecipeBuild *build, GError **error);
