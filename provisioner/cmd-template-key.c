/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * hostbed template key: what the templates of labs' hosts are called before there are
 * any. The options that decide what is in a host are read as `test` and `run` read them,
 * and become the same description of it.
 */
#include <stdio.h>

#include "boot-warm.h"
#include "cmd-run.h"
#include "cmd-template.h"
#include "cmd-test.h"
#include "emit.h"
#include "log-dir.h"
#include "template-key.h"

typedef struct {
    TestOptions test; /* with --warm, too: what run has in common with it */
    gboolean warm, inputs;
    const char *const *command; /* of --warm; ends with NULL */
    GCancellable *interrupt;
} Options;

static void
options_clear(Options *options)
{
    TestOptions *test = &options->test;
    cli_machine_clear(&test->machine);
    cli_program_clear(&test->program);
    g_strfreev(test->suites);
    g_strfreev(test->prepare_commands);
    g_strfreev(test->modules);
    g_clear_pointer(&test->foreign, g_ptr_array_unref);
    g_clear_pointer(&test->prepare, g_ptr_array_unref);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Options, options_clear)

/* ---- one host
 * ------------------------------------------------------------------------------------ */

typedef struct {
    char *own;
    GPtrArray *inputs; /* of that */
    GStrv layers;      /* those of what --prepare makes of it; or NULL */
    GStrv steps;       /* what each adds to the inputs */
} Keys;

static void
keys_clear(Keys *keys)
{
    g_free(keys->own);
    g_clear_pointer(&keys->inputs, g_ptr_array_unref);
    g_strfreev(keys->layers);
    g_strfreev(keys->steps);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Keys, keys_clear)

/* A host of which there will be a template. FALSE: there will be none. */
typedef gboolean (*KeysOf)(const Options *options, const Plan *plan,
                           const GPtrArray *plans, const char *log_dir, Keys *keys,
                           GError **error);

/* The check, which each session has, and the programs of --suite. */
static GPtrArray *
suites_of(const TestOptions *test)
{
    GPtrArray *list = g_ptr_array_new();
    for (const Suite *suite = suites; suite->name; suite++)
        if (suite->is_check)
            g_ptr_array_add(list, (gpointer)suite);
    g_ptr_array_extend(list, test->foreign, NULL, NULL);
    return list;
}

static gboolean
keys_of_test(const Options *options, const Plan *plan, const GPtrArray *plans,
             const char *log_dir, Keys *keys, GError **error)
{
    const TestOptions *test = &options->test;
    g_autoptr(GPtrArray) peers = plan_peers(plan, plans);
    g_autoptr(GPtrArray) list = suites_of(test);
    g_autoptr(GString) manifest = g_string_new(NULL);
    emit_manifest(plan, manifest);
    g_autoptr(Bindings) bindings =
        bindings_new(plan, (const char *const *)test->program.bind, error);
    if (!bindings)
        return FALSE;
    g_auto(GStrv) env = cli_program_environment(&test->program);
    SessionOptions session = test_session_for(test, plan, test->machine.emulator);
    session.peers = peers;
    session.manifest = manifest->str;
    session.env = (const char *const *)env;
    session.out = test->program.out;
    session.bindings = bindings;
    session.suites = list;
    session.log_dir = log_dir;
    session.interrupt = options->interrupt;
    keys->own = session_template_key(&session, &keys->inputs, error);
    if (!keys->own || !session_template_possible(&session, error))
        return FALSE;
    keys->layers = session_layer_keys(&session, keys->inputs, &keys->steps, error);
    return keys->layers != NULL;
}

static gboolean
keys_of_run(const Options *options, const Plan *plan, const GPtrArray *plans,
            const char *log_dir, Keys *keys, GError **error)
{
    const TestOptions *test = &options->test;
    g_autoptr(Bindings) bindings =
        bindings_new(plan, (const char *const *)test->program.bind, error);
    const RunOptions run = {.machine = test->machine,
                            .program = test->program,
                            .modules = test->modules,
                            .capture = test->capture};
    const RunSession session = {.options = &run,
                                .argv = options->command,
                                .bindings = bindings,
                                .interrupt = options->interrupt};
    if (!bindings)
        return FALSE;
    g_auto(RunHost) host = {0};
    run_host_init(&host, &session, plan, test->machine.emulator, test->accel);
    host.boot.log_dir = log_dir;
    keys->own = boot_warm_key(&host.boot, &keys->inputs, error);
    return keys->own && boot_warm_possible(&host.boot, error);
}

static void
print_inputs(const GPtrArray *inputs)
{
    for (guint i = 0; i < inputs->len; i++) {
        const TemplateInput *input = inputs->pdata[i];
        printf("    %s: %s\n", input->name, input->value);
    }
}

/* Behind that of the host that they stand on. */
static void
print_layers(const Plan *plan, const Keys *keys, gboolean inputs)
{
    for (guint i = 0; keys->layers && keys->layers[i]; i++) {
        printf("%s  %s/%s  prepared %u\n", keys->layers[i], plan->lab_name, plan->host_id,
               i + 1);
        if (inputs)
            printf("    " TEMPLATE_STEP_PREFIX "%u: %s\n", i + 1, keys->steps[i]);
    }
}

