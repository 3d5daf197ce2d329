/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Sessions with a host that the test plays: a script says what each start, observation
 * and program does. What is compared is all that was reported, in order.
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

/* What the host does next; each list is used from its start, its last entry again and
 * again. */
typedef struct {
    const char *const *starts; /* "ok", "panic", "unsupported", "interrupt" */
    const char *const *observations;
    const char *const
        *programs; /* TAP; "!died", "!timeout", "!unsound", "!deadline", "!interrupt",
                      "!hang", "!endless", "!told" and "!said" (before an interrupt) */
    const char *const *clones; /* "ok", "dead"; NULL: hosts cannot be frozen */
    const char *const *kept;   /* "ok", "none", "damaged"; NULL: nothing is kept */
    guint looked, keeps, forgotten;
    guint started, stopped, observed, ran, frozen, cloned, discarded;
    gboolean asked_freezable, prepare_fails;
    guint prepared;
    GCancellable *interrupt;
    GString *log; /* what was reported */
    gboolean put, timed_out;
    char *log_dir; /* "LOGS" in what was reported */
} Script;

static const char *
next(const char *const *list, guint *used)
{
    guint i = (*used)++;
    guint length = g_strv_length((char **)list);
    return list[MIN(i, length - 1)];
}

static gboolean
refuse(GError **error, HbStatus status, const char *message)
{
    g_set_error_literal(error, HB_ERROR, (int)status, message);
    return FALSE;
}

static void *
start(const SessionOptions *options, gboolean freezable, const char *log_dir,
      GError **error)
{
    Script *script = options->user_data;
    const char *what = next(script->starts, &script->started);
    script->asked_freezable |= freezable;
    assert_true(g_file_test(log_dir, G_FILE_TEST_IS_DIR));
    if (g_str_equal(what, "ok"))
        return script;
    if (g_str_equal(what, "panic"))
        refuse(error, HB_GUEST_PANIC, "the kernel panicked");
    if (g_str_equal(what, "unsupported"))
        refuse(error, HB_UNSUPPORTED, "the emulator has no device igb");
    if (g_str_equal(what, "interrupt")) {
        g_cancellable_cancel(script->interrupt);
        refuse(error, HB_INTERRUPTED, "interrupted");
    }
    return NULL;
}

static void
stop(void *host)
{
    ((Script *)host)->stopped++;
}

static char *
observe(void *host, GError **error)
{
    Script *script = host;
    assert_true(script->put);
    return g_strdup(next(script->observations, &script->observed));
}

static gboolean
put(void *host, const char *path, guint mode, GBytes *content, GError **error)
{
    assert_string_equal(path, SUITE_MANIFEST_PATH);
    assert_int_equal(g_bytes_get_size(content), strlen(manifest));
    ((Script *)host)->put = TRUE;
    return TRUE;
}

/* "!told": a result that is told while the program runs; "!told b": and then another;
 * "!said": those before an interrupt. */
static void
say_and_wait(Script *script, const char *what, const GuestCommand *command)
{
    static const char first[] = "1..3\nok 1 - a\n", second[] = "not ok 2 - b\n";
    gint64 until = g_get_monotonic_time() + 60 * G_USEC_PER_SEC;
    command->output(1, (const guint8 *)first, strlen(first), command->user_data);
    command->output(2, (const guint8 *)"warned\n", 7, command->user_data);
    while (!g_str_equal(what, "!said") && !strstr(script->log->str, "pass numa/a\n") &&
           g_get_monotonic_time() < until)
        g_main_context_iteration(NULL, TRUE);
    g_string_append(script->log, "- and on\n");
    command->output(1, (const guint8 *)second, strlen(second), command->user_data);
    if (!g_str_equal(what, "!told b"))
        g_cancellable_cancel(script->interrupt);
}

