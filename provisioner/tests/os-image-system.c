/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "cache.h"
#include "os-image-system.h"

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
    };
    return cmocka_run_group_tests_name("os-image-system", tests, make_recipe,
                                       remove_recipe);
}
