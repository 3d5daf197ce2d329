/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * JUnit XML, in the subset that Jenkins (junit and xunit plugins, junit-10.xsd) and
 * GitLab read: testsuites, testsuite, properties, testcase with at most one of failure,
 * error, skipped, and surefire's flakyFailure. Jenkins cuts a class name at its last dot
 * into package and class; GitLab shows classname as the suite and shows the text, not the
 * message attribute, so the text repeats the message.
 *
 * No system-out is written: GitLab obeys "[[ATTACHMENT|path]]" in there, and our text is
 * a guest's.
 */
#include "report.h"

#include <string.h>

#include "autoptr.h"

typedef xmlTextWriter Writer;

/* Whoever made a Report: libxml2 writes any byte it is given, and XML 1.0 forbids some.
 */
static void
attribute(Writer *xml, const char *name, const char *value)
{
    g_autofree char *text = outcome_text(value, -1, TRUE);
    xmlTextWriterWriteAttribute(xml, BAD_CAST name, BAD_CAST text);
}

static void
attribute_number(Writer *xml, const char *name, guint value)
{
    xmlTextWriterWriteFormatAttribute(xml, BAD_CAST name, "%u", value);
}

/* Seconds, by integers: no locale has a say in the decimal point. */
static void
attribute_time(Writer *xml, gint64 us)
{
    us = MAX(us, 0);
    xmlTextWriterWriteFormatAttribute(xml, BAD_CAST "time",
                                      "%" G_GINT64_FORMAT ".%03" G_GINT64_FORMAT,
                                      us / 1000000, us / 1000 % 1000);
}

static void
attribute_timestamp(Writer *xml, gint64 us)
{
    g_autoptr(GDateTime) date = g_date_time_new_from_unix_utc(us / 1000000);
    g_autofree char *text = date ? g_date_time_format(date, "%Y-%m-%dT%H:%M:%S") : NULL;
    if (text)
        attribute(xml, "timestamp", text);
}

static void
start(Writer *xml, const char *name)
{
    xmlTextWriterStartElement(xml, BAD_CAST name);
}

static void
end(Writer *xml)
{
    xmlTextWriterEndElement(xml);
}

static void
property(Writer *xml, const char *name, const char *value)
{
    if (!value)
        return;
    start(xml, "property");
    attribute(xml, "name", name);
    attribute(xml, "value", value);
    end(xml);
}

/* Test cases have no properties in the schema, so their suite has them. */
static void
write_measures(Writer *xml, const CaseResult *result)
{
    for (guint i = 0; result->measures && i < result->measures->len; i++) {
        const Measure *measure = result->measures->pdata[i];
        g_autofree char *name =
            g_strdup_printf("measure:%s:%s", result->name, measure->name);
        g_autofree char *value = g_strjoin(" ", measure->value, measure->unit, NULL);
        property(xml, name, value);
    }
}

static void
write_properties(Writer *xml, const Report *report, const GPtrArray *results)
{
    start(xml, "properties");
    property(xml, "lab", report->lab);
    property(xml, "emulator", report->emulator);
    property(xml, "accelerator", report->accel);
    property(xml, "kernel", report->kernel);
    property(xml, "template", report->template);
    property(xml, "cold", report->cold);
    property(xml, "log-dir", report->log_dir);
    property(xml, "tainted", report->tainted ? "true" : "false");
    property(xml, "complete", report->complete ? "true" : "false");
    for (guint i = 0; i < results->len; i++)
        write_measures(xml, results->pdata[i]);
    end(xml);
}

static gboolean
is_error(const CaseResult *result)
{
    return outcome_is_bad(result->outcome) && result->outcome != OUTCOME_FAIL;
}

static const char *
element_of(const CaseResult *result)
{
    if (result->outcome == OUTCOME_SKIP)
        return "skipped";
    if (result->outcome == OUTCOME_PASS)
        return result->flaky ? "flakyFailure" : NULL;
    return is_error(result) ? "error" : "failure";
}

