/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What is to be run: arguments → labs, planned here once so that every lab's faults are
 * told before anything starts → units, one for each suite of each host.
 */
#include "cmd-test.h"

#include "bind.h"
#include "template-store.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
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
    g_free(options->log_dir);
    g_strfreev(options->suites);
    g_clear_pointer(&options->foreign, g_ptr_array_unref);
    g_strfreev(options->prepare_commands);
    g_clear_pointer(&options->prepare, g_ptr_array_unref);
    cli_program_clear(&options->program);
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

static void
host_free_element(gpointer data)
{
    TestHost *host = data;
    g_free(host->id);
    report_free(host->part);
    g_free(host);
}

static void
lab_free_element(gpointer data)
{
    TestLab *lab = data;
    if (!lab)
        return;
    g_free(lab->filename);
    g_free(lab->path);
    g_free(lab->name);
    g_ptr_array_unref(lab->hosts);
    g_ptr_array_unref(lab->units);
    report_free(lab->report);
    g_free(lab);
}

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
        {"log-dir", 0, 0, G_OPTION_ARG_FILENAME, &o->log_dir,
         "Put each host's logs into a folder of its own in DIR", "DIR"},
        {"module", 0, 0, G_OPTION_ARG_STRING_ARRAY, &o->modules,
         "Load a kernel module in the hosts, with what it needs; may be repeated",
         "NAME"},
        {"jobs", 'j', 0, G_OPTION_ARG_INT, &o->jobs,
         "Hosts at the same time (default: as cores and memory allow)", "N"},
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
        {"worker-fd", 0, G_OPTION_FLAG_HIDDEN, G_OPTION_ARG_INT, &o->worker_fd, NULL,
         NULL},
        {"worker-name", 0, G_OPTION_FLAG_HIDDEN, G_OPTION_ARG_STRING, &o->worker_name,
         NULL, NULL},
        {"worker-lab", 0, G_OPTION_FLAG_HIDDEN, G_OPTION_ARG_FILENAME, &o->worker_lab,
         NULL, NULL},
        {"worker-unit", 0, G_OPTION_FLAG_HIDDEN, G_OPTION_ARG_STRING_ARRAY,
         &o->worker_units, NULL, NULL},
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

/* The first program that is named by a path from here and is not there; what begins with
 * "/", or where --chdir leads, may be the host's own. NULL: all are there. */
static const char *
absent_program(const TestOptions *o)
{
    const GPtrArray *const lists[] = {o->prepare, o->foreign};
    for (gsize n = 0; n < G_N_ELEMENTS(lists) && !o->program.chdir; n++) {
        for (guint i = 0; i < lists[n]->len; i++) {
            const char *name = ((const Suite *)lists[n]->pdata[i])->command[0];
            if (strchr(name, '/') && !g_path_is_absolute(name) &&
                !g_file_test(name, G_FILE_TEST_EXISTS))
                return name;
        }
    }
    return NULL;
}

/* FALSE: *STATUS is set, and the reason printed. */
static gboolean
check_suites(TestOptions *o, int *status)
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

/* FALSE: *STATUS is set, and the reason printed. */
static gboolean
check_options(TestOptions *o, int *status)
{
    g_autoptr(GError) error = NULL;
    o->accel = cli_accel(&o->machine);
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
    else if (g_strcmp0(o->junit, "-") == 0 && g_strcmp0(o->json, "-") == 0)
        *status = cli_fail_with(HB_USAGE, "only one report can go to standard output");
    else if (o->cold && o->keep)
        *status = cli_fail_with(HB_USAGE, "--cold makes no template to --keep");
    else if (o->keep && o->prepare_commands)
        *status =
            cli_fail_with(HB_USAGE, "--keep keeps hosts as they were checked, which "
                                    "--prepare changes; use one of them");
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
    };
    g_array_append_vals(files, others, G_N_ELEMENTS(others));
    return cli_check_files((const CliFile *)(gpointer)files->data, files->len, status);
}

/* ---- what workers read
 * -----------------------------------------------------------------------------
 */

/* Where FILENAME is a file that any process finds again, by a name of which nothing
 * depends on who asks, as /dev/stdin does; or NULL. */
static char *
lasting_path(const char *filename)
{
    struct stat st, real_st;
    if (strcmp(filename, "-") == 0 || stat(filename, &st) != 0 || !S_ISREG(st.st_mode))
        return NULL;
    g_autofree char *real = realpath(filename, NULL);
    gboolean same = real && stat(real, &real_st) == 0 && real_st.st_dev == st.st_dev &&
                    real_st.st_ino == st.st_ino;
    return same ? g_steal_pointer(&real) : NULL;
}

