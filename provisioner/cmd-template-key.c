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

/* A host of which there will be a template: its key, or NULL. */
typedef char *(*KeyOf)(const Options *options, const Plan *plan, const GPtrArray *plans,
                       const char *log_dir, GPtrArray **inputs, GError **error);

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

static char *
key_of_test(const Options *options, const Plan *plan, const GPtrArray *plans,
            const char *log_dir, GPtrArray **inputs, GError **error)
{
    const TestOptions *test = &options->test;
    g_autoptr(GPtrArray) peers = plan_peers(plan, plans);
    g_autoptr(GPtrArray) list = suites_of(test);
    g_autoptr(GString) manifest = g_string_new(NULL);
    emit_manifest(plan, manifest);
    g_autoptr(Bindings) bindings =
        bindings_new(plan, (const char *const *)test->program.bind, error);
    if (!bindings)
        return NULL;
    SessionOptions session = test_session_for(test, plan, test->machine.emulator);
    session.peers = peers;
    session.manifest = manifest->str;
    session.bindings = bindings;
    session.suites = list;
    session.log_dir = log_dir;
    session.interrupt = options->interrupt;
    g_autofree char *key = session_template_key(&session, inputs, error);
    return key && session_template_possible(&session, error) ? g_steal_pointer(&key)
                                                             : NULL;
}

static char *
key_of_run(const Options *options, const Plan *plan, const GPtrArray *plans,
           const char *log_dir, GPtrArray **inputs, GError **error)
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
        return NULL;
    g_auto(RunHost) host = {0};
    run_host_init(&host, &session, plan, test->machine.emulator, test->accel);
    host.boot.log_dir = log_dir;
    g_autofree char *key = boot_warm_key(&host.boot, inputs, error);
    return key && boot_warm_possible(&host.boot, error) ? g_steal_pointer(&key) : NULL;
}

static void
print_inputs(const GPtrArray *inputs)
{
    for (guint i = 0; i < inputs->len; i++) {
        const TemplateInput *input = inputs->pdata[i];
        printf("    %s: %s\n", input->name, input->value);
    }
}

static gboolean
print_key(const Options *options, const Plan *plan, const GPtrArray *plans,
          GError **error)
{
    KeyOf key_of = options->warm ? key_of_run : key_of_test;
    g_autoptr(GPtrArray) inputs = NULL;
    g_autofree char *name = g_strdup_printf("%s-%s", plan->lab_name, plan->host_id);
    LogDir *logs = log_dir_open(NULL, name, error);
    if (!logs)
        return FALSE;
    g_autofree char *key =
        key_of(options, plan, plans, log_dir_path(logs), &inputs, error);
    log_dir_close(logs, FALSE);
    if (!key) {
        g_prefix_error(error, "%s/%s: ", plan->lab_name, plan->host_id);
        return FALSE;
    }
    printf("%s  %s/%s\n", key, plan->lab_name, plan->host_id);
    if (options->inputs)
        print_inputs(inputs);
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
