/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * hostbed verify: a host that is up, compared with its manifest once more. Prints what
 * "hostbed test -s manifest" would.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cmd-live.h"

typedef struct {
    char *json, *junit;
} VerifyOptions;

static void
options_clear(VerifyOptions *options)
{
    g_free(options->json);
    g_free(options->junit);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(VerifyOptions, options_clear)

static gboolean
parse(int *argc, char ***argv, VerifyOptions *options, int *status)
{
    const GOptionEntry entries[] = {
        {"junit", 0, 0, G_OPTION_ARG_FILENAME, &options->junit,
         "Write JUnit XML; '-': to stdout, instead of TAP", "FILE"},
        {"json", 0, 0, G_OPTION_ARG_FILENAME, &options->json,
         "Write JSON; '-': to stdout, instead of TAP", "FILE"},
        G_OPTION_ENTRY_NULL,
    };
    if (!cli_parse("verify", argc, argv, entries, NULL, status))
        return FALSE;
    const CliFile files[] = {{"--junit", options->junit, TRUE},
                             {"--json", options->json, TRUE}};
    if (*argc != 2)
        *status = cli_fail_with(HB_USAGE, "name a host that is up: hostbed verify HOST");
    else if (g_strcmp0(options->json, "-") == 0 && g_strcmp0(options->junit, "-") == 0)
        *status = cli_fail_with(HB_USAGE, "only one report can go to standard output");
    else if (cli_check_files(files, G_N_ELEMENTS(files), status))
        return TRUE;
    return FALSE;
}

/* FILENAME NULL: no report of this FORMAT is wanted. */
static gboolean
save(const char *format, const GPtrArray *reports, const char *filename, GError **error)
{
    if (!filename)
        return TRUE;
    if (!g_str_equal(filename, "-"))
        return report_save(report_format(format), reports, filename, error);
    g_autoptr(GString) text = g_string_new(NULL);
    report_format(format)->write(reports, text);
    fwrite(text->str, 1, text->len, stdout);
    return TRUE;
}

static int
print(Report *report, const VerifyOptions *options)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) reports = g_ptr_array_new();
    g_ptr_array_add(reports, report);
    gboolean tap =
        g_strcmp0(options->json, "-") != 0 && g_strcmp0(options->junit, "-") != 0;
    if (!save("tap", reports, tap ? "-" : NULL, &error) ||
        !save("json", reports, options->json, &error) ||
        !save("junit", reports, options->junit, &error))
        return cli_fail(error);
    ReportCount count = report_count(report);
    fprintf(stderr, "hostbed: %u passed, %u failed, %u skipped\n", count.passed,
            count.failed, count.skipped);
    return (int)report_status(report);
}

int
cmd_verify(int argc, char **argv)
{
    int status;
    g_auto(VerifyOptions) options = {0};
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) labs = NULL;
    g_autoptr(JsonObject) answer = NULL;
    LiveName name;
    if (!parse(&argc, &argv, &options, &status))
        return status;
    signal(SIGPIPE, SIG_IGN);
    if (!cmd_live_find(argv[1], &labs, &name, &error))
        return cli_fail(error);
    g_autoptr(CliInterrupt) interrupt = cli_interrupt_new();
    gint64 start_us = g_get_real_time();
    int fd = cmd_live_ask(&name, live_call_request("verify", NULL), &answer, &error);
    if (fd < 0)
        return cli_fail(error);
    close(fd);
    cmd_live_print();
    g_autoptr(Report) report = cmd_live_report(&name, answer, &error);
    if (!report)
        return cli_fail(error);
    report->started_us = start_us;
    report->duration_us = g_get_real_time() - start_us;
    return print(report, &options);
}
