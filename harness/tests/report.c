/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "autoptr.h"
#include "report.h"

static CaseResult *
add(Report *report, const char *suite, const char *name, Outcome outcome,
    const char *message)
{
    CaseResult *result = case_result_new("l1", suite, name, outcome);
    if (message)
        case_result_set_message(result, "%s", message);
    g_ptr_array_add(report->results, result);
    return result;
}

static void
free_report(gpointer report)
{
    report_free(report);
}

/* One of each kind. */
static GPtrArray *
sample(void)
{
    GPtrArray *reports = g_ptr_array_new_with_free_func(free_report);
    Report *report = report_new("berrange-2017");
    report->emulator = g_strdup("QEMU 7.2.22");
    report->accel = g_strdup("tcg");
    report->kernel = g_strdup("6.1.0");
    report->started_us = G_GINT64_CONSTANT(1500000000000000);
    report->complete = TRUE;
    add(report, "manifest", "node 0", OUTCOME_PASS, NULL);
    CaseResult *bad = add(report, "manifest", "node 1", OUTCOME_FAIL,
                          "manifest:2: asked 'a', found 'b'");
    case_result_set_output(bad, "manifest:3: asked 'c', found nothing\n", -1);
    add(report, "numa", "one # two", OUTCOME_SKIP, "no nodes");
    CaseResult *flaky =
        add(report, "numa", "shaky", OUTCOME_PASS, "failed first: 1 != 2");
    flaky->flaky = TRUE;
    flaky->duration_us = 1234567890;
    add(report, "numa", "[program]", OUTCOME_GUEST_PANIC, "the host panicked");
    g_ptr_array_add(reports, report);
    return reports;
}

static char *
write_text(const char *format, const GPtrArray *reports)
{
    GString *out = g_string_new(NULL);
    report_format(format)->write(reports, out);
    return g_string_free(out, FALSE);
}

static void
assert_has(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("'%s' is not in:\n%s", part, text);
}

/* What goes for XML has its tags in order, and nothing of a guest is one of them. */
static void
html_is_well_formed(void **state)
{
    g_autoptr(GPtrArray) reports = sample();
    CaseResult *hostile = add(reports->pdata[0], "numa", "<script>", OUTCOME_FAIL,
                              "</td><script src='x'>&amp;\001");
    case_result_set_output(hostile, "</pre></body>]]>", -1);
    g_autofree char *text = write_text("html", reports);
    g_autoptr(xmlDoc) page =
        xmlReadMemory(text, (int)strlen(text), NULL, NULL, XML_PARSE_NONET);
    assert_non_null(page);
    assert_null(strstr(text, "<script"));
    assert_has(text, "<h1>2 passed, 3 failed, 1 skipped</h1>");
    assert_has(text, "&lt;/td&gt;&lt;script src='x'&gt;&amp;amp;\357\277\275");
    assert_has(text, "<td class=\"flaky\">flaky</td>"
                     "<td>berrange-2017/l1/numa/shaky</td><td>1234.567 s</td>"
                     "<td>failed first: 1 != 2</td>");
    /* What failed comes first, whatever came first. */
    assert_true(strstr(text, "node 1</td>") < strstr(text, "node 0</td>"));
    assert_null(strstr(text, "<svg"));
}

static void
html_draws_each_unit_on_its_scale(void **state)
{
    static const char *const measures[] = {"downtime 20.0 ms", "total 80 ms",
                                           "memory 3 MiB", "none 0 pages"};
    g_autoptr(GPtrArray) reports = sample();
    CaseResult *result = add(reports->pdata[0], "numa", "moves", OUTCOME_PASS, NULL);
    result->measures = measures_new();
    for (guint i = 0; i < G_N_ELEMENTS(measures); i++) {
        g_autofree char *words = g_strconcat("measure ", measures[i], NULL);
        g_ptr_array_add(result->measures, measure_parse(words));
    }
    g_autofree char *text = write_text("html", reports);
    assert_has(text, "<figcaption>ms</figcaption><svg role=\"img\" width=\"900\" "
                     "height=\"40\"");
    assert_has(text, "l1/moves: downtime</text>"
                     "<rect x=\"430.0\" y=\"3.0\" width=\"82.5\" height=\"14.0\">");
    assert_has(text, "l1/moves: total</text>"
                     "<rect x=\"430.0\" y=\"23.0\" width=\"330.0\" height=\"14.0\">");
    assert_has(text, "width=\"330.0\" height=\"14.0\"></rect>"
                     "<text x=\"768.0\" y=\"14.0\">3 MiB</text>");
    assert_has(text, "width=\"0.0\" height=\"14.0\"></rect>"
                     "<text x=\"438.0\" y=\"14.0\">0 pages</text>");
}

