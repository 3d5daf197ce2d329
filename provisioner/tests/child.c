/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The programs are shell scripts that start another and do not become it, as a wrapper of
 * an emulator may.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"
#include "error.h"
#include "guardian.h"

#define WRAPPER "sleep 600 & echo $$; wait"
#define ANSWERED "sleep 600 & echo $$"

static Child *
start(const char *script)
{
    g_autoptr(GError) error = NULL;
    Child *child = child_start((const char *const[]){"/bin/sh", "-c", script, NULL}, -1,
                               TRUE, &error);
    if (!child)
        fail_msg("%s", error->message);
    return child;
}

/* The script's first line, once it is there: the number of its group. */
static pid_t
group_of(Child *child)
{
    for (int i = 0; i < 1000; i++) {
        g_autofree char *line = child_first_line(child);
        if (*line)
            return (pid_t)g_ascii_strtoll(line, NULL, 10);
        g_usleep(10000);
    }
    fail_msg("the script said nothing");
    return 0;
}

/* Whether STAT_TEXT, of proc(5), is of a process in GROUP that runs. */
static gboolean
is_of_group(const char *stat_text, pid_t group)
{
    char state;
    int parent, process_group;
    const char *after_name = strrchr(stat_text, ')');
    return after_name &&
           sscanf(after_name + 1, " %c %d %d", &state, &parent, &process_group) == 3 &&
           process_group == group && state != 'Z';
}

static guint
count_running(pid_t group)
{
    guint count = 0;
    const char *name;
    g_autoptr(GDir) dir = g_dir_open("/proc", 0, NULL);
    while ((name = g_dir_read_name(dir))) {
        g_autofree char *path = g_build_filename("/proc", name, "stat", NULL);
        g_autofree char *text = NULL;
        if (g_ascii_isdigit(*name) && g_file_get_contents(path, &text, NULL, NULL))
            count += is_of_group(text, group);
    }
    return count;
}

static void
assert_all_end(pid_t group)
{
    guint left = 0;
    for (int i = 0; i < 500; i++) {
        left = count_running(group);
        if (left == 0)
            return;
        g_usleep(10000);
    }
    kill(-group, SIGKILL);
    fail_msg("%u processes are left", left);
}

static void
assert_no_children(void)
{
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

static void
what_it_started_ends_with_it(void **state)
{
    static const char *const scripts[] = {WRAPPER, ANSWERED};
    for (gsize i = 0; i < G_N_ELEMENTS(scripts); i++) {
        Child *child = start(scripts[i]);
        pid_t group = group_of(child);
        int code;
        assert_true(count_running(group) > 0);
        assert_int_equal(child_wait(child, 200, &code), scripts[i] != scripts[0]);
        child_free(child);
        assert_all_end(group);
        assert_no_children();
    }
}

static void
what_cannot_be_started_leaves_nothing(void **state)
{
    g_autoptr(GError) error = NULL;
    assert_null(child_start((const char *const[]){"/nonexistent/program", NULL}, -1,
                            FALSE, &error));
    assert_int_equal(error->code, HB_INFRASTRUCTURE);
    assert_no_children();
}

/* The guardian of GROUP: our child as well, but not the first. */
static pid_t
guardian_of(pid_t us, pid_t group)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/task/%d/children", us, us);
    g_autofree char *text = NULL;
    if (!g_file_get_contents(path, &text, NULL, NULL))
        return 0;
    g_auto(GStrv) words = g_strsplit(text, " ", -1);
    for (char **word = words; *word; word++) {
        pid_t pid = (pid_t)g_ascii_strtoll(*word, NULL, 10);
        if (pid > 0 && pid != group)
            return pid;
    }
    return 0;
}

/* A process that is us, with a child; it tells the child's group. */
static pid_t
fork_with_child(const char *script, pid_t *group)
{
    int fds[2];
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    pid_t us = fork();
    if (us == 0) {
        pid_t found = group_of(start(script));
        if (write(fds[1], &found, sizeof found) == sizeof found)
            pause();
        _exit(1);
    }
    close(fds[1]);
    assert_int_equal(read(fds[0], group, sizeof *group), sizeof *group);
    close(fds[0]);
    return us;
}

/* What kill -9 leaves of us. */
static void
nothing_outlives_us(void **state)
{
    pid_t group, us = fork_with_child(WRAPPER, &group);
    /* The script, its program and the guardian. */
    assert_int_equal(count_running(group), 3);
    kill(us, SIGKILL);
    assert_int_equal(waitpid(us, NULL, 0), us);
    assert_all_end(group);
}