static gboolean
run(void *host, const GuestCommand *command, GuestExit *result, GError **error)
{
    Script *script = host;
    const char *what = next(script->programs, &script->ran);
    if (g_str_equal(command->argv[0], "prepares")) {
        script->ran--;
        script->prepared++;
        result->status = script->prepare_fails ? 3 : 0;
        return TRUE;
    }
    assert_non_null(strstr(command->argv[0], "/vmtests/"));
    if (g_str_equal(what, "!died"))
        return refuse(error, HB_EMULATOR_DIED, "the emulator died");
    if (g_str_equal(what, "!timeout")) {
        command->output(1, (const guint8 *)"1..2\nok 1 - a\n", 14, command->user_data);
        result->timed_out = TRUE;
        return TRUE;
    }
    if (g_str_equal(what, "!interrupt")) {
        g_cancellable_cancel(script->interrupt);
        return refuse(error, HB_INTERRUPTED, "interrupted");
    }
    if (g_str_has_prefix(what, "!told") || g_str_equal(what, "!said")) {
        say_and_wait(script, what, command);
        result->status = 1;
        return g_str_equal(what, "!told b") ||
               refuse(error, HB_INTERRUPTED, "interrupted");
    }
    if (g_str_equal(what, "!deadline")) {
        while (!g_cancellable_is_cancelled(script->interrupt))
            g_main_context_iteration(NULL, TRUE);
        return refuse(error, HB_INTERRUPTED, "interrupted");
    }
    const char *only = g_environ_getenv((char **)command->env, "HOSTBED_CASE");
    g_autofree char *of_case = only ? g_strdup_printf("1..1\nok 1 - %s\n", only) : NULL;
    if (of_case && g_str_equal(what, "!case"))
        what = of_case;
    const char *some = g_environ_getenv((char **)command->env, "HOSTBED_CASES");
    g_autofree char *of_cases =
        g_strdup_printf("1..1\nok 1 - the_node_of: %s\n", some ? some : "all");
    if (g_str_equal(what, "!cases"))
        what = of_cases;
    if (g_str_equal(what, "!hang") || g_str_equal(what, "!endless")) {
        static const char first[] = "1..3\nok 1 - a\n# so far\nand on";
        command->output(1, (const guint8 *)first, strlen(first), command->user_data);
        for (script->timed_out = FALSE; !script->timed_out;)
            g_main_context_iteration(NULL, TRUE);
        result->timed_out = TRUE;
        return g_str_equal(what, "!hang") ||
               refuse(error, HB_GUEST_HANG, "it did not end although it was killed");
    }
    const char *slowness = g_environ_getenv((char **)command->env, "HOSTBED_SLOWNESS");
    g_autofree char *as_slow =
        g_strdup_printf("1..1\nok 1 - %s\n", slowness ? slowness : "a");
    if (g_str_equal(what, "!slowness"))
        what = as_slow;
    if (g_str_equal(what, "!unsound"))
        what = "1..1\nok 1 - a\n";
    command->output(1, (const guint8 *)what, strlen(what), command->user_data);
    command->output(2, (const guint8 *)"warned\n", 7, command->user_data);
    result->status = strstr(what, "not ok") ? 1 : 0;
    return TRUE;
}

static gboolean
sound(void *host, GError **error)
{
    const Script *script = host;
    guint last = MIN(script->ran, g_strv_length((char **)script->programs)) - 1;
    return script->ran == 0 || !g_str_equal(script->programs[last], "!unsound") ||
           refuse(error, HB_GUEST_PANIC, "it panicked at the end");
}

/* Twice what the reference machine takes; of a clone it tells nothing. */
static gint64
boot_us(void *host)
{
    const Script *script = host;
    return script->cloned > 0 ? 1000 : 8 * G_USEC_PER_SEC;
}

static void
time_out(void *host)
{
    ((Script *)host)->timed_out = TRUE;
}

static void *
freeze(void **host, GError **error)
{
    Script *script = *host;
    script->frozen++;
    if (!script->clones) {
        refuse(error, HB_UNSUPPORTED, "nvme has no state");
        return NULL;
    }
    stop(script);
    *host = NULL;
    return script;
}

static void *
restore(const void *template, const char *log_dir, GCancellable *interrupt,
        GError **error)
{
    Script *script = (Script *)template;
    assert_true(g_file_test(log_dir, G_FILE_TEST_IS_DIR));
    const char *what = next(script->clones, &script->cloned);
    if (g_str_equal(what, "ok"))
        return script;
    if (g_str_equal(what, "short"))
        refuse(error, HB_INFRASTRUCTURE, "no memory");
    else
        refuse(error, HB_EMULATOR_DIED, "the emulator died");
    return NULL;
}

static void
discard(void *template)
{
    ((Script *)template)->discarded++;
}

static void *
kept(const SessionOptions *options, char **how, char **trouble)
{
    Script *script = options->user_data;
    const char *what = next(script->kept, &script->looked);
    if (g_str_equal(what, "damaged"))
        *trouble = g_strdup("it was cut");
    if (!g_str_equal(what, "ok"))
        return NULL;
    *how = g_strdup("kept for long");
    return script;
}

static gboolean
keep(const SessionOptions *options, void *template, char **how, GError **error)
{
    ((Script *)template)->keeps++;
    *how = g_strdup("kept");
    return TRUE;
}

static void
forget(void *template)
{
    ((Script *)template)->forgotten++;
}

static const SessionDriver driver = {.start = start,
                                     .stop = stop,
                                     .retried = played_retried,
                                     .accel = played_accel,
                                     .observe = observe,
                                     .put = put,
                                     .run = run,
                                     .sound = sound,
                                     .boot_us = boot_us,
                                     .time_out = time_out,
                                     .freeze = freeze,
                                     .clone = restore,
                                     .discard = discard,
                                     .kept = kept,
                                     .keep = keep,
                                     .forget = forget};

static void
on_frozen(gboolean cold, const char *how, gpointer user_data)
{
    Script *script = user_data;
    if (cold)
        g_string_append_printf(script->log, "cold: %s\n", how);
    else if (script->kept) /* without the time it took */
        g_string_append_printf(script->log, "template: %s\n",
                               strchr(how, ',') ? strchr(how, ',') + 2 : how);
}

static void
on_results(const GPtrArray *results, gpointer user_data)
{
    Script *script = user_data;
    for (guint i = 0; i < results->len; i++) {
        const CaseResult *result = results->pdata[i];
        assert_string_equal(result->host, "l1");
        g_string_append_printf(script->log, "%s%s %s/%s", outcome_name(result->outcome),
                               result->flaky ? "(flaky)" : "", result->suite,
                               result->name);
        if (result->message)
            g_string_append_printf(script->log, ": %s", result->message);
        g_string_append_c(script->log, '\n');
        if (result->outcome == OUTCOME_TIMEOUT && result->output)
            g_string_append(script->log, result->output);
    }
    g_string_replace(script->log, script->log_dir, "LOGS", 0);
}