static gboolean
print_key(const Options *options, const Plan *plan, const GPtrArray *plans,
          GError **error)
{
    KeysOf keys_of = options->warm ? keys_of_run : keys_of_test;
    g_auto(Keys) keys = {0};
    g_autofree char *name = g_strdup_printf("%s-%s", plan->lab_name, plan->host_id);
    LogDir *logs = log_dir_open(NULL, name, error);
    if (!logs)
        return FALSE;
    gboolean ok = keys_of(options, plan, plans, log_dir_path(logs), &keys, error);
    log_dir_close(logs, FALSE);
    if (!ok) {
        g_prefix_error(error, "%s/%s: ", plan->lab_name, plan->host_id);
        return FALSE;
    }
    printf("%s  %s/%s\n", keys.own, plan->lab_name, plan->host_id);
    if (options->inputs)
        print_inputs(keys.inputs);
    print_layers(plan, &keys, options->inputs);
    return TRUE;
}

/* ---- labs
 * ---------------------------------------------------------------------------------------
 */

/* A host that has no template is told, and the next one has a key. Anything else ends it.
 */
static int
print_keys(const Options *options, const GPtrArray *plans)
{
    int status = HB_OK;
    for (guint i = 0; i < plans->len; i++) {
        g_autoptr(GError) error = NULL;
        if (print_key(options, plans->pdata[i], plans, &error))
            continue;
        status = cli_fail(error);
        if (status != HB_UNSUPPORTED)
            break;
    }
    return status;
}

static int
print_labs(Options *options, int count, char **labs)
{
    int worst = HB_OK;
    g_autoptr(GError) error = NULL;
    g_autoptr(CliInterrupt) interrupt = cli_interrupt_new();
    g_autoptr(Emulator) emulator = cli_emulator(&options->test.machine, &error);
    if (!emulator)
        return cli_fail(error);
    g_free(options->test.machine.emulator);
    options->test.machine.emulator = g_strdup(emulator->binary);
    options->interrupt = g_cancellable_get_current();
    for (int i = 0; i < count; i++) {
        int status = HB_OK;
        g_autoptr(GPtrArray) plans = cli_plan(labs[i], emulator, PLAN_FOR_QEMU, &status);
        if (plans)
            status = print_keys(options, plans);
        if (status != HB_OK && status != HB_UNSUPPORTED)
            return status;
        worst = MAX(worst, status);
    }
    return worst;
}

/* ---- the command line
 * ----------------------------------------------------------------------------------- */

static gboolean
parse_options(Options *o, int *argc, char **argv, int *before, int *status)
{
    TestOptions *test = &o->test;
    const GOptionEntry own[] = {
        {"warm", 0, 0, G_OPTION_ARG_NONE, &o->warm,
         "Those of run --warm and up --warm, in place of test --keep's", NULL},
        {"suite", 0, 0, G_OPTION_ARG_STRING_ARRAY, &test->suites, "As for test",
         "COMMAND"},
        {"prepare", 0, 0, G_OPTION_ARG_STRING_ARRAY, &test->prepare_commands,
         "As for test", "COMMAND"},
        {"module", 0, 0, G_OPTION_ARG_STRING_ARRAY, &test->modules,
         "As for test and run, as are the next", "NAME"},
        {"capture", 0, 0, G_OPTION_ARG_NONE, &test->capture, "As for test and run", NULL},
        {"inputs", 0, 0, G_OPTION_ARG_NONE, &o->inputs,
         "Print also what each key is made of", NULL},
        G_OPTION_ENTRY_NULL,
    };
    g_autofree GOptionEntry *entries = cli_program_entries(own, &test->program);
    if (!cli_parse_divided("template key", argc, argv, entries, &test->machine, before,
                           status))
        return FALSE;
    test->accel = cli_accel(&test->machine);
    return TRUE;
}

/* Words behind "--" are a command, which run --warm has. */
static gboolean
check_options(Options *o, int labs, char **command, int *status)
{
    if (labs < 1)
        *status = cli_fail_with(HB_USAGE, "'hostbed template key' takes LAB…");
    else if (o->warm && (o->test.suites || o->test.prepare_commands))
        *status = cli_fail_with(HB_USAGE, "--%s is test's, which has no --warm",
                                o->test.suites ? "suite" : "prepare");
    else if (!o->warm && *command)
        *status = cli_fail_with(HB_USAGE,
                                "a command ('%s') is run's; say --warm for the "
                                "keys of run --warm",
                                *command);
    else if (o->warm)
        return cli_program_check(&o->test.program, status);
    else
        return test_check_programs(&o->test, status);
    return FALSE;
}

int
cmd_template_key(int argc, char **argv)
{
    int status, before = -1;
    g_auto(Options) options = {.test = {.suite_timeout = 600, .keep = TRUE}};
    if (!parse_options(&options, &argc, argv, &before, &status))
        return status;
    int labs = before >= 0 ? before : argc - 1;
    char **command = argv + 1 + labs;
    if (!check_options(&options, labs, command, &status))
        return status;
    g_autofree char *program = *command ? run_program_path(*command) : NULL;
    if (program)
        *command = program;
    options.command = (const char *const *)command;
    return print_labs(&options, labs, argv + 1);
}
