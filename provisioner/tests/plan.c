/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "plan-fixture.h"

static void
the_article_has_its_addresses(void **state)
{
    g_autoptr(Lab) lab = fixture_article();
    g_autoptr(Plan) plan = fixture_plan(lab, *state);

    fixture_assert_address(plan, "x0", "0000:00:02.0");
    fixture_assert_address(plan, "x2", "0000:00:04.0");
    fixture_assert_address(plan, "x0.p0", "0000:b4:00.0");
    fixture_assert_address(plan, "x0.n0", "0000:b5:00.0");
    fixture_assert_address(plan, "x1.p2", "0000:c8:02.0");
    fixture_assert_address(plan, "x1.n2", "0000:cb:00.0");
    fixture_assert_address(plan, "x2.n2", "0000:df:00.0");
    fixture_assert_address(plan, "hostbed-agent", "0000:00:1d.0");
    assert_int_equal(plan->functions->len, 4 + 3 + 1 + 18);
    assert_int_equal(plan->roots->len, 4);
}

static void
the_article_has_its_nodes_and_groups(void **state)
{
    g_autoptr(Lab) lab = fixture_article();
    g_autoptr(Plan) plan = fixture_plan(lab, *state);
    g_autofree char *group = fixture_group(plan, "x2.n2");

    assert_string_equal(group, "dc:02.0 df:00.0");
    assert_int_equal(plan_function(plan, "x2.n2")->node, 2);
    assert_int_equal(plan_function(plan, "x2.p2")->node, 2);
    assert_int_equal(plan_function(plan, "x2")->node, PLAN_NONE);
    assert_int_equal(plan->node_count, 3);
    /* 00:00.0, three expanders, the channel, the south bridge, nine ports with a NIC each
     */
    assert_int_equal(plan->groups->len, 15);
    assert_int_equal(plan->sockets * plan->dies * plan->cores * plan->threads, 8);
    assert_non_null(strstr(plan->cmdline, "intel_iommu=on"));
    assert_string_equal(plan->machine, "pc-q35-7.2");
}

static void
the_same_lab_gives_the_same_plan(void **state)
{
    g_autoptr(Lab) lab = fixture_article();
    g_autoptr(Plan) one = fixture_plan(lab, *state), two = fixture_plan(lab, *state);

    for (guint i = 0; i < one->functions->len; i++) {
        const PlanFunction *a = g_ptr_array_index(one->functions, i);
        const PlanFunction *b = g_ptr_array_index(two->functions, i);
        assert_int_equal(pci_address_compare(a->address, b->address), 0);
        assert_int_equal(g_strcmp0(a->mac, b->mac), 0);
        assert_int_equal(g_strcmp0(a->id, b->id), 0);
    }
}

static void
macs_are_unlike(void **state)
{
    g_autoptr(Lab) lab = fixture_article();
    g_autoptr(Plan) plan = fixture_plan(lab, *state);
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);

    for (guint i = 0; i < plan->functions->len; i++) {
        const PlanFunction *function = g_ptr_array_index(plan->functions, i);
        if (function->mac == NULL)
            continue;
        assert_true(g_str_has_prefix(function->mac, "52:54:00:"));
        assert_int_equal(strlen(function->mac), 17);
        assert_true(g_hash_table_add(seen, function->mac));
    }
    assert_int_equal(g_hash_table_size(seen), 9);
}

static void
two_hosts_have_unlike_macs(void **state)
{
    g_autoptr(Lab) lab = fixture_article();
    g_autoptr(Lab) other = fixture_article();
    g_autoptr(Findings) findings = findings_new();
    LabHost *second = g_ptr_array_steal_index(other->hosts, 0);
    g_free(second->id);
    second->id = g_strdup("l2");
    g_ptr_array_add(lab->hosts, second);

    g_autoptr(GPtrArray) plans = plan_lab(lab, *state, NULL, PLAN_FOR_QEMU, findings);
    assert_non_null(plans);
    assert_int_equal(plans->len, 2);
    assert_string_not_equal(plan_function(plans->pdata[0], "x0.n0")->mac,
                            plan_function(plans->pdata[1], "x0.n0")->mac);
}

/* What the emulator was seen to take beside the guest's memory fits what is counted, and
 * that is not half as much again. */
static void
assert_overhead(const Lab *lab, const Emulator *emulator, guint functions,
                gint64 seen_mib)
{
    g_autoptr(Plan) plan = fixture_plan(lab, emulator);
    const gint64 overhead =
        (plan_memory_needed(plan) - plan->memory_bytes) / (1024 * 1024);
    assert_int_equal(plan->functions->len, functions);
    assert_in_range(overhead, seen_mib, seen_mib * 3 / 2);
}

static void
memory_needed_is_what_was_seen(void **state)
{
    g_autoptr(Lab) article = fixture_article();
    assert_overhead(article, *state, 26, 282);

    g_autoptr(Lab) smallest = fixture_lab();
    LabCell *cell = fixture_cell(fixture_host(smallest), 0, 1, (gint64)1 << 29);
    fixture_ports(fixture_root(cell->nodes, LAB_EXPANDER, "x"), NULL, 1, "x");
    assert_overhead(smallest, *state, 8, 168);

    g_autoptr(Lab) packed = fixture_lab();
    cell = fixture_cell(fixture_host(packed), 0, 2, (gint64)1 << 30);
    LabNode *expander = fixture_root(cell->nodes, LAB_EXPANDER, "x");
    fixture_root(cell->nodes, LAB_EXPANDER, "y");
    for (int i = 0; i < 112; i++) {
        g_autofree char *id = g_strdup_printf("n%d", i);
        g_autofree char *port_id = g_strdup_printf("p%d", i / 8);
        LabNode *port = i % 8 == 0 ? fixture_node(expander, LAB_PORT, port_id)
                                   : g_ptr_array_index(expander->children,
                                                       expander->children->len - 1);
        fixture_node(port, LAB_NIC, id)->function = i % 8;
    }
    assert_overhead(packed, *state, 133, 662);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_article_has_its_addresses,
                                        fixture_emulator_setup,
                                        fixture_emulator_teardown),
        cmocka_unit_test_setup_teardown(the_article_has_its_nodes_and_groups,
                                        fixture_emulator_setup,
                                        fixture_emulator_teardown),
        cmocka_unit_test_setup_teardown(the_same_lab_gives_the_same_plan,
                                        fixture_emulator_setup,
                                        fixture_emulator_teardown),
        cmocka_unit_test_setup_teardown(macs_are_unlike, fixture_emulator_setup,
                                        fixture_emulator_teardown),
        cmocka_unit_test_setup_teardown(two_hosts_have_unlike_macs,
                                        fixture_emulator_setup,
                                        fixture_emulator_teardown),
        cmocka_unit_test_setup_teardown(memory_needed_is_what_was_seen,
                                        fixture_emulator_setup,
                                        fixture_emulator_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
