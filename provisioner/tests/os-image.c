/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "error.h"
#include "image-fixture.h"
#include "os-image-parts.h"

/* A key of 64 times DIGIT. */
static char *
key_of(char digit)
{
    return g_strnfill(64, digit);
}

/* An image with a disk of SIZE bytes; its folder. */
static char *
make_image(char digit, gsize size, gboolean has_initrd)
{
    g_autofree char *key = key_of(digit);
    g_autofree char *content = g_strnfill(size, 'd');
    g_autoptr(CacheFolder) folder = cache_folder_new(OS_IMAGE_KIND, NULL);
    assert_non_null(folder);
    g_free(fake_write_text(folder->path, OS_IMAGE_DISK_FILE, content));
    g_free(fake_write_text(folder->path, OS_IMAGE_KERNEL_FILE, "kernel"));
    if (has_initrd)
        g_free(fake_write_text(folder->path, OS_IMAGE_INITRD_FILE, "initrd"));
    g_autoptr(JsonObject) about = json_object_new();
    json_object_set_string_member(about, "os", "debian12");
    json_object_set_string_member(about, "name", "Debian 12");
    json_object_set_string_member(about, "release", "6.1.0");
    json_object_set_string_member(about, "root", "root=UUID=1 rw");
    json_object_set_boolean_member(about, "initrd", has_initrd);
    json_object_set_boolean_member(about, "loader", TRUE);
    json_object_set_int_member(about, "capacity", 1 << 30);
    g_autoptr(GError) error = NULL;
    assert_true(os_image_commit(folder, key, "debian12", about, &error));
    return os_image_folder(key);
}

static void
remove_all(void)
{
    g_autoptr(GPtrArray) list = os_image_list();
    for (guint i = 0; i < list->len; i++)
        assert_true(os_image_remove(((OsImage *)list->pdata[i])->key, NULL));
}

static void
an_image_says_what_it_is(void **state)
{
    g_autofree char *path = make_image('a', 10000, TRUE);
    g_autoptr(OsImage) image = os_image_open(path, NULL);
    assert_non_null(image);
    assert_string_equal(image->os, "debian12");
    assert_string_equal(image->root, "root=UUID=1 rw");
    assert_string_equal(image->from, "debian12");
    assert_string_equal(image->release, "6.1.0");
    assert_true(image->has_loader);
    assert_true(g_file_test(image->initrd, G_FILE_TEST_IS_REGULAR));
    assert_true(g_file_test(image->disk, G_FILE_TEST_IS_REGULAR));
    assert_int_equal(image->capacity, 1 << 30);
    g_clear_pointer(&image, os_image_free);
    remove_all();
}

static void
a_kernel_may_need_no_initrd(void **state)
{
    g_autofree char *path = make_image('a', 100, FALSE);
    g_autoptr(OsImage) image = os_image_open(path, NULL);
    assert_non_null(image);
    assert_null(image->initrd);
    g_clear_pointer(&image, os_image_free);
    remove_all();
}

static void
expect_damaged(const char *path)
{
    g_autoptr(GError) error = NULL;
    assert_null(os_image_open(path, &error));
    assert_non_null(error);
    assert_int_equal(hb_error_status(error), HB_INFRASTRUCTURE);
    assert_non_null(strstr(error->message, "hostbed image rm"));
}

static void
one_that_was_written_to_is_none(void **state)
{
    static const char *const files[] = {OS_IMAGE_DISK_FILE, OS_IMAGE_KERNEL_FILE,
                                        OS_IMAGE_INITRD_FILE, OS_IMAGE_ABOUT_FILE};
    for (guint i = 0; i < G_N_ELEMENTS(files); i++) {
        g_autofree char *path = make_image('a', 10000, TRUE);
        g_autofree char *file = g_build_filename(path, files[i], NULL);
        assert_int_equal(g_chmod(file, 0600), 0);
        int fd = open(file, O_WRONLY | O_CLOEXEC);
        assert_int_equal(pwrite(fd, "X", 1, 3), 1);
        close(fd);
        expect_damaged(path);
        assert_int_equal(os_image_prune(G_MAXINT64, NULL), 1);
        assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
    }
}

static void
one_that_was_cut_is_none(void **state)
{
    g_autofree char *path = make_image('a', 100000, TRUE);
    g_autofree char *file = g_build_filename(path, OS_IMAGE_DISK_FILE, NULL);
    assert_int_equal(truncate(file, 5000), 0);
    expect_damaged(path);
    os_image_prune(G_MAXINT64, NULL);
}

/* Though nobody has yet. */
static void
one_that_others_may_write_to_is_none(void **state)
{
    static const mode_t modes[] = {0464, 0446};
    for (guint i = 0; i < G_N_ELEMENTS(modes); i++) {
        g_autofree char *path = make_image('a', 10000, TRUE);
        g_autofree char *file = g_build_filename(path, OS_IMAGE_DISK_FILE, NULL);
        assert_int_equal(g_chmod(file, modes[i]), 0);
        expect_damaged(path);
        assert_int_equal(os_image_prune(G_MAXINT64, NULL), 1);
    }
}