/* What was a pipe becomes a file without a name, which can be opened as often as it
 * takes as long as we are here. In a PID namespace /proc may be another one's: it, not
 * getpid(), says what we are called there. */
static char *
keep_text(const GString *text, Findings *findings, const char *filename)
{
    g_autofree char *self = g_file_read_link("/proc/self", NULL);
    int fd = memfd_create("lab", MFD_CLOEXEC);
    if (fd >= 0 && write(fd, text->str, text->len) == (ssize_t)text->len && self)
        return g_strdup_printf("/proc/%s/fd/%d", self, fd);
    findings_add(findings, FINDING_ERROR, (FilePos){g_intern_string(filename), 0}, "file",
                 "the lab cannot be kept: %s",
                 self ? g_strerror(errno) : "there is no /proc");
    if (fd >= 0)
        close(fd);
    return NULL;
}

/* ---- labs
 * ------------------------------------------------------------------------------------------
 */

/* NAME and SUFFIX, with a number between them where NAMES (of labs → the last number
 * tried for each) has that already. */
static char *
unique_name(GHashTable *names, const char *name, const char *suffix)
{
    char *whole = g_strconcat(name, suffix, NULL);
    guint n = GPOINTER_TO_UINT(g_hash_table_lookup(names, whole));
    while (g_hash_table_contains(names, whole)) {
        g_autofree char *first = g_strconcat(name, suffix, NULL);
        g_hash_table_insert(names, g_steal_pointer(&first), GUINT_TO_POINTER(++n));
        g_free(whole);
        whole = g_strdup_printf("%s[%u]%s", name, n, suffix);
    }
    g_hash_table_insert(names, g_strdup(whole), GUINT_TO_POINTER(1));
    return whole;
}

static TestLab *
add_lab(GPtrArray *labs, const char *filename, char *name /* taken */)
{
    TestLab *lab = g_new0(TestLab, 1);
    lab->filename = g_strdup(filename);
    lab->name = name;
    lab->hosts = g_ptr_array_new_with_free_func(host_free_element);
    lab->units = g_ptr_array_new_with_free_func((GDestroyNotify)unit_free);
    lab->report = report_new(lab->name);
    g_ptr_array_add(labs, lab);
    return lab;
}

static void
add_units(TestLab *lab, const GPtrArray *plans, const GPtrArray *foreign)
{
    for (guint i = 0; i < plans->len; i++) {
        const Plan *plan = plans->pdata[i];
        TestHost *host = g_new0(TestHost, 1);
        host->id = g_strdup(plan->host_id);
        host->memory_bytes = plan_memory_needed(plan);
        host->part = report_new(lab->name);
        g_ptr_array_add(lab->hosts, host);
        lab->report->tainted |= plan->tainted;
        for (const Suite *suite = suites; suite->name; suite++)
            if (suite->is_check || foreign->len == 0)
                g_ptr_array_add(lab->units, unit_new(lab->name, plan, suite));
        for (guint j = 0; j < foreign->len; j++)
            g_ptr_array_add(lab->units, unit_new(lab->name, plan, foreign->pdata[j]));
    }
}

/* The name of a lab that could not be planned: that of its file. */
static char *
name_of_file(const char *filename)
{
    char *name = g_path_get_basename(filename);
    if (g_str_has_suffix(name, ".xml"))
        name[strlen(name) - 4] = '\0';
    return name;
}

/* An emulator that cannot do what the lab asks fails this lab, and the others run. All
 * findings were printed; the result has the sentences that decided. */
static void
add_unsupported(GPtrArray *labs, GHashTable *names, const char *filename,
                const Findings *findings)
{
    g_autofree char *name = name_of_file(filename);
    TestLab *lab = add_lab(labs, filename, unique_name(names, name, ""));
    CaseResult *result = case_result_new("-", "host", "plan", OUTCOME_UNSUPPORTED);
    g_autoptr(GString) more = g_string_new(NULL);
    for (guint i = 0; i < findings_total(findings); i++) {
        const Finding *finding = findings_get(findings, i);
        if (finding->level != FINDING_UNSUPPORTED)
            continue;
        g_autofree char *said = finding_text(finding);
        if (!result->message)
            case_result_set_message(result, "%s", said);
        else
            g_string_append_printf(more, "unsupported: %s\n", said);
    }
    if (more->len > 0)
        case_result_set_output(result, more->str, -1);
    g_ptr_array_add(lab->report->results, result);
    lab->report->status = HB_UNSUPPORTED;
    lab->report->complete = lab->done = TRUE;
}

