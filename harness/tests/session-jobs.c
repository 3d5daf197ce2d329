/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Units that run at the same time: the processes are shell scripts that play a unit, the
 * host is nothing but a template. What is compared is what was told, and how many ran.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "cache.h"
#include "error.h"
#include "played-host.h"

static const char manifest[] = PLAYED_MANIFEST;

typedef struct {
    const char *unit; /* what a process does for each: shell, where $case is its case */
    guint may;
    gboolean interrupt_it; /* when the first result of a suite came */
    GCancellable *interrupt;
    GString *log;
    guint started, most, last, clones;
    GPtrArray *results;
} Play;

/* ---- a host that is one in name only
 * ------------------------------------------------------------------------- */

static void *
start(const SessionOptions *options, gboolean freezable, const char *log_dir,
      GError **error)
{
    return options->user_data;
}

static void
stop(void *host)
{
}

static char *
observe(void *host, GError **error)
{
    return g_strdup(manifest);
}

static void *
freeze(void **host, GError **error)
{
    return g_steal_pointer(host);
}

static void *
restore(const void *template, const char *log_dir, GCancellable *interrupt,
        GError **error)
{
    ((Play *)template)->clones++;
    return (void *)template;
}

static const SessionDriver driver = {.start = start,
                                     .stop = stop,
                                     .retried = played_retried,
                                     .accel = played_accel,
                                     .observe = observe,
                                     .put = played_put,
                                     .sound = played_sound,
                                     .freeze = freeze,
                                     .clone = restore,
                                     .discard = stop};

/* ---- processes
 * --------------------------------------------------------------------------------------
 */

/* What each says: RESULT OUTCOME; and it ends in order when it is asked to. */
static const char before[] =
    "tell() { echo \"$1\" >&3; }\n"
    "end() { tell '{\"type\":\"end\",\"status\":'$1'}'; exit; }\n"
    "result() { tell '{\"type\":\"results\",\"results\":[{\"host\":\"l1\",\"suite\":"
    "\"numa\",\"case\":\"'$case'\",\"outcome\":\"'$1'\",\"order\":'$order'}]}'; }\n"
    "trap 'end 130' TERM\n"
    "while read -r line <&3; do\n"
    "  case=${line#*\\\"case\\\":\\\"}; case=${case%%\\\"*}\n"
    "  order=${line#*\\\"order\\\":}; order=${order%%[!0-9]*}\n  ";
static const char after[] = "\n  tell '{\"type\":\"done\"}'\ndone\nend 0\n";

static Job *
start_process(const SessionOrigin *origin, Report *report, const JobWatch *watch,
              gpointer watcher, gpointer user_data, GError **error)
{
    Play *play = user_data;
    assert_ptr_equal(origin->template, play);
    g_autofree char *script = g_strconcat(before, play->unit, after, NULL);
    const char *const argv[] = {"/bin/sh", "-c", script, NULL};
    play->started++;
    return job_start(argv, NULL, report, TRUE, watch, watcher, error);
}

static guint
may(gpointer user_data)
{
    return ((const Play *)user_data)->may;
}

static void
uses(const JobPlaces *places, gpointer user_data)
{
    Play *play = user_data;
    assert_true(places->could >= places->runs);
    play->most = MAX(play->most, places->runs);
    play->last = places->runs;
}

static const SessionJobs jobs = {.may = may, .uses = uses, .start = start_process};

static void
on_results(const GPtrArray *results, gpointer user_data)
{
    Play *play = user_data;
    for (guint i = 0; i < results->len; i++) {
        const CaseResult *result = results->pdata[i];
        assert_string_equal(result->host, "l1");
        if (g_str_equal(result->suite, "manifest"))
            continue;
        g_ptr_array_add(play->results, case_result_copy(result));
        if (play->interrupt_it)
            g_cancellable_cancel(play->interrupt);
    }
}

static int
by_order(gconstpointer a, gconstpointer b)
{
    const CaseResult *one = *(CaseResult *const *)a, *other = *(CaseResult *const *)b;
    return one->order < other->order ? -1 : one->order > other->order;
}

/* What was told, in the order of reports. */
static char *
told(const Play *play)
{
    GString *text = g_string_new(NULL);
    g_ptr_array_sort(play->results, by_order);
    for (guint i = 0; i < play->results->len; i++) {
        const CaseResult *result = play->results->pdata[i];
        g_string_append_printf(text, "%s %s\n", outcome_name(result->outcome),
                               result->name);
    }
    return g_string_free(text, FALSE);
}

