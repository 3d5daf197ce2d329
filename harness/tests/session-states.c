/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * States that suites start from, with hosts that the test plays: a host is known by what
 * was done to it, and what is compared is all that was done, in order.
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
    const char *unreachable;    /* the state that cannot be reached */
    const char *dead;           /* clones of this die */
    const char *fails;          /* the first of this case's tries */
    const char *prepares_badly; /* the command that fails, with its words */
    const char *stored; /* the last word of the layer that is kept of what is stored */
    gboolean no_branches, shares_observation;
    GString *log; /* what was done; results that are no passes, and what was told of
                     templates, too */
} Play;

/* A host, or what was frozen of one. */
typedef struct {
    Play *play;
    char *past; /* "booted", "booted+bound" */
} Host;

static Host *
host_new(Play *play, const char *past)
{
    Host *host = g_new0(Host, 1);
    *host = (Host){play, g_strdup(past)};
    return host;
}

static void
host_free(void *data)
{
    Host *host = data;
    g_free(host->past);
    g_free(host);
}

static void
add_past(Host *host, const char *what)
{
    char *past = g_strconcat(host->past, "+", what, NULL);
    g_free(host->past);
    host->past = past;
}

static void *
start(const SessionOptions *options, gboolean freezable, const char *log_dir,
      GError **error)
{
    Play *play = options->user_data;
    g_string_append(play->log, freezable ? "start\n" : "start cold\n");
    return host_new(play, "booted");
}

/* Unlike with --check-clones, where a state shows, it is the manifest. */
static char *
observe(void *data, GError **error)
{
    const Host *host = data;
    return strchr(host->past, '+') && !host->play->shares_observation
               ? g_strconcat(manifest, host->past, "\n", NULL)
               : g_strdup(manifest);
}

static gboolean
say(const GuestCommand *command, const char *text)
{
    command->output(1, (const guint8 *)text, strlen(text), command->user_data);
    return TRUE;
}

static gboolean
reach(Host *host, const char *state, const GuestCommand *command, GuestExit *result)
{
    Play *play = host->play;
    g_string_append_printf(play->log, "reach %s in %s\n", state, host->past);
    assert_true(command->may_wait && command->may_go_on);
    if (g_strcmp0(play->unreachable, state) == 0) {
        result->status = 1;
        return say(command, "no IOMMU today\n");
    }
    add_past(host, state);
    return TRUE;
}

static gboolean
run(void *data, const GuestCommand *command, GuestExit *result, GError **error)
{
    Host *host = data;
    Play *play = host->play;
    char **env = (char **)command->env;
    const char *state = g_environ_getenv(env, "HOSTBED_STATE");
    if (state)
        return reach(host, state, command, result);
    assert_false(command->may_wait);
    if (g_str_equal(command->argv[0], "prepares")) {
        g_autofree char *words = g_strjoinv(" ", (char **)command->argv);
        result->status = g_strcmp0(words, play->prepares_badly) == 0;
        g_string_append_printf(play->log, "prepare %s\n", host->past);
        add_past(host, command->argv[1] ? command->argv[1] : "prepared");
        return TRUE;
    }
    const char *only = g_environ_getenv(env, "HOSTBED_CASE");
    g_autofree char *name = g_path_get_basename(command->argv[0]);
    g_string_append_printf(play->log, "run %s in %s\n", only ? only : name, host->past);
    assert_true(command->may_go_on ==
                g_str_has_prefix(command->argv[0], SUITE_PROGRAMS_PATH));
    gboolean fails = only && g_strcmp0(play->fails, only) == 0;
    if (fails)
        play->fails = NULL;
    result->status = fails;
    g_autofree char *tap =
        g_strdup_printf("1..1\n%sok 1 - %s\n", fails ? "not " : "", only ? only : "a");
    return say(command, tap);
}

static void *
freeze(void **data, GError **error)
{
    Host *host = *data;
    g_string_append_printf(host->play->log, "freeze %s\n", host->past);
    *data = NULL;
    return host;
}

static void *
restore(const void *template, const char *log_dir, GCancellable *interrupt,
        GError **error)
{
    const Host *from = template;
    assert_true(g_file_test(log_dir, G_FILE_TEST_IS_DIR));
    if (g_strcmp0(from->play->dead, from->past) != 0)
        return host_new(from->play, from->past);
    g_set_error_literal(error, HB_ERROR, HB_EMULATOR_DIED, "the emulator died");
    return NULL;
}