/* Else what is remembered of the last one's content would be taken for its own. */
static void
one_made_anew_is_another(void **state)
{
    struct stat before, after;
    for (guint i = 0; i < 2; i++) {
        g_autofree char *path = make_image('7', 5000, FALSE);
        g_autofree char *disk = g_build_filename(path, OS_IMAGE_DISK_FILE, NULL);
        assert_int_equal(stat(disk, i == 0 ? &before : &after), 0);
        remove_all();
    }
    assert_int_equal(before.st_mtim.tv_sec, after.st_mtim.tv_sec);
    assert_int_not_equal(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
}

static void
those_used_longest_ago_go_first(void **state)
{
    g_autofree char *a = make_image('a', 1 << 20, TRUE);
    g_autofree char *b = make_image('b', 1 << 20, TRUE);
    g_autofree char *c = make_image('c', 1 << 20, TRUE);
    const char *const paths[] = {b, c, a};
    for (guint i = 0; i < G_N_ELEMENTS(paths); i++) {
        g_autofree char *about = g_build_filename(paths[i], OS_IMAGE_ABOUT_FILE, NULL);
        const struct timespec times[2] = {{.tv_sec = 1000 + i}, {.tv_nsec = UTIME_OMIT}};
        assert_int_equal(utimensat(AT_FDCWD, about, times, 0), 0);
    }
    g_autoptr(GPtrArray) list = os_image_list(); /* which is no use */
    assert_int_equal(list->len, 3);
    assert_string_equal(((OsImage *)list->pdata[0])->path, a);
    g_autofree char *kept = key_of('b');
    assert_int_equal(os_image_prune(5 << 19, kept), 1);
    assert_false(g_file_test(c, G_FILE_TEST_EXISTS));
    assert_true(g_file_test(a, G_FILE_TEST_EXISTS) && g_file_test(b, G_FILE_TEST_EXISTS));
    remove_all();
}

static void
what_is_no_key_removes_nothing(void **state)
{
    g_autofree char *path = make_image('a', 100, TRUE);
    assert_false(os_image_remove("../images", NULL));
    assert_false(os_image_remove("", NULL));
    assert_true(g_file_test(path, G_FILE_TEST_EXISTS));
    remove_all();
    assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
}

static void
expect_in_use(const char *key)
{
    g_autoptr(GError) error = NULL;
    assert_false(os_image_remove(key, &error));
    assert_int_equal(hb_error_status(error), HB_INFRASTRUCTURE);
    assert_non_null(strstr(error->message, "is in use"));
    assert_int_equal(os_image_prune(0, NULL), 0);
}

static void
one_in_use_stays(void **state)
{
    g_autofree char *path = make_image('a', 100, TRUE), *key = key_of('a');
    g_autoptr(OsImage) one = os_image_open(path, NULL);
    OsImage *other = os_image_open(path, NULL);
    assert_true(one && other);
    expect_in_use(key);
    os_image_free(other);
    expect_in_use(key);
    g_clear_pointer(&one, os_image_free);
    assert_int_equal(os_image_prune(0, NULL), 1);
    assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
}

/* A child that was given the disk, as emulators are, and one that was not. */
static void
the_disk_says_who_uses_it(void **state)
{
    g_autofree char *path = make_image('a', 100, TRUE), *key = key_of('a');
    const char *const argv[] = {"cat", NULL};
    OsImage *image = os_image_open(path, NULL);
    int with_in = -1, without_in = -1;
    GPid with = 0, without = 0;
    const GSpawnFlags flags = G_SPAWN_SEARCH_PATH | G_SPAWN_DO_NOT_REAP_CHILD;
    assert_true(g_spawn_async_with_pipes_and_fds(NULL, argv, NULL, flags, NULL, NULL, -1,
                                                 -1, -1, &image->disk_fd, &image->disk_fd,
                                                 1, &with, &with_in, NULL, NULL, NULL));
    assert_true(g_spawn_async_with_pipes_and_fds(NULL, argv, NULL, flags, NULL, NULL, -1,
                                                 -1, -1, NULL, NULL, 0, &without,
                                                 &without_in, NULL, NULL, NULL));
    os_image_free(image);
    expect_in_use(key);
    close(with_in);
    assert_int_equal(waitpid(with, NULL, 0), with);
    assert_true(os_image_remove(key, NULL));
    close(without_in);
    assert_int_equal(waitpid(without, NULL, 0), without);
}

static void
the_limit_is_a_size(void **state)
{
    g_autoptr(GError) error = NULL;
    assert_int_equal(os_image_maximum(NULL), (gint64)16 << 30);
    g_setenv("HOSTBED_IMAGES_MAX", "2 GiB", TRUE);
    assert_int_equal(os_image_maximum(NULL), (gint64)2 << 30);
    g_setenv("HOSTBED_IMAGES_MAX", "much", TRUE);
    assert_int_equal(os_image_maximum(&error), -1);
    assert_non_null(strstr(error->message, "HOSTBED_IMAGES_MAX"));
    g_unsetenv("HOSTBED_IMAGES_MAX");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_image_says_what_it_is),
        cmocka_unit_test(a_kernel_may_need_no_initrd),
        cmocka_unit_test(one_that_was_written_to_is_none),
        cmocka_unit_test(one_that_was_cut_is_none),
        cmocka_unit_test(one_that_others_may_write_to_is_none),
        cmocka_unit_test(one_made_anew_is_another),
        cmocka_unit_test(those_used_longest_ago_go_first),
        cmocka_unit_test(what_is_no_key_removes_nothing),
        cmocka_unit_test(one_in_use_stays),
        cmocka_unit_test(the_disk_says_who_uses_it),
        cmocka_unit_test(the_limit_is_a_size),
    };
    return cmocka_run_group_tests_name("os-image", tests, fake_root_setup,
                                       fake_root_teardown);
}
