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
#include <unistd.h>

#include "cache.h"
#include "image-fixture.h"

static char *
make_entry(const char *kind, const char *name, gsize size)
{
    g_autoptr(CacheWriter) writer = cache_writer_new(kind, name, NULL);
    assert_non_null(writer);
    g_autofree char *data = g_strnfill(size, 'x');
    assert_int_equal(write(writer->fd, data, size), size);
    return cache_writer_commit(writer, NULL);
}

static guint
count_files(const char *kind)
{
    g_autofree char *dir_path = cache_dir(kind, NULL);
    g_autoptr(GDir) dir = g_dir_open(dir_path, 0, NULL);
    guint count = 0;
    while (g_dir_read_name(dir))
        count++;
    return count;
}

static void
an_entry_is_found_once_it_is_whole(void **state)
{
    assert_null(cache_lookup("whole", "a"));
    g_autoptr(CacheWriter) writer = cache_writer_new("whole", "a", NULL);
    assert_int_equal(write(writer->fd, "text", 4), 4);
    assert_null(cache_lookup("whole", "a"));
    g_autofree char *made = cache_writer_commit(writer, NULL);
    g_autofree char *found = cache_lookup("whole", "a");
    assert_string_equal(made, found);
}

/* Two make the same: who was first is who is found, but for what is not whole. */
static void
the_first_stays_where_names_say_all(void **state)
{
    g_autoptr(CacheWriter) first = cache_writer_new("first", "a", NULL);
    g_autoptr(CacheWriter) second = cache_writer_new("first", "a", NULL);
    struct stat before, after;
    assert_int_equal(write(first->fd, "text", 4), 4);
    assert_int_equal(write(second->fd, "text", 4), 4);
    g_autofree char *path = cache_writer_commit_first(first, NULL);
    assert_int_equal(stat(path, &before), 0);
    g_autofree char *same = cache_writer_commit_first(second, NULL);
    assert_string_equal(same, path);
    assert_int_equal(stat(path, &after), 0);
    assert_int_equal(after.st_ino, before.st_ino);
    g_autoptr(CacheWriter) third = cache_writer_new("first", "a", NULL);
    assert_int_equal(write(third->fd, "text", 4), 4);
    assert_int_equal(truncate(path, 3), 0);
    g_free(cache_writer_commit_first(third, NULL));
    assert_int_equal(stat(path, &after), 0);
    assert_int_not_equal(after.st_ino, before.st_ino);
    assert_int_equal(after.st_size, 4);
}

static void
what_is_not_committed_leaves_nothing(void **state)
{
    CacheWriter *writer = cache_writer_new("nothing", "a", NULL);
    assert_int_equal(count_files("nothing"), 1);
    cache_writer_free(writer);
    assert_int_equal(count_files("nothing"), 0);
}

static void
damage_is_noticed_and_repaired(void **state)
{
    g_autofree char *path = make_entry("damage", "a", 5000);
    assert_int_equal(truncate(path, 4000), 0);
    assert_null(cache_lookup("damage", "a"));
    g_free(make_entry("damage", "a", 5000));
    int fd = open(path, O_WRONLY);
    assert_int_equal(pwrite(fd, "y", 1, 2000), 1);
    close(fd);
    assert_null(cache_lookup("damage", "a"));
    g_free(make_entry("damage", "a", 5000));
    g_autofree char *again = cache_lookup("damage", "a");
    assert_non_null(again);
}

static void
a_link_is_no_entry(void **state)
{
    g_autofree char *path = make_entry("link", "a", 10);
    g_autofree char *dir = cache_dir("link", NULL);
    g_autofree char *link = g_build_filename(dir, "b", NULL);
    assert_int_equal(symlink(path, link), 0);
    assert_null(cache_lookup("link", "b"));
}

static void
set_last_use(const char *path, gint64 seconds_ago)
{
    struct timespec times[2] = {
        {.tv_sec = g_get_real_time() / G_USEC_PER_SEC - seconds_ago},
        {.tv_nsec = UTIME_OMIT}};
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

/* Only root can hand over a file. */
static void
what_another_user_wrote_is_no_entry(void **state)
{
    if (geteuid() != 0)
        skip();
    g_autofree char *path = make_entry("owner", "a", 10);
    g_autofree char *ours = cache_lookup("owner", "a");
    assert_non_null(ours);
    assert_int_equal(lchown(path, 65534, (gid_t)-1), 0);
    assert_null(cache_lookup("owner", "a"));
}

static void
what_was_used_longest_ago_goes_first(void **state)
{
    g_autofree char *old = make_entry("prune", "old", 1000);
    g_autofree char *older = make_entry("prune", "older", 1000);
    g_autofree char *fresh = make_entry("prune", "fresh", 1000);
    set_last_use(old, 3600);
    set_last_use(older, 7200);
    cache_prune("prune", 2000);
    assert_false(g_file_test(older, G_FILE_TEST_EXISTS));
    assert_true(g_file_test(old, G_FILE_TEST_EXISTS));
    /* Somebody may be about to open what was just handed out. */
    cache_prune("prune", 0);
    assert_false(g_file_test(old, G_FILE_TEST_EXISTS));
    assert_true(g_file_test(fresh, G_FILE_TEST_EXISTS));
}

static void
make_old(const char *path)
{
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = 1000}};
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

