/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "outcome.h"

static void
names_go_both_ways(void **state)
{
    for (int i = 0; i < OUTCOME_COUNT; i++) {
        Outcome back;
        assert_true(outcome_from_name(outcome_name((Outcome)i), &back));
        assert_int_equal(back, i);
    }
    Outcome ignored;
    assert_false(outcome_from_name("passed", &ignored));
}

static void
errors_have_outcomes(void **state)
{
    static const struct {
        int code;
        Outcome outcome;
    } rows[] = {
        {HB_FAIL, OUTCOME_FAIL},
        {HB_USAGE, OUTCOME_INFRASTRUCTURE},
        {HB_UNSUPPORTED, OUTCOME_UNSUPPORTED},
        {HB_TIMEOUT, OUTCOME_TIMEOUT},
        {HB_GUEST_PANIC, OUTCOME_GUEST_PANIC},
        {HB_GUEST_HANG, OUTCOME_GUEST_HANG},
        {HB_EMULATOR_DIED, OUTCOME_EMULATOR_DIED},
        {HB_INFRASTRUCTURE, OUTCOME_INFRASTRUCTURE},
        {HB_INTERRUPTED, OUTCOME_INFRASTRUCTURE},
    };
    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(GError) error = g_error_new_literal(HB_ERROR, rows[i].code, "x");
        assert_int_equal(outcome_from_error(error), rows[i].outcome);
    }
}

static void
the_worst_decides(void **state)
{
    assert_int_equal(outcome_worst(OUTCOME_SKIP, OUTCOME_PASS), OUTCOME_PASS);
    assert_int_equal(outcome_worst(OUTCOME_PASS, OUTCOME_SKIP), OUTCOME_PASS);
    assert_int_equal(outcome_worst(OUTCOME_SKIP, OUTCOME_FAIL), OUTCOME_FAIL);
    assert_int_equal(outcome_worst(OUTCOME_FAIL, OUTCOME_PASS), OUTCOME_FAIL);
    assert_int_equal(outcome_worst(OUTCOME_UNSUPPORTED, OUTCOME_PASS),
                     OUTCOME_UNSUPPORTED);
    assert_int_equal(outcome_worst(OUTCOME_UNSUPPORTED, OUTCOME_FAIL), OUTCOME_FAIL);
    assert_int_equal(outcome_worst(OUTCOME_GUEST_HANG, OUTCOME_FAIL), OUTCOME_GUEST_HANG);

    assert_int_equal(outcome_worst_status(HB_UNSUPPORTED, HB_OK), HB_UNSUPPORTED);
    assert_int_equal(outcome_worst_status(HB_UNSUPPORTED, HB_FAIL), HB_FAIL);
    assert_int_equal(outcome_worst_status(HB_INTERRUPTED, HB_INFRASTRUCTURE),
                     HB_INTERRUPTED);
}

static void
text_is_fit_for_terminals_and_xml(void **state)
{
    g_autofree char *text =
        outcome_text("a\0b\033c\x7f\td\ne\xc2\x85\xef\xbf\xbf\xc0\x80", 17, TRUE);
    assert_true(g_utf8_validate(text, -1, NULL));
    assert_string_equal(
        text, "a\xef\xbf\xbd"
              "b\xef\xbf\xbd"
              "c\xef\xbf\xbd\td\ne\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
    g_autofree char *line = outcome_text("a\nb", -1, FALSE);
    assert_string_equal(line, "a\xef\xbf\xbd"
                              "b");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_go_both_ways),
        cmocka_unit_test(errors_have_outcomes),
        cmocka_unit_test(the_worst_decides),
        cmocka_unit_test(text_is_fit_for_terminals_and_xml),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
