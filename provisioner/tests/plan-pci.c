/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "plan-fixture.h"

#define GIB ((gint64)1024 * 1024 * 1024)

/* One cell with two CPUs, and an IOMMU, so that there are groups. */
static int
setup(void **state)
{
    fixture_setup(state);
    Fixture *fixture = *state;
    fixture->host->iommu.model = LAB_IOMMU_INTEL;
    fixture_cell(fixture->host, 0, 2, GIB);
    return 0;
}

static LabCell *
first_cell(const Fixture *fixture)
{
    return g_ptr_array_index(fixture->host->cells, 0);
}

static LabNode *
add_expander(Fixture *fixture, const char *id, int bus)
{
    LabNode *expander = fixture_root(first_cell(fixture)->nodes, LAB_EXPANDER, id);
    expander->bus = bus;
    return expander;
}

/* ---- bus numbers
 * ------------------------------------------------------------------------ */

static void
free_expanders_get_round_numbers(void **state)
{
    Fixture *fixture = *state;
    fixture_ports(add_expander(fixture, "a", LAB_AUTO), NULL, 2, "a");
    fixture_ports(add_expander(fixture, "b", LAB_AUTO), NULL, 2, "b");
    g_autoptr(Plan) plan = fixture_plan(fixture->lab, fixture->emulator);

    fixture_assert_address(plan, "a.n1", "0000:22:00.0");
    fixture_assert_address(plan, "b.n0", "0000:41:00.0");
}

static const char *
serial_of(const Plan *plan, const char *id)
{
    const GPtrArray *properties = plan_function(plan, id)->properties;
    for (guint i = 0; i < properties->len; i++) {
        const PlanProperty *property = properties->pdata[i];
        if (g_str_equal(property->name, "serial"))
            return json_node_get_string(property->value);
    }
    fail_msg("%s has no serial number", id);
    return NULL;
}

/* Linux takes one disk of two with the same. */
static void
disks_have_serials_of_their_own(void **state)
{
    static const char *const ids[] = {"cell0.expander0.port1.nvme0",
                                      "cell0.expander0.port2.nvme0", "short"};
    Fixture *fixture = *state;
    LabNode *expander = add_expander(fixture, "a", LAB_AUTO);
    for (gsize i = 0; i < G_N_ELEMENTS(ids); i++) {
        g_autofree char *port = g_strdup_printf("p%zu", i);
        fixture_node(fixture_node(expander, LAB_PORT, port), LAB_NVME, ids[i]);
    }
    g_autoptr(Plan) plan = fixture_plan(fixture->lab, fixture->emulator);

    assert_string_not_equal(serial_of(plan, ids[0]), serial_of(plan, ids[1]));
    assert_int_equal(strlen(serial_of(plan, ids[0])), 20);
    assert_string_equal(serial_of(plan, "short"), "short");
}

static void
free_expanders_go_around_written_ones(void **state)
{
    Fixture *fixture = *state;
    fixture_ports(add_expander(fixture, "a", 30), NULL, 4, "a");
    fixture_ports(add_expander(fixture, "b", LAB_AUTO), NULL, 2, "b");
    g_autoptr(Plan) plan = fixture_plan(fixture->lab, fixture->emulator);

    fixture_assert_address(plan, "a.p0", "0000:1e:00.0");
    fixture_assert_address(plan, "b.p0", "0000:40:00.0");
}

static void
close_numbers_when_they_must(void **state)
{
    Fixture *fixture = *state;
    for (int i = 0; i < 60; i++) {
        g_autofree char *id = g_strdup_printf("x%d", i);
        LabNode *expander = add_expander(fixture, id, LAB_AUTO);
        for (int j = 0; j < 2; j++) {
            g_autofree char *port = g_strdup_printf("x%d.p%d", i, j);
            fixture_node(expander, LAB_PORT, port);
        }
    }
    g_autoptr(Plan) plan = fixture_plan(fixture->lab, fixture->emulator);

    fixture_assert_address(plan, "x0.p0", "0000:04:00.0");
    fixture_assert_address(plan, "x59.p1", "0000:f0:01.0");
    /* eight expanders share a slot */
    fixture_assert_address(plan, "x7", "0000:00:02.7");
    fixture_assert_address(plan, "x8", "0000:00:03.0");
    assert_true(plan_function(plan, "x0")->multifunction);
}