/* The cases numa has that are meant by *_node, each for itself. */
static HbStatus
run_play(Play *play, gint64 deadline_ms, char **text)
{
    g_autofree char *log_dir = g_dir_make_tmp("hostbed-jobs-XXXXXX", NULL);
    g_autoptr(GCancellable) interrupt = g_cancellable_new();
    g_autoptr(GPtrArray) empty = g_ptr_array_new(),
                         chosen = played_suites(LIST("manifest", "numa"));
    g_autoptr(Selection) selection = selection_new(LIST("numa/*_node*"), NULL);
    const Plan plan = {.lab_name = (char *)"lab",
                       .host_id = (char *)"l1",
                       .cells = empty,
                       .functions = empty,
                       .node_count = 1};
    play->interrupt = interrupt;
    play->results = case_results_new();
    const SessionOptions options = {
        .plan = &plan,
        .lab = "lab",
        .manifest = manifest,
        .driver = &driver,
        .log_dir = log_dir,
        .suites = chosen,
        .selection = selection,
        .isolation = SESSION_ISOLATE_CASE,
        .jobs = &jobs,
        .deadline_us = deadline_ms ? g_get_monotonic_time() + deadline_ms * 1000 : 0,
        .interrupt = interrupt,
        .results = on_results,
        .user_data = play,
    };
    HbStatus status = session_run(&options);
    *text = told(play);
    g_ptr_array_unref(play->results);
    cache_remove_tree(log_dir);
    assert_int_equal(play->clones, 0);
    return status;
}

#define BUT_FIRST                                                                        \
    "pass cpus_belong_to_their_nodes\npass bound_memory_is_on_its_node\n"                \
    "pass preferred_memory_is_on_its_node\npass interleaved_memory_is_on_all_nodes\n"
#define ALL "pass every_node_is_online\n" BUT_FIRST

static void
units_run_in_processes(void **state)
{
    g_autofree char *text = NULL;
    Play play = {.unit = "result pass", .may = 2};
    assert_int_equal(run_play(&play, 0, &text), HB_OK);
    assert_string_equal(text, ALL);
    assert_int_equal(play.most, 2);
    assert_int_equal(play.last, 0);
    assert_int_equal(play.started, 2);
}

static void
no_more_run_than_may(void **state)
{
    g_autofree char *text = NULL;
    Play play = {.unit = "result pass", .may = 1};
    assert_int_equal(run_play(&play, 0, &text), HB_OK);
    assert_string_equal(text, ALL);
    assert_int_equal(play.most, 1);
    assert_int_equal(play.started, 1);
}

/* As many as there are units, where more might. */
static void
a_process_that_dies_costs_its_unit(void **state)
{
    g_autofree char *text = NULL;
    Play play = {.unit = "[ $case != every_node_is_online ] || kill -9 $$; result pass",
                 .may = 20};
    assert_int_equal(run_play(&play, 0, &text), HB_OK);
    assert_string_equal(text, "infrastructure [every_node_is_online]\n" BUT_FIRST);
    assert_int_equal(play.most, 5);
    /* and the next ones get another */
    g_autofree char *one = NULL;
    Play alone = play;
    alone.may = 1;
    alone.started = 0;
    assert_int_equal(run_play(&alone, 0, &one), HB_OK);
    assert_string_equal(one, text);
    assert_int_equal(alone.started, 2);
}

/* Neither is one that somebody else ends in order, or whose words are garbled, a pass. */
static void
what_was_lost_is_told(void **state)
{
    static const char *const ways[] = {
        "[ $case != every_node_is_online ] || end 130; result pass",
        "[ $case != every_node_is_online ] || { tell "
        "'{\"type\":\"results\",\"results\":[1]}'; "
        "tell '{\"type\":\"done\"}'; continue; }; result pass"};
    for (guint i = 0; i < G_N_ELEMENTS(ways); i++) {
        g_autofree char *text = NULL;
        Play play = {.unit = ways[i], .may = 1};
        assert_int_equal(run_play(&play, 0, &text), HB_OK);
        assert_string_equal(text, "infrastructure [every_node_is_online]\n" BUT_FIRST);
        assert_int_equal(play.started, 2);
    }
}

static void
an_interrupt_ends_the_processes(void **state)
{
    g_autofree char *text = NULL;
    Play play = {.unit = "result pass; [ $case = every_node_is_online ] || "
                         "while :; do sleep 0.1; done",
                 .may = 1,
                 .interrupt_it = TRUE};
    assert_int_equal(run_play(&play, 0, &text), HB_INTERRUPTED);
    assert_true(g_str_has_prefix(text, "pass every_node_is_online\n"));
    assert_null(strstr(text, "bound"));
}

/* Processes know it, too; what was not begun is told. */
static void
the_deadline_ends_all(void **state)
{
    g_autofree char *text = NULL;
    Play play = {.unit = "sleep 2.5; result timeout", .may = 2};
    assert_int_equal(run_play(&play, 2000, &text), HB_OK);
    assert_string_equal(text, "timeout every_node_is_online\n"
                              "timeout cpus_belong_to_their_nodes\n"
                              "timeout bound_memory_is_on_its_node\n"
                              "timeout preferred_memory_is_on_its_node\n"
                              "timeout interleaved_memory_is_on_all_nodes\n");
    assert_int_equal(play.most, 2);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(units_run_in_processes),
        cmocka_unit_test(no_more_run_than_may),
        cmocka_unit_test(a_process_that_dies_costs_its_unit),
        cmocka_unit_test(what_was_lost_is_told),
        cmocka_unit_test(an_interrupt_ends_the_processes),
        cmocka_unit_test(the_deadline_ends_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