static void
tap_is_flat(void **state)
{
    g_autoptr(GPtrArray) reports = sample();
    g_autofree char *text = write_text("tap", reports);
    assert_string_equal(text, "TAP version 13\n"
                              "# berrange-2017, QEMU 7.2.22, tcg, Linux 6.1.0\n"
                              "ok 1 - berrange-2017/l1/manifest/node 0\n"
                              "not ok 2 - berrange-2017/l1/manifest/node 1\n"
                              "# fail: manifest:2: asked 'a', found 'b'\n"
                              "#   manifest:3: asked 'c', found nothing\n"
                              "ok 3 - berrange-2017/l1/numa/one \\# two # SKIP no nodes\n"
                              "ok 4 - berrange-2017/l1/numa/shaky\n"
                              "# flaky: failed first: 1 != 2\n"
                              "not ok 5 - berrange-2017/l1/numa/[program]\n"
                              "# guest-panic: the host panicked\n"
                              "1..5\n");
}

/* What TAP has of a case that failed with MESSAGE and OUTPUT, behind its name. */
static void
assert_told(const char *message, const char *output, const char *expected)
{
    g_autoptr(GPtrArray) reports = g_ptr_array_new_with_free_func(free_report);
    Report *report = report_new("lab");
    CaseResult *bad = add(report, "s", "c", OUTCOME_FAIL, message);
    g_autoptr(GString) out = g_string_new(NULL);
    g_ptr_array_add(reports, report);
    if (output)
        case_result_set_output(bad, output, -1);
    report_tap_case(report, bad, 1, out);
    assert_string_equal(strchr(out->str, '\n') + 1, expected);
}

static void
failures_have_a_reason_and_have_it_once(void **state)
{
    assert_told(NULL, "# wanted 1, found 2\n# and more\n",
                "# fail: wanted 1, found 2\n# and more\n");
    assert_told(NULL, "#wanted 1", "# fail: wanted 1\n");
    assert_told(NULL, "  ---\n  message: no\n",
                "# fail: what was printed of it follows\n#     ---\n#     message: no\n");
    assert_told(NULL, NULL, "# fail: no reason was given\n");
    assert_told("2 never came", "2 never came", "# fail: 2 never came\n");
    assert_told("a differs (and 1 more)", "a differs\nb differs\n",
                "# fail: a differs (and 1 more)\n#   b differs\n");
    assert_told("a differs; lab.xml:3 asks for it", "a differs\n",
                "# fail: a differs; lab.xml:3 asks for it\n");
    assert_told("a differs", "a\n", "# fail: a differs\n#   a\n");
}

static Report *
part_of(const char *host, Outcome outcome, const char *log_dir, gint64 started_us)
{
    Report *part = report_new("pair");
    g_ptr_array_add(part->results, case_result_new(host, "numa", "a", outcome));
    part->log_dir = g_strdup(log_dir);
    part->kernel = g_strdup(host);
    part->started_us = started_us;
    part->complete = TRUE;
    return part;
}

/* Hosts end in any order; the report has them in the lab's, each time it is made. */
static void
parts_are_gathered_in_order(void **state)
{
    g_autoptr(GPtrArray) parts =
        g_ptr_array_new_with_free_func((GDestroyNotify)report_free);
    Report *first = part_of("l1", OUTCOME_PASS, "/logs/l1", 30);
    Report *second = part_of("l2", OUTCOME_FAIL, "/logs/l2", 20);
    g_ptr_array_add(parts, first);
    g_ptr_array_add(parts, second);
    g_autoptr(Report) whole = report_new("pair");
    report_gather(whole, parts);
    g_ptr_array_add(first->results, case_result_new("l1", "pci", "b", OUTCOME_PASS));
    second->status = HB_UNSUPPORTED;
    report_gather(whole, parts);
    assert_int_equal(whole->results->len, 3);
    assert_string_equal(((CaseResult *)whole->results->pdata[0])->host, "l1");
    assert_string_equal(((CaseResult *)whole->results->pdata[1])->suite, "pci");
    assert_string_equal(((CaseResult *)whole->results->pdata[2])->host, "l2");
    assert_string_equal(whole->log_dir, "/logs/l2");
    assert_string_equal(whole->kernel, "l1");
    assert_int_equal(whole->started_us, 20);
    assert_int_equal(report_status(whole), HB_UNSUPPORTED);
    assert_true(whole->complete);
    ((CaseResult *)first->results->pdata[0])->outcome = OUTCOME_FAIL;
    report_gather(whole, parts);
    assert_int_equal(report_status(whole), HB_FAIL);
    first->complete = FALSE;
    report_gather(whole, parts);
    assert_false(whole->complete);
}