static void *
branch(const void *template, const char *log_dir, GCancellable *interrupt, GError **error)
{
    const Host *from = template;
    if (!from->play->no_branches)
        return host_new(from->play, from->past);
    g_set_error_literal(error, HB_ERROR, HB_UNSUPPORTED, "memory is short");
    return NULL;
}

static void *
kept(const SessionOptions *options, char **how, char **trouble)
{
    Play *play = options->user_data;
    *how = g_strdup("kept");
    return host_new(play, "stored");
}

static gboolean
keep(const SessionOptions *options, void *template, char **how, GError **error)
{
    const Host *host = template;
    g_string_append_printf(host->play->log, "keep %s\n", host->past);
    *how = g_strdup("kept now");
    return TRUE;
}

static void
forget(void *template)
{
    const Host *host = template;
    g_string_append_printf(host->play->log, "forget %s\n", host->past);
}

/* The one layer that is kept is known by the last of its steps. */
static void *
kept_above(const void *below, const char *const *steps, char **how, char **trouble)
{
    const Host *from = below;
    const char *last = steps[g_strv_length((GStrv)steps) - 1];
    if (!from->play->stored || !strstr(last, from->play->stored))
        return NULL;
    *how = g_strdup("kept since then");
    g_autofree char *past = g_strconcat("stored+", from->play->stored, NULL);
    return host_new(from->play, past);
}

static gboolean
keep_above(void *template, const void *below, const char *const *steps, char **how,
           GError **error)
{
    const Host *host = template, *from = below;
    g_string_append_printf(host->play->log, "keep %s above %s by %u\n", host->past,
                           from->past, g_strv_length((GStrv)steps));
    *how = g_strdup("kept now");
    return TRUE;
}

static const SessionDriver driver = {.start = start,
                                     .stop = host_free,
                                     .retried = played_retried,
                                     .accel = played_accel,
                                     .observe = observe,
                                     .put = played_put,
                                     .run = run,
                                     .sound = played_sound,
                                     .freeze = freeze,
                                     .clone = restore,
                                     .discard = host_free,
                                     .branch = branch,
                                     .keep = keep,
                                     .forget = forget,
                                     .kept_above = kept_above,
                                     .keep_above = keep_above};

/* Without the times. */
static void
on_frozen(gboolean cold, const char *how, gpointer user_data)
{
    Play *play = user_data;
    g_autoptr(GRegex) time = g_regex_new(" in [0-9]+[.][0-9]+ s", 0, 0, NULL);
    g_autoptr(GRegex) logs = g_regex_new("; logs: [^;]*", 0, 0, NULL);
    g_autofree char *timeless = g_regex_replace(time, how, -1, 0, "", 0, NULL);
    g_autofree char *text = g_regex_replace(logs, timeless, -1, 0, "", 0, NULL);
    const char *last = strrchr(text, ';');
    g_string_append_printf(play->log, "%s%s\n", cold ? "cold: " : "",
                           last ? last + 2 : text);
}

/* Without the place of its logs. */
static void
tell_why(Play *play, const char *message)
{
    const char *logs = strstr(message, "logs: ");
    g_string_append_len(play->log, message, logs - message);
    g_string_append(play->log, "logs: \n");
}

static void
on_results(const GPtrArray *results, gpointer user_data)
{
    Play *play = user_data;
    for (guint i = 0; i < results->len; i++) {
        const CaseResult *result = results->pdata[i];
        if (result->outcome != OUTCOME_PASS || result->flaky)
            g_string_append_printf(
                play->log, "%s%s %s/%s\n", outcome_name(result->outcome),
                result->flaky ? "(flaky)" : "", result->suite, result->name);
        if (g_str_equal(result->name, "prepare"))
            tell_why(play, result->message);
    }
}

typedef struct {
    const char *const *suites, *const *patterns;
    SessionIsolation isolation;
    const char *const *prepare; /* commands, or NULL */
    gboolean check_clones, keep, from_store, cold, given;
    guint retries;
} Setup;

