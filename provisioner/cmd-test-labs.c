/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Lab files → TestLab: each read once, planned, and its units listed.
 */
#include "cmd-test.h"

#include "bind.h"
#include "cli-connect.h"
#include "emit.h"
#include "memory-file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void
host_free_element(gpointer data)
{
    TestHost *host = data;
    g_free(host->id);
    report_free(host->part);
    g_free(host->told);
    g_free(host);
}

void
test_lab_free(gpointer data)
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
    g_autoptr(GError) error = NULL;
    g_autofree char *self = g_file_read_link("/proc/self", &error);
    int fd = self ? memory_file_new("lab", text->str, text->len, &error) : -1;
    if (fd >= 0)
        return g_strdup_printf("/proc/%s/fd/%d", self, fd);
    findings_add(findings, FINDING_ERROR, (FilePos){g_intern_string(filename), 0}, "file",
                 "the lab cannot be kept: %s", error->message);
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

/* Its peers are started with it. */
static gint64
memory_of(const Plan *plan, const GPtrArray *plans)
{
    g_autoptr(GPtrArray) peers = plan_peers(plan, plans);
    gint64 bytes = plan_memory_needed(plan);
    for (guint i = 0; i < peers->len; i++)
        bytes += plan_memory_needed(peers->pdata[i]);
    return bytes;
}

static void
add_units(TestLab *lab, const GPtrArray *plans, const GPtrArray *foreign)
{
    for (guint i = 0; i < plans->len; i++) {
        const Plan *plan = plans->pdata[i];
        TestHost *host = g_new0(TestHost, 1);
        host->id = g_strdup(plan->host_id);
        host->memory_bytes = memory_of(plan, plans);
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
plan_file(const char *filename, const Emulator *emulator, const char *connect,
          Findings *findings, char **path)
{
    g_autoptr(GString) text = lab_read(filename, findings);
    g_autoptr(Lab) lab =
        text ? lab_parse_text(text->str, text->len, filename, findings) : NULL;
    g_autoptr(GPtrArray) plans =
        lab ? cli_plan_lab(lab, emulator, cli_connect_backend(connect), findings) : NULL;
    for (guint i = 0; plans && connect && i < plans->len; i++)
        emit_libvirt_check_domain(plans->pdata[i], findings);
    if (plans && !findings_ok(findings))
        return NULL;
    if (!plans || !path)
        return g_steal_pointer(&plans);
    cli_check_images(plans, FINDING_ERROR, findings);
    if (!findings_ok(findings))
        return NULL;
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

HbStatus
test_plan_labs(const TestOptions *options, const GPtrArray *filenames,
               const Emulator *emulator, GPtrArray *labs)
{
    HbStatus worst = HB_OK;
    g_autoptr(GHashTable) names =
        g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    for (guint i = 0; i < filenames->len; i++) {
        g_autoptr(Findings) findings = findings_new();
        g_autofree char *path = NULL;
        g_autoptr(GPtrArray) plans =
            plan_file(filenames->pdata[i], emulator, options->connect, findings,
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
