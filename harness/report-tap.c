/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * TAP 13, flat: the names say which lab, host and suite, so that prove and every older
 * reader understands it. What there is to say about a result follows as diagnostics.
 */
#include "report.h"

#include <string.h>

static void
append_description(GString *out, const char *name)
{
    for (const char *p = name; *p; p++) {
        if (*p == '#' || *p == '\\')
            g_string_append_c(out, '\\');
        g_string_append_c(out, *p);
    }
}

static void
append_diagnostics(GString *out, const char *text)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    for (guint i = 0; lines[i]; i++) {
        if (*lines[i] || lines[i + 1])
            g_string_append_printf(out, "# %s%s\n",
                                   g_str_has_prefix(lines[i], "# ") ? "" : "  ",
                                   lines[i] + (g_str_has_prefix(lines[i], "# ") ? 2 : 0));
    }
}

static void
append_measures(GString *out, const GPtrArray *measures)
{
    for (guint i = 0; measures && i < measures->len; i++) {
        const Measure *measure = measures->pdata[i];
        g_string_append_printf(out, "#   %-24s %12s %s\n", measure->name, measure->value,
                               measure->unit);
    }
}

void
report_tap_head(GString *out)
{
    g_string_append(out, "TAP version 13\n");
}

void
report_tap_case(const Report *report, const CaseResult *result, guint number,
                GString *out)
{
    gboolean bad = outcome_is_bad(result->outcome);
    g_autofree char *name = report_case_name(report, result);
    g_string_append_printf(out, "%s %u - ", bad ? "not ok" : "ok", number);
    append_description(out, name);
    if (result->outcome == OUTCOME_SKIP)
        g_string_append_printf(out, " # SKIP %s", result->message ? result->message : "");
    g_string_append_c(out, '\n');
    append_measures(out, result->measures);

    if (result->outcome == OUTCOME_PASS && !result->flaky)
        return;
    const char *more = report_case_details(result);
    g_autofree char *reason = bad ? report_case_reason(result, &more) : NULL;
    if (bad)
        g_string_append_printf(out, "# %s: %s\n", outcome_name(result->outcome), reason);
    else if (result->flaky)
        g_string_append_printf(out, "# flaky: %s\n",
                               result->message ? result->message : "");
    if (more)
        append_diagnostics(out, more);
}

void
report_tap_end(const GPtrArray *reports, guint count, GString *out)
{
    for (guint i = 0; i < reports->len; i++) {
        const Report *report = reports->pdata[i];
        if (!report->complete) {
            g_string_append_printf(out, "Bail out! The run of %s was ended early.\n",
                                   report->lab);
            return;
        }
    }
    /* "1..0" would be a skip to its reader. */
    if (count == 0)
        g_string_append_printf(
            out, "not ok %u - tests were run\n# fail: no test was run\n", ++count);
    g_string_append_printf(out, "1..%u\n", count);
}

static void
write_head(const Report *report, GString *out)
{
    g_string_append_printf(out, "# %s", report->lab);
    if (report->emulator)
        g_string_append_printf(out, ", %s", report->emulator);
    if (report->accel)
        g_string_append_printf(out, ", %s", report->accel);
    if (report->kernel)
        g_string_append_printf(out, ", Linux %s", report->kernel);
    g_string_append_c(out, '\n');
}

void
report_write_tap(const GPtrArray *reports, GString *out)
{
    guint number = 0;
    report_tap_head(out);
    for (guint i = 0; i < reports->len; i++) {
        const Report *report = reports->pdata[i];
        write_head(report, out);
        for (guint j = 0; j < report->results->len; j++)
            report_tap_case(report, report->results->pdata[j], ++number, out);
    }
    report_tap_end(reports, number, out);
}
