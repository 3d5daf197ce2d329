/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What of the time counts for a case, and what a slow machine does to its limit.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "case-limit.h"

#define SECOND ((gint64)G_USEC_PER_SEC)

static guint ended;

static void
time_out(void *host)
{
    assert_ptr_equal(host, &ended);
    ended++;
}

static const SessionDriver driver = {.time_out = time_out};

/* Of ten seconds. */
static CaseLimit *
new_limit(void)
{
    ended = 0;
    return case_limit_new(&driver, &ended, 10 * 1000);
}

static void
pass_halves(CaseLimit *limit, guint count, gint64 starved_us)
{
    for (guint i = 0; i < count; i++)
        case_limit_pass(limit, SECOND / 2, starved_us);
}

static void
a_case_that_hangs_is_ended_once(void **state)
{
    CaseLimit *limit = new_limit();
    pass_halves(limit, 19, 0);
    assert_int_equal(ended, 0);
    assert_false(case_limit_passed(limit));
    pass_halves(limit, 1, 0);
    assert_int_equal(ended, 1);
    assert_true(case_limit_passed(limit));
    pass_halves(limit, 100, 0);
    assert_int_equal(ended, 1);
    assert_int_equal(case_limit_starved_us(limit), 0);
    case_limit_free(limit);
}

static void
each_case_has_its_own_time(void **state)
{
    CaseLimit *limit = new_limit();
    for (int i = 0; i < 5; i++) {
        pass_halves(limit, 19, 0);
        case_limit_restart(limit);
    }
    assert_int_equal(ended, 0);
    case_limit_free(limit);
}

/* A host that has a tenth of a processor has ten times the time. */
static void
waiting_for_a_processor_does_not_count(void **state)
{
    CaseLimit *limit = new_limit();
    pass_halves(limit, 199, SECOND / 2 * 9 / 10);
    assert_int_equal(ended, 0);
    pass_halves(limit, 100, SECOND); /* more than all of it is all of it */
    assert_int_equal(ended, 0);
    pass_halves(limit, 1, SECOND / 2 * 9 / 10);
    assert_int_equal(ended, 1);
    assert_true(case_limit_starved_us(limit) > 100 * SECOND);
    case_limit_free(limit);
}

/* We were stopped, or the whole machine was. */
static void
a_long_turn_counts_as_a_short_one(void **state)
{
    CaseLimit *limit = new_limit();
    for (int i = 0; i < 9; i++)
        case_limit_pass(limit, 3600 * SECOND, 0);
    assert_int_equal(ended, 0);
    case_limit_pass(limit, 3600 * SECOND, 0);
    assert_int_equal(ended, 1);
    case_limit_free(limit);
}

static void
a_start_tells_how_slow_the_machine_is(void **state)
{
    g_autoptr(GPtrArray) functions = g_ptr_array_new();
    const Plan plan = {.functions = functions};
    assert_float_equal(case_limit_slowness(&plan, ACCEL_TCG, 4 * SECOND), 1, 0.001);
    assert_float_equal(case_limit_slowness(&plan, ACCEL_TCG, 1 * SECOND), 1, 0.001);
    assert_float_equal(case_limit_slowness(&plan, ACCEL_TCG, 40 * SECOND), 10, 0.001);
    assert_float_equal(case_limit_slowness(&plan, ACCEL_KVM, 4 * SECOND), 5, 0.001);
    g_ptr_array_set_size(functions, 180);
    assert_float_equal(case_limit_slowness(&plan, ACCEL_TCG, 80 * SECOND), 2, 0.001);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_case_that_hangs_is_ended_once),
        cmocka_unit_test(each_case_has_its_own_time),
        cmocka_unit_test(waiting_for_a_processor_does_not_count),
        cmocka_unit_test(a_long_turn_counts_as_a_short_one),
        cmocka_unit_test(a_start_tells_how_slow_the_machine_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
