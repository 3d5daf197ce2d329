/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <glib/gstdio.h>
#include <string.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <utime.h>

#include "error.h"
#include "log-dir.h"

/* The state directory, which main() made for this test alone. */
static char *
logs_path(const char *name)
{
    return g_build_filename(g_get_user_state_dir(), "hostbed", "logs", name, NULL);
}

static guint
count_logs(void)
{
    guint count = 0;
    g_autofree char *path = logs_path(NULL);
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    while (g_dir_read_name(dir))
        count++;
    return count;
}

static void
what_nobody_asked_for_goes_unless_kept(void **state)
{
    g_autoptr(GError) error = NULL;
    LogDir *dir = log_dir_open(NULL, "../lab/host", &error);
    assert_non_null(dir);
    g_autofree char *path = g_strdup(log_dir_path(dir));
    g_autofree char *base = logs_path(NULL);
    g_autofree char *parent = g_path_get_dirname(path);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    assert_string_equal(parent, base); /* its name is no way out */
    log_dir_put(path, "command", "true", 0600);
    log_dir_close(dir, FALSE);
    assert_int_not_equal(stat(path, &st), 0);
}

static void
what_was_asked_for_stays_and_is_never_mixed(void **state)
{
    g_autofree char *asked =
        g_build_filename(g_get_user_state_dir(), "asked", "for", NULL);
    LogDir *first = log_dir_open(asked, "lab-host", NULL);
    LogDir *second = log_dir_open(asked, "lab-host", NULL);
    assert_non_null(first);
    assert_non_null(second);
    g_autofree char *path = g_strdup(log_dir_path(first));
    assert_string_not_equal(path, log_dir_path(second));
    g_autofree char *empty = g_strdup(log_dir_path(second));
    log_dir_put(path, "command", "true", 0600);
    log_dir_close(first, FALSE);
    log_dir_close(second, TRUE);
    assert_true(g_file_test(path, G_FILE_TEST_IS_DIR));
    assert_false(g_file_test(empty, G_FILE_TEST_EXISTS)); /* no host was started */

    g_autoptr(GError) error = NULL;
    assert_null(log_dir_open("/dev/null/logs", "lab-host", &error));
    assert_int_equal(error->code, HB_INFRASTRUCTURE);
}

static void
old_ones_go_but_not_those_in_use(void **state)
{
    LogDir *used = log_dir_open(NULL, "0-used", NULL);
    g_autofree char *used_path = logs_path("00000000-000000-used");
    assert_int_equal(g_rename(log_dir_path(used), used_path), 0);
    for (int i = 1; i <= 30; i++) {
        g_autofree char *name = g_strdup_printf("000000%02d-000000-old", i);
        g_autofree char *path = logs_path(name);
        assert_int_equal(g_mkdir(path, 0700), 0);
        assert_int_equal(utime(path, &(struct utimbuf){1, 1}), 0);
    }
    assert_int_equal(utime(used_path, &(struct utimbuf){1, 1}), 0);
    LogDir *newest = log_dir_open(NULL, "newest", NULL);
    assert_true(count_logs() <= 21);
    assert_true(g_file_test(used_path, G_FILE_TEST_IS_DIR));
    log_dir_close(newest, FALSE);
    log_dir_close(used, FALSE);
}

/* Without a state directory all logs of a user share one folder, so that they are cleared
 * up. */
static void
without_a_home_they_share_a_folder(void **state)
{
    g_autofree char *ours = g_build_filename(g_get_user_state_dir(), "hostbed", NULL);
    g_autofree char *aside = g_strconcat(ours, "-aside", NULL);
    assert_int_equal(g_rename(ours, aside), 0);
    assert_true(g_file_set_contents(ours, "in the way", -1, NULL));
    LogDir *first = log_dir_open(NULL, "first", NULL);
    LogDir *second = log_dir_open(NULL, "second", NULL);
    assert_int_equal(g_remove(ours), 0);
    assert_int_equal(g_rename(aside, ours), 0);
    assert_non_null(first);
    assert_non_null(second);
    g_autofree char *parent = g_path_get_dirname(log_dir_path(first));
    g_autofree char *other = g_path_get_dirname(log_dir_path(second));
    assert_string_equal(parent, other);
    struct stat st;
    assert_int_equal(stat(parent, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    log_dir_close(first, FALSE);
    log_dir_close(second, FALSE);
    g_rmdir(parent);
}

static void
a_flood_ends_the_file(void **state)
{
    LogDir *dir = log_dir_open(NULL, "flood", NULL);
    LogFile *file = log_file_open(log_dir_path(dir), "console.log", 100, NULL);
    assert_non_null(file);
    for (int i = 0; i < 1000; i++)
        log_file_write(file, "0123456789", 10);
    log_file_line(file, "not %s", "seen");
    log_file_free(file);
    g_autofree char *path = g_build_filename(log_dir_path(dir), "console.log", NULL);
    g_autofree char *text = NULL;
    assert_true(g_file_get_contents(path, &text, NULL, NULL));
    assert_true(strlen(text) < 200);
    assert_non_null(strstr(text, "ends here"));
    log_dir_close(dir, FALSE);
}

/* What the disk does not take is played by the limit of a file's size. */
static void
what_the_disk_does_not_take_is_told(void **state)
{
    struct rlimit before, little = {10, RLIM_INFINITY};
    LogDir *dir = log_dir_open(NULL, "lost", NULL);
    const char *path = log_dir_path(dir);
    log_dir_put(path, "command", "all of it\n", 0600);
    assert_null(log_dir_lost(path));
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before);
    little.rlim_max = before.rlim_max;
    setrlimit(RLIMIT_FSIZE, &little);
    LogFile *file = log_file_open(path, "console.log", 100, NULL);
    log_file_write(file, "more than ten bytes", 19);
    log_file_free(file);
    g_autofree char *below = g_build_filename(path, "retry", NULL);
    assert_int_equal(g_mkdir(below, 0700), 0);
    log_dir_put(below, "manifest", "more than ten bytes", 0600);
    setrlimit(RLIMIT_FSIZE, &before);
    g_autofree char *lost = log_dir_lost(path);
    assert_string_equal(lost, "console.log: File too large");
    g_autofree char *link = g_build_filename(path, "incomplete", NULL);
    assert_int_equal(g_remove(link), 0);
    g_autofree char *lost_below = log_dir_lost(path);
    assert_string_equal(lost_below, "manifest: File too large");
    log_dir_close(dir, FALSE);
}

int
main(void)
{
    g_autofree char *home = g_dir_make_tmp("hostbed-test-XXXXXX", NULL);
    g_setenv("XDG_STATE_HOME", home, TRUE);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_nobody_asked_for_goes_unless_kept),
        cmocka_unit_test(what_was_asked_for_stays_and_is_never_mixed),
        cmocka_unit_test(old_ones_go_but_not_those_in_use),
        cmocka_unit_test(without_a_home_they_share_a_folder),
        cmocka_unit_test(a_flood_ends_the_file),
        cmocka_unit_test(what_the_disk_does_not_take_is_told),
    };
    int failed = cmocka_run_group_tests_name("log-dir", tests, NULL, NULL);
    const char *const arguments[] = {"rm", "-rf", home, NULL};
    g_spawn_sync(NULL, (char **)arguments, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL,
                 NULL, NULL, NULL);
    return failed;
}