/* ---- running one
 * ---------------------------------------------------------------------------------- */

typedef struct {
    const char *const *suite_names; /* NULL: manifest, numa, pci */
    const char *pattern;            /* or NULL */
    guint retries;
    gboolean no_skip, even_if_different, tainted;
    SessionIsolation isolation; /* AUTO here: none, since most tests are not about it */
    gboolean warm, check_clones, prepare;
    gint64 deadline_ms, case_timeout_ms;
} Setup;

static void
play(Script *script, Setup setup, HbStatus expected_status, const char *expected)
{
    g_autofree char *log_dir = g_dir_make_tmp("hostbed-session-XXXXXX", NULL);
    g_autoptr(GCancellable) interrupt = g_cancellable_new();
    PlanCell cell = {.node = 0, .pos = {"lab.xml", 5}};
    g_autoptr(GPtrArray) cells = g_ptr_array_new(), functions = g_ptr_array_new();
    g_ptr_array_add(cells, &cell);
    const char *const patterns[] = {setup.pattern, NULL};
    g_autoptr(Selection) selection = selection_new(patterns, NULL);
    g_autoptr(GPtrArray) chosen = played_suites(
        setup.suite_names ? setup.suite_names : LIST("manifest", "numa", "pci"));
    const Plan plan = {.lab_name = (char *)"lab",
                       .host_id = (char *)"l1",
                       .pos = {"lab.xml", 3},
                       .cells = cells,
                       .functions = functions,
                       .node_count = 1,
                       .tainted = setup.tainted};
    g_autoptr(GPtrArray) prepare = suites_foreign(
        "--prepare", setup.prepare ? LIST("prepares") : LIST(NULL), 10, NULL);
    g_autoptr(Bindings) bindings = bindings_new(&plan, LIST(NULL), NULL);
    script->interrupt = interrupt;
    script->log = g_string_new(NULL);
    script->log_dir = log_dir;
    const SessionOptions options = {
        .plan = &plan,
        .lab = "lab",
        .manifest = manifest,
        .driver = &driver,
        .log_dir = log_dir,
        .bindings = bindings,
        .prepare = prepare,
        .suites = chosen,
        .selection = selection,
        .retries = setup.retries,
        .case_timeout_ms = setup.case_timeout_ms,
        .no_skip = setup.no_skip,
        .even_if_different = setup.even_if_different,
        .deadline_us =
            setup.deadline_ms ? g_get_monotonic_time() + setup.deadline_ms * 1000 : 0,
        .isolation = setup.isolation,
        .cold = !setup.warm,
        .keep = script->kept != NULL,
        .check_clones = setup.check_clones,
        .interrupt = interrupt,
        .frozen = on_frozen,
        .results = on_results,
        .user_data = script,
    };
    HbStatus status = session_run(&options);
    if (expected)
        assert_string_equal(script->log->str, expected);
    else
        assert_non_null(strstr(script->log->str,
                               "fail host/prepare: 'prepares', which was to "
                               "prepare the host, ended with status 3"));
    assert_int_equal(status, expected_status);
    g_string_free(script->log, TRUE);
    cache_remove_tree(log_dir);
}

/* Every host that was started is ended. */
static void
expect(Script script, Setup setup, HbStatus status, guint hosts, const char *expected)
{
    play(&script, setup, status, expected);
    assert_int_equal(script.stopped, hosts);
    assert_int_equal(script.frozen, 0);
    assert_false(script.asked_freezable);
}

/* … and every template discarded. */
static void
expect_warm(Script script, Setup setup, guint starts, guint clones, const char *expected)
{
    setup.warm = TRUE;
    play(&script, setup, HB_OK, expected);
    assert_int_equal(script.started, starts);
    assert_int_equal(script.cloned, clones);
    assert_int_equal(script.discarded, script.clones ? script.frozen : 0);
    assert_true(script.asked_freezable || script.frozen == 0);
}

#define GOOD "1..1\nok 1 - a\n"
#define BAD "1..1\nnot ok 1 - a\n"
#define CHECKED "pass manifest/cpus\npass manifest/node 0\n"

static void
runs_all_in_order(void **state)
{
    expect((Script){LIST("ok"), LIST(manifest), LIST(GOOD, BAD)}, (Setup){0}, HB_OK, 1,
           CHECKED "pass numa/a\nfail pci/a\n");
}

static void
skips_what_the_lab_has_not(void **state)
{
    Setup setup = {.suite_names = LIST("manifest", "iommu", "hugepages")};
    expect((Script){LIST("ok"), LIST(manifest), LIST(GOOD)}, setup, HB_OK, 1,
           CHECKED
           "skip iommu/[suite]: the lab has no IOMMU (<iommu>)\n"
           "skip hugepages/[suite]: no cell of the lab has huge pages (<hugepages>)\n");
    setup.suite_names = LIST("iommu");
    setup.no_skip = TRUE;
    expect((Script){LIST("ok"), LIST(manifest), LIST(GOOD)}, setup, HB_OK, 0,
           "fail iommu/[suite]: skipped, which --no-skip forbids: the lab has no IOMMU "
           "(<iommu>)\n");
}

#define DIFFERENT "the host is not the machine that was asked for\n"