/* What kill -9 left goes when something is made; what is being made stays. */
static void
what_nobody_makes_any_more_goes(void **state)
{
    g_autoptr(CacheWriter) other = cache_writer_new("left", "a", NULL);
    g_autofree char *dir = cache_dir("left", NULL);
    g_autofree char *abandoned = g_build_filename(dir, ".new-left", NULL);
    assert_true(g_file_set_contents(abandoned, "half", 4, NULL));
    make_old(other->temporary);
    g_autoptr(CacheWriter) next = cache_writer_new("left", "b", NULL);
    assert_false(g_file_test(abandoned, G_FILE_TEST_EXISTS));
    assert_true(g_file_test(other->temporary, G_FILE_TEST_EXISTS));
}

/* No more does anything else: a FIFO would keep waiting who opens it. */
static void
what_cannot_be_read_goes_too(void **state)
{
    g_autofree char *dir = cache_dir("fifo", NULL);
    g_autofree char *fifo = g_build_filename(dir, ".new-fifo", NULL);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    alarm(60);
    g_autoptr(CacheWriter) next = cache_writer_new("fifo", "a", NULL);
    alarm(0);
    assert_non_null(next);
    assert_false(g_file_test(fifo, G_FILE_TEST_EXISTS));
}

static void
nothing_stays_open(void **state)
{
    guint before = count_descriptors();
    cache_folder_free(cache_folder_new("open", NULL));
    cache_writer_free(cache_writer_new("open", "a", NULL));
    assert_int_equal(count_descriptors(), before);
    assert_int_equal(count_files("open"), 0);
}

/* As above, of folders. */
static void
a_folder_that_nobody_fills_any_more_goes(void **state)
{
    g_autoptr(CacheFolder) other = cache_folder_new("folders", NULL);
    g_autofree char *file = g_build_filename(other->path, "file", NULL);
    assert_true(g_file_set_contents(file, "half", 4, NULL));
    g_free(fake_write_text(*state, "cache/hostbed/folders/.new-left/boot/file", "half"));
    g_autofree char *dir = cache_dir("folders", NULL);
    g_autofree char *abandoned = g_build_filename(dir, ".new-left", NULL);
    g_autofree char *entry = g_build_filename(dir, "entry", NULL);
    make_old(other->path);
    g_autoptr(CacheFolder) next = cache_folder_new("folders", NULL);
    assert_false(g_file_test(abandoned, G_FILE_TEST_EXISTS));
    assert_true(g_file_test(file, G_FILE_TEST_EXISTS));

    assert_true(cache_folder_commit(other, entry, NULL));
    assert_true(cache_folder_commit(next, entry, NULL));
    g_clear_pointer(&other, cache_folder_free);
    g_clear_pointer(&next, cache_folder_free);
    g_autofree char *made = g_build_filename(entry, "file", NULL);
    assert_true(g_file_test(made, G_FILE_TEST_EXISTS));
    assert_int_equal(count_files("folders"), 1);
}

static void
a_folder_that_cannot_be_used_is_a_sentence(void **state)
{
    g_autofree char *file = fake_write_text(*state, "cache/hostbed/blocked", "");
    g_autoptr(GError) error = NULL;
    assert_null(cache_writer_new("blocked", "a", &error));
    assert_non_null(strstr(error->message, "XDG_CACHE_HOME"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_entry_is_found_once_it_is_whole),
        cmocka_unit_test(the_first_stays_where_names_say_all),
        cmocka_unit_test(what_is_not_committed_leaves_nothing),
        cmocka_unit_test(damage_is_noticed_and_repaired),
        cmocka_unit_test(a_link_is_no_entry),
        cmocka_unit_test(what_another_user_wrote_is_no_entry),
        cmocka_unit_test(what_was_used_longest_ago_goes_first),
        cmocka_unit_test(what_nobody_makes_any_more_goes),
        cmocka_unit_test(what_cannot_be_read_goes_too),
        cmocka_unit_test(nothing_stays_open),
        cmocka_unit_test(a_folder_that_nobody_fills_any_more_goes),
        cmocka_unit_test(a_folder_that_cannot_be_used_is_a_sentence),
    };
    return cmocka_run_group_tests_name("cache", tests, fake_root_setup,
                                       fake_root_teardown);
}