static void
expect(Play play, Setup setup, const char *expected)
{
    g_autofree char *log_dir = g_dir_make_tmp("hostbed-session-XXXXXX", NULL);
    g_autoptr(GCancellable) interrupt = g_cancellable_new();
    PlanFunction nic = {.class_code = 0x020000};
    PlanCell cell = {.node = 0};
    g_autoptr(GPtrArray) cells = g_ptr_array_new(), functions = g_ptr_array_new();
    g_ptr_array_add(cells, &cell);
    g_ptr_array_add(functions, &nic);
    const Plan plan = {.lab_name = (char *)"lab",
                       .host_id = (char *)"l1",
                       .cells = cells,
                       .functions = functions,
                       .node_count = 1,
                       .memory_bytes = (gint64)2 << 30,
                       .iommu.model = LAB_IOMMU_INTEL};
    g_autoptr(Selection) selection = selection_new(setup.patterns, NULL);
    g_autoptr(GPtrArray) chosen = played_suites(setup.suites);
    g_autoptr(GPtrArray) prepare = suites_foreign("--prepare", setup.prepare, 10, NULL);
    g_autoptr(Bindings) bindings = bindings_new(&plan, LIST(NULL), NULL);
    SessionDriver played = driver;
    played.kept = setup.from_store ? kept : NULL;
    play.log = g_string_new(NULL);
    Host *template = host_new(&play, "given+prepared");
    const SessionOrigin origin = {.template = template};
    const SessionOptions options = {
        .plan = &plan,
        .lab = "lab",
        .manifest = manifest,
        .driver = &played,
        .log_dir = log_dir,
        .bindings = bindings,
        .prepare = prepare,
        .suites = chosen,
        .selection = selection,
        .retries = setup.retries,
        .case_timeout_ms = -1,
        .isolation = setup.isolation,
        .cold = setup.cold,
        .keep = setup.keep,
        .check_clones = setup.check_clones,
        .origin = setup.given ? &origin : NULL,
        .interrupt = interrupt,
        .frozen = on_frozen,
        .results = on_results,
        .user_data = &play,
    };
    session_run(&options);
    assert_string_equal(play.log->str, expected);
    host_free(template);
    g_string_free(play.log, TRUE);
    cache_remove_tree(log_dir);
}

#define STARTED "start\nfreeze booted\nfrozen\n"
#define BOUND                                                                            \
    "reach bound in booted\nfreeze booted+bound\nthe state 'bound' was reached\n"
#define TWO LIST("vfio/msi*_is_delivered*")

static void
a_state_is_reached_once(void **state)
{
    expect((Play){0}, (Setup){LIST("vfio"), TWO, SESSION_ISOLATE_CASE},
           STARTED BOUND "run msi_is_delivered in booted+bound\n"
                         "run msix_is_delivered_by_vector in booted+bound\n");
}

static void
a_state_stands_on_another(void **state)
{
    expect((Play){0},
           (Setup){LIST("vfio", "nested"),
                   LIST("vfio/group_is_viable*", "vfio/msi_*", "nested/linux_drives_its*",
                        "nested/linux_takes*"),
                   SESSION_ISOLATE_CASE},
           STARTED "run group_is_viable_beside_bridges in booted\n" BOUND
                   "run msi_is_delivered in booted+bound\n"
                   "reach linux-guest in booted+bound\n"
                   "freeze booted+bound+linux-guest\n"
                   "the state 'linux-guest' was reached\n"
                   "run linux_drives_its_function in booted+bound+linux-guest\n"
                   "run linux_takes_a_plugged_function in booted+bound+linux-guest\n");
}

static void
what_one_alone_wants_it_reaches_itself(void **state)
{
    expect(
        (Play){0},
        (Setup){LIST("nested"), LIST("nested/linux_drives_its*"), SESSION_ISOLATE_CASE},
        STARTED "run linux_drives_its_function in booted\n");
    /* But what is below is for both. */
    expect((Play){0},
           (Setup){LIST("vfio", "nested"), LIST("vfio/msi_*", "nested/linux_drives_its*"),
                   SESSION_ISOLATE_CASE},
           STARTED BOUND "run msi_is_delivered in booted+bound\n"
                         "run linux_drives_its_function in booted+bound\n");
}

static void
suites_start_from_states(void **state)
{
    expect((Play){0},
           (Setup){LIST("vfio", "iommu", "dma"), LIST("*"), SESSION_ISOLATE_AUTO},
           STARTED BOUND "run vfio in booted+bound\nrun iommu in booted\n"
                         "run dma in booted+bound\n");
    /* One host for all has none. */
    expect((Play){0},
           (Setup){LIST("vfio", "dma"), LIST("*"), SESSION_ISOLATE_NONE, .keep = TRUE},
           "start\nfreeze booted\nkeep booted\nfrozen, kept now\nrun vfio in booted\n"
           "run dma in booted\n");
}