static void
an_expander_inside_anothers_range(void **state)
{
    Fixture *fixture = *state;
    fixture_ports(add_expander(fixture, "a", 180), NULL, 3, "a");
    fixture_ports(add_expander(fixture, "b", 182), NULL, 1, "b");
    fixture_assert_refused(
        fixture, "test.xml:101: error: expander bus 182 is inside the range of expander "
                 "bus 180 (180-183: one for each port below, and what they reserve); the "
                 "next bus that is free for it is 184");
}

static void
the_root_bus_needs_numbers_too(void **state)
{
    Fixture *fixture = *state;
    const char *const ids[] = {"p", "q", "r"};
    for (int i = 0; i < 3; i++)
        fixture_root(fixture->host->nodes, LAB_PORT, ids[i]);
    fixture_ports(add_expander(fixture, "a", 2), NULL, 1, "a");
    fixture_assert_refused(fixture,
                           "expander bus 2 is inside the range of the root bus (0-3:");
}

static void
nothing_fits_behind_255(void **state)
{
    Fixture *fixture = *state;
    fixture_ports(add_expander(fixture, "a", 255), NULL, 1, "a");
    fixture_assert_refused(fixture, "so the last would be 256; start at 254 or lower");
}

static void
a_lone_expander_that_finds_no_room(void **state)
{
    Fixture *fixture = *state;
    fixture_ports(add_expander(fixture, "a", LAB_AUTO), NULL, 255, "a");
    fixture_assert_refused(fixture, "no range of 256 bus numbers is free for expander a");
}

/* Buses 254 and 255 are free for the expander left to us: it fits with one port, and with
 * two it does not. */
static void
ranges_end_at_255(void **state)
{
    Fixture *fixture = *state;
    LabNode *first = fixture_node(add_expander(fixture, "a", 1), LAB_PORT, "a.p");
    first->bus_reserve = 251;
    LabNode *second = add_expander(fixture, "b", LAB_AUTO);
    fixture_ports(second, NULL, 1, "b");
    g_autoptr(Plan) plan = fixture_plan(fixture->lab, fixture->emulator);
    fixture_assert_address(plan, "b.p0", "0000:fe:00.0");
    fixture_assert_address(plan, "b.n0", "0000:ff:00.0");

    fixture_node(second, LAB_PORT, "b.p1");
    fixture_assert_refused(fixture, "no range of 3 bus numbers is free for expander b");
}

static void
expanders_have_a_limit(void **state)
{
    Fixture *fixture = *state;
    for (int i = 0; i < 64; i++) {
        g_autofree char *id = g_strdup_printf("x%d", i);
        add_expander(fixture, id, LAB_AUTO);
    }
    g_autoptr(Plan) plan = fixture_plan(fixture->lab, fixture->emulator);
    assert_int_equal(plan->roots->len, 65);

    add_expander(fixture, "x64", LAB_AUTO);
    fixture_assert_refused(fixture,
                           "the host has 65 expanders; put more ports on fewer of them");
}

static void
reserved_buses_count(void **state)
{
    Fixture *fixture = *state;
    LabNode *expander = add_expander(fixture, "a", 64);
    LabNode *port = fixture_node(expander, LAB_PORT, "empty");
    port->bus_reserve = 4;
    fixture_ports(expander, NULL, 1, "a");
    g_autoptr(Plan) plan = fixture_plan(fixture->lab, fixture->emulator);

    assert_int_equal(plan_function(plan, "empty")->secondary, 0x41);
    assert_int_equal(plan_function(plan, "empty")->subordinate, 0x45);
    fixture_assert_address(plan, "a.n0", "0000:46:00.0");
}

static void
numbers_follow_slots_not_the_order_written(void **state)
{
    Fixture *fixture = *state;
    LabNode *expander = add_expander(fixture, "a", 64);
    fixture_ports(expander, NULL, 2, "a");
    ((LabNode *)expander->children->pdata[0])->slot = 5;
    g_autoptr(Plan) plan = fixture_plan(fixture->lab, fixture->emulator);

    fixture_assert_address(plan, "a.p0", "0000:40:05.0");
    fixture_assert_address(plan, "a.n0", "0000:42:00.0");
    fixture_assert_address(plan, "a.n1", "0000:41:00.0");
}

/* ---- slots
 * ------------------------------------------------------------------------------ */

static void
one_slot_for_two(void **state)
{
    Fixture *fixture = *state;
    LabNode *expander = add_expander(fixture, "a", 64);
    fixture_ports(expander, NULL, 2, "a");
    ((LabNode *)expander->children->pdata[0])->slot = 5;
    ((LabNode *)expander->children->pdata[1])->slot = 5;
    fixture_assert_refused(fixture, "slot 5 function 0 of a is taken by a.p0");
}

