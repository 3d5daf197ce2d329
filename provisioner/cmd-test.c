/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What is to be run: arguments → labs, planned here once so that every lab's faults are
 * told before anything starts → units, one for each suite of each host.
 */
#include "cmd-test.h"

#include "bind.h"
#include "cli-connect.h"
#include "template-store.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --jobs was not given. */
#define JOBS_AUTO G_MININT
/* Nor was --case-timeout: each suite has its own. */
#define CASE_AUTO (-1e300)

static void
options_clear(TestOptions *options)
{
    cli_machine_clear(&options->machine);
    g_strfreev(options->arguments);
    g_strfreev(options->patterns);
    g_free(options->junit);
    g_free(options->json);
    g_free(options->html);
    g_free(options->log_dir);
    g_free(options->connect);
    g_strfreev(options->suites);
    g_clear_pointer(&options->foreign, g_ptr_array_unref);
    g_strfreev(options->prepare_commands);
    g_clear_pointer(&options->prepare, g_ptr_array_unref);
    cli_program_clear(&options->program);
    cli_trace_clear(&options->trace);
    g_strfreev(options->modules);
    g_free(options->shard_text);
    g_free(options->isolate_text);
    g_free(options->worker_name);
    g_free(options->worker_lab);
    g_strfreev(options->worker_units);
    g_free(options->manifest);
    g_free(options->started_as);
    g_strfreev(options->extra_args);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(TestOptions, options_clear)

/* ---- the command line
 * --------------------------------------------------------------------------- */

static gboolean
parse_options(TestOptions *o, int argc, char **argv, int *status)
{
    const GOptionEntry own[] = {
        {"select", 's', 0, G_OPTION_ARG_STRING_ARRAY, &o->patterns,
         "Only SUITE, SUITE/CASE, HOST/SUITE/CASE or LAB/HOST/SUITE/CASE; globs; may be "
         "repeated",
         "PATTERN"},
        {"suite", 0, 0, G_OPTION_ARG_STRING_ARRAY, &o->suites,
         "Run this program of the machine in place of hostbed's suites; may be repeated",
         "COMMAND"},
        {"suite-timeout", 0, 0, G_OPTION_ARG_DOUBLE, &o->suite_timeout,
         "End each --suite after so long (default: 600)", "SECONDS"},
        {"case-timeout", 0, 0, G_OPTION_ARG_DOUBLE, &o->case_timeout,
         "End a suite of which one case takes so long, longer on a slow machine; 0: none",
         "SECONDS"},
        {"prepare", 0, 0, G_OPTION_ARG_STRING_ARRAY, &o->prepare_commands,
         "Run this program in each host that is started, before the suites; may be "
         "repeated",
         "COMMAND"},
        {"list", 0, 0, G_OPTION_ARG_NONE, &o->list, "Print what would be run", NULL},
        {"junit", 0, 0, G_OPTION_ARG_FILENAME, &o->junit,
         "Write JUnit XML; '-': to stdout", "FILE"},
        {"json", 0, 0, G_OPTION_ARG_FILENAME, &o->json, "Write JSON; '-': to stdout",
         "FILE"},
        {"html", 0, 0, G_OPTION_ARG_FILENAME, &o->html,
         "Write a page with what was measured as bars; '-': to stdout", "FILE"},
        {"log-dir", 0, 0, G_OPTION_ARG_FILENAME, &o->log_dir,
         "Put each host's logs into a folder of its own in DIR", "DIR"},
        {"module", 0, 0, G_OPTION_ARG_STRING_ARRAY, &o->modules,
         "Load a kernel module in the hosts, with what it needs; may be repeated",
         "NAME"},
        {"jobs", 'j', 0, G_OPTION_ARG_INT, &o->jobs,
         "Hosts at the same time, clones counted (default: as cores and memory allow)",
         "N"},
        {"isolate", 0, 0, G_OPTION_ARG_STRING, &o->isolate_text,
         "Who gets a host of its own: suite (default), case, none", "WHAT"},
        {"cold", 0, 0, G_OPTION_ARG_NONE, &o->cold,
         "Start hosts; clone none from a template", NULL},
        {"keep", 0, 0, G_OPTION_ARG_NONE, &o->keep,
         "Use the hosts' templates that are kept, and keep those that are made", NULL},
        {"check-clones", 0, 0, G_OPTION_ARG_NONE, &o->check_clones,
         "Compare each clone with its manifest, too", NULL},
        {"repeat", 0, 0, G_OPTION_ARG_INT, &o->repeat, "Run everything N times", "N"},
        {"retry", 0, 0, G_OPTION_ARG_INT, &o->retry,
         "Try again what failed, N times; what then passes is flaky", "N"},
        {"no-retry", 0, 0, G_OPTION_ARG_NONE, &o->no_retry,
         "Nothing is tried again, nor a host that hangs when it is started", NULL},
        {"capture", 0, 0, G_OPTION_ARG_NONE, &o->capture,
         "Keep what passes on each host's networks, NETWORK.pcap beside its logs", NULL},
        {"shard", 0, 0, G_OPTION_ARG_STRING, &o->shard_text,
         "Run the Kth of N equal parts", "K/N"},
        {"deadline", 0, 0, G_OPTION_ARG_DOUBLE, &o->deadline_seconds,
         "End the whole run after so long", "SECONDS"},
        {"no-skip", 0, 0, G_OPTION_ARG_NONE, &o->no_skip, "A skip is a failure", NULL},
        {"even-if-different", 0, 0, G_OPTION_ARG_NONE, &o->even_if_different,
         "Run suites in a host that its manifest's check has failed, too", NULL},
        {"quiet", 'q', 0, G_OPTION_ARG_NONE, &o->quiet, "No progress, no summary", NULL},
        {"verbose", 'v', 0, G_OPTION_ARG_NONE, &o->verbose, "Each step, a line", NULL},
        CLI_CONNECT_ENTRY(&o->connect),
        CLI_TRACE_ENTRIES(&o->trace),
        {"worker-fd", 0, G_OPTION_FLAG_HIDDEN, G_OPTION_ARG_INT, &o->worker_fd, NULL,
         NULL},
        {"worker-name", 0, G_OPTION_FLAG_HIDDEN, G_OPTION_ARG_STRING, &o->worker_name,
         NULL, NULL},
        {"worker-lab", 0, G_OPTION_FLAG_HIDDEN, G_OPTION_ARG_FILENAME, &o->worker_lab,
         NULL, NULL},
        {"worker-unit", 0, G_OPTION_FLAG_HIDDEN, G_OPTION_ARG_STRING_ARRAY,
         &o->worker_units, NULL, NULL},
        {"worker-jobs", 0, G_OPTION_FLAG_HIDDEN, G_OPTION_ARG_NONE, &o->worker_jobs, NULL,
         NULL},
        {"worker-template", 0, G_OPTION_FLAG_HIDDEN, G_OPTION_ARG_INT,
         &o->worker_template, NULL, NULL},
        {"worker-deadline", 0, G_OPTION_FLAG_HIDDEN, G_OPTION_ARG_INT64, &o->deadline_us,
         NULL, NULL},
        {"manifest", 0, G_OPTION_FLAG_HIDDEN, G_OPTION_ARG_FILENAME, &o->manifest, NULL,
         NULL},
        {"started-as", 0, G_OPTION_FLAG_HIDDEN, G_OPTION_ARG_FILENAME, &o->started_as,
         NULL, NULL},
        {"extra-arg", 0, G_OPTION_FLAG_HIDDEN, G_OPTION_ARG_STRING_ARRAY, &o->extra_args,
         NULL, NULL},
        {NULL},
    };
    g_autofree GOptionEntry *entries = cli_program_entries(own, &o->program);
    if (!cli_parse("test", &argc, &argv, entries, &o->machine, status))
        return FALSE;
    o->arguments = g_strdupv(argv + 1);
    return TRUE;
}

/* The first program that is to come from here and is not there, or NULL. */
static const char *
absent_program(const TestOptions *o)
{
    const GPtrArray *const lists[] = {o->prepare, o->foreign};
    for (gsize n = 0; n < G_N_ELEMENTS(lists); n++) {
        for (guint i = 0; i < lists[n]->len; i++) {
            const char *name = ((const Suite *)lists[n]->pdata[i])->command[0];
            if (cli_program_is_absent(&o->program, name))
                return name;
        }
    }
    return NULL;
}

gboolean
test_check_programs(TestOptions *o, int *status)
{
    const char *absent;
    g_autoptr(GError) error = NULL;
    const char *alone =
        o->suites || o->prepare_commands ? NULL : cli_program_given(&o->program);
    if (alone)
        *status = cli_fail_with(HB_USAGE, "--%s is for programs of --suite and --prepare",
                                alone);
    else if (!(o->suite_timeout > 0 && o->suite_timeout <= 1e6))
        *status =
            cli_fail_with(HB_USAGE, "--suite-timeout takes seconds, from 1 to 1000000");
    else if (!(o->foreign = suites_foreign("--suite", (const char *const *)o->suites,
                                           (guint)MAX(o->suite_timeout, 1), &error)))
        *status = cli_fail(error);
    else if (!(o->prepare =
                   suites_foreign("--prepare", (const char *const *)o->prepare_commands,
                                  (guint)MAX(o->suite_timeout, 1), &error)))
        *status = cli_fail(error);
    else if ((absent = absent_program(o)))
        *status =
            cli_fail_with(HB_USAGE, "there is no program '%s' on this machine", absent);
    else
        return cli_program_check(&o->program, status);
    return FALSE;
}

static gboolean
parse_isolation(TestOptions *o)
{
    static const char *const words[] = {
        [SESSION_ISOLATE_AUTO] = NULL,
        [SESSION_ISOLATE_NONE] = "none",
        [SESSION_ISOLATE_SUITE] = "suite",
        [SESSION_ISOLATE_CASE] = "case",
    };
    for (guint i = 0; i < G_N_ELEMENTS(words); i++) {
        if (g_strcmp0(words[i], o->isolate_text) == 0) {
            o->isolation = (SessionIsolation)i;
            return TRUE;
        }
    }
    return FALSE;
}

guint
test_streams(const TestOptions *options)
{
    return (guint)((g_strcmp0(options->junit, "-") == 0) +
                   (g_strcmp0(options->json, "-") == 0) +
                   (g_strcmp0(options->html, "-") == 0));
}

/* FALSE: *STATUS is set, and the reason printed. */
static gboolean
check_options(TestOptions *o, int *status)
{
    g_autoptr(GError) error = NULL;
    o->accel = cli_accel(&o->machine);
    /* libvirt has a name for each of its domains but once. */
    if (o->connect && o->jobs == JOBS_AUTO)
        o->jobs = 1;
    if (!cli_connect_is_address(o->connect, status))
        return FALSE;
    if (o->repeat < 1 || o->repeat > 1000000)
        *status = cli_fail_with(HB_USAGE, "--repeat %d: 1 or more times", o->repeat);
    else if (o->retry < 0 || o->retry > 1000)
        *status = cli_fail_with(HB_USAGE, "--retry %d: from 0 to 1000 times", o->retry);
    else if (o->no_retry && o->retry > 0)
        *status =
            cli_fail_with(HB_USAGE, "--no-retry and --retry %d: one of them", o->retry);
    else if (!(o->case_timeout == CASE_AUTO ||
               (o->case_timeout >= 0 && o->case_timeout <= 1e6)))
        *status = cli_fail_with(HB_USAGE,
                                "--case-timeout takes seconds, from 0 (none) to 1000000");
    else if (o->jobs < 1 && o->jobs != JOBS_AUTO)
        *status = cli_fail_with(HB_USAGE, "--jobs %d: 1 or more hosts at the same time",
                                o->jobs);
    else if (!(o->deadline_seconds >= 0 && o->deadline_seconds <= 1e9))
        *status = cli_fail_with(HB_USAGE, "--deadline: a number of seconds from now");
    else if (test_streams(o) > 1)
        *status = cli_fail_with(HB_USAGE, "only one report can go to standard output");
    else if (o->cold && o->keep)
        *status = cli_fail_with(HB_USAGE, "--cold makes no template to --keep");
    else if (o->cold && o->check_clones)
        *status = cli_fail_with(HB_USAGE, "--cold makes no clones for --check-clones");
    else if (o->connect && (o->keep || o->check_clones))
        *status = cli_fail_with(HB_USAGE,
                                "no template can be made of hosts that libvirt starts "
                                "(--connect), so there is nothing to --keep or to clone");
    else if (o->keep && template_store_maximum(&error) < 0)
        *status = cli_fail(error);
    else if (!parse_isolation(o))
        *status =
            cli_fail_with(HB_USAGE, "--isolate %s: suite, case or none", o->isolate_text);
    else if (o->shard_text && !shard_parse(o->shard_text, &o->shard, &error))
        *status = cli_fail(error);
    else
        return TRUE;
    return FALSE;
}

/* A lab is a file that can be read, or what is called like one, or standard input;
 * anything else selects. */
static gboolean
names_lab(const char *argument)
{
    return strcmp(argument, "-") == 0 || g_str_has_suffix(argument, ".xml") ||
           (access(argument, R_OK) == 0 && !g_file_test(argument, G_FILE_TEST_IS_DIR));
}

static GPtrArray *
split_arguments(TestOptions *options)
{
    GPtrArray *filenames = g_ptr_array_new();
    g_autoptr(GStrvBuilder) patterns = g_strv_builder_new();
    for (guint i = 0; options->patterns && options->patterns[i]; i++)
        g_strv_builder_add(patterns, options->patterns[i]);
    for (guint i = 0; options->arguments[i]; i++) {
        if (names_lab(options->arguments[i]))
            g_ptr_array_add(filenames, options->arguments[i]);
        else
            g_strv_builder_add(patterns, options->arguments[i]);
    }
    g_strfreev(options->patterns);
    options->patterns = g_strv_builder_end(patterns);
    return filenames;
}

/* No report may overwrite what is read, or the other report. */
static gboolean
check_files(const TestOptions *o, const GPtrArray *filenames, int *status)
{
    g_autoptr(GArray) files = g_array_new(FALSE, FALSE, sizeof(CliFile));
    for (guint i = 0; i < filenames->len; i++) {
        const CliFile lab = {"the lab", filenames->pdata[i], FALSE};
        g_array_append_val(files, lab);
    }
    const CliFile others[] = {
        {"--emulator", o->machine.emulator, FALSE},
        {"--kernel", o->machine.kernel, FALSE},
        {"--junit", o->junit, TRUE},
        {"--json", o->json, TRUE},
        {"--html", o->html, TRUE},
        {"--trace-qmp", o->trace.file, TRUE},
    };
    g_array_append_vals(files, others, G_N_ELEMENTS(others));
    return cli_check_files((const CliFile *)(gpointer)files->data, files->len, status);
}

static guint
count_units(const GPtrArray *labs)
{
    guint total = 0;
    for (guint i = 0; i < labs->len; i++)
        total += ((TestLab *)labs->pdata[i])->units->len;
    return total;
}

/* Shards, and selections such as "LAB/HOST/SUITE/CASE", leave whole labs out. What failed
 * before it had units is every shard's failure. */
static void
drop_empty(GPtrArray *labs)
{
    guint kept = 0;
    for (guint i = 0; i < labs->len; i++) {
        TestLab *lab = labs->pdata[i];
        if (lab->units->len > 0 || lab->done)
            labs->pdata[kept++] = lab;
        else
            test_lab_free(lab);
    }
    /* No element is freed twice: what lies behind the kept ones is gone or has moved. */
    for (guint i = kept; i < labs->len; i++)
        labs->pdata[i] = NULL;
    g_ptr_array_set_size(labs, (gint)kept);
}

static void
keep_shard(GPtrArray *labs, Shard shard)
{
    guint total = count_units(labs), number = 0;
    for (guint i = 0; i < labs->len; i++) {
        TestLab *lab = labs->pdata[i];
        for (guint j = 0; j < lab->units->len;) {
            if (shard_has(shard, number++, total))
                j++;
            else
                g_ptr_array_remove_index(lab->units, j);
        }
    }
    drop_empty(labs);
}

/* FALSE: a pattern means nothing in any lab. A lab that could not be planned may be what
 * is meant. */
static gboolean
check_selection(const GPtrArray *labs, const Selection *selection, GError **error)
{
    g_autoptr(GPtrArray) all = g_ptr_array_new();
    for (guint i = 0; i < labs->len; i++) {
        const TestLab *lab = labs->pdata[i];
        if (lab->done)
            return TRUE;
        g_ptr_array_extend(all, lab->units, NULL, NULL);
    }
    return selection_check(selection, all, error);
}

static void
drop_unselected(GPtrArray *labs, const Selection *selection)
{
    for (guint i = 0; i < labs->len; i++) {
        TestLab *lab = labs->pdata[i];
        lab->report->selected = !selection_is_all(selection);
        for (guint j = 0; j < lab->units->len;) {
            if (selection_has_unit(selection, lab->units->pdata[j]))
                j++;
            else
                g_ptr_array_remove_index(lab->units, j);
        }
    }
    drop_empty(labs);
}

static gboolean
has_unit(const TestLab *lab, const TestHost *host)
{
    for (guint i = 0; i < lab->units->len; i++) {
        if (g_str_equal(((const Unit *)lab->units->pdata[i])->host, host->id))
            return TRUE;
    }
    return FALSE;
}

/* Hosts of which nothing was selected. */
static void
drop_idle_hosts(GPtrArray *labs)
{
    for (guint i = 0; i < labs->len; i++) {
        TestLab *lab = labs->pdata[i];
        for (guint j = 0; j < lab->hosts->len;) {
            if (has_unit(lab, lab->hosts->pdata[j]))
                j++;
            else
                g_ptr_array_remove_index(lab->hosts, j);
        }
    }
}

static int
run_selected(const TestOptions *options, GPtrArray *labs, const Selection *selection)
{
    g_autoptr(GError) error = NULL;
    if (!check_selection(labs, selection, &error))
        return cli_fail(error);
    drop_unselected(labs, selection);
    guint total = count_units(labs);
    if (options->shard_text)
        keep_shard(labs, options->shard);
    if (labs->len == 0 && total > 0)
        return cli_fail_with(HB_USAGE,
                             "shard %s has nothing to run: there are only %u suites",
                             options->shard_text, total);
    if (labs->len == 0)
        return cli_fail_with(HB_USAGE,
                             "nothing to run: no suite of these labs is selected");
    drop_idle_hosts(labs);
    return options->list ? test_list(options, labs, selection)
                         : test_run(options, labs, selection);
}

/* The emulator is asked, and the labs are planned: the deadline counts for both. */
static int
prepare_labs(TestOptions *options, const GPtrArray *filenames, GPtrArray *labs)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(CliInterrupt) interrupt = cli_interrupt_new_until(options->deadline_us);
    g_autoptr(Emulator) emulator = cli_emulator(&options->machine, &error);
    HbStatus status = hb_error_status(error);
    if (emulator) {
        g_free(options->machine.emulator);
        options->machine.emulator = g_strdup(emulator->binary);
        status = test_plan_labs(options, filenames, emulator, labs);
    }
    if (status == HB_OK && cli_was_interrupted(interrupt) && !cli_is_late(interrupt))
        status = HB_INTERRUPTED;
    if (status == HB_INTERRUPTED && cli_is_late(interrupt))
        return cli_fail_with(
            HB_TIMEOUT, "the %g s of --deadline passed before a host was started: the %s",
            options->deadline_seconds,
            emulator ? "labs were not read" : "emulator did not answer");
    if (error)
        return cli_fail(error);
    if (status == HB_INTERRUPTED)
        return cli_fail_with(HB_INTERRUPTED, "interrupted while the labs were read");
    return (int)status;
}