static void
write_verdict(Writer *xml, const CaseResult *result)
{
    const char *element = element_of(result);
    if (!element)
        return;
    const char *more;
    g_autofree char *reason = report_case_reason(result, &more);
    start(xml, element);
    attribute(xml, "type", result->flaky ? "flaky" : outcome_name(result->outcome));
    attribute(xml, "message", reason);
    g_autofree char *text = g_strconcat(reason, "\n", more, NULL);
    g_autofree char *fit = outcome_text(text, -1, TRUE);
    xmlTextWriterWriteString(xml, BAD_CAST fit);
    end(xml);
}

static void
write_case(Writer *xml, const char *classname, const CaseResult *result)
{
    start(xml, "testcase");
    attribute(xml, "classname", classname);
    attribute(xml, "name", result->name);
    attribute_time(xml, result->duration_us);
    write_verdict(xml, result);
    end(xml);
}

static gboolean
same_suite(const CaseResult *a, const CaseResult *b)
{
    return g_str_equal(a->host, b->host) && g_str_equal(a->suite, b->suite);
}

/* RESULTS are those of one suite. */
static void
write_suite(Writer *xml, const Report *report, const GPtrArray *results)
{
    guint failures = 0, errors = 0, skipped = 0;
    gint64 us = 0;
    for (guint i = 0; i < results->len; i++) {
        const CaseResult *result = results->pdata[i];
        failures += result->outcome == OUTCOME_FAIL;
        errors += is_error(result);
        skipped += result->outcome == OUTCOME_SKIP;
        us += MAX(result->duration_us, 0);
    }
    const CaseResult *first = results->pdata[0];
    g_autofree char *name = g_strjoin("/", report->lab, first->host, first->suite, NULL);
    g_autofree char *classname =
        g_strjoin(".", report->lab, first->host, first->suite, NULL);
    start(xml, "testsuite");
    attribute(xml, "name", name);
    attribute_number(xml, "tests", results->len);
    attribute_number(xml, "failures", failures);
    attribute_number(xml, "errors", errors);
    attribute_number(xml, "skipped", skipped);
    attribute_time(xml, us);
    attribute_timestamp(xml, report->started_us);
    attribute(xml, "hostname", first->host);
    write_properties(xml, report, results);
    for (guint i = 0; i < results->len; i++)
        write_case(xml, classname, results->pdata[i]);
    end(xml);
}

/* What the run itself has to answer for: that it was complete, and that it had a test. */
static void
write_run(Writer *xml, const Report *report)
{
    g_autoptr(GPtrArray) results = case_results_new();
    if (!report->complete) {
        CaseResult *result =
            case_result_new("-", "run", "complete", OUTCOME_INFRASTRUCTURE);
        case_result_set_message(result, "the run was ended early, or still goes on");
        g_ptr_array_add(results, result);
    } else if (report->results->len == 0) {
        CaseResult *result = case_result_new("-", "run", "tests were run", OUTCOME_FAIL);
        case_result_set_message(result, "no test was run");
        g_ptr_array_add(results, result);
    }
    if (results->len > 0)
        write_suite(xml, report, results);
}

static void
write_report(Writer *xml, const Report *report)
{
    g_autofree gboolean *done = g_new0(gboolean, report->results->len + 1);
    for (guint i = 0; i < report->results->len; i++) {
        if (done[i])
            continue;
        g_autoptr(GPtrArray) suite = g_ptr_array_new();
        for (guint j = i; j < report->results->len; j++) {
            if (!done[j] &&
                same_suite(report->results->pdata[i], report->results->pdata[j])) {
                g_ptr_array_add(suite, report->results->pdata[j]);
                done[j] = TRUE;
            }
        }
        write_suite(xml, report, suite);
    }
    write_run(xml, report);
}

void
report_write_junit(const GPtrArray *reports, GString *out)
{
    g_autoptr(xmlBuffer) buffer = xmlBufferCreate();
    g_autoptr(xmlTextWriter) xml = xmlNewTextWriterMemory(buffer, 0);
    xmlTextWriterSetIndent(xml, 1);
    xmlTextWriterStartDocument(xml, NULL, "UTF-8", NULL);
    start(xml, "testsuites");
    attribute(xml, "name", "hostbed");
    for (guint i = 0; i < reports->len; i++)
        write_report(xml, reports->pdata[i]);
    xmlTextWriterEndDocument(xml);
    xmlTextWriterFlush(xml);
    g_string_append_len(out, (const char *)xmlBufferContent(buffer),
                        xmlBufferLength(buffer));
}