static void
a_function_without_its_first(void **state)
{
    Fixture *fixture = *state;
    LabNode *port = fixture_node(add_expander(fixture, "a", 64), LAB_PORT, "p");
    port->slot = 3;
    port->function = 2;
    fixture_assert_refused(fixture, "p is function 2 of slot 3, which has no function 0");
}

static void
endpoints_do_not_stand_on_an_expander(void **state)
{
    Fixture *fixture = *state;
    fixture_node(add_expander(fixture, "a", 64), LAB_NIC, "n");
    fixture_assert_refused(fixture,
                           "nic n cannot stand in a, which takes ports and switches");
}

static void
written_slots_move_our_own(void **state)
{
    Fixture *fixture = *state;
    LabNode *nic = fixture_root(fixture->host->nodes, LAB_NIC, "n");
    nic->slot = 0x1d;
    g_autoptr(Plan) plan = fixture_plan(fixture->lab, fixture->emulator);

    fixture_assert_address(plan, "n", "0000:00:1d.0");
    fixture_assert_address(plan, "hostbed-agent", "0000:00:1c.0");
}

static void
packing_is_noted(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(Findings) findings = findings_new();
    LabNode *port = fixture_node(add_expander(fixture, "a", 64), LAB_PORT, "p");
    for (int i = 0; i < 8; i++) {
        g_autofree char *id = g_strdup_printf("n%d", i);
        fixture_node(port, LAB_NIC, id);
    }
    g_autoptr(GPtrArray) plans =
        plan_lab(fixture->lab, fixture->emulator, NULL, PLAN_FOR_QEMU, findings);
    assert_non_null(plans);
    assert_int_equal(findings_count(findings, FINDING_NOTE), 1);
    assert_string_equal(findings_get(findings, 0)->check, "packed");
    fixture_assert_address(plans->pdata[0], "n7", "0000:41:00.7");
    fixture_assert_group(
        plans->pdata[0], "n3",
        "41:00.0 41:00.1 41:00.2 41:00.3 41:00.4 41:00.5 41:00.6 41:00.7");
    fixture_node(port, LAB_NIC, "n8");
    fixture_assert_refused(fixture, "[functions-per-port]");
}

static void
igb_is_not_packed(void **state)
{
    Fixture *fixture = *state;
    LabNode *port = fixture_node(add_expander(fixture, "a", 64), LAB_PORT, "p");
    fixture_node(port, LAB_NIC, "n0")->model = g_strdup("igb");
    fixture_node(port, LAB_NIC, "n1")->model = g_strdup("igb");
    fixture_assert_refused(fixture, "give each igb a port of its own [igb-packed]");
}

/* ---- groups
 * ----------------------------------------------------------------------------- */

static void
acs_parts_the_port_from_its_device(void **state)
{
    Fixture *fixture = *state;
    LabNode *expander = add_expander(fixture, "a", 64);
    fixture_ports(expander, NULL, 2, "a");
    ((LabNode *)expander->children->pdata[1])->acs = LAB_OFF;
    g_autoptr(Plan) plan = fixture_plan(fixture->lab, fixture->emulator);

    fixture_assert_group(plan, "a.n0", "41:00.0");
    fixture_assert_group(plan, "a.n1", "40:01.0 42:00.0");
}

static void
functions_without_acs_merge(void **state)
{
    Fixture *fixture = *state;
    LabNode *expander = add_expander(fixture, "a", 64);
    fixture_ports(expander, NULL, 3, "a");
    for (int i = 0; i < 3; i++) {
        LabNode *port = expander->children->pdata[i];
        port->slot = 2;
        port->function = i;
        port->acs = i < 2 ? LAB_OFF : LAB_UNSET;
    }
    g_autoptr(Plan) plan = fixture_plan(fixture->lab, fixture->emulator);

    fixture_assert_group(plan, "a.n0", "40:02.0 40:02.1 41:00.0 42:00.0");
    fixture_assert_group(plan, "a.n2", "43:00.0");
    assert_true(plan_function(plan, "a.p0")->multifunction);
    assert_false(plan_function(plan, "a.p1")->multifunction);
}

static void
add_switch(LabNode *port, const char *prefix)
{
    g_autofree char *id = g_strdup_printf("%s.s", prefix);
    LabNode *upstream = fixture_node(port, LAB_SWITCH, id);
    for (int i = 0; i < 2; i++) {
        g_autofree char *down = g_strdup_printf("%s.d%d", prefix, i);
        g_autofree char *nic = g_strdup_printf("%s.n%d", prefix, i);
        fixture_node(fixture_node(upstream, LAB_DOWNSTREAM, down), LAB_NIC, nic);
    }
}