static void
what_cannot_be_reached_is_told(void **state)
{
    expect((Play){.unreachable = "bound"},
           (Setup){LIST("vfio"), TWO, SESSION_ISOLATE_CASE},
           STARTED "reach bound in booted\n"
                   "it said last: no IOMMU today\n"
                   "run msi_is_delivered in booted\n"
                   "run msix_is_delivered_by_vector in booted\n");
    expect((Play){.unreachable = "guest"},
           (Setup){LIST("nested"), LIST("nested/guest_drives*", "nested/function_is_p*"),
                   SESSION_ISOLATE_CASE},
           STARTED BOUND
           "reach guest in booted+bound\n"
           "it said last: no IOMMU today\n"
           "run guest_drives_its_function in booted+bound\n"
           "run function_is_plugged_into_a_running_guest in booted+bound\n");
    expect((Play){.unreachable = "bound"},
           (Setup){LIST("nested"), LIST("nested/guest_drives*", "nested/function_is_p*"),
                   SESSION_ISOLATE_CASE},
           STARTED "reach bound in booted\nit said last: no IOMMU today\n"
                   "the state 'guest' is not used: it stands on 'bound'\n"
                   "run guest_drives_its_function in booted\n"
                   "run function_is_plugged_into_a_running_guest in booted\n");
    expect((Play){.no_branches = TRUE}, (Setup){LIST("vfio"), TWO, SESSION_ISOLATE_CASE},
           STARTED "the state 'bound' is not used: memory is short\n"
                   "run msi_is_delivered in booted\n"
                   "run msix_is_delivered_by_vector in booted\n");
}

static void
a_clone_that_dies_is_not_the_last(void **state)
{
    expect((Play){.dead = "booted+bound"},
           (Setup){LIST("vfio"), TWO, SESSION_ISOLATE_CASE},
           STARTED BOUND "pass(flaky) host/clone\n"
                         "the state 'bound' is not used: a clone did not live: the "
                         "emulator died\n"
                         "run msi_is_delivered in booted\n"
                         "run msix_is_delivered_by_vector in booted\n");
}

static void
another_try_starts_from_the_state(void **state)
{
    expect((Play){.fails = "msi_is_delivered"},
           (Setup){LIST("vfio"), TWO, SESSION_ISOLATE_CASE, .retries = 1},
           STARTED BOUND "run msi_is_delivered in booted+bound\n"
                         "run msi_is_delivered in booted+bound\n"
                         "pass(flaky) vfio/msi_is_delivered\n"
                         "run msix_is_delivered_by_vector in booted+bound\n");
}

/* Each with that of what it is a clone of. */
static void
clones_of_states_are_checked(void **state)
{
    expect((Play){0},
           (Setup){LIST("vfio", "iommu", "dma"), LIST("*"), .check_clones = TRUE},
           STARTED BOUND "run vfio in booted+bound\nrun iommu in booted\n"
                         "run dma in booted+bound\n");
}

static void
what_is_kept_is_not_prepared(void **state)
{
    const Setup setup = {LIST("vfio", "iommu"), LIST("*"), .keep = TRUE,
                         .prepare = LIST("prepares")};
    expect((Play){.shares_observation = TRUE}, setup,
           "start\nfreeze booted\nkeep booted\nfrozen, kept now\nprepare booted\n"
           "freeze booted+prepared\nkeep booted+prepared above booted by 1\n"
           "prepared, kept now\n"
           "run vfio in booted+prepared\nrun iommu in booted+prepared\n");
    Setup from_store = setup;
    from_store.from_store = TRUE;
    expect((Play){.shares_observation = TRUE}, from_store,
           "kept\nprepare stored\nfreeze stored+prepared\n"
           "keep stored+prepared above stored by 1\nprepared, kept now\n"
           "run vfio in stored+prepared\nrun iommu in stored+prepared\n");
    expect((Play){.prepares_badly = "prepares"}, from_store,
           "kept\nprepare stored\nfail host/prepare\n"
           "'prepares', which was to prepare the host, ended with status 1; logs: \n");
    /* Then hosts are started, and prepared before all else. */
    expect((Play){.no_branches = TRUE}, from_store,
           "kept\ncold: what is prepared cannot be frozen: memory is short\n"
           "start cold\nprepare booted\nrun vfio in booted+prepared\n"
           "run iommu in booted+prepared\n");
}