static void
suites_in_another_machine_are_skipped(void **state)
{
    expect((Script){LIST("ok"), LIST("cpus 0-1\nnode 0 cpus 0\n"), LIST(GOOD)},
           (Setup){0}, HB_OK, 1,
           "fail manifest/cpus: manifest:1: asked 'cpus 0', found 'cpus 0-1'; lab.xml:3 "
           "asks for it\n"
           "pass manifest/node 0\n"
           "skip numa/[suite]: " DIFFERENT "skip pci/[suite]: " DIFFERENT);
    expect((Script){LIST("ok"), LIST("cpus 0-1\nnode 0 cpus 0\n"), LIST(GOOD)},
           (Setup){.even_if_different = TRUE}, HB_OK, 1,
           "fail manifest/cpus: manifest:1: asked 'cpus 0', found 'cpus 0-1'; lab.xml:3 "
           "asks for it\n"
           "pass manifest/node 0\npass numa/a\npass pci/a\n");
}

static void
a_lost_host_fails_its_suite_only(void **state)
{
    expect((Script){LIST("ok"), LIST(manifest), LIST("!died", GOOD)}, (Setup){0}, HB_OK,
           2, CHECKED "emulator-died numa/[host]: the emulator died\npass pci/a\n");
    /* what was printed before does not make it a pass */
    expect((Script){LIST("ok"), LIST(manifest), LIST("!unsound", GOOD)}, (Setup){0},
           HB_OK, 2,
           CHECKED
           "pass numa/a\nguest-panic numa/[host]: it panicked at the end\npass pci/a\n");
}

static void
a_later_host_is_checked_too(void **state)
{
    expect((Script){LIST("ok"), LIST(manifest, "cpus 0\n"), LIST("!died", GOOD)},
           (Setup){0}, HB_OK, 2,
           CHECKED "emulator-died numa/[host]: the emulator died\n"
                   "fail manifest/node 0 (start 2): not there: nothing was found of it; "
                   "lab.xml:5 asks for it\n"
                   "skip pci/[suite]: " DIFFERENT);
}

static void
a_program_has_its_time(void **state)
{
    expect((Script){LIST("ok"), LIST(manifest), LIST("!timeout", GOOD)}, (Setup){0},
           HB_OK, 1,
           CHECKED
           "pass numa/a\ntimeout numa/[program]: did not end within 600 s, after 1 "
           "results\npass pci/a\n");
}

/* What waits within a case waits as long as the machine needs. */
static void
suites_know_how_slow_the_machine_is(void **state)
{
    expect((Script){LIST("ok"), LIST(manifest), LIST("!slowness", GOOD)}, (Setup){0},
           HB_OK, 1, CHECKED "pass numa/2.0\npass pci/a\n");
}

#define TOO_LONG(logs)                                                                   \
    "took longer than 0.1 s (the machine was measured 2.0 times slower than the "        \
    "reference), and the suite was ended; logs: " logs "\n# so far\nand on"

/* The one that hangs is named, where all were asked for; the host is not used again. */
static void
a_case_has_its_time(void **state)
{
    Setup setup = {.case_timeout_ms = 50};
    expect((Script){LIST("ok"), LIST(manifest), LIST("!hang", GOOD)}, setup, HB_OK, 2,
           CHECKED "pass numa/a\ntimeout numa/cpus_belong_to_their_nodes: " TOO_LONG(
               "LOGS") "pass pci/a\n");
    setup.pattern = "numa/every_node_is_online";
    setup.suite_names = LIST("numa");
    expect((Script){LIST("ok"), LIST(manifest), LIST("!hang")}, setup, HB_OK, 1,
           "timeout numa/[case 2]: " TOO_LONG("LOGS"));
    setup.pattern = NULL;
    expect((Script){LIST("ok"), LIST(manifest), LIST("!endless")}, setup, HB_OK, 1,
           "pass numa/a\nguest-hang numa/[host]: it did not end although it was killed\n"
           "timeout numa/cpus_belong_to_their_nodes: " TOO_LONG("LOGS"));
}

/* The machine is as slow as the template's start was, and each case knows its name. */
static void
a_case_of_a_clone_has_its_time(void **state)
{
    Setup setup = {.case_timeout_ms = 50};
    expect_warm((Script){LIST("ok"), LIST(manifest), LIST("!hang", GOOD), LIST("ok")},
                setup, 1, 2,
                CHECKED "pass numa/a\ntimeout numa/cpus_belong_to_their_nodes: " TOO_LONG(
                    "LOGS/clone-1") "pass pci/a\n");
}

static void
suites_get_clones(void **state)
{
    const char both[] = CHECKED "pass numa/a\npass pci/a\n";
    expect_warm((Script){LIST("ok"), LIST(manifest), LIST(GOOD), LIST("ok")}, (Setup){0},
                1, 2, both);
    expect_warm((Script){LIST("ok"), LIST(manifest), LIST(GOOD), LIST("ok")},
                (Setup){.isolation = SESSION_ISOLATE_NONE}, 1, 0, both);
    /* a lost clone costs its suite only, and the next one is another clone anyway */
    expect_warm((Script){LIST("ok"), LIST(manifest), LIST("!died", GOOD), LIST("ok")},
                (Setup){0}, 1, 2,
                CHECKED "emulator-died numa/[host]: the emulator died\npass pci/a\n");
    /* for one suite there is nothing to be won */
    expect_warm((Script){LIST("ok"), LIST(manifest), LIST(GOOD), LIST("ok")},
                (Setup){.suite_names = LIST("manifest", "numa")}, 1, 0,
                CHECKED "pass numa/a\n");
}

