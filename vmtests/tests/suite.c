/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What the suites share: how long to wait on which machine.
 */
#include "../suite.h" /* the harness has one, too */

#include <limits.h>
#include <stdlib.h>

static int
on_machine(const char *slowness, int ms)
{
    assert_int_equal(setenv("HOSTBED_SLOWNESS", slowness, 1), 0);
    int result = suite_ms(ms);
    unsetenv("HOSTBED_SLOWNESS");
    return result;
}

static void
waiting_takes_as_long_as_the_machine(void **state)
{
    assert_int_equal(suite_ms(20000), 20000);
    assert_int_equal(on_machine("1.0", 20000), 20000);
    assert_int_equal(on_machine("2.5", 20000), 50000);
}

static void
what_is_no_slowness_changes_nothing(void **state)
{
    static const char *const words[] = {"", "fast", "nan", "-3", "0.1"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        assert_int_equal(on_machine(words[i], 20000), 20000);
    assert_int_equal(on_machine("inf", 20000), INT_MAX);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waiting_takes_as_long_as_the_machine),
        cmocka_unit_test(what_is_no_slowness_changes_nothing),
    };
    return cmocka_run_group_tests_name("suite", tests, NULL, NULL);
}