static void
output_that_repeats_the_message_is_left_out(void **state)
{
    g_autoptr(CaseResult) result = case_result_new("l1", "numa", "a", OUTCOME_FAIL);
    assert_null(report_case_details(result));
    case_result_set_message(result, "1 != 2");
    case_result_set_output(result, "1 != 2\n", -1);
    assert_null(report_case_details(result));
    case_result_set_message(result, "1 != 2; lab.xml:3 asks for it");
    assert_null(report_case_details(result));
    case_result_set_output(result, "1\n", -1);
    assert_non_null(report_case_details(result));
    case_result_set_output(result, "1 != 2\n3 != 4\n", -1);
    assert_string_equal(report_case_details(result), "3 != 4\n");
}

static void
tap_of_nothing_fails(void **state)
{
    g_autoptr(GPtrArray) reports = g_ptr_array_new_with_free_func(free_report);
    Report *report = report_new("empty");
    report->complete = TRUE;
    g_ptr_array_add(reports, report);
    g_autofree char *text = write_text("tap", reports);
    assert_non_null(strstr(text, "not ok 1 - tests were run\n"));
    assert_non_null(strstr(text, "\n1..1\n"));
    assert_int_equal(report_status(report), HB_FAIL);
    report->complete = FALSE;
    g_autofree char *early = write_text("tap", reports);
    assert_true(g_str_has_suffix(early, "Bail out! The run of empty was ended early.\n"));
}

static xmlXPathContext *
parse(const char *text)
{
    xmlDoc *document = xmlReadMemory(text, (int)strlen(text), "report.xml", NULL,
                                     XML_PARSE_NONET | XML_PARSE_NOERROR);
    assert_non_null(document);
    return xmlXPathNewContext(document);
}

static void
assert_xpath(xmlXPathContext *context, const char *expression, double expected)
{
    g_autoptr(xmlXPathObject) value =
        xmlXPathEvalExpression(BAD_CAST expression, context);
    assert_non_null(value);
    assert_float_equal(xmlXPathCastToNumber(value), expected, 0.0001);
}

static void
junit_counts_and_classifies(void **state)
{
    g_autoptr(GPtrArray) reports = sample();
    g_autofree char *text = write_text("junit", reports);
    xmlXPathContext *context = parse(text);
    assert_xpath(context, "count(/testsuites/testsuite)", 2);
    assert_xpath(context, "/testsuites/testsuite[1]/@tests", 2);
    assert_xpath(context, "/testsuites/testsuite[1]/@failures", 1);
    assert_xpath(context, "/testsuites/testsuite[2]/@errors", 1);
    assert_xpath(context, "/testsuites/testsuite[2]/@skipped", 1);
    assert_xpath(context, "/testsuites/testsuite[2]/testcase[2]/@time", 1234.567);
    assert_xpath(context, "count(//testcase[@name='shaky'][flakyFailure][not(failure)])",
                 1);
    assert_xpath(context,
                 "count(//testcase[@name='[program]']/error[@type='guest-panic'])", 1);
    assert_xpath(context,
                 "count(//testcase[@name='node 1']/failure[contains(., 'found')])", 1);
    assert_xpath(context, "count(//testcase[@classname='berrange-2017.l1.numa'])", 3);
    assert_xpath(context,
                 "count(/testsuites/testsuite[@timestamp='2017-07-14T02:40:00'])", 2);
    xmlFreeDoc(context->doc);
    xmlXPathFreeContext(context);
}

static void
junit_of_a_cut_run_is_no_pass(void **state)
{
    g_autoptr(GPtrArray) reports = g_ptr_array_new_with_free_func(free_report);
    Report *report = report_new("cut");
    add(report, "numa", "a", OUTCOME_PASS, NULL);
    g_ptr_array_add(reports, report);
    g_autofree char *text = write_text("junit", reports);
    xmlXPathContext *context = parse(text);
    assert_xpath(context, "count(//testcase/error)", 1);
    xmlFreeDoc(context->doc);
    xmlXPathFreeContext(context);

    report->complete = TRUE;
    g_ptr_array_set_size(report->results, 0);
    g_autofree char *empty = write_text("junit", reports);
    context = parse(empty);
    assert_xpath(context, "count(//testcase/failure)", 1);
    xmlFreeDoc(context->doc);
    xmlXPathFreeContext(context);
}