/* The program itself does not depend on the guardian. */
static void
the_program_dies_with_us_unguarded(void **state)
{
    pid_t group, us = fork_with_child("echo $$; exec sleep 600", &group);
    pid_t guardian = guardian_of(us, group);
    if (guardian > 0) {
        kill(guardian, SIGKILL);
        while (count_running(group) > 1)
            g_usleep(1000);
    }
    kill(us, SIGKILL);
    assert_int_equal(waitpid(us, NULL, 0), us);
    if (guardian > 0)
        assert_all_end(group);
    else
        skip(); /* this kernel does not list children */
}

static void
a_guardian_holds_no_descriptor(void **state)
{
    int fds[2];
    assert_int_equal(pipe(fds), 0); /* not even one that others inherit */
    Child *child = start("echo $$; exec sleep 600");
    pid_t guardian = guardian_of(getpid(), group_of(child));
    g_autofree char *path = g_strdup_printf("/proc/%d/fd", guardian);
    g_autoptr(GDir) dir = guardian > 0 ? g_dir_open(path, 0, NULL) : NULL;
    const char *open_fd = dir ? g_dir_read_name(dir) : NULL;
    assert_null(open_fd);
    child_free(child);
    close(fds[0]);
    close(fds[1]);
    if (!dir)
        skip(); /* this kernel does not list children */
}

/* "pkill hostbed" shall leave it to do its work. */
static void
a_guardian_is_not_called_hostbed(void **state)
{
    Child *child = start("echo $$; exec sleep 600");
    pid_t guardian = guardian_of(getpid(), group_of(child));
    g_autofree char *name_path = g_strdup_printf("/proc/%d/comm", guardian);
    g_autofree char *words_path = g_strdup_printf("/proc/%d/cmdline", guardian);
    g_autofree char *name = NULL, *words = NULL;
    gsize length = 0;
    gboolean is_known = g_file_get_contents(name_path, &name, NULL, NULL) &&
                        g_file_get_contents(words_path, &words, &length, NULL);
    child_free(child);
    if (!is_known)
        skip();
    assert_string_equal(name, "emulator-guard\n");
    assert_true(length > 0 && g_str_has_prefix("emulator-guard", words));
}

/* Else it would end whoever started us. */
static void
the_group_of_others_gets_no_guardian(void **state)
{
    pid_t us = fork();
    if (us == 0)
        _exit(guardian_start(getppid()) == EPERM ? 0 : 1);
    int status;
    assert_int_equal(waitpid(us, &status, 0), us);
    assert_int_equal(status, 0);
}

static gboolean
on_time(gpointer cancellable)
{
    g_cancellable_cancel(cancellable);
    return G_SOURCE_REMOVE;
}

static void
an_interrupt_ends_the_wait(void **state)
{
    g_autoptr(GCancellable) interrupt = g_cancellable_new();
    g_autoptr(Child) child = start(WRAPPER);
    gint64 started = g_get_monotonic_time();
    int code;
    g_cancellable_push_current(interrupt);
    g_timeout_add(50, on_time, interrupt);
    assert_false(child_wait(child, 60000, &code));
    g_cancellable_pop_current(interrupt);
    assert_true(g_get_monotonic_time() - started < 30 * G_USEC_PER_SEC);
}

static void
an_end_is_seen_while_the_context_turns(void **state)
{
    g_autoptr(GCancellable) interrupt = g_cancellable_new();
    g_autoptr(Child) child = start("sleep 0.1; exit 7");
    int code = 0;
    g_cancellable_push_current(interrupt);
    assert_true(child_wait(child, 60000, &code));
    assert_int_equal(code, 7);
    g_cancellable_pop_current(interrupt);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_it_started_ends_with_it),
        cmocka_unit_test(what_cannot_be_started_leaves_nothing),
        cmocka_unit_test(nothing_outlives_us),
        cmocka_unit_test(the_program_dies_with_us_unguarded),
        cmocka_unit_test(a_guardian_holds_no_descriptor),
        cmocka_unit_test(a_guardian_is_not_called_hostbed),
        cmocka_unit_test(the_group_of_others_gets_no_guardian),
        cmocka_unit_test(an_interrupt_ends_the_wait),
        cmocka_unit_test(an_end_is_seen_while_the_context_turns),
    };
    return cmocka_run_group_tests_name("child", tests, NULL, NULL);
}