/* Linux merges a function only with those of its slot that do not isolate either. */
static void
functions_with_acs_stay_alone(void **state)
{
    Fixture *fixture = *state;
    LabNode *expander = add_expander(fixture, "a", 64);
    fixture_ports(expander, NULL, 3, "a");
    for (int i = 0; i < 3; i++) {
        LabNode *port = expander->children->pdata[i];
        port->slot = 2;
        port->function = i;
        port->acs = i > 0 ? LAB_OFF : LAB_UNSET;
    }
    g_autoptr(Plan) plan = fixture_plan(fixture->lab, fixture->emulator);

    fixture_assert_group(plan, "a.p0", "40:02.0");
    fixture_assert_group(plan, "a.n0", "41:00.0");
    fixture_assert_group(plan, "a.n1", "40:02.1 40:02.2 42:00.0 43:00.0");
}

static void
a_switch_parts_as_its_port_does(void **state)
{
    Fixture *fixture = *state;
    LabNode *expander = add_expander(fixture, "a", 64);
    add_switch(fixture_node(expander, LAB_PORT, "p"), "p");
    LabNode *merging = fixture_node(expander, LAB_PORT, "q");
    merging->model = g_strdup("ioh3420");
    add_switch(merging, "q");
    g_autoptr(Plan) plan = fixture_plan(fixture->lab, fixture->emulator);

    fixture_assert_address(plan, "p.d1", "0000:42:01.0");
    fixture_assert_group(plan, "p.n1", "42:01.0 44:00.0");
    fixture_assert_group(plan, "q.n1", "40:01.0 45:00.0 46:00.0 46:01.0 47:00.0 48:00.0");
}

static void
virtual_functions_are_foretold(void **state)
{
    Fixture *fixture = *state;
    LabNode *expander = add_expander(fixture, "a", 64);
    fixture_ports(expander, NULL, 2, "a");
    for (int i = 0; i < 2; i++) {
        LabNode *port = expander->children->pdata[i], *nic = port->children->pdata[0];
        nic->model = g_strdup("igb");
        nic->vfs = 5;
        port->acs = i == 1 ? LAB_OFF : LAB_UNSET;
    }
    g_autoptr(Plan) plan = fixture_plan(fixture->lab, fixture->emulator);

    fixture_assert_address(plan, "a.n0-vf0", "0000:41:10.0");
    fixture_assert_address(plan, "a.n0-vf4", "0000:41:11.0");
    fixture_assert_group(plan, "a.n0-vf4", "41:11.0");
    fixture_assert_group(plan, "a.n1-vf1",
                         "40:01.0 42:00.0 42:10.0 42:10.2 42:10.4 42:10.6 42:11.0");
    assert_non_null(strstr(plan->cmdline, " hostbed.vfs=0000:41:00.0:5,0000:42:00.0:5 "));
    assert_true(
        g_ptr_array_find_with_equal_func(plan->modules, "igbvf", g_str_equal, NULL));
    assert_int_equal(plan->optional_modules->len, 1);
    assert_string_equal(plan->optional_modules->pdata[0], "pvpanic_mmio");
}

static void
without_an_iommu_there_are_no_groups(void **state)
{
    Fixture *fixture = *state;
    fixture->host->iommu.model = LAB_IOMMU_NONE;
    fixture_ports(add_expander(fixture, "a", 64), NULL, 1, "a");
    g_autoptr(Plan) plan = fixture_plan(fixture->lab, fixture->emulator);

    assert_int_equal(plan->groups->len, 0);
    assert_int_equal(plan_function(plan, "a.n0")->group, PLAN_NONE);
}

/* ---- devices and limits
 * ----------------------------------------------------------------- */

static void
fifteen_io_ports_are_too_many(void **state)
{
    Fixture *fixture = *state;
    fixture_ports(add_expander(fixture, "a", 64), NULL, 15, "a");
    fixture_assert_refused(
        fixture, "15 ports have a device with an I/O BAR below, a.p14 is one too many");
}

static void
virtio_has_no_io(void **state)
{
    Fixture *fixture = *state;
    LabNode *expander = add_expander(fixture, "a", 64);
    fixture_ports(expander, NULL, 20, "a");
    for (guint i = 0; i < 20; i++) {
        LabNode *port = expander->children->pdata[i], *nic = port->children->pdata[0];
        nic->model = g_strdup("virtio");
    }
    g_autoptr(Plan) plan = fixture_plan(fixture->lab, fixture->emulator);
    const PlanFunction *nic = plan_function(plan, "a.n19");

    assert_int_equal(nic->device, 0x1041);
    assert_string_equal(nic->driver, "virtio-net-pci");
    assert_string_equal(nic->linux_driver, "virtio-pci");
    assert_int_equal(nic->bars->len, 1);
}

