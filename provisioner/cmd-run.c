/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * hostbed run: one command in a throw-away host, as if it ran here. Its streams are ours,
 * its exit status is ours, and a signal for us is one for it.
 */
#include "cmd-run.h"

#include <string.h>

#include "cli-connect.h"
#include "emit.h"
#include "log-dir.h"
#include "os-image.h"
#include "resources.h"
#include "schedule.h"
#include "template-store.h"

/* As a shell has it of a command that is not there. */
#define NOT_THERE 127

void
run_options_clear(RunOptions *options)
{
    cli_machine_clear(&options->machine);
    cli_program_clear(&options->program);
    cli_trace_clear(&options->trace);
    g_free(options->host);
    g_free(options->log_dir);
    g_free(options->connect);
    g_strfreev(options->modules);
}

/* ---- what is asked
 * ---------------------------------------------------------------------------------------------
 */

/* The host that --host names, or the only one; NULL: *STATUS is set. */
static const Plan *
choose_host(const GPtrArray *plans, const char *name, int *status)
{
    g_autoptr(GString) names = g_string_new(NULL);
    for (guint i = 0; i < plans->len; i++) {
        const Plan *plan = plans->pdata[i];
        if (name ? g_str_equal(plan->host_id, name) : plans->len == 1)
            return plan;
        g_string_append_printf(names, "%s%s", i > 0 ? ", " : "", plan->host_id);
    }
    if (name)
        *status = cli_fail_with(HB_USAGE, "the lab has no host '%s'; it has: %s", name,
                                names->str);
    else
        *status =
            cli_fail_with(HB_USAGE, "the lab has %u hosts; name one with --host: %s",
                          plans->len, names->str);
    return NULL;
}

/* --capture of nothing is a mistake. */
static gboolean
check_capture(const RunOptions *options, const Plan *plan, GError **error)
{
    g_autoptr(GPtrArray) networks = plan_networks(plan);
    if (!options->capture || networks->len > 0)
        return TRUE;
    g_set_error(error, HB_ERROR, HB_USAGE,
                "--capture: no NIC of the host '%s' is on a network; <nic network='…'> "
                "puts it on one",
                plan->host_id);
    return FALSE;
}

static gboolean
parse_options(int *argc, char **argv, RunOptions *options, Accel *accel, int *before,
              int *status)
{
    const GOptionEntry own[] = {
        {"host", 0, 0, G_OPTION_ARG_STRING, &options->host,
         "The host of the lab to use (default: the only one)", "NAME"},
        {"module", 0, 0, G_OPTION_ARG_STRING_ARRAY, &options->modules,
         "Load a kernel module in the host, with what it needs", "NAME"},
        {"tty", 't', 0, G_OPTION_ARG_NONE, &options->tty, "Give the command a terminal",
         NULL},
        {"timeout", 0, 0, G_OPTION_ARG_DOUBLE, &options->timeout_s,
         "End it after so long, boot included (status 4)", "SECONDS"},
        {"log-dir", 0, 0, G_OPTION_ARG_FILENAME, &options->log_dir,
         "Keep the host's logs in a new folder in DIR", "DIR"},
        {"capture", 0, 0, G_OPTION_ARG_NONE, &options->capture,
         "Keep what passes on the host's networks, NETWORK.pcap beside the logs", NULL},
        {"no-retry", 0, 0, G_OPTION_ARG_NONE, &options->no_retry,
         "A host that hangs when it is started is not started again", NULL},
        {"warm", 0, 0, G_OPTION_ARG_NONE, &options->warm,
         "Run in a clone of the template that is kept; make and keep one if need be",
         NULL},
        {"verbose", 'v', 0, G_OPTION_ARG_NONE, &options->verbose,
         "Tell on standard error what is being done", NULL},
        CLI_CONNECT_ENTRY(&options->connect),
        CLI_TRACE_ENTRIES(&options->trace),
        G_OPTION_ENTRY_NULL,
    };
    g_autofree GOptionEntry *entries = cli_program_entries(own, &options->program);
    if (!cli_parse_divided("run", argc, argv, entries, &options->machine, before, status))
        return FALSE;
    *accel = cli_accel(&options->machine);
    if (!cli_connect_is_address(options->connect, status) ||
        (options->warm && !cli_connect_is_cold(options->connect, status)))
        return FALSE;
    g_autoptr(GError) error = NULL;
    if (options->warm && template_store_maximum(&error) < 0) {
        *status = cli_fail(error);
        return FALSE;
    }
    if (!cli_program_check(&options->program, status))
        return FALSE;
    if (!(options->timeout_s >= 0 && options->timeout_s <= 1e6)) { /* nan is neither */
        *status =
            cli_fail_with(HB_USAGE, "--timeout takes seconds, from 0 (none) to 1000000");
        return FALSE;
    }
    return TRUE;
}

static int
run_with_log(RunSession *session, const Plan *plan, const char *emulator, Accel accel)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *name = g_strdup_printf("%s-%s", plan->lab_name, plan->host_id);
    LogDir *log_dir = log_dir_open(session->options->log_dir, name, &error);
    if (!log_dir)
        return cli_fail(error);
    session->log_dir = log_dir_path(log_dir);
    int status = run_in_host(session, plan, emulator, accel, session->log_dir);
    if (session->options->log_dir || session->keep_logs)
        status = cli_check_logs(log_dir_path(log_dir), session->options->log_dir != NULL,
                                status);
    session->log_dir = NULL;
    log_dir_close(log_dir, session->keep_logs);
    return status;
}