static void
hosts_that_cannot_be_frozen_go_on(void **state)
{
    expect_warm((Script){LIST("ok"), LIST(manifest), LIST(GOOD)}, (Setup){0}, 1, 0,
                CHECKED "cold: it cannot be frozen: nvme has no state\n"
                        "pass numa/a\npass pci/a\n");
    /* asked for by name they are fresh all the same */
    expect_warm((Script){LIST("ok"), LIST(manifest), LIST(GOOD)},
                (Setup){.isolation = SESSION_ISOLATE_SUITE}, 2, 0,
                CHECKED "cold: it cannot be frozen: nvme has no state\n"
                        "pass numa/a\npass pci/a\n");
}

#define DEAD_CLONE                                                                       \
    "pass(flaky) host/clone: a clone did not live, and a host was started: %s\n"         \
    "cold: a clone did not live: %s\n"

static void
a_dead_clone_is_replaced_by_a_start(void **state)
{
    g_autofree char *expected =
        g_strdup_printf(CHECKED "pass numa/a\n" DEAD_CLONE "pass pci/a\n",
                        "the emulator died", "the emulator died");
    expect_warm((Script){LIST("ok"), LIST(manifest), LIST(GOOD), LIST("ok", "dead")},
                (Setup){0}, 2, 2, expected);
}

static void
hosts_are_prepared_once(void **state)
{
    Script script = {LIST("ok"), LIST(manifest), LIST(GOOD), LIST("ok")};
    play(&script, (Setup){.warm = TRUE, .prepare = TRUE}, HB_OK,
         CHECKED "pass numa/a\npass pci/a\n");
    assert_int_equal(script.prepared, 1);
    /* started anew they are prepared anew */
    Script cold = {LIST("ok"), LIST(manifest), LIST("!died", GOOD)};
    play(&cold, (Setup){.prepare = TRUE}, HB_OK,
         CHECKED "emulator-died numa/[host]: the emulator died\npass pci/a\n");
    assert_int_equal(cold.prepared, 2);
    Script bad = {LIST("ok"), LIST(manifest), LIST(GOOD), .prepare_fails = TRUE};
    play(&bad, (Setup){.prepare = TRUE, .suite_names = LIST("manifest", "numa")}, HB_OK,
         NULL);
    assert_int_equal(bad.ran, 0);
    assert_int_equal(bad.stopped, bad.started);
}

static void
clones_are_checked_on_request(void **state)
{
    const char why[] =
        "it is not the host that was frozen: see LOGS/clone-1/observation.diff";
    g_autofree char *expected =
        g_strdup_printf(CHECKED DEAD_CLONE "pass numa/a\npass pci/a\n", why, why);
    expect_warm((Script){LIST("ok"), LIST(manifest, manifest, "cpus 0\n", manifest),
                         LIST(GOOD), LIST("ok")},
                (Setup){.check_clones = TRUE}, 2, 1, expected);
}

/* … and of hosts whose templates are kept. */
static void
expect_kept(Script script, Setup setup, guint starts, guint clones, guint keeps,
            guint forgotten, const char *expected)
{
    setup.warm = TRUE;
    play(&script, setup, HB_OK, expected);
    assert_int_equal(script.started, starts);
    assert_int_equal(script.cloned, clones);
    assert_int_equal(script.keeps, keeps);
    assert_int_equal(script.forgotten, forgotten);
    assert_int_equal(script.looked, 1);
    assert_int_equal(script.discarded,
                     script.frozen + (g_str_equal(script.kept[0], "ok") ? 1 : 0));
}

#define BOTH "pass numa/a\npass pci/a\n"

static void
what_is_kept_needs_no_start(void **state)
{
    Script script = {LIST("ok"), LIST(manifest), LIST(GOOD), LIST("ok"),
                     .kept = LIST("ok")};
    expect_kept(script, (Setup){0}, 0, 3, 0, 0, "template: kept for long\n" CHECKED BOTH);
    /* one clone for all: that which was checked */
    expect_kept(script, (Setup){.isolation = SESSION_ISOLATE_NONE}, 0, 1, 0, 0,
                "template: kept for long\n" CHECKED BOTH);
}

static void
what_is_made_is_kept(void **state)
{
    Script script = {LIST("ok"), LIST(manifest), LIST(GOOD), LIST("ok"),
                     .kept = LIST("none")};
    expect_kept(script, (Setup){0}, 1, 2, 1, 0, CHECKED "template: kept\n" BOTH);
    expect_kept(script, (Setup){.suite_names = LIST("manifest", "numa")}, 1, 1, 1, 0,
                CHECKED "template: kept\npass numa/a\n");
    script.kept = LIST("damaged");
    expect_kept(script, (Setup){0}, 1, 2, 1, 0,
                CHECKED
                "template: kept; thrown away was the one before: it was cut\n" BOTH);
}