int
cmd_test(int argc, char **argv)
{
    g_auto(TestOptions) options = {.repeat = 1,
                                   .jobs = JOBS_AUTO,
                                   .worker_fd = -1,
                                   .worker_template = -1,
                                   .suite_timeout = 600,
                                   .case_timeout = CASE_AUTO};
    int status = HB_OK;
    if (!parse_options(&options, argc, argv, &status) ||
        !check_options(&options, &status) || !test_check_programs(&options, &status))
        return status;
    if (options.worker_fd >= 0 && options.arguments[0])
        return test_worker(&options, options.arguments[0]);

    if (options.deadline_seconds > 0)
        options.deadline_us =
            g_get_monotonic_time() + (gint64)(options.deadline_seconds * 1e6);
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) filenames = split_arguments(&options);
    if (options.suites && options.patterns[0])
        return cli_fail_with(HB_USAGE,
                             "'%s' is no lab file that can be read, and with --suite "
                             "nothing is selected: the manifest's check and these "
                             "programs are all that is run",
                             options.patterns[0]);
    if (!check_files(&options, filenames, &status))
        return status;
    g_autoptr(Selection) selection =
        selection_new((const char *const *)options.patterns, &error);
    if (!selection)
        return cli_fail(error);
    if (filenames->len == 0 && options.list)
        return test_list(&options, NULL, selection);
    if (filenames->len == 0)
        return cli_fail_with(HB_USAGE,
                             "no lab to test; 'hostbed test LAB…' takes lab files");
    if (!options.list && !cli_trace_open(&options.trace, TRUE, &status))
        return status;
    g_autoptr(GPtrArray) labs = g_ptr_array_new_with_free_func(test_lab_free);
    status = prepare_labs(&options, filenames, labs);
    return status == HB_OK ? run_selected(&options, labs, selection) : status;
}