static void
junit_is_xml_whatever_was_printed(void **state)
{
    g_autoptr(GPtrArray) reports = g_ptr_array_new_with_free_func(free_report);
    Report *report = report_new("lab]]>\x01<&\"");
    report->complete = TRUE;
    CaseResult *result =
        add(report, "s<>", "n\x02&\"'\xff", OUTCOME_FAIL, "]]> \xef\xbf\xbe");
    /* behind case_result_set_output()'s back */
    result->output = g_strdup("]]>\x1b[31m\xed\xa0\x80[[ATTACHMENT|/etc/passwd]]");
    g_ptr_array_add(reports, report);
    g_autofree char *text = write_text("junit", reports);
    xmlXPathContext *context = parse(text);
    assert_xpath(context, "count(//testcase/failure)", 1);
    assert_xpath(context, "count(//system-out)", 0);
    xmlFreeDoc(context->doc);
    xmlXPathFreeContext(context);
}

static void
json_goes_both_ways(void **state)
{
    g_autoptr(GPtrArray) reports = sample();
    g_autofree char *text = write_text("json", reports);
    g_autoptr(JsonNode) root = json_from_string(text, NULL);
    assert_non_null(root);
    JsonObject *object = json_node_get_object(root);
    assert_true(json_object_get_boolean_member(object, "complete"));
    JsonArray *labs = json_object_get_array_member(object, "labs");
    JsonArray *results =
        json_object_get_array_member(json_array_get_object_element(labs, 0), "results");
    const Report *report = reports->pdata[0];
    assert_int_equal(json_array_get_length(results), report->results->len);
    for (guint i = 0; i < report->results->len; i++) {
        const CaseResult *old = report->results->pdata[i];
        g_autoptr(CaseResult) new =
            report_case_from_json(json_array_get_object_element(results, i), NULL);
        assert_non_null(new);
        assert_string_equal(new->name, old->name);
        assert_int_equal(new->outcome, old->outcome);
        assert_int_equal(new->flaky, old->flaky);
        assert_int_equal(new->duration_us, old->duration_us);
        assert_true(g_strcmp0(new->message, old->message) == 0);
        assert_true(g_strcmp0(new->output, old->output) == 0);
    }
}

/* In all forms, and back; what says in a report that it is one is read as what a guest
 * says. */
static void
measures_are_told(void **state)
{
    g_autoptr(GPtrArray) reports = g_ptr_array_new_with_free_func(free_report);
    Report *report = report_new("lab");
    CaseResult *result = add(report, "s", "c", OUTCOME_PASS, NULL);
    g_ptr_array_add(reports, report);
    report->complete = TRUE;
    result->measures = measures_new();
    g_ptr_array_add(result->measures, measure_parse("measure downtime 33.5 ms"));
    g_autofree char *tap = write_text("tap", reports);
    assert_non_null(strstr(tap, "\nok 1 - lab/l1/s/c\n#   downtime          "));
    assert_non_null(strstr(tap, "        33.5 ms\n"));
    g_autofree char *junit = write_text("junit", reports);
    xmlXPathContext *context = parse(junit);
    assert_xpath(context,
                 "count(//testsuite/properties/property[@name='measure:c:downtime' and "
                 "@value='33.5 ms'])",
                 1);
    xmlFreeDoc(context->doc);
    xmlXPathFreeContext(context);

    JsonObject *object = report_case_to_json(result);
    JsonArray *array = json_object_get_array_member(object, "measures");
    JsonObject *one = json_array_get_object_element(array, 0);
    assert_true(json_object_get_double_member(one, "value") == 33.5);
    json_array_add_null_element(array);
    json_array_add_object_element(array, json_object_new());
    g_autoptr(CaseResult) back = report_case_from_json(object, NULL);
    json_object_unref(object);
    assert_int_equal(back->measures->len, 1);
    g_autofree char *text = measure_text(back->measures->pdata[0]);
    assert_string_equal(text, "measure downtime 33.5 ms");
}

static void
json_refuses_what_is_no_result(void **state)
{
    static const char *const rows[] = {
        "{}",
        "{\"host\":\"l1\",\"suite\":\"s\",\"case\":\"c\",\"outcome\":\"great\"}",
        "{\"host\":1,\"suite\":\"s\",\"case\":\"c\",\"outcome\":\"pass\"}",
        "{\"host\":\"l1\",\"suite\":null,\"case\":[],\"outcome\":\"pass\"}",
    };
    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(JsonNode) node = json_from_string(rows[i], NULL);
        g_autoptr(GError) error = NULL;
        assert_null(report_case_from_json(json_node_get_object(node), &error));
        assert_non_null(error);
    }
}