/* Before anything is started: the machine would end the emulator, or swap for hours. */
static gboolean
check_memory(const Plan *plan, GError **error)
{
    g_autoptr(Resources) resources = resources_read("");
    const Schedule schedule = {.memory_bytes = resources->usable_bytes};
    return schedule_admit(&schedule, plan->lab_name, plan_memory_needed(plan), error);
}

/* What --bind means in PLAN. Place-holders of the command that nothing stands for are
 * told before anything is started. */
static Bindings *
bind_for_command(const RunSession *session, const Plan *plan, GError **error)
{
    g_autoptr(Bindings) bindings =
        bindings_new(plan, (const char *const *)session->options->program.bind, error);
    g_auto(GStrv) trial = bindings ? bindings_fill(bindings, session->argv, error) : NULL;
    return trial ? g_steal_pointer(&bindings) : NULL;
}

static int
run_lab(RunSession *session, const char *filename, Accel accel)
{
    const RunOptions *options = session->options;
    int status;
    g_autoptr(GError) error = NULL;
    g_autoptr(Emulator) emulator = cli_emulator(&options->machine, &error);
    if (!emulator)
        return run_finish(session, NULL, error);
    g_autoptr(GPtrArray) plans =
        cli_plan(filename, emulator, cli_connect_backend(options->connect), &status);
    const Plan *plan = plans ? choose_host(plans, options->host, &status) : NULL;
    if (!plan && status == HB_INTERRUPTED) {
        g_set_error_literal(&error, HB_ERROR, HB_INTERRUPTED,
                            "interrupted while the lab was read");
        return run_finish(session, NULL, error);
    }
    if (!plan || !cli_connect_check(options->connect, plan, &status))
        return status;
    g_autoptr(Findings) findings = findings_new();
    if (plan->image)
        os_image_check(plan->image, FINDING_ERROR, findings);
    if (!findings_ok(findings))
        return cli_findings(findings);
    g_autoptr(Bindings) bindings = bind_for_command(session, plan, &error);
    if (!bindings || !check_capture(options, plan, &error) || !check_memory(plan, &error))
        return cli_fail(error);
    const char *out = options->program.out;
    g_autoptr(Outbox) outbox = out ? outbox_open(out, &error) : NULL;
    if (out && !outbox)
        return cli_fail(error);
    session->bindings = bindings;
    session->outbox = outbox;
    status = run_with_log(session, plan, emulator->binary, accel);
    session->bindings = NULL;
    session->outbox = NULL;
    return status;
}

/* Without "--" an option behind the command would be taken for one of ours. */
static gboolean
options_may_be_the_commands(char **argv)
{
    guint words = 0;
    gboolean option_behind = FALSE;
    for (char **arg = argv + 1; *arg; arg++) {
        if (g_str_equal(*arg, "--") || g_str_equal(*arg, "--help") ||
            g_str_equal(*arg, "-h"))
            return FALSE;
        option_behind = option_behind || (words >= 2 && **arg == '-');
        words += **arg != '-';
    }
    return option_behind;
}

/* Where it is written, no lab may be. */
static gboolean
open_trace(const RunOptions *options, const char *lab, int *status)
{
    const CliFile files[] = {{"the lab", lab, FALSE},
                             {"--trace-qmp", options->trace.file, TRUE}};
    return cli_check_files(files, G_N_ELEMENTS(files), status) &&
           cli_trace_open(&options->trace, TRUE, status);
}

/* It keeps its place, so that is what it is called in the host. */
char *
run_program_path(const char *word)
{
    return strchr(word, '/') && g_file_test(word, G_FILE_TEST_IS_REGULAR)
               ? g_canonicalize_filename(word, NULL)
               : NULL;
}

int
cmd_run(int argc, char **argv)
{
    int status, before = 0;
    Accel accel;
    g_auto(RunOptions) options = {0};
    gboolean ambiguous = options_may_be_the_commands(argv);
    if (!ambiguous && !parse_options(&argc, argv, &options, &accel, &before, &status))
        return status;
    if (ambiguous || before > 1)
        return cli_fail_with(HB_USAGE,
                             "put '--' before the command, so that its options "
                             "stay its own: hostbed run LAB -- COMMAND [ARGUMENT…]");
    /* A lab with a dash needs a "--" of its own: run -- -lab.xml -- COMMAND */
    int command = before == 0 && argc > 2 && strcmp(argv[2], "--") == 0 ? 3 : 2;
    if (argc <= command)
        return cli_fail_with(HB_USAGE, "name a lab and a command: "
                                       "hostbed run LAB -- COMMAND [ARGUMENT…]");
    if (*argv[command] == '\0')
        return cli_fail_with(HB_USAGE, "the command's name is empty");
    if (cli_program_is_absent(&options.program, argv[command])) {
        cli_fail_with(HB_USAGE,
                      "there is no program '%s' on this machine; one that is the host's "
                      "own is called by its whole path",
                      argv[command]);
        return NOT_THERE;
    }

    g_autofree char *program = run_program_path(argv[command]);
    if (program)
        argv[command] = program;
    g_autoptr(GCancellable) interrupt = g_cancellable_new();
    RunSession session = {.options = &options,
                          .argv = (const char *const *)argv + command,
                          .start_us = g_get_monotonic_time(),
                          .interrupt = interrupt,
                          .doing = "reading the lab"};
    if (!open_trace(&options, argv[1], &status))
        return status;
    run_watch(&session);
    g_cancellable_push_current(interrupt);
    status = run_lab(&session, argv[1], accel);
    g_cancellable_pop_current(interrupt);
    return status;
}