static void
what_does_not_live_is_made_anew(void **state)
{
    Script script = {LIST("ok"), LIST(manifest), LIST(GOOD), LIST("dead", "ok"),
                     .kept = LIST("ok")};
    expect_kept(script, (Setup){0}, 1, 3, 1, 1,
                CHECKED "template: kept; thrown away was the one before: the emulator "
                        "died\n" BOTH);
    /* That the machine is short of something says nothing of it. */
    script.clones = LIST("short", "ok");
    expect_kept(script, (Setup){0}, 1, 3, 1, 0,
                CHECKED "template: kept; not used was the one before: no memory\n" BOTH);
    script.clones = LIST("ok");
    script.observations = LIST("cpus 0\n", manifest);
    expect_kept(script, (Setup){0}, 1, 3, 1, 1,
                CHECKED "template: kept; thrown away was the one before: it is not the "
                        "host that it was\n" BOTH);
}

static void
each_case_gets_a_host(void **state)
{
    const Setup setup = {.suite_names = LIST("manifest", "hugepages", "numa"),
                         .pattern = "numa/*_node*",
                         .isolation = SESSION_ISOLATE_CASE};
    expect_warm((Script){LIST("ok"), LIST(manifest), LIST("!case"), LIST("ok")}, setup, 1,
                5,
                "pass numa/every_node_is_online\npass numa/cpus_belong_to_their_nodes\n"
                "pass numa/bound_memory_is_on_its_node\n"
                "pass numa/preferred_memory_is_on_its_node\n"
                "pass numa/interleaved_memory_is_on_all_nodes\n");
}

static void
cases_run_only_in_the_host_that_was_asked_for(void **state)
{
    const Setup setup = {.suite_names = LIST("manifest", "numa"),
                         .pattern = "numa/*_are_as_asked",
                         .isolation = SESSION_ISOLATE_CASE};
    Setup three = setup;
    three.pattern = "numa/*_node";
    expect(
        (Script){LIST("ok"), LIST(manifest, "cpus 0\n"), LIST("!case")}, three, HB_OK, 2,
        "pass numa/bound_memory_is_on_its_node\n"
        "fail manifest/node 0 (start 2): not there: nothing was found of it; lab.xml:5 "
        "asks for it\n"
        "skip numa/preferred_memory_is_on_its_node: " DIFFERENT);
    expect((Script){LIST("ok"), LIST(manifest), LIST("!case")}, setup, HB_OK, 1,
           "pass numa/distances_are_as_asked\n");
    /* one that never comes is not waited for by each case */
    three.warm = FALSE;
    expect((Script){LIST("ok", "panic"), LIST(manifest), LIST("!case")}, three, HB_OK, 1,
           "pass numa/bound_memory_is_on_its_node\n"
           "guest-panic numa/preferred_memory_is_on_its_node: the kernel panicked\n");
}

/* What is not meant is not run: the program is told, where not all of its cases are. */
static void
programs_run_the_cases_that_are_meant(void **state)
{
    Setup setup = {.suite_names = LIST("numa"), .pattern = "numa/*_node*"};
    expect((Script){LIST("ok"), LIST(manifest), LIST("!cases")}, setup, HB_OK, 1,
           "pass numa/the_node_of: every_node_is_online cpus_belong_to_their_nodes "
           "bound_memory_is_on_its_node preferred_memory_is_on_its_node "
           "interleaved_memory_is_on_all_nodes\n");
    setup.pattern = NULL;
    expect((Script){LIST("ok"), LIST(manifest), LIST("!cases")}, setup, HB_OK, 1,
           "pass numa/the_node_of: all\n");
}

static void
the_deadline_ends_cases(void **state)
{
    const Setup setup = {.suite_names = LIST("manifest", "numa"),
                         .pattern = "numa/*_node",
                         .isolation = SESSION_ISOLATE_CASE,
                         .deadline_ms = 300};
    expect((Script){LIST("ok"), LIST(manifest), LIST("!deadline")}, setup, HB_OK, 1,
           "timeout numa/[host]: the deadline of the run passed\n"
           "timeout numa/preferred_memory_is_on_its_node: not run: the deadline of the "
           "run had passed\n");
}

static void
tells_why_no_host_came(void **state)
{
    expect((Script){LIST("panic"), LIST(manifest), LIST(GOOD)}, (Setup){0}, HB_OK, 0,
           "guest-panic host/boot: the kernel panicked\n");
    expect((Script){LIST("unsupported"), LIST(manifest), LIST(GOOD)},
           (Setup){.retries = 3}, HB_UNSUPPORTED, 0,
           "unsupported host/boot: the emulator has no device igb\n");
}

