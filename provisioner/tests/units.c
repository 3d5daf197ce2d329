/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "units.h"

static gint64
size(const char *text)
{
    gint64 bytes = -1;
    g_autoptr(GError) error = NULL;
    if (!units_parse_size(text, &bytes, &error))
        assert_non_null(error);
    return bytes;
}

static void
reads_sizes(void **state)
{
    assert_int_equal(size("0 B"), 0);
    assert_int_equal(size("4096000 KiB"), 4194304000);
    assert_int_equal(size("2MiB"), 2 << 20);
    assert_int_equal(size("0001  GiB"), 1 << 30);
    assert_int_equal(size("999999 TiB"), 999999LL << 40);
    static const char *const wrong[] = {"",
                                        " ",
                                        "1",
                                        "-1 B",
                                        "1.5 GiB",
                                        "1 kib",
                                        "1 GB",
                                        "1 MiB ",
                                        "MiB",
                                        "0x10 B",
                                        "1e3 B",
                                        "1000000 TiB",
                                        "99999999999999999999999 B",
                                        "9223372036854775808 B",
                                        "1 MiBx"};
    for (gsize i = 0; i < G_N_ELEMENTS(wrong); i++)
        assert_int_equal(size(wrong[i]), -1);
}

static void
writes_sizes(void **state)
{
    static const struct {
        gint64 bytes;
        const char *text;
    } cases[] = {{0, "0 B"},         {1, "1 B"},
                 {1025, "1025 B"},   {4194304000, "4000 MiB"},
                 {1 << 30, "1 GiB"}, {5LL << 50, "5120 TiB"}};
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *text = units_size_text(cases[i].bytes);
        assert_string_equal(text, cases[i].text);
        assert_int_equal(size(text), cases[i].bytes);
    }
}

static void
must_be_cpus(const char *text, const char *expected)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GArray) cpus = units_parse_cpus(text, 255, &error);
    if (!expected) {
        assert_null(cpus);
        assert_non_null(error);
        return;
    }
    assert_non_null(cpus);
    g_autofree char *written = units_cpus_text(cpus);
    assert_string_equal(written, expected);
}

static void
reads_cpu_lists(void **state)
{
    must_be_cpus("0", "0");
    must_be_cpus("0-3,8,^2", "0-1,3,8");
    must_be_cpus("3,2,1,2", "1-3");
    must_be_cpus("255", "255");
    static const char *const wrong[] = {"",      "a",   "0-",   "-1",
                                        "0-3-4", "3-0", "0,,1", "^0",
                                        "0,^0",  "256", "0 ",   "0-99999999999999999999",
                                        "^0-1"};
    for (gsize i = 0; i < G_N_ELEMENTS(wrong); i++)
        must_be_cpus(wrong[i], NULL);
}

static void
reads_numbers(void **state)
{
    gint64 number = -1;
    assert_true(units_parse_number("31", 0, 31, &number, NULL));
    assert_int_equal(number, 31);
    assert_true(units_parse_number("0x1F", 0, 31, &number, NULL));
    assert_int_equal(number, 31);
    static const char *const wrong[] = {"",   "32", "-1",    "+1", " 1",
                                        "1 ", "0x", "0x0x1", "1f"};
    for (gsize i = 0; i < G_N_ELEMENTS(wrong); i++)
        assert_false(units_parse_number(wrong[i], 0, 31, &number, NULL));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_sizes),
        cmocka_unit_test(writes_sizes),
        cmocka_unit_test(reads_cpu_lists),
        cmocka_unit_test(reads_numbers),
    };
    return cmocka_run_group_tests_name("units", tests, NULL, NULL);
}
