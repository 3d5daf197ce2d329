/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A page for a person: what did not pass first, all cases, and what was measured, as
 * bars. It is one file that brings all it needs, runs nothing and fetches nothing,
 * whatever a guest has put into it; HTML in the syntax of XML, with the end tags that
 * HTML wants.
 */
#include "report.h"

#include <string.h>

#include "autoptr.h"

typedef xmlTextWriter Writer;

#define POLICY "default-src 'none'; style-src 'unsafe-inline'"

static const char style[] =
    ":root{color-scheme:light dark}"
    "body{font:15px/1.45 system-ui,sans-serif;max-width:70em;margin:2em auto;padding:0 "
    "1em}"
    "table{border-collapse:collapse;width:100%}"
    "th,td{text-align:left;vertical-align:top;padding:.2em .8em .2em 0;"
    "border-bottom:1px solid #8884}"
    "td:nth-child(3){text-align:right;white-space:nowrap;"
    "font-variant-numeric:tabular-nums}"
    "dl{display:grid;grid-template-columns:max-content 1fr;gap:0 1em}"
    "dt{opacity:.7}dd{margin:0;overflow-wrap:anywhere}"
    "pre{white-space:pre-wrap;overflow-wrap:anywhere;margin:.3em 0}"
    ".pass{color:#1a7f37}.skip{opacity:.6}.bad{color:#cf222e;font-weight:bold}"
    ".flaky{color:#9a6700}"
    "figure{margin:1em 0}svg{max-width:100%;height:auto}"
    "svg text{font:12px system-ui,sans-serif;fill:currentColor}svg rect{fill:#5b8def}";

/* ---- elements
 * -------------------------------------------------------------------------------------
 */

static void
start(Writer *xml, const char *name, const char *class)
{
    xmlTextWriterStartElement(xml, BAD_CAST name);
    if (class)
        xmlTextWriterWriteAttribute(xml, BAD_CAST "class", BAD_CAST class);
}

/* Never an empty-element tag, which is none in HTML. */
static void
end(Writer *xml)
{
    xmlTextWriterFullEndElement(xml);
}

static void
words(Writer *xml, const char *text)
{
    g_autofree char *fit = outcome_text(text, -1, TRUE);
    xmlTextWriterWriteString(xml, BAD_CAST fit);
}

static void
element(Writer *xml, const char *name, const char *class, const char *text)
{
    start(xml, name, class);
    words(xml, text);
    end(xml);
}

/* An element without content, as HTML has some. */
static void
meta(Writer *xml, const char *name, const char *value, const char *content)
{
    start(xml, "meta", NULL);
    xmlTextWriterWriteAttribute(xml, BAD_CAST name, BAD_CAST value);
    if (content)
        xmlTextWriterWriteAttribute(xml, BAD_CAST "content", BAD_CAST content);
    xmlTextWriterEndElement(xml);
}

static char *
seconds(gint64 us)
{
    us = MAX(us, 0);
    return g_strdup_printf("%" G_GINT64_FORMAT ".%03" G_GINT64_FORMAT " s", us / 1000000,
                           us / 1000 % 1000);
}

/* ---- what was measured
 * ----------------------------------------------------------------------------------- */

#define LABEL_WIDTH 430
#define BARS_WIDTH 330
#define VALUE_WIDTH 140
#define ROW_HEIGHT 20

typedef struct {
    const CaseResult *result;
    const Measure *measure;
    double value;
} Bar;

static void
number(Writer *xml, const char *name, double value)
{
    char text[G_ASCII_DTOSTR_BUF_SIZE];
    xmlTextWriterWriteAttribute(
        xml, BAD_CAST name, BAD_CAST g_ascii_formatd(text, sizeof text, "%.1f", value));
}

static void
svg_text(Writer *xml, double x, double y, const char *text)
{
    start(xml, "text", NULL);
    number(xml, "x", x);
    number(xml, "y", y);
    words(xml, text);
    end(xml);
}

static void
write_bar(Writer *xml, const Bar *bar, guint row, double largest)
{
    const double y = (double)row * ROW_HEIGHT;
    const double width = largest > 0 ? bar->value / largest * BARS_WIDTH : 0;
    g_autofree char *label = g_strdup_printf("%s/%s: %s", bar->result->host,
                                             bar->result->name, bar->measure->name);
    g_autofree char *value =
        g_strjoin(" ", bar->measure->value, bar->measure->unit, NULL);
    svg_text(xml, 0, y + 14, label);
    start(xml, "rect", NULL);
    number(xml, "x", LABEL_WIDTH);
    number(xml, "y", y + 3);
    number(xml, "width", width);
    number(xml, "height", ROW_HEIGHT - 6);
    end(xml);
    svg_text(xml, LABEL_WIDTH + width + 8, y + 14, value);
}

