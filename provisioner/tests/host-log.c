/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <glib/gstdio.h>
#include <locale.h>
#include <string.h>

#include "host-log.h"
#include "log-dir.h"

static const char *const names[] = {"events.log",        "agent.log",
                                    "qmp.log",           "console.log",
                                    "console.log.times", "emulator.stderr"};

static int
set_up(void **state)
{
    *state = g_dir_make_tmp("hostbed-test-XXXXXX", NULL);
    return 0;
}

static int
tear_down(void **state)
{
    for (gsize i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree char *path = g_build_filename(*state, names[i], NULL);
        g_unlink(path);
    }
    int left = g_rmdir(*state);
    g_free(*state);
    return left;
}

/* All lines of LOG as "who text", with '|' between them. */
static char *
said(HostLog *log, gboolean all)
{
    g_autoptr(GPtrArray) lines = host_log_read(log, all);
    g_autoptr(GString) text = g_string_new(NULL);
    for (guint i = 0; i < lines->len; i++) {
        const HostLogLine *line = lines->pdata[i];
        g_string_append_printf(text, "%s%s %s", i > 0 ? "|" : "", line->who, line->text);
    }
    return g_strdup(text->str);
}

static void
put(const char *dir, const char *name, const char *text)
{
    g_autofree char *path = g_build_filename(dir, name, NULL);
    FILE *file = fopen(path, "ae");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    fclose(file);
}

static void
stamps_come_back_as_they_were(void **state)
{
    const LogStamp stamp = {1795348156000042, 12345678};
    const char *rest;
    LogStamp back;
    g_autofree char *text = log_stamp_text(stamp);
    g_autofree char *line = g_strconcat(text, " what is said", NULL);
    assert_true(log_stamp_read(line, &back, &rest));
    assert_string_equal(rest, "what is said");
    assert_int_equal(back.real_us, stamp.real_us);
    assert_int_equal(back.monotonic_us, stamp.monotonic_us);
    static const char *const wrong[] = {"",
                                        "what is said",
                                        "[    0.000000] Linux version",
                                        "2026-11-22T06:30:00.123456+00:00 what",
                                        "2026-11-22T06:30:00.123456+00:00 [12.3456789] x",
                                        "2026-11-22T06:30:00.123456+00:00 [12] x",
                                        "2026-13-22T06:30:00.123456+00:00 [1.345678] x"};
    for (gsize i = 0; i < G_N_ELEMENTS(wrong); i++)
        assert_false(log_stamp_read(wrong[i], &back, &rest));
}

/* Whatever was done to the clock on the wall. */
static void
the_monotonic_clock_gives_the_order(void **state)
{
    const char *dir = *state;
    put(dir, "events.log",
        "2026-11-22T06:30:00.000000+00:00 [1.000000] first\n"
        "2026-11-22T05:00:00.000000+00:00 [4.000000] fourth\n");
    put(dir, "qmp.log", "2026-11-22T06:30:01.000000+00:00 [2.000000] <- {}\n");
    put(dir, "agent.log", "2026-11-22T06:29:00.000000+00:00 [3.000000] third\n");
    put(dir, "console.log", "SeaBIOS\r\n[    0.000000] Linux\nlogin: \nlast");
    put(dir, "console.log.times",
        "0 2026-11-22T06:30:00.000000+00:00 [1.500000]\n"
        "9 2026-11-22T06:30:00.000000+00:00 [2.500000]\n"
        "30 2026-11-22T06:30:00.000000+00:00 [5.000000]\n");
    assert_true(host_log_is_one(dir));
    g_autoptr(HostLog) log = host_log_new(dir);
    g_autofree char *text = said(log, TRUE);
    assert_string_equal(
        text, "host first|console SeaBIOS|qmp <- {}|console [    0.000000] Linux"
              "|agent third|host fourth|console login: |console last");
}

static void
what_comes_later_follows(void **state)
{
    const char *dir = *state;
    assert_false(host_log_is_one(dir));
    g_autoptr(HostLog) log = host_log_new(dir);
    g_autofree char *nothing = said(log, FALSE);
    assert_string_equal(nothing, "");
    put(dir, "events.log",
        "2026-11-22T06:30:00.000000+00:00 [1.000000] first\n"
        "2026-11-22T06:30:00.000000+00:00 [2.0");
    g_autofree char *first = said(log, FALSE);
    assert_string_equal(first, "host first");
    put(dir, "events.log", "00000] second\n");
    g_autofree char *second = said(log, FALSE);
    assert_string_equal(second, "host second");
}

/* Bytes as they came, and beside them when. */
static void
a_file_keeps_the_times_of_its_lines(void **state)
{
    const char *dir = *state;
    LogFile *file = log_file_open(dir, "console.log", 40, NULL);
    LogFile *events = log_file_open(dir, "events.log", 1000, NULL);
    log_file_keep_times(file);
    log_file_write(file, "one", 3);
    log_file_line(events, "between the first line's beginning and the second's");
    log_file_write(file, "\n", 1);
    log_file_write(file, "two\nthree\n", 10);
    log_file_line(events, "behind them");
    log_file_write(file, "four\n", 5);
    log_file_write(file, "what is too long for the file is not in it", 42);
    log_file_free(file);
    log_file_free(events);
    g_autoptr(HostLog) log = host_log_new(dir);
    g_autofree char *text = said(log, TRUE);
    assert_true(g_str_has_prefix(
        text, "console one|host between the first line's beginning and the second's|"
              "console two|console three|host behind them|console four|console what is"));
    g_autofree char *path = g_build_filename(dir, "console.log.times", NULL);
    g_autofree char *times = NULL;
    assert_true(g_file_get_contents(path, &times, NULL, NULL));
    g_auto(GStrv) lines = g_strsplit(times, "\n", -1);
    assert_int_equal(g_strv_length(lines), 5); /* and what is behind the last newline */
    static const char *const offsets[] = {"0 ", "4 ", "14 ", "19 "};
    for (gsize i = 0; i < G_N_ELEMENTS(offsets); i++)
        assert_true(g_str_has_prefix(lines[i], offsets[i]));
}

int
main(void)
{
    setlocale(LC_ALL, "");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stamps_come_back_as_they_were),
        cmocka_unit_test_setup_teardown(the_monotonic_clock_gives_the_order, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_comes_later_follows, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_file_keeps_the_times_of_its_lines, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
