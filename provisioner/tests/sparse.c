/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sparse.h"

#define SIZE ((goffset)1 << 36) /* 64 GiB, which nobody has */
#define PAGE 4096

static int
file_of(goffset size)
{
    int fd = memfd_create("test", MFD_CLOEXEC);
    assert_int_equal(ftruncate(fd, size), 0);
    return fd;
}

static goffset
used(int fd)
{
    struct stat file;
    assert_int_equal(fstat(fd, &file), 0);
    return (goffset)file.st_blocks * 512;
}

/* At the start, over the border of what is copied at once, and at the end. */
static const goffset places[] = {0, (8 << 20) - 7, SIZE - 16};

static void
a_duplicate_is_the_same_and_takes_as_much(void **state)
{
    int from = file_of(SIZE), to = file_of(SIZE);
    const char text[] = "memory of a host";
    for (gsize i = 0; i < G_N_ELEMENTS(places); i++)
        assert_int_equal(pwrite(from, text, 16, places[i]), 16);
    assert_true(sparse_duplicate(from, to, SIZE, NULL));
    for (gsize i = 0; i < G_N_ELEMENTS(places); i++) {
        char found[16] = "";
        assert_int_equal(pread(to, found, 16, places[i]), 16);
        assert_memory_equal(found, text, 16);
    }
    assert_int_equal(used(to), used(from));
    g_autofree char *one = sparse_copy(from, -1, SIZE, NULL, NULL);
    g_autofree char *other = sparse_copy(to, -1, SIZE, NULL, NULL);
    assert_string_equal(one, other);
    close(from);
    close(to);
}

static void
a_duplicate_is_apart(void **state)
{
    int from = file_of(PAGE), to = file_of(PAGE);
    assert_int_equal(pwrite(from, "a", 1, 0), 1);
    assert_true(sparse_duplicate(from, to, PAGE, NULL));
    assert_int_equal(pwrite(to, "b", 1, 0), 1);
    char found = 0;
    assert_int_equal(pread(from, &found, 1, 0), 1);
    assert_int_equal(found, 'a');
    close(from);
    close(to);
}

static void
what_cannot_be_written_is_told(void **state)
{
    int from = file_of(PAGE), to = file_of(PAGE);
    g_autoptr(GError) error = NULL;
    assert_int_equal(pwrite(from, "a", 1, 0), 1);
    g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", to);
    FILE *readonly = fopen(path, "re");
    assert_false(sparse_duplicate(from, fileno(readonly), PAGE, &error));
    assert_non_null(strstr(error->message, "cannot write a copy"));
    fclose(readonly);
    close(from);
    close(to);
}

/* Zeroes that were written are none; a page at the end may be part of one. */
static void
content_is_of_bytes_and_not_of_holes(void **state)
{
    static const char zeroes[8 * PAGE];
    static const SparseExtent asked[] = {
        {0, PAGE}, {3 * PAGE, 2 * PAGE}, {(1 << 20) - PAGE, 2 * PAGE}, {2 << 20, 5}};
    const goffset size = (2 << 20) + 5;
    int fd = file_of(size);
    assert_int_equal(pwrite(fd, zeroes, sizeof zeroes, 0), sizeof zeroes);
    assert_int_equal(pwrite(fd, zeroes, PAGE, 1 << 19), PAGE);
    assert_int_equal(pwrite(fd, "a", 1, PAGE - 1), 1);
    assert_int_equal(pwrite(fd, "bc", 2, 4 * PAGE - 1), 2);
    assert_int_equal(pwrite(fd, "de", 2, (1 << 20) - 1), 2);
    assert_int_equal(pwrite(fd, "f", 1, size - 1), 1);
    g_autoptr(GArray) content = sparse_content(fd, size, NULL);
    assert_int_equal(content->len, G_N_ELEMENTS(asked));
    for (guint i = 0; i < content->len; i++) {
        const SparseExtent *found = &g_array_index(content, SparseExtent, i);
        assert_int_equal(found->offset, asked[i].offset);
        assert_int_equal(found->length, asked[i].length);
    }
    close(fd);
    assert_null(sparse_content(-1, size, NULL));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_duplicate_is_the_same_and_takes_as_much),
        cmocka_unit_test(a_duplicate_is_apart),
        cmocka_unit_test(what_cannot_be_written_is_told),
        cmocka_unit_test(content_is_of_bytes_and_not_of_holes),
    };
    return cmocka_run_group_tests_name("sparse", tests, NULL, NULL);
}
