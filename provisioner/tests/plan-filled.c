/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "plan-fixture.h"

/* One cell with an expander, and an IOMMU; the expander has a port with a NIC. */
static int
setup(void **state)
{
    fixture_setup(state);
    Fixture *fixture = *state;
    fixture->host->iommu.model = LAB_IOMMU_INTEL;
    LabCell *cell = fixture_cell(fixture->host, 0, 2, (gint64)1024 * 1024 * 1024);
    LabNode *expander = fixture_root(cell->nodes, LAB_EXPANDER, "x");
    expander->bus = 0x40;
    fixture_ports(expander, NULL, 1, "p");
    return 0;
}

static LabNode *
expander(const Fixture *fixture)
{
    const LabCell *cell = g_ptr_array_index(fixture->host->cells, 0);
    return g_ptr_array_index(cell->nodes, 0);
}

static LabNode *
add_port(const Fixture *fixture, const char *id)
{
    return fixture_node(expander(fixture), LAB_PORT, id);
}

static void
an_empty_port_gets_a_nic(void **state)
{
    const Fixture *fixture = *state;
    add_port(fixture, "empty");
    add_port(fixture, "intel")->model = g_strdup("ioh3420");
    g_autoptr(Plan) plan = fixture_plan(fixture->lab, fixture->emulator);
    g_autoptr(GPtrArray) pluggable = plan_pluggable(plan);

    assert_int_equal(pluggable->len, 2);
    const PlanFunction *nic = g_ptr_array_index(pluggable, 0);
    assert_string_equal(nic->id, "empty.nic0");
    assert_string_equal(nic->bus, "empty");
    assert_string_equal(nic->parent->id, "empty");
    assert_int_equal(nic->node, 0);
    assert_non_null(nic->mac);
    fixture_assert_address(plan->filled, "empty.nic0", "0000:42:00.0");
    fixture_assert_group(plan->filled, "empty.nic0", "42:00.0");
    fixture_assert_address(plan->filled, "intel.nic0", "0000:43:00.0");
    fixture_assert_group(plan->filled, "intel.nic0", "40:02.0 43:00.0");
}

/* What is there from the start is the same in both. */
static void
nothing_else_changes(void **state)
{
    const Fixture *fixture = *state;
    add_port(fixture, "empty");
    fixture_ports(expander(fixture), NULL, 2, "q");
    g_autoptr(Plan) plan = fixture_plan(fixture->lab, fixture->emulator);
    assert_int_equal(plan->filled->functions->len, plan->functions->len + 1);
    for (guint i = 0; i < plan->functions->len; i++) {
        const PlanFunction *function = g_ptr_array_index(plan->functions, i);
        if (function->id == NULL)
            continue;
        const PlanFunction *other = plan_function(plan->filled, function->id);
        assert_int_equal(pci_address_compare(function->address, other->address), 0);
        assert_int_equal(g_strcmp0(function->mac, other->mac), 0);
    }
}

static void
only_a_port_that_takes_one(void **state)
{
    const Fixture *fixture = *state;
    g_autoptr(Plan) full = fixture_plan(fixture->lab, fixture->emulator);
    assert_null(full->filled);
    add_port(fixture, "closed")->hotplug = LAB_OFF;
    g_autoptr(Plan) closed = fixture_plan(fixture->lab, fixture->emulator);
    assert_null(closed->filled);
    g_autoptr(GPtrArray) pluggable = plan_pluggable(closed);
    assert_int_equal(pluggable->len, 0);
}

static void
not_more_than_a_host_can_have(void **state)
{
    const Fixture *fixture = *state;
    fixture_ports(expander(fixture), NULL, 13, "q");
    g_autoptr(Plan) without = fixture_plan(fixture->lab, fixture->emulator);
    assert_non_null(without);
    add_port(fixture, "fifteenth");
    g_autoptr(Plan) plan = fixture_plan(fixture->lab, fixture->emulator);
    assert_non_null(plan);
    assert_null(plan->filled);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_empty_port_gets_a_nic),
        TEST(nothing_else_changes),
        TEST(only_a_port_that_takes_one),
        TEST(not_more_than_a_host_can_have),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
