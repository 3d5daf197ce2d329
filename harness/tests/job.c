/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Workers that are shell scripts: what they tell, how they end, and what becomes of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <glib-unix.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "job.h"

typedef struct {
    GMainLoop *loop;
    GString *steps;
    guint results;
} Seen;

static void
on_step(Job *job, const char *what, gpointer user_data)
{
    g_string_append_printf(((Seen *)user_data)->steps, "%s;", what);
}

static void
on_results(Job *job, guint first, gpointer user_data)
{
    Seen *seen = user_data;
    assert_int_equal(first, seen->results);
    seen->results = job_report(job)->results->len;
}

static void
on_ended(Job *job, gpointer user_data)
{
    g_main_loop_quit(((Seen *)user_data)->loop);
}

static const JobWatch watch = {.step = on_step, .results = on_results, .ended = on_ended};

static gboolean
send_term(gpointer job)
{
    job_signal(job, SIGTERM);
    return G_SOURCE_REMOVE;
}

/* Runs SCRIPT in a shell; its descriptor 3 is the pipe. */
static Report *
run_script(const char *script, guint term_after_ms, char **steps)
{
    g_autoptr(GMainLoop) loop = g_main_loop_new(NULL, FALSE);
    Seen seen = {.loop = loop, .steps = g_string_new(NULL)};
    Report *report = report_new("lab");
    g_autoptr(GError) error = NULL;
    const char *const argv[] = {"/bin/sh", "-c", script, NULL};
    Job *job = job_start(argv, NULL, report, FALSE, &watch, &seen, &error);
    assert_non_null(job);
    if (term_after_ms)
        g_timeout_add(term_after_ms, send_term, job);
    g_main_loop_run(loop);
    job_free(job);
    char *text = g_string_free(seen.steps, FALSE);
    if (steps)
        *steps = text;
    else
        g_free(text);
    return report;
}

#define RESULT "{\"host\":\"l1\",\"suite\":\"numa\",\"case\":\"a\",\"outcome\":\"pass\"}"
#define RESULTS "echo '{\"type\":\"results\",\"results\":[" RESULT "]}' >&3;"
#define END "echo '{\"type\":\"end\",\"status\":0}' >&3"

static void
takes_what_is_told(void **state)
{
    g_autofree char *steps = NULL;
    g_autoptr(Report) report =
        run_script("echo '{\"type\":\"facts\",\"kernel\":\"6.1\",\"accel\":\"tcg\"}' >&3;"
                   "echo '{\"type\":\"step\",\"what\":\"numa\"}' >&3;" RESULTS END,
                   0, &steps);
    assert_string_equal(steps, "numa;");
    assert_string_equal(report->kernel, "6.1");
    assert_string_equal(report->accel, "tcg");
    assert_null(report->emulator);
    assert_int_equal(report->results->len, 1);
    assert_true(report->complete);
    assert_int_equal(report_status(report), HB_OK);
}

/* The last result must be FAULT, in a run that is accounted for. */
static void
expect_fault(const char *script, const char *message, const char *output)
{
    g_autoptr(Report) report = run_script(script, 0, NULL);
    assert_true(report->results->len > 0);
    const CaseResult *last = report->results->pdata[report->results->len - 1];
    assert_int_equal(last->outcome, OUTCOME_INFRASTRUCTURE);
    assert_non_null(strstr(last->message, message));
    if (output)
        assert_string_equal(last->output, output);
    assert_true(report->complete);
    assert_int_equal(report_status(report), HB_INFRASTRUCTURE);
}

static void
a_worker_that_dies_is_a_failure(void **state)
{
    expect_fault(RESULTS "kill -SEGV $$", "signal 11", NULL);
    expect_fault(RESULTS "echo no memory >&2; exit 3", "status 3", "no memory\n");
    expect_fault("exit 0", "status 0", NULL);
}

static void
a_worker_that_talks_nonsense_is_a_failure(void **state)
{
    expect_fault("echo hello >&3;" END, "status 0", NULL);
    expect_fault("echo '[1]' >&3;" END, "status 0", NULL);
    expect_fault("echo '{\"type\":\"results\",\"results\":[{},7]}' >&3;" END, "status 0",
                 NULL);
    expect_fault(
        "echo '{\"type\":7}' >&3; echo '{\"type\":\"results\",\"results\":3}' >&3;" END,
        "status 0", NULL);
}

static void
an_interrupted_worker_leaves_the_report_open(void **state)
{
    g_autoptr(Report) report =
        run_script("trap 'echo \"{\\\"type\\\":\\\"end\\\",\\\"status\\\":130}\" >&3; "
                   "exit 0' TERM;" RESULTS "while :; do sleep 0.05; done",
                   200, NULL);
    assert_false(report->complete);
    assert_int_equal(report_status(report), HB_INTERRUPTED);
    assert_int_equal(report->results->len, 1);
}

/* A grandchild that keeps the pipes open does not keep us. */
static void
does_not_wait_for_grandchildren(void **state)
{
    gint64 before = g_get_monotonic_time();
    g_autoptr(Report) report = run_script(RESULTS END "; sleep 5 & exit 0", 0, NULL);
    assert_int_equal(report_status(report), HB_OK);
    assert_true(g_get_monotonic_time() - before < 4 * G_USEC_PER_SEC);
}

