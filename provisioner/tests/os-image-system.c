/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "autoptr.h"
#include "cache.h"
#include "fetch-store.h"
#include "os-image-system.h"
#include "os-lookup.h"

static void
a_system_has_the_recipe_of_its_name(void **state)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *from = os_image_of_system("plan9", NULL, NULL, NULL, &error);
    assert_null(error);
    assert_string_equal(from, "plan9");
}

/* Also on a machine that has no libosinfo: the reason is told. */
static void
what_nobody_knows_is_an_error(void **state)
{
    g_autoptr(GError) error = NULL;
    assert_null(os_image_of_system("no-such-system", NULL, NULL, NULL, &error));
    assert_non_null(error);
    assert_true(strlen(error->message) > 0);
}

/* The built programs and the database of this tree. */
static void
use_built(void)
{
    const char *built = g_getenv("HOSTBED_BUILD_DIR"),
               *source = g_getenv("HOSTBED_SOURCE_DIR");
    if (!built || !source)
        skip();
    g_autofree char *programs = g_strdup_printf("%s/provisioner:%s/osdb", built, built);
    g_autofree char *data = g_build_filename(source, "osdb", "data", NULL);
    g_setenv("HOSTBED_LIBEXEC_DIR", programs, TRUE);
    g_setenv("HOSTBED_OSDB_DIR", data, TRUE);
}

/* What the store has by the address of an image of debian12's; NULL: nobody can say
 * what that is. */
static char *
fetch_before(void)
{
    g_autoptr(OsFacts) facts = os_lookup("debian12", NULL);
    g_autoptr(GError) error = NULL;
    const OsImageSource *source = facts ? facts->images->pdata[0] : NULL;
    if (!source)
        return NULL;
    assert_string_equal(source->format, "qcow2");
    g_autofree char *sha256 = g_compute_checksum_for_string(G_CHECKSUM_SHA256, "x", 1);
    g_autofree char *dir = cache_dir(FETCH_STORE_PARTIAL, &error);
    g_autofree char *partial = g_build_filename(dir, "part", NULL);
    assert_true(g_file_set_contents(partial, "x", 1, &error));
    g_auto(AutoFd) fd = open(partial, O_RDWR | O_CLOEXEC);
    char *path = fetch_store_take(fd, partial, sha256, &error);
    assert_non_null(path);
    fetch_store_remember(source->url, sha256);
    return path;
}

static void
hear(JsonObject *event, gpointer user_data)
{
    char **last = user_data;
    g_free(*last);
    *last = g_strdup(json_object_get_string_member(event, "what"));
}

/* Its vendor has a list, which nobody reaches by this proxy. */
static void
what_was_fetched_needs_no_network(void **state)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *said = NULL;
    g_setenv("https_proxy", "http://127.0.0.1:1", TRUE);
    g_setenv("HOSTBED_RECIPES_DIR", *state, TRUE);
    use_built();
    g_autofree char *before = fetch_before();
    if (before) {
        g_autofree char *from = os_image_of_system("debian12", hear, &said, NULL, &error);
        assert_null(error);
        assert_string_equal(from, before);
        assert_non_null(strstr(said, "as it was fetched before: "));
        assert_int_equal(unlink(before), 0);
        assert_null(os_image_of_system("debian12", hear, &said, NULL, &error));
        assert_non_null(error);
    }
    g_unsetenv("HOSTBED_RECIPES_DIR");
    if (!before)
        skip();
}

/* A user's own recipe. */
static int
make_recipe(void **state)
{
    char *folder = g_dir_make_tmp("hostbed-recipes-XXXXXX", NULL);
    g_autofree char *recipes = g_build_filename(folder, "hostbed", "recipes", NULL);
    g_autofree char *file = g_build_filename(recipes, "plan9.recipe", NULL);
    g_setenv("XDG_DATA_HOME", folder, TRUE);
    g_setenv("XDG_CACHE_HOME", folder, TRUE);
    g_mkdir_with_parents(recipes, 0700);
    *state = folder;
    return g_file_set_contents(
               file, "[recipe]\nname=Plan 9\ndebian=bookworm\npackages=bash;\n", -1, NULL)
               ? 0
               : -1;
}

static int
remove_recipe(void **state)
{
    cache_remove_tree(*state);
    g_free(*state);
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_system_has_the_recipe_of_its_name),
        cmocka_unit_test(what_nobody_knows_is_an_error),
        cmocka_unit_test(what_was_fetched_needs_no_network),
    };
    return cmocka_run_group_tests_name("os-image-system", tests, make_recipe,
                                       remove_recipe);
}
