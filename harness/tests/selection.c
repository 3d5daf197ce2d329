/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "error.h"
#include "selection.h"

static Selection *
select_by(const char *pattern)
{
    const char *const patterns[] = {pattern, NULL};
    Selection *selection = selection_new(patterns, NULL);
    assert_non_null(selection);
    return selection;
}

static void
expect_case(const char *pattern, const char *lab, const char *suite, const char *name,
            gboolean expected)
{
    g_autoptr(Selection) selection = select_by(pattern);
    assert_int_equal(selection_has_case(selection, lab, "l1", suite, name), expected);
}

static void
nothing_selected_is_all(void **state)
{
    g_autoptr(Selection) selection = selection_new(NULL, NULL);
    assert_true(selection_is_all(selection));
    assert_true(selection_has_suite(selection, "lab", "l1", "numa"));
    assert_true(selection_has_case(selection, "lab", "l1", "numa", "x"));
}

static void
selects_by_parts(void **state)
{
    expect_case("numa", "lab", "numa", "distances", TRUE);
    expect_case("numa", "lab", "pci", "distances", FALSE);
    expect_case("n*/dist*", "lab", "numa", "distances", TRUE);
    expect_case("*/dist*", "lab", "numa", "cpus", FALSE);
    expect_case("l1/numa/cpus", "lab", "numa", "cpus", TRUE);
    expect_case("l2/numa/cpus", "lab", "numa", "cpus", FALSE);
    expect_case("lab/l1/manifest/pci 0000:b5:00.0", "lab", "manifest", "pci 0000:b5:00.0",
                TRUE);
    expect_case("other/l1/numa/*", "lab", "numa", "cpus", FALSE);
    expect_case("lab/l1/numa/a/b", "lab", "numa", "a/b", TRUE);
}

/* What a report prints can be given back as it stands. */
static void
selects_by_reported_names(void **state)
{
    expect_case("lab[run=2]/l1/numa/[program]", "lab[run=2]", "numa", "[program]", TRUE);
    expect_case("lab/l1/numa/[program]", "lab[run=2]", "numa", "[program]", TRUE);
    expect_case("lab[run=1]/l1/numa/cpus", "lab[run=2]", "numa", "cpus", FALSE);
}

static void
a_case_selects_its_suite(void **state)
{
    g_autoptr(Selection) selection = select_by("numa/cpus");
    assert_true(selection_has_suite(selection, "lab", "l1", "numa"));
    assert_false(selection_has_suite(selection, "lab", "l1", "pci"));
}

static void
expect_no_suite(const char *pattern, const char *sentence)
{
    const char *const patterns[] = {"numa", pattern, NULL};
    g_autoptr(GError) error = NULL;
    assert_null(selection_new(patterns, &error));
    assert_int_equal(hb_error_status(error), HB_USAGE);
    g_autofree char *quoted = g_strdup_printf("'%s'", pattern);
    assert_non_null(strstr(error->message, quoted));
    assert_non_null(strstr(error->message, sentence));
}

static void
refuses_what_selects_no_suite(void **state)
{
    expect_no_suite("gnome/*", "there are manifest, numa, numa-moves, numa-cpus, pci");
    expect_no_suite("nuna/*", "did you mean numa/*?");
    expect_no_suite("hugepage", "did you mean hugepages?");
    expect_no_suite("l1/numa-cpu/x", "did you mean numa-cpus/x?");
}

static Unit *
unit_of(const char *lab, const char *suite, const char *cases)
{
    Unit *unit = g_new0(Unit, 1);
    unit->lab = g_strdup(lab);
    unit->host = g_strdup("l1");
    unit->suite = suite_find(suite);
    unit->cases = g_strsplit(cases, ",", -1);
    return unit;
}

static GPtrArray *
two_units(void)
{
    GPtrArray *units = g_ptr_array_new_with_free_func((GDestroyNotify)unit_free);
    g_ptr_array_add(units, unit_of("lab", "manifest", "cpus,node 0,pci 0000:b5:00.0"));
    g_ptr_array_add(units, unit_of("lab", "numa", "distances,first_touch"));
    return units;
}

static void
expect_refusal(const char *pattern, const char *sentence)
{
    g_autoptr(GPtrArray) units = two_units();
    g_autoptr(Selection) selection = select_by(pattern);
    g_autoptr(GError) error = NULL;
    assert_false(selection_check(selection, units, &error));
    assert_int_equal(hb_error_status(error), HB_USAGE);
    assert_non_null(strstr(error->message, pattern));
    assert_non_null(strstr(error->message, sentence));
    for (guint i = 0; i < units->len; i++)
        assert_false(selection_has_unit(selection, units->pdata[i]));
}

static void
refuses_what_selects_no_case(void **state)
{
    expect_refusal("numa/distence", "did you mean numa/distances?");
    expect_refusal("l1/numa/touch", "did you mean numa/first_touch?");
    expect_refusal("numa/furst", "did you mean numa/first_touch?");
    expect_refusal("numa/zzz", "--list");
    expect_refusal("numa/", "--list");
    expect_refusal("pci", "--list");
    expect_refusal("other/l1/numa/distances", "--list");
    expect_refusal("l2/numa/distances", "--list");
    expect_refusal("numa/[nobody]", "--list");
    expect_refusal("manifest/cpu", "did you mean manifest/cpus?");
}

static void
expect_units(const char *pattern, guint manifest_count, guint numa_count)
{
    g_autoptr(GPtrArray) units = two_units();
    g_autoptr(Selection) selection = select_by(pattern);
    assert_true(selection_check(selection, units, NULL));
    assert_int_equal(selection_count(selection, units->pdata[0]), manifest_count);
    assert_int_equal(selection_count(selection, units->pdata[1]), numa_count);
    assert_int_equal(selection_has_unit(selection, units->pdata[0]), manifest_count > 0);
    assert_int_equal(selection_has_unit(selection, units->pdata[1]), numa_count > 0);
}

static void
knows_what_will_be_run(void **state)
{
    expect_units("numa", 0, 2);
    expect_units("*/*0*", 2, 0);
    expect_units("lab/*/*/*", 3, 2);
    g_autoptr(GPtrArray) units = two_units();
    Unit *unmet = units->pdata[1];
    unmet->unmet = g_strdup("the lab has none");
    g_autoptr(Selection) all = selection_new(NULL, NULL);
    assert_int_equal(selection_count(all, unmet), 1);
}

/* Names that only a run brings are in reports too, and can be asked for again. */
static void
takes_what_may_come_up(void **state)
{
    static const char *const names[] = {"numa/[program]", "numa/[host]",
                                        "manifest/pci 0000:00:09.0", "manifest/node 7"};
    g_autoptr(GPtrArray) units = two_units();
    for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autoptr(Selection) selection = select_by(names[i]);
        assert_true(selection_check(selection, units, NULL));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_selected_is_all),
        cmocka_unit_test(selects_by_parts),
        cmocka_unit_test(selects_by_reported_names),
        cmocka_unit_test(a_case_selects_its_suite),
        cmocka_unit_test(refuses_what_selects_no_suite),
        cmocka_unit_test(refuses_what_selects_no_case),
        cmocka_unit_test(knows_what_will_be_run),
        cmocka_unit_test(takes_what_may_come_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