static void
retries_make_flaky(void **state)
{
    expect((Script){LIST("ok"), LIST(manifest), LIST(BAD, GOOD)}, (Setup){.retries = 2},
           HB_OK, 2,
           CHECKED "pass(flaky) numa/a: passed only when tried again; first it failed\n"
                   "pass pci/a\n");
    expect((Script){LIST("ok"), LIST(manifest), LIST(BAD)},
           (Setup){.retries = 2, .suite_names = LIST("manifest", "numa")}, HB_OK, 3,
           CHECKED "fail numa/a\n");
    expect((Script){LIST("ok"), LIST(manifest), LIST("!died", GOOD)},
           (Setup){.retries = 1}, HB_OK, 2,
           CHECKED
           "pass(flaky) numa/[host]: passed only when tried again; first it failed: the "
           "emulator died\npass numa/a\npass pci/a\n");
    expect((Script){LIST("panic", "ok"), LIST(manifest), LIST(GOOD)},
           (Setup){.retries = 1}, HB_OK, 1,
           "pass(flaky) host/boot: started only when tried again: the kernel "
           "panicked\n" CHECKED "pass numa/a\npass pci/a\n");
    expect((Script){LIST("ok"), LIST("cpus 0\n", manifest), LIST(GOOD)},
           (Setup){.retries = 1}, HB_OK, 2,
           "pass manifest/cpus\npass(flaky) manifest/node 0: passed only when tried "
           "again; first "
           "it failed: not there: nothing was found of it; lab.xml:5 asks for it\npass "
           "numa/a\npass pci/a\n");
    expect((Script){LIST("ok"), LIST(manifest),
                    LIST("1..2\nok 1 - a\nnot ok 2 - b\n",
                         "1..2\nnot ok 1 - a\nok 2 - b\n", GOOD)},
           (Setup){.retries = 1, .suite_names = LIST("manifest", "numa")}, HB_OK, 2,
           CHECKED
           "pass(flaky) numa/a: passed, but failed when the suite was tried again\n"
           "pass(flaky) numa/b: passed only when tried again; first it failed\n");
}

/* What the first host had too much is not there when it is compared again. */
static void
retries_forget_what_went(void **state)
{
    expect((Script){LIST("ok"),
                    LIST("cpus 0\nnode 0 cpus 0\nnode 1 cpus none\n", manifest),
                    LIST(GOOD)},
           (Setup){.retries = 1, .suite_names = LIST("manifest")}, HB_OK, 2,
           CHECKED "pass(flaky) manifest/node 1: passed only when tried again; first it "
                   "failed: nobody asked for it\n");
}

/* A host that is wrong each time is tried as often as was asked, and not again by each
 * suite; a try that finds no host leaves what failed a failure. */
static void
retries_end(void **state)
{
    expect((Script){LIST("ok"), LIST("cpus 0\n"), LIST(GOOD, BAD, GOOD)},
           (Setup){.retries = 2, .even_if_different = TRUE}, HB_OK, 4,
           "pass manifest/cpus\nfail manifest/node 0: not there: nothing was found of "
           "it; lab.xml:5 asks for it\npass numa/a\n"
           "fail manifest/node 0 (start 4): not there: nothing was found of it; "
           "lab.xml:5 asks for it\n"
           "pass(flaky) pci/a: passed only when tried again; first it failed\n");
    expect((Script){LIST("ok", "panic"), LIST("cpus 0\n"), LIST(GOOD)},
           (Setup){.retries = 1, .suite_names = LIST("manifest")}, HB_OK, 1,
           "pass manifest/cpus\nfail manifest/node 0: not there: nothing was found of "
           "it; lab.xml:5 asks for it\nguest-panic host/boot: the kernel panicked\n");
    expect((Script){LIST("ok"), LIST(manifest, "cpus 0\n"), LIST(BAD, GOOD)},
           (Setup){.retries = 1, .suite_names = LIST("manifest", "pci")}, HB_OK, 3,
           CHECKED "fail manifest/node 0 (start 3): not there: nothing was found of it; "
                   "lab.xml:5 asks for it\n"
                   "fail pci/a\n");
    expect((Script){LIST("ok", "panic"), LIST(manifest), LIST(BAD)},
           (Setup){.retries = 1, .suite_names = LIST("manifest", "pci")}, HB_OK, 1,
           CHECKED "fail pci/a\n");
    expect((Script){LIST("ok", "interrupt"), LIST(manifest), LIST(BAD)},
           (Setup){.retries = 1, .suite_names = LIST("manifest", "pci")}, HB_INTERRUPTED,
           1, CHECKED "fail pci/a\n");
}

static void
tells_what_was_selected(void **state)
{
    Setup setup = {.suite_names = LIST("numa"), .pattern = "numa/a"};
    expect((Script){LIST("ok"), LIST(manifest), LIST("1..2\nok 1 - a\nnot ok 2 - b\n")},
           setup, HB_OK, 1, "pass numa/a\n");
    /* but not a pass on a host that is another one */
    expect((Script){LIST("ok"), LIST("cpus 0\n"), LIST(GOOD)}, setup, HB_OK, 1,
           "fail manifest/node 0: not there: nothing was found of it; lab.xml:5 asks for "
           "it\n"
           "skip numa/[suite]: " DIFFERENT);
}

static void
the_deadline_ends_all(void **state)
{
    expect((Script){LIST("ok"), LIST(manifest), LIST("!deadline")},
           (Setup){.deadline_ms = 50}, HB_OK, 1,
           CHECKED "timeout numa/[host]: the deadline of the run passed\n"
                   "timeout pci/[suite]: not run: the deadline of the run had passed\n");
}

static void
an_interrupt_leaves_the_rest_open(void **state)
{
    expect((Script){LIST("ok"), LIST(manifest), LIST("!interrupt")}, (Setup){0},
           HB_INTERRUPTED, 1, CHECKED);
    expect((Script){LIST("interrupt"), LIST(manifest), LIST(GOOD)}, (Setup){0},
           HB_INTERRUPTED, 0, "");
}

