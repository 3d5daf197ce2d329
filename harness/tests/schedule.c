/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "error.h"
#include "schedule.h"

#define GIB G_GINT64_CONSTANT(0x40000000)

static void
places_are_counted(void **state)
{
    Schedule schedule = {.places = 2, .memory_bytes = 100 * GIB};
    assert_true(schedule_enter(&schedule, GIB));
    assert_true(schedule_enter(&schedule, GIB));
    assert_false(schedule_enter(&schedule, GIB));
    schedule_leave(&schedule, GIB);
    assert_true(schedule_enter(&schedule, GIB));
}

static void
memory_is_counted(void **state)
{
    Schedule schedule = {.places = 10, .memory_bytes = 8 * GIB};
    assert_true(schedule_enter(&schedule, 5 * GIB));
    assert_false(schedule_enter(&schedule, 4 * GIB));
    assert_true(schedule_enter(&schedule, 3 * GIB));
    assert_false(schedule_enter(&schedule, 1));
    schedule_leave(&schedule, 5 * GIB);
    assert_true(schedule_enter(&schedule, 4 * GIB));
}

static void
what_never_fits_is_refused_with_both_numbers(void **state)
{
    const Schedule schedule = {.places = 10, .memory_bytes = 8 * GIB};
    g_autoptr(GError) error = NULL;
    assert_true(schedule_admit(&schedule, "a", 8 * GIB, &error));
    assert_false(schedule_admit(&schedule, "a", 8 * GIB + 1, &error));
    assert_int_equal(hb_error_status(error), HB_INFRASTRUCTURE);
    assert_string_equal(error->message,
                        "a needs 8193 MiB of memory; 8192 MiB may be used here "
                        "(cgroup limits count)");
}

static void
one_at_a_time_always_works(void **state)
{
    Schedule schedule = {.places = 0, .memory_bytes = GIB};
    assert_true(schedule_enter(&schedule, GIB));
    assert_false(schedule_enter(&schedule, 0));
}

/* Five places, of which two hosts have one each. */
static void
what_is_left_is_shared(void **state)
{
    const Schedule schedule = {
        .places = 5, .memory_bytes = 8 * GIB, .running = 2, .used_bytes = 2 * GIB};
    ScheduleShare shares[] = {{.could = 10, .memory_bytes = GIB},
                              {.could = 2, .memory_bytes = GIB}};
    schedule_deal(&schedule, shares, 2, FALSE);
    assert_int_equal(shares[0].fair, 2);
    assert_int_equal(shares[1].fair, 1);
    schedule_deal(&schedule, shares, 2, TRUE);
    assert_int_equal(shares[0].fair + shares[1].fair, 0);
    shares[1].could = 0;
    schedule_deal(&schedule, shares, 2, FALSE);
    assert_int_equal(shares[0].fair, 3);
    /* what one has is dealt anew */
    const Schedule full = {
        .places = 4, .memory_bytes = 8 * GIB, .running = 4, .used_bytes = 8 * GIB};
    ScheduleShare held[] = {{.could = 9, .memory_bytes = 2 * GIB, .held = 2},
                            {.could = 9, .memory_bytes = 2 * GIB}};
    schedule_deal(&full, held, 2, FALSE);
    assert_int_equal(held[0].fair, 1);
    assert_int_equal(held[1].fair, 1);
    held[1].memory_bytes = 3 * GIB;
    schedule_deal(&full, held, 2, FALSE);
    assert_int_equal(held[0].fair, 2);
    assert_int_equal(held[1].fair, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(places_are_counted),
        cmocka_unit_test(memory_is_counted),
        cmocka_unit_test(what_never_fits_is_refused_with_both_numbers),
        cmocka_unit_test(one_at_a_time_always_works),
        cmocka_unit_test(what_is_left_is_shared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