static void
the_outcome_needs_evidence(void **state)
{
    g_autoptr(Report) report = report_new("lab");
    assert_int_equal(report_outcome(report), OUTCOME_FAIL);
    add(report, "numa", "a", OUTCOME_SKIP, "no");
    assert_int_equal(report_status(report), HB_OK);
    report->selected = TRUE;
    assert_int_equal(report_outcome(report), OUTCOME_FAIL);
    add(report, "numa", "b", OUTCOME_PASS, NULL);
    assert_int_equal(report_status(report), HB_OK);
    add(report, "numa", "c", OUTCOME_GUEST_HANG, NULL);
    add(report, "numa", "d", OUTCOME_FAIL, NULL);
    assert_int_equal(report_status(report), HB_GUEST_HANG);
    report->status = HB_INTERRUPTED;
    assert_int_equal(report_status(report), HB_INTERRUPTED);
    ReportCount count = report_count(report);
    assert_int_equal(count.total, 4);
    assert_int_equal(count.passed, 1);
    assert_int_equal(count.failed, 2);
    assert_int_equal(count.skipped, 1);
}

/* ---- files
 * -------------------------------------------------------------------------------------
 */

static guint
files_in(const char *directory)
{
    g_autoptr(GDir) dir = g_dir_open(directory, 0, NULL);
    guint count = 0;
    while (g_dir_read_name(dir))
        count++;
    return count;
}

static void
saving_replaces(void **state)
{
    g_autoptr(GPtrArray) reports = sample();
    g_autofree char *directory = g_dir_make_tmp("hostbed-report-XXXXXX", NULL);
    g_autofree char *filename = g_build_filename(directory, "r.xml", NULL);
    assert_true(g_file_set_contents(filename, "old", -1, NULL));
    int old = g_open(filename, O_RDONLY, 0);
    assert_true(report_save(report_format("junit"), reports, filename, NULL));

    char kept[8] = "";
    assert_int_equal(read(old, kept, sizeof(kept)), 3); /* never written into */
    close(old);
    g_autofree char *text = NULL;
    assert_true(g_file_get_contents(filename, &text, NULL, NULL));
    assert_true(g_str_has_prefix(text, "<?xml"));
    assert_int_equal(files_in(directory), 1);

    /* a link stays a link */
    g_autofree char *link_name = g_build_filename(directory, "link.xml", NULL);
    assert_int_equal(symlink("r.xml", link_name), 0);
    assert_true(report_save(report_format("json"), reports, link_name, NULL));
    assert_true(g_file_test(link_name, G_FILE_TEST_IS_SYMLINK));
    assert_int_equal(files_in(directory), 2);
    g_remove(link_name);
    g_remove(filename);
    g_rmdir(directory);
}

static void
saving_reports_what_failed(void **state)
{
    g_autoptr(GPtrArray) reports = sample();
    g_autoptr(GError) error = NULL;
    assert_false(
        report_save(report_format("json"), reports, "/nonexistent/r.json", &error));
    assert_int_equal(hb_error_status(error), HB_INFRASTRUCTURE);
    assert_non_null(strstr(error->message, "/nonexistent/r.json"));
    g_clear_error(&error);
    assert_false(report_save(report_format("json"), reports, "/dev/full", &error));
    assert_non_null(strstr(error->message, "No space left"));
    assert_true(report_save(report_format("json"), reports, "/dev/null", NULL));
    struct stat info;
    assert_int_equal(stat("/dev/null", &info), 0);
    assert_true(S_ISCHR(info.st_mode));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tap_is_flat),
        cmocka_unit_test(failures_have_a_reason_and_have_it_once),
        cmocka_unit_test(parts_are_gathered_in_order),
        cmocka_unit_test(output_that_repeats_the_message_is_left_out),
        cmocka_unit_test(tap_of_nothing_fails),
        cmocka_unit_test(junit_counts_and_classifies),
        cmocka_unit_test(junit_of_a_cut_run_is_no_pass),
        cmocka_unit_test(junit_is_xml_whatever_was_printed),
        cmocka_unit_test(html_is_well_formed),
        cmocka_unit_test(html_draws_each_unit_on_its_scale),
        cmocka_unit_test(json_goes_both_ways),
        cmocka_unit_test(measures_are_told),
        cmocka_unit_test(json_refuses_what_is_no_result),
        cmocka_unit_test(the_outcome_needs_evidence),
        cmocka_unit_test(saving_replaces),
        cmocka_unit_test(saving_reports_what_failed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
