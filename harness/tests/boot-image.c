/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The disks of hosts with an image: what a start gets, what a copy of a recipe has, and
 * what is handed to another process.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "boot-private.h"
#include "image-fixture.h"
#include "template-hand.h"
#include "template-private.h"

#define CAPACITY ((gint64)1 << 30)

static int
base_new(const char *text)
{
    int fd = memfd_create("base", MFD_CLOEXEC);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    return fd;
}

/* Of an image with two layers. */
static BootRecipe *
recipe_new(const Plan *plan)
{
    BootRecipe *recipe = g_rc_box_new0(BootRecipe);
    int below = base_new("below"), above = base_new("above");
    recipe->plan = plan;
    recipe->root_words = g_strdup("root=UUID=1");
    recipe->disk_bytes = CAPACITY;
    recipe->disk_fds = boot_fds_new();
    g_array_append_val(recipe->disk_fds, below);
    g_array_append_val(recipe->disk_fds, above);
    recipe->memory_fds = boot_fds_new();
    recipe->accel = g_new0(AccelVerdict, 1);
    recipe->accel->accel = ACCEL_TCG;
    recipe->accel->reason = g_strdup("because");
    recipe->kernel = g_new0(Kernel, 1);
    recipe->kernel->release = g_strdup("6.1");
    return recipe;
}

static void
assert_content(const GArray *fds, guint index, const char *expected)
{
    char text[16] = "";
    assert_true(index < fds->len);
    assert_true(pread(g_array_index(fds, int, index), text, strlen(expected), 0) > 0);
    assert_string_equal(text, expected);
}

/* The same files, by descriptors of their own. */
static void
assert_same(const GArray *one, const GArray *other, guint count)
{
    for (guint i = 0; i < count; i++) {
        struct stat a, b;
        assert_int_not_equal(g_array_index(one, int, i), g_array_index(other, int, i));
        assert_int_equal(fstat(g_array_index(one, int, i), &a), 0);
        assert_int_equal(fstat(g_array_index(other, int, i), &b), 0);
        assert_int_equal(a.st_ino, b.st_ino);
    }
}

/* The disk of a start from RECIPE that goes on with BEFORE. */
static GArray *
take_disk(BootRecipe *recipe, const GArray *before)
{
    Boot boot = {.recipe = recipe};
    assert_true(boot_take_disk(&boot, before, NULL));
    return boot.disk_fds;
}

static void
each_start_has_a_file_of_its_own(void **state)
{
    Plan plan = {.cells = g_ptr_array_new()};
    g_autoptr(BootRecipe) recipe = recipe_new(&plan);
    g_autoptr(GArray) first = take_disk(recipe, NULL);
    g_autoptr(GArray) second = take_disk(recipe, NULL);
    struct stat a, b;
    assert_int_equal(first->len, 3);
    assert_same(first, recipe->disk_fds, 2);
    assert_same(first, second, 2);
    assert_int_equal(fstat(g_array_index(first, int, 2), &a), 0);
    assert_int_equal(fstat(g_array_index(second, int, 2), &b), 0);
    assert_int_not_equal(a.st_ino, b.st_ino);
    assert_int_equal(a.st_nlink, 0);
    assert_content(first, 2, "QFI\xfb");
    g_ptr_array_unref(plan.cells);
}

static void
a_disk_outlives_its_start(void **state)
{
    Plan plan = {.cells = g_ptr_array_new()};
    g_autoptr(BootRecipe) recipe = recipe_new(&plan);
    g_autoptr(BootRecipe) other = recipe_new(&plan);
    g_autoptr(GArray) first = take_disk(recipe, NULL);
    g_autoptr(GArray) second = take_disk(recipe, first);
    assert_same(first, second, 3);
    /* Of another image what was written means nothing. */
    g_autoptr(GArray) third = take_disk(other, first);
    assert_same(third, other->disk_fds, 2);
    struct stat a, b;
    assert_int_equal(fstat(g_array_index(first, int, 2), &a), 0);
    assert_int_equal(fstat(g_array_index(third, int, 2), &b), 0);
    assert_int_not_equal(a.st_ino, b.st_ino);
    Boot without = {.recipe = recipe};
    g_clear_pointer(&recipe->disk_fds, g_array_unref);
    assert_true(boot_take_disk(&without, NULL, NULL));
    assert_null(without.disk_fds);
    g_ptr_array_unref(plan.cells);
}

static void
a_copy_of_a_recipe_outlives_nothing_of_it(void **state)
{
    Plan plan = {.cells = g_ptr_array_new()};
    g_autoptr(BootRecipe) recipe = recipe_new(&plan);
    g_autoptr(BootRecipe) copy = boot_recipe_copy(recipe, NULL);
    assert_non_null(copy);
    assert_same(copy->disk_fds, recipe->disk_fds, 2);
    int more = base_new("more");
    g_array_append_val(copy->disk_fds, more);
    assert_int_equal(recipe->disk_fds->len, 2);
    assert_string_equal(copy->root_words, "root=UUID=1");
    g_ptr_array_unref(plan.cells);
}

static void
the_disk_is_handed_over_with_the_memory(void **state)
{
    Plan plan = {.cells = g_ptr_array_new()};
    Template template = {.recipe = recipe_new(&plan), .state_fd = base_new("state")};
    int memory = base_new("memory");
    g_array_append_val(template.recipe->memory_fds, memory);
    g_autoptr(GArray) fds = g_array_new(FALSE, FALSE, sizeof(int));
    g_autoptr(JsonObject) object = template_hand(&template, fds);
    assert_int_equal(fds->len, 4);

    /* As the other process finds them, side by side. */
    int first = 500;
    for (guint i = 0; i < fds->len; i++)
        assert_int_equal(dup2(g_array_index(fds, int, i), first + (int)i),
                         first + (int)i);
    g_autoptr(Template) taken = template_take(object, &plan, first, NULL);
    assert_non_null(taken);
    assert_content(taken->recipe->memory_fds, 0, "memory");
    assert_int_equal(taken->recipe->disk_fds->len, 2);
    assert_content(taken->recipe->disk_fds, 0, "below");
    assert_content(taken->recipe->disk_fds, 1, "above");
    assert_int_equal(taken->recipe->disk_bytes, CAPACITY);
    assert_string_equal(taken->recipe->root_words, "root=UUID=1");
    for (int fd = first; fd < first + 4; fd++)
        assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
    close(template.state_fd);
    boot_recipe_unref(template.recipe);
    g_ptr_array_unref(plan.cells);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_start_has_a_file_of_its_own),
        cmocka_unit_test(a_disk_outlives_its_start),
        cmocka_unit_test(a_copy_of_a_recipe_outlives_nothing_of_it),
        cmocka_unit_test(the_disk_is_handed_over_with_the_memory),
    };
    return cmocka_run_group_tests_name("boot-image", tests, fake_root_setup,
                                       fake_root_teardown);
}