/* BARS: of one unit, and so on one scale. */
static void
write_figure(Writer *xml, const char *unit, const GArray *bars)
{
    const int width = LABEL_WIDTH + BARS_WIDTH + VALUE_WIDTH;
    const int height = (int)bars->len * ROW_HEIGHT;
    double largest = 0;
    for (guint i = 0; i < bars->len; i++)
        largest = MAX(largest, g_array_index(bars, Bar, i).value);
    start(xml, "figure", NULL);
    element(xml, "figcaption", NULL, unit);
    start(xml, "svg", NULL);
    xmlTextWriterWriteAttribute(xml, BAD_CAST "role", BAD_CAST "img");
    xmlTextWriterWriteFormatAttribute(xml, BAD_CAST "width", "%d", width);
    xmlTextWriterWriteFormatAttribute(xml, BAD_CAST "height", "%d", height);
    xmlTextWriterWriteFormatAttribute(xml, BAD_CAST "viewBox", "0 0 %d %d", width,
                                      height);
    for (guint i = 0; i < bars->len; i++)
        write_bar(xml, &g_array_index(bars, Bar, i), i, largest);
    end(xml);
    end(xml);
}

/* Of the units, in order of appearance, those of the results' measures. */
static GPtrArray *
units_of(const GPtrArray *results)
{
    GPtrArray *units = g_ptr_array_new();
    for (guint i = 0; i < results->len; i++) {
        const GPtrArray *measures = ((const CaseResult *)results->pdata[i])->measures;
        for (guint j = 0; measures && j < measures->len; j++) {
            char *unit = ((const Measure *)measures->pdata[j])->unit;
            if (!g_ptr_array_find_with_equal_func(units, unit, g_str_equal, NULL))
                g_ptr_array_add(units, unit);
        }
    }
    return units;
}

static GArray *
bars_of(const GPtrArray *results, const char *unit)
{
    GArray *bars = g_array_new(FALSE, FALSE, sizeof(Bar));
    for (guint i = 0; i < results->len; i++) {
        const CaseResult *result = results->pdata[i];
        for (guint j = 0; result->measures && j < result->measures->len; j++) {
            const Measure *measure = result->measures->pdata[j];
            Bar bar = {result, measure, g_ascii_strtod(measure->value, NULL)};
            if (g_str_equal(measure->unit, unit))
                g_array_append_val(bars, bar);
        }
    }
    return bars;
}

static void
write_measures(Writer *xml, const Report *report)
{
    g_autoptr(GPtrArray) units = units_of(report->results);
    if (units->len > 0)
        element(xml, "h3", NULL, "Measured");
    for (guint i = 0; i < units->len; i++) {
        g_autoptr(GArray) bars = bars_of(report->results, units->pdata[i]);
        write_figure(xml, units->pdata[i], bars);
    }
}

/* ---- cases
 * ------------------------------------------------------------------------------------------
 */

static const char *
class_of(const CaseResult *result)
{
    if (outcome_is_bad(result->outcome))
        return "bad";
    if (result->outcome == OUTCOME_SKIP)
        return "skip";
    return result->flaky ? "flaky" : "pass";
}

/* Open where it is why a case failed. */
static void
write_details(Writer *xml, const CaseResult *result, const char *details)
{
    start(xml, "details", NULL);
    if (outcome_is_bad(result->outcome))
        xmlTextWriterWriteAttribute(xml, BAD_CAST "open", BAD_CAST "open");
    element(xml, "summary", NULL, "output");
    element(xml, "pre", NULL, details);
    end(xml);
}

static void
write_reason(Writer *xml, const CaseResult *result)
{
    const char *more;
    start(xml, "td", NULL);
    if (outcome_is_bad(result->outcome) || result->message) {
        g_autofree char *reason = report_case_reason(result, &more);
        words(xml, reason);
    } else {
        more = report_case_details(result);
    }
    if (more)
        write_details(xml, result, more);
    end(xml);
}