static void
chassis_and_slot_are_unique(void **state)
{
    Fixture *fixture = *state;
    LabNode *expander = add_expander(fixture, "a", 64);
    fixture_ports(expander, NULL, 3, "a");
    LabNode *first = expander->children->pdata[0], *second = expander->children->pdata[1];
    second->chassis = 1;
    g_autoptr(Plan) plan = fixture_plan(fixture->lab, fixture->emulator);
    assert_int_equal(plan_function(plan, "a.p0")->chassis, 2);
    assert_int_equal(plan_function(plan, "a.p2")->chassis, 3);

    first->chassis = 1;
    first->port_slot = second->port_slot = 7;
    fixture_assert_refused(fixture, "a.p1 and a.p0 both are slot 7 of chassis 1");
}

static void
what_the_emulator_lacks_is_named(void **state)
{
    Fixture *fixture = *state;
    Emulator *older = fixture_emulator(FALSE);
    LabNode *port = fixture_node(add_expander(fixture, "a", 64), LAB_PORT, "p");
    fixture_node(port, LAB_NIC, "n")->model = g_strdup("igb");
    g_autofree char *text = fixture_refused(fixture->lab, older);
    assert_non_null(
        strstr(text, "this emulator (7.2.22) has no PCI device igb, which n needs"));
    fixture_emulator_free(older);
}

static void
properties_are_of_the_emulators_type(void **state)
{
    Fixture *fixture = *state;
    LabNode *port = fixture_node(add_expander(fixture, "a", 64), LAB_PORT, "p");
    LabNode *nic = fixture_node(port, LAB_NIC, "n");
    const FilePos pos = {"test.xml", 7};
    g_ptr_array_add(nic->properties, lab_property_new("x-test", "0x10", pos));
    g_autoptr(Plan) plan = fixture_plan(fixture->lab, fixture->emulator);
    const GPtrArray *properties = plan_function(plan, "n")->properties;
    gint64 found = 0;
    for (guint i = 0; i < properties->len; i++) {
        const PlanProperty *property = properties->pdata[i];
        if (g_str_equal(property->name, "x-test"))
            found = json_node_get_int(property->value);
    }
    assert_int_equal(found, 16);
    g_ptr_array_add(nic->properties, lab_property_new("x-test", "many", pos));
    g_ptr_array_add(nic->properties, lab_property_new("bus", "pcie.0", pos));
    g_ptr_array_add(nic->properties, lab_property_new("colour", "red", pos));
    fixture_assert_refused(
        fixture, "test.xml:7: error: property x-test of e1000e takes a value of type "
                 "uint32, not \"many\"");
    fixture_assert_refused(fixture, "property bus of n follows from the tree");
    fixture_assert_refused(fixture, "has no property colour");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(free_expanders_get_round_numbers),
        TEST(free_expanders_go_around_written_ones),
        TEST(close_numbers_when_they_must),
        TEST(an_expander_inside_anothers_range),
        TEST(the_root_bus_needs_numbers_too),
        TEST(nothing_fits_behind_255),
        TEST(disks_have_serials_of_their_own),
        TEST(a_lone_expander_that_finds_no_room),
        TEST(ranges_end_at_255),
        TEST(expanders_have_a_limit),
        TEST(reserved_buses_count),
        TEST(numbers_follow_slots_not_the_order_written),
        TEST(one_slot_for_two),
        TEST(a_function_without_its_first),
        TEST(endpoints_do_not_stand_on_an_expander),
        TEST(written_slots_move_our_own),
        TEST(packing_is_noted),
        TEST(igb_is_not_packed),
        TEST(acs_parts_the_port_from_its_device),
        TEST(functions_without_acs_merge),
        TEST(functions_with_acs_stay_alone),
        TEST(a_switch_parts_as_its_port_does),
        TEST(virtual_functions_are_foretold),
        TEST(without_an_iommu_there_are_no_groups),
        TEST(fifteen_io_ports_are_too_many),
        TEST(virtio_has_no_io),
        TEST(chassis_and_slot_are_unique),
        TEST(what_the_emulator_lacks_is_named),
        TEST(properties_are_of_the_emulators_type),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