/* Whoever starts a worker and is killed takes it along. */
static void
a_worker_goes_with_its_parent(void **state)
{
    int pipe_fds[2];
    assert_true(g_unix_open_pipe(pipe_fds, 0, NULL));
    pid_t parent = fork();
    if (parent == 0) {
        close(pipe_fds[0]);
        g_autofree char *script =
            g_strdup_printf("echo x >&%d; exec sleep 60 3>&-", pipe_fds[1]);
        const char *const argv[] = {"/bin/sh", "-c", script, NULL};
        Seen seen = {.loop = g_main_loop_new(NULL, FALSE)};
        /* descriptors of ours do not leak into workers: this one is duplicated on purpose
         */
        g_autofree char *open_script = g_strdup_printf(
            "exec %d>/proc/%d/fd/%d; %s", pipe_fds[1], getpid(), pipe_fds[1], script);
        const char *const open_argv[] = {argv[0], argv[1], open_script, NULL};
        job_start(open_argv, NULL, report_new("lab"), FALSE, &watch, &seen, NULL);
        g_main_loop_run(seen.loop);
        _exit(1);
    }
    close(pipe_fds[1]);
    char byte;
    assert_int_equal(read(pipe_fds[0], &byte, 1), 1); /* it runs */
    kill(parent, SIGKILL);
    waitpid(parent, NULL, 0);
    gint64 before = g_get_monotonic_time();
    while (read(pipe_fds[0], &byte, 1) > 0)
        ; /* the end comes when the last holder of the pipe is gone */
    assert_true(g_get_monotonic_time() - before < 30 * G_USEC_PER_SEC);
    close(pipe_fds[0]);
}

/* One that hangs in what it does for us hears no SIGTERM. */
static void
one_that_inherits_goes_at_once(void **state)
{
    int pipe_fds[2];
    assert_true(g_unix_open_pipe(pipe_fds, 0, NULL));
    pid_t parent = fork();
    if (parent == 0) {
        const char *const argv[] = {
            "/bin/sh", "-c", "trap '' TERM; exec 5>&-; echo $$ >&4; while :; do :; done",
            NULL};
        Seen seen = {.loop = g_main_loop_new(NULL, FALSE)};
        g_autoptr(GArray) fds = g_array_new(FALSE, FALSE, sizeof(int));
        g_array_append_val(fds, pipe_fds[1]);
        job_start(argv, fds, report_new("lab"), FALSE, &watch, &seen, NULL);
        g_main_loop_run(seen.loop);
        _exit(1);
    }
    close(pipe_fds[1]);
    char text[20] = "";
    assert_true(read(pipe_fds[0], text, sizeof text - 1) > 1); /* it runs */
    pid_t worker = atoi(text);
    kill(parent, SIGKILL);
    waitpid(parent, NULL, 0);
    GPollFD gone = {.fd = pipe_fds[0], .events = G_IO_IN};
    int ended = g_poll(&gone, 1, 10000);
    if (ended != 1)
        kill(worker, SIGKILL);
    assert_int_equal(ended, 1);
    close(pipe_fds[0]);
}

/* What a process hears, says of its places and inherits. */
static void
on_places(Job *job, const JobPlaces *places, gpointer user_data)
{
    g_string_append_printf(((Seen *)user_data)->steps, "places %u %u %u %d;",
                           places->runs, places->may, places->could,
                           (int)places->template_bytes);
}

static void
on_done(Job *job, gpointer user_data)
{
    g_string_append(((Seen *)user_data)->steps, "done;");
    job_dismiss(job);
}

static const JobWatch both = {.step = on_step,
                              .results = on_results,
                              .places = on_places,
                              .done = on_done,
                              .ended = on_ended};

static void
a_worker_hears_what_to_do(void **state)
{
    g_autoptr(GMainLoop) loop = g_main_loop_new(NULL, FALSE);
    g_autoptr(Report) report = report_new("lab");
    g_autoptr(GError) error = NULL;
    g_autoptr(GArray) fds = g_array_new(FALSE, FALSE, sizeof(int));
    Seen seen = {.loop = loop, .steps = g_string_new(NULL)};
    int given[2];
    const char *const argv[] = {
        "/bin/sh", "-c",
        "read -r line <&3; [ \"$line\" = '{\"suite\":\"numa\"}' ] || exit 1;"
        "echo '{\"type\":\"step\",\"what\":\"'$(cat <&4)'\"}' >&3;"
        "echo '{\"type\":\"places\",\"runs\":1,\"may\":2,\"could\":3,"
        "\"template_bytes\":4}' >&3; echo '{\"type\":\"done\"}' >&3;"
        "read -r line <&3 || " END,
        NULL};
    assert_true(g_unix_open_pipe(given, FD_CLOEXEC, NULL));
    assert_int_equal(write(given[1], "inherited", 9), 9);
    close(given[1]);
    g_array_append_val(fds, given[0]);
    Job *job = job_start(argv, fds, report, FALSE, &both, &seen, &error);
    assert_non_null(job);
    close(given[0]);
    JsonObject *order = json_object_new();
    json_object_set_string_member(order, "suite", "numa");
    job_order(job, order);
    g_main_loop_run(loop);
    job_free(job);
    assert_string_equal(seen.steps->str, "inherited;places 1 2 3 4;done;");
    assert_int_equal(report->results->len, 0);
    assert_true(report->complete);
    g_string_free(seen.steps, TRUE);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        /* the first: it forks, and GLib has no threads yet */
        cmocka_unit_test(a_worker_goes_with_its_parent),
        cmocka_unit_test(one_that_inherits_goes_at_once),
        cmocka_unit_test(takes_what_is_told),
        cmocka_unit_test(a_worker_that_dies_is_a_failure),
        cmocka_unit_test(a_worker_that_talks_nonsense_is_a_failure),
        cmocka_unit_test(an_interrupted_worker_leaves_the_report_open),
        cmocka_unit_test(does_not_wait_for_grandchildren),
        cmocka_unit_test(a_worker_hears_what_to_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
