/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What is remembered of a file's content is not told of another content.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <gio/gio.h>
#include <string.h>
#include <unistd.h>

#include "cache.h"
#include "digest.h"
#include "error.h"
#include "image-fixture.h"
#include "initramfs.h"

#define OLD 1000 /* seconds since 1970 */

/* Another content in the place, inode, size and time of what was there, once the clock of
 * the file system has gone on. */
static char *
write_as_before(const char *root, const char *name, const char *text)
{
    static const struct timespec times[2] = {{.tv_sec = OLD}, {.tv_sec = OLD}};
    g_autofree char *path = g_build_filename(root, name, NULL);
    struct stat before = {0}, after;
    gboolean existed = stat(path, &before) == 0;
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    do {
        assert_int_equal(pwrite(fd, text, strlen(text), 0), strlen(text));
        assert_int_equal(futimens(fd, times), 0);
        assert_int_equal(fstat(fd, &after), 0);
    } while (existed &&
             memcmp(&before.st_ctim, &after.st_ctim, sizeof before.st_ctim) == 0);
    close(fd);
    assert_true(!existed ||
                (before.st_ino == after.st_ino && before.st_size == after.st_size));
    return g_steal_pointer(&path);
}

static void
another_content_is_seen_whatever_its_time(void **state)
{
    g_autofree char *path = write_as_before(*state, "file", "one");
    g_autofree char *first = digest_file(path, NULL);
    g_autofree char *again = digest_file(path, NULL);
    assert_string_equal(first, again);
    g_free(write_as_before(*state, "file", "two"));
    g_autofree char *second = digest_file(path, NULL);
    g_autofree char *right = g_compute_checksum_for_string(G_CHECKSUM_SHA256, "two", -1);
    assert_string_equal(second, right);
}

/* Of the only entry of the cache; what is remembered stands in it. */
static void
remember_instead(const char *text)
{
    g_autofree char *folder = cache_path("digests", NULL);
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    assert_non_null(dir);
    g_autofree char *path = g_build_filename(folder, g_dir_read_name(dir), NULL);
    assert_null(g_dir_read_name(dir));
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(chmod(path, 0600), 0);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(fd, text, strlen(text), 0), strlen(text));
    const struct timespec times[2] = {st.st_atim, st.st_mtim};
    assert_int_equal(futimens(fd, times), 0);
    close(fd);
}

static void
it_is_remembered(void **state)
{
    static const char other[] =
        "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    g_autofree char *folder = cache_path("digests", NULL);
    cache_remove_tree(folder);
    g_autofree char *path = write_as_before(*state, "known", "one");
    g_autofree char *right = digest_file(path, NULL);
    remember_instead(other);
    g_autofree char *known = digest_file(path, NULL);
    assert_string_equal(known, other);
    remember_instead("no digest, but as many characters");
    g_autofree char *again = digest_file(path, NULL);
    assert_string_equal(again, right);
}

static void
assert_fails(const char *path, HbStatus status)
{
    g_autoptr(GError) error = NULL;
    assert_null(digest_file(path, &error));
    assert_int_equal(hb_error_status(error), status);
    assert_non_null(strstr(error->message, path));
}

static void
what_cannot_be_read_is_told(void **state)
{
    g_autofree char *path = write_as_before(*state, "unread", "one");
    assert_fails("/nonexistent", HB_INFRASTRUCTURE);
    assert_fails("/dev/zero", HB_USAGE);
    g_autoptr(GCancellable) cancellable = g_cancellable_new();
    g_cancellable_push_current(cancellable);
    g_cancellable_cancel(cancellable);
    assert_fails(path, HB_INTERRUPTED);
    g_cancellable_pop_current(cancellable);
    g_autofree char *digest = digest_file(path, NULL);
    assert_non_null(digest);
}

static void
what_goes_into_an_image_is_seen_too(void **state)
{
    g_autofree char *path = write_as_before(*state, "source", "one");
    g_autoptr(Initramfs) image = initramfs_new();
    initramfs_add_file(image, "/a", path, 0755);
    g_autofree char *first = initramfs_key(image, NULL);
    g_free(write_as_before(*state, "source", "two"));
    g_autofree char *second = initramfs_key(image, NULL);
    assert_string_not_equal(first, second);
}

/* Each use of what is in the cache is written down, as its access time. */
static void
a_use_is_no_change(void **state)
{
    struct stat before, after;
    g_autoptr(CacheWriter) writer = cache_writer_new("kernels", "used", NULL);
    assert_int_equal(write(writer->fd, "text", 4), 4);
    g_autofree char *path = cache_writer_commit(writer, NULL);
    assert_int_equal(stat(path, &before), 0);
    do {
        g_autofree char *found = cache_lookup("kernels", "used");
        assert_non_null(found);
        assert_int_equal(stat(path, &after), 0);
    } while (memcmp(&before.st_ctim, &after.st_ctim, sizeof before.st_ctim) == 0);
    g_autofree char *first = digest_identity(&before);
    g_autofree char *second = digest_identity(&after);
    assert_string_equal(first, second);
}

/* Images, downloads and templates have another mark. */
static void
a_change_of_rights_of_what_is_marked_is_none(void **state)
{
    g_autofree char *path = write_as_before(*state, "marked", "text");
    const struct timespec times[2] = {{.tv_sec = OLD}, {.tv_sec = cache_mark(4)}};
    assert_int_not_equal(cache_mark(4), 4);
    struct stat before, after;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_int_equal(futimens(fd, times), 0);
    assert_int_equal(fstat(fd, &before), 0);
    do {
        assert_int_equal(fchmod(fd, 0400), 0);
        assert_int_equal(fstat(fd, &after), 0);
    } while (memcmp(&before.st_ctim, &after.st_ctim, sizeof before.st_ctim) == 0);
    close(fd);
    g_autofree char *first = digest_identity(&before);
    g_autofree char *second = digest_identity(&after);
    assert_string_equal(first, second);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(another_content_is_seen_whatever_its_time),
        cmocka_unit_test(it_is_remembered),
        cmocka_unit_test(what_cannot_be_read_is_told),
        cmocka_unit_test(what_goes_into_an_image_is_seen_too),
        cmocka_unit_test(a_use_is_no_change),
        cmocka_unit_test(a_change_of_rights_of_what_is_marked_is_none),
    };
    return cmocka_run_group_tests_name("digest", tests, fake_root_setup,
                                       fake_root_teardown);
}
