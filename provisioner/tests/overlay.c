/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <gio/gio.h>
#include <string.h>
#include <unistd.h>

#include "error.h"
#include "image-fixture.h"
#include "overlay.h"

#define GIB ((gint64)1 << 30)

static guint64
number_at(int fd, goffset place, gsize bytes)
{
    guint8 buffer[8] = {0};
    guint64 number = 0;
    assert_int_equal(pread(fd, buffer, bytes, place), bytes);
    for (gsize i = 0; i < bytes; i++)
        number = number << 8 | buffer[i];
    return number;
}

static void
has_no_name(void **state)
{
    g_autofree char *folder = overlay_folder(NULL);
    int fd = overlay_new(GIB, NULL);
    assert_true(fd >= 0);
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    assert_null(g_dir_read_name(dir));
    close(fd);
}

/* What another could have written there would be taken for a part of the disk. */
static void
names_no_other_file(void **state)
{
    int fd = overlay_new(3 * GIB + 512, NULL);
    assert_true(fd >= 0);
    assert_int_equal(number_at(fd, 0, 4), 0x514649fb);
    assert_int_equal(number_at(fd, 8, 8), 0);   /* backing file */
    assert_int_equal(number_at(fd, 72, 8), 0);  /* incompatible features */
    assert_int_equal(number_at(fd, 104, 8), 0); /* the end of header extensions */
    assert_int_equal(number_at(fd, 24, 8), 3 * GIB + 512);
    assert_int_equal(number_at(fd, 36, 4), 7); /* entries of 512 MiB */
    close(fd);
}

/* QEMU's own tool finds no fault in it. */
static void
check_by_qemu_img(gint64 capacity)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GSubprocessLauncher) launcher = g_subprocess_launcher_new(
        G_SUBPROCESS_FLAGS_STDOUT_PIPE | G_SUBPROCESS_FLAGS_STDERR_MERGE);
    int fd = overlay_new(capacity, &error);
    assert_null(error);
    g_subprocess_launcher_take_fd(launcher, fd, 9);
    g_autoptr(GSubprocess) process = g_subprocess_launcher_spawn(
        launcher, &error, "qemu-img", "check", "-f", "qcow2", "/proc/self/fd/9", NULL);
    assert_null(error);
    g_autofree char *said = NULL;
    assert_true(g_subprocess_communicate_utf8(process, NULL, NULL, &said, NULL, &error));
    if (g_subprocess_get_exit_status(process) != 0)
        fail_msg("%s", said);
    assert_non_null(strstr(said, "No errors were found"));
}

static void
is_sound(void **state)
{
    g_autofree char *tool = g_find_program_in_path("qemu-img");
    if (!tool)
        skip();
    check_by_qemu_img(512);
    check_by_qemu_img(8 * GIB);
    check_by_qemu_img(65536 * GIB);
}

static void
refuses_what_is_no_disk(void **state)
{
    const gint64 sizes[] = {-1, 0, 511, 65536 * GIB + 1, G_MAXINT64};
    for (gsize i = 0; i < G_N_ELEMENTS(sizes); i++) {
        g_autoptr(GError) error = NULL;
        assert_int_equal(overlay_new(sizes[i], &error), -1);
        assert_true(g_error_matches(error, HB_ERROR, HB_INFRASTRUCTURE));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(has_no_name),
        cmocka_unit_test(names_no_other_file),
        cmocka_unit_test(is_sound),
        cmocka_unit_test(refuses_what_is_no_disk),
    };
    return cmocka_run_group_tests_name("overlay", tests, fake_root_setup,
                                       fake_root_teardown);
}