static void
write_case(Writer *xml, const Report *report, const CaseResult *result)
{
    g_autofree char *name = report_case_name(report, result);
    g_autofree char *time = seconds(result->duration_us);
    start(xml, "tr", NULL);
    element(xml, "td", class_of(result),
            result->flaky ? "flaky" : outcome_name(result->outcome));
    element(xml, "td", NULL, name);
    element(xml, "td", NULL, result->duration_us > 0 ? time : "");
    write_reason(xml, result);
    end(xml);
}

static void
write_cases(Writer *xml, const Report *report)
{
    static const char *const heads[] = {"Outcome", "Case", "Time", "Why"};
    start(xml, "table", NULL);
    start(xml, "tr", NULL);
    for (guint i = 0; i < G_N_ELEMENTS(heads); i++)
        element(xml, "th", NULL, heads[i]);
    end(xml);
    for (int bad = 1; bad >= 0; bad--)
        for (guint i = 0; i < report->results->len; i++)
            if (outcome_is_bad(((CaseResult *)report->results->pdata[i])->outcome) == bad)
                write_case(xml, report, report->results->pdata[i]);
    end(xml);
}

/* ---- the page
 * --------------------------------------------------------------------------------------
 */

static void
write_fact(Writer *xml, const char *name, const char *value)
{
    if (!value)
        return;
    element(xml, "dt", NULL, name);
    element(xml, "dd", NULL, value);
}

static void
write_report(Writer *xml, const Report *report)
{
    g_autoptr(GDateTime) date =
        g_date_time_new_from_unix_utc(report->started_us / G_USEC_PER_SEC);
    g_autofree char *started = date ? g_date_time_format(date, "%F %T UTC") : NULL;
    g_autofree char *took = seconds(report->duration_us);
    element(xml, "h2", NULL, report->lab);
    start(xml, "dl", NULL);
    write_fact(xml, "emulator", report->emulator);
    write_fact(xml, "accelerator", report->accel);
    write_fact(xml, "kernel", report->kernel);
    write_fact(xml, "started", started);
    write_fact(xml, "took", report->duration_us > 0 ? took : NULL);
    write_fact(xml, "template", report->template);
    write_fact(xml, "no clones", report->cold);
    write_fact(xml, "logs", report->log_dir);
    end(xml);
    if (report->tainted)
        element(xml, "p", "flaky",
                "Raw emulator arguments may have made this another machine.");
    if (!report->complete)
        element(xml, "p", "bad", "The run was ended early, or still goes on.");
    else if (report->results->len == 0)
        element(xml, "p", "bad", "No test was run.");
    write_cases(xml, report);
    write_measures(xml, report);
}

static void
write_head(Writer *xml, const char *title)
{
    start(xml, "head", NULL);
    meta(xml, "charset", "UTF-8", NULL);
    meta(xml, "http-equiv", "Content-Security-Policy", POLICY);
    meta(xml, "name", "viewport", "width=device-width");
    element(xml, "title", NULL, title);
    element(xml, "style", NULL, style);
    end(xml);
}

static char *
title_of(const GPtrArray *reports)
{
    ReportCount all = {0};
    for (guint i = 0; i < reports->len; i++) {
        ReportCount count = report_count(reports->pdata[i]);
        all.passed += count.passed;
        all.failed += count.failed;
        all.skipped += count.skipped;
    }
    return g_strdup_printf("%u passed, %u failed, %u skipped", all.passed, all.failed,
                           all.skipped);
}

void
report_write_html(const GPtrArray *reports, GString *out)
{
    g_autoptr(xmlBuffer) buffer = xmlBufferCreate();
    g_autoptr(xmlTextWriter) xml = xmlNewTextWriterMemory(buffer, 0);
    g_autofree char *title = title_of(reports);
    g_autofree char *page = g_strdup_printf("hostbed: %s", title);
    start(xml, "html", NULL);
    xmlTextWriterWriteAttribute(xml, BAD_CAST "lang", BAD_CAST "en");
    write_head(xml, page);
    start(xml, "body", NULL);
    element(xml, "h1", NULL, title);
    for (guint i = 0; i < reports->len; i++)
        write_report(xml, reports->pdata[i]);
    xmlTextWriterEndDocument(xml);
    xmlTextWriterFlush(xml);
    g_string_append_printf(out, "<!DOCTYPE html>\n%.*s\n", (int)xmlBufferLength(buffer),
                           (const char *)xmlBufferContent(buffer));
}