/* NULL: FINDINGS say why not. *PATH, unless NULL: of a file with the same text. */
static GPtrArray *
plan_file(const char *filename, const Emulator *emulator, Findings *findings, char **path)
{
    g_autoptr(GString) text = lab_read(filename, findings);
    g_autoptr(Lab) lab =
        text ? lab_parse_text(text->str, text->len, filename, findings) : NULL;
    g_autoptr(GPtrArray) plans =
        lab ? plan_checked_lab(lab, emulator, PLAN_FOR_QEMU, findings) : NULL;
    if (!plans || !path)
        return g_steal_pointer(&plans);
    *path = lasting_path(filename);
    if (!*path)
        *path = keep_text(text, findings, filename);
    return *path ? g_steal_pointer(&plans) : NULL;
}

static gboolean
check_placeholders(Bindings *bindings, const GPtrArray *list, GError **error)
{
    for (guint i = 0; i < list->len; i++) {
        const Suite *suite = list->pdata[i];
        g_auto(GStrv) filled =
            bindings_fill(bindings, (const char *const *)suite->command, error);
        if (!filled)
            return FALSE;
    }
    return TRUE;
}

/* What --bind and place-holders mean in each host is known before one is started. */
static gboolean
check_bindings(const TestOptions *options, const GPtrArray *plans, GError **error)
{
    for (guint i = 0; i < plans->len; i++) {
        g_autoptr(Bindings) bindings = bindings_new(
            plans->pdata[i], (const char *const *)options->program.bind, error);
        if (!bindings)
            return FALSE;
        if (!check_placeholders(bindings, options->prepare, error) ||
            !check_placeholders(bindings, options->foreign, error))
            return FALSE;
    }
    return TRUE;
}

/* All labs are planned, and their findings printed, before one is started. Nothing is
 * kept for a list. HB_INTERRUPTED: the thread's current GCancellable was cancelled. */
static HbStatus
plan_labs(const TestOptions *options, const GPtrArray *filenames,
          const Emulator *emulator, GPtrArray *labs)
{
    HbStatus worst = HB_OK;
    g_autoptr(GHashTable) names =
        g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    for (guint i = 0; i < filenames->len; i++) {
        g_autoptr(Findings) findings = findings_new();
        g_autofree char *path = NULL;
        g_autoptr(GPtrArray) plans = plan_file(filenames->pdata[i], emulator, findings,
                                               options->list ? NULL : &path);
        if (!plans && g_cancellable_is_cancelled(g_cancellable_get_current()))
            return HB_INTERRUPTED;
        int status = cli_findings(findings);
        g_autoptr(GError) error = NULL;
        if (plans && !check_bindings(options, plans, &error)) {
            g_prefix_error(&error, "%s: ", (const char *)filenames->pdata[i]);
            worst = outcome_worst_status(worst, (HbStatus)cli_fail(error));
        }
        if (!plans && status == HB_UNSUPPORTED)
            add_unsupported(labs, names, filenames->pdata[i], findings);
        else if (!plans)
            worst = outcome_worst_status(worst, (HbStatus)status);
        for (int run = 1; plans && run <= options->repeat; run++) {
            g_autofree char *suffix =
                options->repeat > 1 ? g_strdup_printf("[run=%d]", run) : g_strdup("");
            const Plan *first = plans->pdata[0];
            char *name = unique_name(names, first->lab_name, suffix);
            TestLab *lab = add_lab(labs, filenames->pdata[i], name);
            lab->path = g_strdup(path);
            add_units(lab, plans, options->foreign);
        }
    }
    return worst;
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
            lab_free_element(lab);
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
        status = plan_labs(options, filenames, emulator, labs);
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
                                   .suite_timeout = 600,
                                   .case_timeout = CASE_AUTO};
    int status = HB_OK;
    if (!parse_options(&options, argc, argv, &status) ||
        !check_options(&options, &status) || !check_suites(&options, &status))
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
    g_autoptr(GPtrArray) labs = g_ptr_array_new_with_free_func(lab_free_element);
    status = prepare_labs(&options, filenames, labs);
    return status == HB_OK ? run_selected(&options, labs, selection) : status;
}