/* What a suite had said is not lost with it. */
static void
an_interrupt_leaves_what_was_said(void **state)
{
    expect((Script){LIST("ok"), LIST(manifest), LIST("!said")}, (Setup){0},
           HB_INTERRUPTED, 1, CHECKED "- and on\npass numa/a\nfail numa/b\n");
    expect((Script){LIST("ok"), LIST(manifest), LIST("!said")}, (Setup){.retries = 1},
           HB_INTERRUPTED, 1, CHECKED "- and on\npass numa/a\nfail numa/b\n");
    expect((Script){LIST("ok", "interrupt"), LIST(manifest), LIST(BAD)},
           (Setup){.retries = 1}, HB_INTERRUPTED, 1, CHECKED "fail numa/a\n");
    expect((Script){LIST("ok"), LIST(manifest), LIST(BAD, "!said")},
           (Setup){.retries = 1}, HB_INTERRUPTED, 2, CHECKED "- and on\nfail numa/a\n");
}

#define LOST(number, first)                                                              \
    "[test protocol]: " number " of the 3 results announced never came, number " first   \
    " first\n"

/* … and told while it runs, once. */
static void
results_are_told_as_they_come(void **state)
{
    const char *const *numa = LIST("manifest", "numa");
    expect((Script){LIST("ok"), LIST(manifest), LIST("!told")}, (Setup){0},
           HB_INTERRUPTED, 1, CHECKED "pass numa/a\n- and on\nfail numa/b\n");
    expect((Script){LIST("ok"), LIST(manifest), LIST("!told b")},
           (Setup){.suite_names = numa}, HB_OK, 1,
           CHECKED "pass numa/a\n- and on\nfail numa/b\nfail numa/" LOST("1", "3"));
    /* what was told stays, and what a retry makes of it is a result of its own */
    expect((Script){LIST("ok"), LIST(manifest),
                    LIST("!told b", "1..3\nnot ok 1 - a\nok 2 - b\nok 3 - c\n")},
           (Setup){.suite_names = numa, .retries = 1}, HB_OK, 2,
           CHECKED
           "pass numa/a\n- and on\n"
           "pass(flaky) numa/b: passed only when tried again; first it failed\n"
           "pass(flaky) numa/[test protocol]: passed only when tried again; first it "
           "failed: 1 of the 3 results announced never came, number 3 first\n"
           "pass(flaky) numa/a (tried again): passed, but failed when the suite was "
           "tried again\npass numa/c\n");
    /* also where nothing but that case was asked for */
    expect((Script){LIST("ok"), LIST(manifest),
                    LIST("!told b", "1..3\nnot ok 1 - a\nok 2 - b\nok 3 - c\n")},
           (Setup){.suite_names = LIST("numa"), .pattern = "numa/a", .retries = 1}, HB_OK,
           2,
           "pass numa/a\n- and on\n"
           "pass(flaky) numa/[test protocol]: passed only when tried again; first it "
           "failed: 1 of the 3 results announced never came, number 3 first\n"
           "pass(flaky) numa/a (tried again): passed, but failed when the suite was "
           "tried again\n");
}

static void
tainted_hosts_are_unchecked(void **state)
{
    Setup setup = {.tainted = TRUE, .suite_names = LIST("manifest")};
    expect(
        (Script){LIST("ok"), LIST("cpus 0\n"), LIST(GOOD)}, setup, HB_OK, 1,
        "pass manifest/cpus\nskip manifest/node 0: unchecked, raw emulator arguments may "
        "disturb it: not there: nothing was found of it\n");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_all_in_order),
        cmocka_unit_test(skips_what_the_lab_has_not),
        cmocka_unit_test(suites_in_another_machine_are_skipped),
        cmocka_unit_test(a_lost_host_fails_its_suite_only),
        cmocka_unit_test(a_later_host_is_checked_too),
        cmocka_unit_test(a_program_has_its_time),
        cmocka_unit_test(suites_know_how_slow_the_machine_is),
        cmocka_unit_test(a_case_has_its_time),
        cmocka_unit_test(a_case_of_a_clone_has_its_time),
        cmocka_unit_test(suites_get_clones),
        cmocka_unit_test(hosts_that_cannot_be_frozen_go_on),
        cmocka_unit_test(a_dead_clone_is_replaced_by_a_start),
        cmocka_unit_test(what_is_kept_needs_no_start),
        cmocka_unit_test(what_is_made_is_kept),
        cmocka_unit_test(what_does_not_live_is_made_anew),
        cmocka_unit_test(hosts_are_prepared_once),
        cmocka_unit_test(clones_are_checked_on_request),
        cmocka_unit_test(each_case_gets_a_host),
        cmocka_unit_test(cases_run_only_in_the_host_that_was_asked_for),
        cmocka_unit_test(programs_run_the_cases_that_are_meant),
        cmocka_unit_test(the_deadline_ends_cases),
        cmocka_unit_test(tells_why_no_host_came),
        cmocka_unit_test(retries_make_flaky),
        cmocka_unit_test(retries_forget_what_went),
        cmocka_unit_test(retries_end),
        cmocka_unit_test(tells_what_was_selected),
        cmocka_unit_test(the_deadline_ends_all),
        cmocka_unit_test(an_interrupt_leaves_the_rest_open),
        cmocka_unit_test(an_interrupt_leaves_what_was_said),
        cmocka_unit_test(results_are_told_as_they_come),
        cmocka_unit_test(tainted_hosts_are_unchecked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
