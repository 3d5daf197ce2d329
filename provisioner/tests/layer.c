/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "autoptr.h"
#include "error.h"
#include "image-fixture.h"
#include "layer.h"

static int
new_file(void)
{
    int fd = memfd_create("layer", MFD_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

/* "PATH MODE TARGET|SIZE\n" for each member of the archive in FD, in order. */
static char *
list(int fd)
{
    g_autoptr(GString) text = g_string_new(NULL);
    g_autoptr(ArchiveReader) archive = archive_read_new();
    struct archive_entry *entry;
    lseek(fd, 0, SEEK_SET);
    archive_read_support_format_tar(archive);
    assert_int_equal(archive_read_open_fd(archive, fd, 65536), ARCHIVE_OK);
    while (archive_read_next_header(archive, &entry) == ARCHIVE_OK) {
        const char *target = archive_entry_symlink(entry);
        g_autofree char *size =
            g_strdup_printf("%jd", (intmax_t)archive_entry_size(entry));
        assert_int_equal(archive_entry_uid(entry), 0);
        assert_int_equal(archive_entry_mtime(entry), 0);
        g_string_append_printf(text, "%s %o %s\n", archive_entry_pathname(entry),
                               archive_entry_perm(entry), target ? target : size);
    }
    return g_string_free(g_steal_pointer(&text), FALSE);
}

static void
texts_and_links_stand_in_order(void **state)
{
    g_auto(AutoFd) fd = new_file();
    g_autoptr(Layer) layer = layer_new(fd, "a test", FALSE, NULL);
    layer_add_text(layer, "/etc/hostname", "l1\n", 0644);
    layer_add_link(layer, "/etc/systemd/system/a.service", "/dev/null");
    layer_add_text(layer, "/etc/hostname", "other\n", 0600);
    assert_true(layer_close(layer, NULL));
    assert_int_equal(layer_bytes(layer), 9);
    g_autofree char *text = list(fd);
    assert_string_equal(text, "etc/hostname 644 3\n"
                              "etc/systemd/system/a.service 777 /dev/null\n"
                              "etc/hostname 600 6\n");
}

static void
a_folder_is_copied_with_its_links(void **state)
{
    const char *root = *state;
    g_autofree char *folder = g_build_filename(root, "tree", NULL);
    g_autofree char *deep = fake_write_text(folder, "a/program", "12345");
    g_autofree char *secret = g_build_filename(folder, "secret", NULL);
    g_autofree char *empty = g_build_filename(folder, "empty", NULL);
    g_autofree char *link = g_build_filename(folder, "link", NULL);
    g_autofree char *pipe = g_build_filename(folder, "pipe", NULL);
    g_chmod(deep, 0750);
    assert_int_equal(g_mkdir(secret, 0700), 0);
    assert_int_equal(g_mkdir(empty, 0755), 0);
    assert_int_equal(symlink("../../etc/shadow", link), 0);
    assert_int_equal(mkfifo(pipe, 0600), 0);
    g_autofree char *a = g_build_filename(folder, "a", NULL);
    g_chmod(a, 0755);

    g_auto(AutoFd) fd = new_file();
    g_autoptr(Layer) layer = layer_new(fd, "a test", FALSE, NULL);
    layer_add_copy(layer, "/opt/tree", folder, -1);
    assert_true(layer_close(layer, NULL));
    g_autofree char *text = list(fd);
    /* What is there already in the root, or is a link, must not be replaced: so folders
     * that need no mode of their own are not named. */
    assert_string_equal(text, "opt/tree/a/program 750 5\n"
                              "opt/tree/empty/ 755 0\n"
                              "opt/tree/link 777 ../../etc/shadow\n"
                              "opt/tree/secret/ 700 0\n");
}

/* Of the folder "home/user" and what is in it, as a root file system has it. */
static void
folders_keep_their_owners(void **state)
{
    if (geteuid() != 0)
        skip();
    g_autofree char *root = g_build_filename(*state, "owned", NULL);
    g_autofree char *file = fake_write_text(root, "home/user/file", "x");
    g_autofree char *user = g_path_get_dirname(file);
    assert_int_equal(g_chmod(user, 0755), 0);
    assert_int_equal(chown(user, 1234, 1235), 0);
    g_auto(AutoFd) fd = new_file();
    g_autoptr(Layer) layer = layer_new(fd, "a test", TRUE, NULL);
    layer_add_copy(layer, "/", root, -1);
    assert_true(layer_close(layer, NULL));
    g_autoptr(ArchiveReader) archive = archive_read_new();
    struct archive_entry *entry = NULL;
    lseek(fd, 0, SEEK_SET);
    archive_read_support_format_tar(archive);
    assert_int_equal(archive_read_open_fd(archive, fd, 65536), ARCHIVE_OK);
    do
        assert_int_equal(archive_read_next_header(archive, &entry), ARCHIVE_OK);
    while (strcmp(archive_entry_pathname(entry), "home/user/") != 0);
    assert_int_equal(archive_entry_uid(entry), 1234);
    assert_int_equal(archive_entry_gid(entry), 1235);
}

static void
a_file_may_get_another_mode(void **state)
{
    g_autofree char *file = fake_write_text(*state, "file", "x");
    g_auto(AutoFd) fd = new_file();
    g_autoptr(Layer) layer = layer_new(fd, "a test", FALSE, NULL);
    layer_add_copy(layer, "/a", file, 04711);
    assert_true(layer_close(layer, NULL));
    g_autofree char *text = list(fd);
    assert_string_equal(text, "a 4711 1\n");
}

/* A root in which /opt/tree/lib leads to /usr/lib, and /loop to itself. */
static char *
place_of(const char *path, mode_t type, const char *target, gpointer user_data)
{
    static const char link[] = "/opt/tree/lib";
    GString *asked = user_data;
    g_string_append_printf(asked, "%s %o %s\n", path, (guint)type, target ? target : "");
    if (g_str_has_prefix(path, "/loop"))
        return NULL;
    return g_str_has_prefix(path, link)
               ? g_strconcat("/usr/lib", path + strlen(link), NULL)
               : g_strdup(path);
}

static void
all_of_a_folder_is_placed(void **state)
{
    g_autofree char *folder = g_build_filename(*state, "placed", NULL);
    g_autofree char *deep = fake_write_text(folder, "lib/a/file", "1");
    g_autofree char *file = fake_write_text(folder, "file", "2");
    g_autofree char *secret = g_build_filename(folder, "lib/secret", NULL);
    g_autofree char *link = g_build_filename(folder, "lib/link", NULL);
    g_chmod(deep, 0644);
    g_chmod(file, 0644);
    assert_int_equal(g_mkdir(secret, 0700), 0);
    assert_int_equal(symlink("/etc", link), 0);
    g_auto(AutoFd) fd = new_file();
    g_autoptr(GString) asked = g_string_new(NULL);
    g_autoptr(Layer) layer = layer_new(fd, "a test", FALSE, NULL);
    g_autofree char *lib = g_build_filename(folder, "lib", NULL);
    g_autofree char *above = g_path_get_dirname(deep);
    g_chmod(lib, 0755);
    g_chmod(above, 0755);
    layer_set_place(layer, place_of, asked);
    layer_add_copy(layer, "/opt/tree", folder, -1);
    assert_true(layer_close(layer, NULL));
    g_autofree char *text = list(fd);
    assert_string_equal(text, "opt/tree/file 644 1\n"
                              "usr/lib/a/file 644 1\n"
                              "usr/lib/link 777 /etc\n"
                              "usr/lib/secret/ 700 0\n");
    assert_string_equal(asked->str, "/opt/tree/file 100000 \n"
                                    "/opt/tree/lib/a/file 100000 \n"
                                    "/opt/tree/lib/link 120000 /etc\n"
                                    "/opt/tree/lib/secret 40000 \n");
}

static void
what_can_be_nowhere_is_named(void **state)
{
    g_autoptr(GError) error = NULL;
    g_auto(AutoFd) fd = new_file();
    g_autoptr(GString) asked = g_string_new(NULL);
    g_autoptr(Layer) layer = layer_new(fd, "a test", FALSE, NULL);
    layer_set_place(layer, place_of, asked);
    layer_add_text(layer, "/loop/a", "a", 0644);
    layer_add_text(layer, "/b", "b", 0644);
    assert_false(layer_close(layer, &error));
    assert_int_equal(hb_error_status(error), HB_USAGE);
    assert_string_equal(error->message,
                        "/loop/a cannot be in the image: too many links lead there");
}

static void
what_is_not_there_is_named(void **state)
{
    g_autoptr(GError) error = NULL;
    g_auto(AutoFd) fd = new_file();
    g_autoptr(Layer) layer = layer_new(fd, "a test", FALSE, NULL);
    layer_add_copy(layer, "/a", "/nonexistent/file", -1);
    layer_add_text(layer, "/b", "b", 0644);
    assert_false(layer_close(layer, &error));
    assert_int_equal(hb_error_status(error), HB_USAGE);
    assert_non_null(strstr(error->message, "/nonexistent/file"));
}

static void
a_full_disk_is_an_error(void **state)
{
    g_autoptr(GError) error = NULL;
    g_auto(AutoFd) fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        skip();
    g_autoptr(Layer) layer = layer_new(fd, "a test", FALSE, NULL);
    g_autofree char *text = g_strnfill(1 << 20, 'x');
    layer_add_text(layer, "/a", text, 0644);
    assert_false(layer_close(layer, &error));
    assert_non_null(strstr(error->message, g_strerror(ENOSPC)));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_and_links_stand_in_order),
        cmocka_unit_test(a_folder_is_copied_with_its_links),
        cmocka_unit_test(folders_keep_their_owners),
        cmocka_unit_test(a_file_may_get_another_mode),
        cmocka_unit_test(all_of_a_folder_is_placed),
        cmocka_unit_test(what_can_be_nowhere_is_named),
        cmocka_unit_test(what_is_not_there_is_named),
        cmocka_unit_test(a_full_disk_is_an_error),
    };
    return cmocka_run_group_tests_name("layer", tests, fake_root_setup,
                                       fake_root_teardown);
}
