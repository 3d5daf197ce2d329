/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "findings.h"

static void
reports_in_order_of_place(void **state)
{
    g_autoptr(Findings) findings = findings_new();
    findings_add(findings, FINDING_WARNING, (FilePos){"a.xml", 9}, "late", "ninth %d", 9);
    findings_add(findings, FINDING_ERROR, (FilePos){"a.xml", 2}, "early", "second");
    findings_add(findings, FINDING_ERROR, (FilePos){"a.xml", 2}, "early", "second again");
    findings_add(findings, FINDING_NOTE, (FilePos){NULL, 0}, "none", "nowhere");

    g_autofree char *text = findings_to_text(findings);
    assert_string_equal(text, "note: nowhere [none]\n"
                              "a.xml:2: error: second [early]\n"
                              "a.xml:2: error: second again [early]\n"
                              "a.xml:9: warning: ninth 9 [late]\n");
}

static void
only_errors_refuse(void **state)
{
    g_autoptr(Findings) findings = findings_new();
    findings_add(findings, FINDING_WARNING, (FilePos){"a.xml", 1}, "w", "warned");
    findings_add(findings, FINDING_NOTE, (FilePos){"a.xml", 1}, "n", "noted");
    assert_true(findings_ok(findings));
    findings_add(findings, FINDING_UNSUPPORTED, (FilePos){"a.xml", 0}, "u", "not here");
    assert_false(findings_ok(findings));
    assert_int_equal(findings_count(findings, FINDING_UNSUPPORTED), 1);
    assert_int_equal(findings_total(findings), 3);
}

static void
tells_of_copies_once(void **state)
{
    g_autoptr(Findings) findings = findings_new();
    for (int i = 0; i < 14; i++)
        findings_add(findings, FINDING_NOTE, (FilePos){"a.xml", 9}, "packed", "port%d",
                     i);
    findings_add(findings, FINDING_NOTE, (FilePos){"a.xml", 9}, "other", "else");
    g_autofree char *text = findings_to_text(findings);
    assert_string_equal(
        text, "a.xml:9: note: port0 (and 13 more like it from this line) [packed]\n"
              "a.xml:9: note: else [other]\n");
}

/* Of two kinds of findings of each copy both are told, and never two different ones as
 * one. */
static void
tells_what_differs_apart(void **state)
{
    const FilePos here = {"a.xml", 9};
    g_autoptr(Findings) findings = findings_new();
    for (int i = 0; i < 8; i++) {
        findings_add(findings, FINDING_UNSUPPORTED, here, "device",
                     "no igb for cell0.port%d.nic0", i);
        findings_add(findings, FINDING_ERROR, here, "slot", "%02x:00.%d is taken",
                     0xb8 + i, i);
    }
    findings_add(findings, FINDING_ERROR, here, "schema",
                 "slot='32' is not from 0 to 31");
    findings_add(findings, FINDING_ERROR, here, "schema", "bus='256' is not from 1 to 9");
    findings_add(findings, FINDING_UNSUPPORTED, (FilePos){"a.xml", 10}, "device",
                 "no igb for cell0.port8.nic0");
    g_autofree char *text = findings_to_text(findings);
    assert_string_equal(text,
                        "a.xml:9: unsupported: no igb for cell0.port0.nic0 "
                        "(and 7 more like it from this line) [device]\n"
                        "a.xml:9: error: b8:00.0 is taken "
                        "(and 7 more like it from this line) [slot]\n"
                        "a.xml:9: error: slot='32' is not from 0 to 31 [schema]\n"
                        "a.xml:9: error: bus='256' is not from 1 to 9 [schema]\n"
                        "a.xml:10: unsupported: no igb for cell0.port8.nic0 [device]\n");
    assert_int_equal(findings_total(findings), 5);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reports_in_order_of_place),
        cmocka_unit_test(only_errors_refuse),
        cmocka_unit_test(tells_of_copies_once),
        cmocka_unit_test(tells_what_differs_apart),
    };
    return cmocka_run_group_tests_name("findings", tests, NULL, NULL);
}