#define LAYERS LIST("prepares one", "prepares two", "prepares three")

static void
layers_are_kept_each(void **state)
{
    const Setup setup = {LIST("iommu"),      LIST("*"),         .keep = TRUE,
                         .from_store = TRUE, .prepare = LAYERS, .check_clones = TRUE};
    expect((Play){0}, setup,
           "kept\n"
           "prepare stored\nfreeze stored+one\nkeep stored+one above stored by 1\n"
           "layer 1 of 3 prepared, kept now\n"
           "prepare stored+one\nfreeze stored+one+two\n"
           "keep stored+one+two above stored+one by 1\n"
           "layer 2 of 3 prepared, kept now\n"
           "prepare stored+one+two\nfreeze stored+one+two+three\n"
           "keep stored+one+two+three above stored+one+two by 1\n"
           "layer 3 of 3 prepared, kept now\n"
           "run iommu in stored+one+two+three\n");
    /* What is above the topmost that is kept is made. */
    expect((Play){.stored = "two"}, setup,
           "kept\nlayer 2 of 3 prepared, kept since then\n"
           "prepare stored+two\nfreeze stored+two+three\n"
           "keep stored+two+three above stored+two by 1\n"
           "layer 3 of 3 prepared, kept now\n"
           "run iommu in stored+two+three\n");
    expect((Play){.stored = "three"}, setup,
           "kept\nlayer 3 of 3 prepared, kept since then\nrun iommu in stored+three\n");
}

static void
a_layer_that_fails_is_named(void **state)
{
    Setup setup = {LIST("iommu"), LIST("*"), .keep = TRUE, .from_store = TRUE,
                   .prepare = LAYERS};
    expect((Play){.stored = "one", .prepares_badly = "prepares two"}, setup,
           "kept\nlayer 1 of 3 prepared, kept since then\n"
           "prepare stored+one\nfail host/prepare\n"
           "'prepares two', which was to prepare the host (layer 2 of 3), ended with "
           "status 1; logs: \n");
    /* One that does not live is made anew. */
    setup.prepare = LIST("prepares one", "prepares two");
    expect((Play){.stored = "two", .dead = "stored+two"}, setup,
           "kept\nforget stored+two\n"
           "layer 2 of 2 prepared, thrown away: the emulator died\n"
           "prepare stored\nfreeze stored+one\nkeep stored+one above stored by 1\n"
           "layer 1 of 2 prepared, kept now\n"
           "prepare stored+one\nfreeze stored+one+two\n"
           "keep stored+one+two above stored+one by 1\n"
           "layer 2 of 2 prepared, kept now\nrun iommu in stored+one+two\n");
}

/* Without a store there is nothing between them. */
static void
layers_are_frozen_as_one(void **state)
{
    expect((Play){0}, (Setup){LIST("vfio", "iommu"), LIST("*"), .prepare = LAYERS},
           "start\nprepare booted\nprepare booted+one\nprepare booted+one+two\n"
           "freeze booted+one+two+three\nfrozen\n"
           "run vfio in booted+one+two+three\n"
           "run iommu in booted+one+two+three\n");
}

/* As the process of a unit has it, of a host that is kept, too. */
static void
a_template_that_is_given_is_prepared(void **state)
{
    expect((Play){0},
           (Setup){LIST("iommu"), LIST("*"), .keep = TRUE, .prepare = LIST("prepares"),
                   .given = TRUE},
           "run iommu in given+prepared\n");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_state_is_reached_once),
        cmocka_unit_test(a_state_stands_on_another),
        cmocka_unit_test(what_one_alone_wants_it_reaches_itself),
        cmocka_unit_test(suites_start_from_states),
        cmocka_unit_test(what_cannot_be_reached_is_told),
        cmocka_unit_test(a_clone_that_dies_is_not_the_last),
        cmocka_unit_test(another_try_starts_from_the_state),
        cmocka_unit_test(clones_of_states_are_checked),
        cmocka_unit_test(what_is_kept_is_not_prepared),
        cmocka_unit_test(layers_are_kept_each),
        cmocka_unit_test(a_layer_that_fails_is_named),
        cmocka_unit_test(layers_are_frozen_as_one),
        cmocka_unit_test(a_template_that_is_given_is_prepared),
    };
    return cmocka_run_group_tests_name("session states", tests, NULL, NULL);
}
