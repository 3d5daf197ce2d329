/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Random numbers and I/O addresses: the same ones for the same seed, and within bounds.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "iova.h"

/* As an Intel IOMMU of 39 bits has them: the window of interrupts is left out. */
static const VfioInfo info = {
    .range_count = 2,
    .ranges = {{0, 0xfedfffff}, {0xfef00000, 0x7fffffffff}},
};

static void
a_seed_gives_the_same_numbers(void **state)
{
    /* The first numbers of the reference implementation for the seed 1234567. */
    Random random = {1234567};
    assert_true(random_next(&random) == 6457827717110365317u);
    assert_true(random_next(&random) == 3203168211198807973u);
    unsigned char one[13] = {0}, other[13] = {1};
    random_fill(&(Random){7}, one, sizeof one);
    random_fill(&(Random){7}, other, sizeof other);
    assert_memory_equal(one, other, sizeof one);
    random_fill(&(Random){8}, other, sizeof other);
    assert_memory_not_equal(one, other, sizeof one);
}

static void
the_seed_can_be_given(void **state)
{
    setenv("HOSTBED_SEED", "42", 1);
    assert_int_equal(random_seed("quiet hostbed.seed=7 panic=-1"), 42);
    unsetenv("HOSTBED_SEED");
    assert_int_equal(random_seed("quiet hostbed.seed=7 panic=-1"), 7);
    assert_true(random_seed(NULL) <= UINT32_MAX);
}

static void
numbers_are_within_bounds(void **state)
{
    Random random = {0};
    unsigned seen = 0;
    for (int i = 0; i < 200; i++)
        seen |= 1u << random_within(&random, 3, 6);
    assert_int_equal(seen, 1u << 3 | 1u << 4 | 1u << 5 | 1u << 6);
    assert_int_equal(random_within(&random, 9, 9), 9);
    random_within(&random, 0, UINT64_MAX);
}

static void
addresses_are_in_a_range(void **state)
{
    Random random = {0};
    uint64_t iova;
    for (int i = 0; i < 1000; i++) {
        assert_true(iova_pick(&info, &random, 0x200000, 0x200000, 0xf0000000, 0x180000000,
                              &iova));
        assert_int_equal(iova % 0x200000, 0);
        assert_in_range(iova, 0xf0000000, 0x180000000 - 0x200000 + 1);
        assert_true(vfio_info_allows(&info, iova, iova + 0x1fffff));
    }
}

static void
both_sides_of_a_gap_are_chosen(void **state)
{
    Random random = {0};
    uint64_t iova, below = 0, above = 0;
    for (int i = 0; i < 100; i++) {
        assert_true(iova_pick(&info, &random, 4096, 4096, 0xfedfe000, 0xfef01fff, &iova));
        below += iova == 0xfedfe000 || iova == 0xfedff000;
        above += iova == 0xfef00000 || iova == 0xfef01000;
    }
    assert_int_equal(below + above, 100);
    assert_true(below > 0 && above > 0);
}

static void
there_may_be_none(void **state)
{
    Random random = {0};
    uint64_t iova = 1;
    assert_false(iova_pick(&info, &random, 4096, 4096, 0xfee00000, 0xfeefffff, &iova));
    assert_false(iova_pick(&info, &random, 4096, 4096, 0x1001, 0x2fff - 1, &iova));
    assert_false(iova_pick(&info, &random, 4096, 4096, 0x8000000000, UINT64_MAX, &iova));
    assert_int_equal(iova, 1);
    assert_true(iova_pick(&info, &random, 4096, 4096, 0x1001, 0x2fff, &iova));
    assert_int_equal(iova, 0x2000);
}

/* Of vfio-device.h; the library would bring the suites' manifest with it. */
bool
vfio_info_allows(const VfioInfo *of, uint64_t first, uint64_t last)
{
    for (unsigned i = 0; i < of->range_count; i++)
        if (first >= of->ranges[i].first && last <= of->ranges[i].last)
            return true;
    return false;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_seed_gives_the_same_numbers),
        cmocka_unit_test(the_seed_can_be_given),
        cmocka_unit_test(numbers_are_within_bounds),
        cmocka_unit_test(addresses_are_in_a_range),
        cmocka_unit_test(both_sides_of_a_gap_are_chosen),
        cmocka_unit_test(there_may_be_none),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
