/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Devices that come to a host that is up, and leave it: what is asked for, where it goes,
 * and what follows from it.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "emit.h"
#include "error.h"
#include "lab-change.h"
#include "plan-change.h"
#include "plan-fixture.h"

/* A cell with an expander on bus 64, whose port "p.p0" has a NIC; ports "free" and "late"
 * have none, and "off" takes none. */
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
    fixture_node(expander, LAB_PORT, "free");
    fixture_node(expander, LAB_PORT, "late");
    fixture_node(expander, LAB_PORT, "off")->hotplug = LAB_OFF;
    return 0;
}

static Plan *
plan_of(const Fixture *fixture)
{
    return fixture_plan(fixture->lab, fixture->emulator);
}

/* ---- what is asked for
 * ------------------------------------------------------------------------------------ */

static LabNode *
device(const char *line, GError **error)
{
    g_auto(GStrv) words = g_strsplit(line, "|", -1);
    return lab_change_device((const char *const *)words, error);
}

static void
assert_no_device(const char *line, const char *message)
{
    g_autoptr(GError) error = NULL;
    assert_null(device(line, &error));
    assert_int_equal(error->code, HB_USAGE);
    assert_string_equal(error->message, message);
}

static void
devices_are_asked_for_in_the_words_of_a_lab(void **state)
{
    g_autoptr(LabNode) nic = device("nic|model=virtio|mac=52:54:00:AA:00:01", NULL);
    assert_int_equal(nic->kind, LAB_NIC);
    assert_string_equal(nic->model, "virtio-net-pci");
    assert_string_equal(nic->mac, "52:54:00:aa:00:01");
    assert_null(nic->id);
    g_autoptr(LabNode) disk = device("nvme|id=disk|size=64 MiB|serial=a-b", NULL);
    assert_int_equal(disk->size_bytes, 64 * 1024 * 1024);
    assert_string_equal(disk->id, "disk");
    assert_string_equal(disk->serial, "a-b");
}

static void
what_is_no_device_is_refused(void **state)
{
    assert_no_device("", "say what is to be plugged: nic, nvme, device or memory");
    assert_no_device("nik", "'nik' is nothing that can be plugged; did you mean nic?");
    assert_no_device("port",
                     "'port' is nothing that can be plugged; there are nic, nvme, "
                     "device and memory");
    assert_no_device("nic|igb", "'igb' is no attribute with its value, as in model=igb");
    assert_no_device("nic|a b=c", "'a b=c' is no attribute with its value, as in "
                                  "model=igb");
    assert_no_device("nic|slot=1", "slot of what is plugged cannot be chosen while the "
                                   "host runs; leave it out");
    assert_no_device("nic|port=p1", "where it goes is an option of plug, --port, and no "
                                    "attribute: --port=p1");
    assert_no_device("nic|model=e1000", "<nic>: model='e1000' is not known; did you mean "
                                        "e1000e?");
    assert_no_device("nic|modle=igb",
                     "<nic> has no attribute modle; did you mean model?");
    assert_no_device("nvme|serial=a<\"b", "<nvme>: serial='a<\"b' is not a name; it may "
                                          "have letters, digits, '.', '_' and '-'");
    assert_no_device("nic|mac=\xff", "the value of mac is not UTF-8");
}

/* ---- where it goes
 * ------------------------------------------------------------------------------------ */

static void
assert_port(const Plan *plan, const char *expander, const char *port, const char *found)
{
    g_autoptr(GError) error = NULL;
    const PlanFunction *function = plan_change_port(plan, expander, port, NULL, &error);
    assert_string_equal(function ? function->id : error->message, found);
}

static void
ports_are_found_by_their_names_and_expanders(void **state)
{
    g_autoptr(Plan) plan = plan_of(*state);
    assert_port(plan, NULL, NULL, "free");
    assert_port(plan, "x", NULL, "free");
    assert_port(plan, "64", NULL, "free");
    assert_port(plan, "0x40", NULL, "free");
    assert_port(plan, NULL, "late", "late");
}

static void
ports_that_the_host_takes_for_full_come_last(void **state)
{
    g_autoptr(Plan) plan = plan_of(*state);
    char first[PCI_ADDRESS_SIZE], second[PCI_ADDRESS_SIZE];
    pci_address_text(plan_function(plan, "free")->address, first);
    pci_address_text(plan_function(plan, "late")->address, second);
    const char *const one[] = {first, NULL}, *const both[] = {first, second, NULL};
    assert_string_equal(plan_change_port(plan, NULL, NULL, one, NULL)->id, "late");
    assert_string_equal(plan_change_port(plan, "x", NULL, one, NULL)->id, "late");
    assert_string_equal(plan_change_port(plan, NULL, "free", one, NULL)->id, "free");
    assert_string_equal(plan_change_port(plan, NULL, NULL, both, NULL)->id, "free");
}

static void
which_ports_are_free_is_told(void **state)
{
    g_autoptr(Plan) plan = plan_of(*state);
    assert_port(plan, NULL, "p.p0",
                "the port p.p0 is taken by p.n0; free: free (bus 64), "
                "late (bus 64)");
    assert_port(plan, NULL, "off",
                "the port off takes no device while the host runs "
                "(hotplug=\"off\"); free: free (bus 64), late (bus 64)");
    assert_port(plan, NULL, "lat", "the host has no port 'lat'; did you mean late?");
    assert_port(plan, NULL, "x",
                "the host has no port 'x'; free: free (bus 64), late "
                "(bus 64)");
    assert_port(plan, "200", NULL, "the host has no expander '200'; it has x (bus 64)");
    assert_port(plan, "0", NULL,
                "the expander 0 has no free port; free: free (bus 64), "
                "late (bus 64)");
}

static void
no_free_port_is_told(void **state)
{
    const Fixture *fixture = *state;
    lab_change_plug(fixture->host, "free", device("nic", NULL));
    lab_change_plug(fixture->host, "late", device("nic", NULL));
    g_autoptr(Plan) plan = plan_of(fixture);
    assert_port(plan, NULL, NULL,
                "the host has no free port: a port is free that has no device and whose "
                "hotplug is not off");
    assert_port(plan, "x", NULL,
                "the expander x has no free port; no other port of the "
                "host is free");
}

/* ---- what follows
 * ------------------------------------------------------------------------------------ */

static void
a_device_comes_and_all_else_stays(void **state)
{
    const Fixture *fixture = *state;
    g_autoptr(GError) error = NULL;
    g_autoptr(Plan) was = plan_of(fixture);
    lab_change_plug(fixture->host, "free", device("nic|model=igb", NULL));
    g_autoptr(Plan) now = plan_of(fixture);
    assert_true(plan_change_check(was, now, "free.nic0", &error));
    fixture_assert_address(now, "free.nic0", "0000:42:00.0");
    fixture_assert_group(now, "free.nic0", "42:00.0");
    assert_false(plan_change_check(was, now, "p.n0", &error));
    assert_string_equal(error->message, "with that free.nic0 would be another, which no "
                                        "host that runs can follow");
}

static void
a_device_leaves_and_comes_back(void **state)
{
    const char *port;
    const Fixture *fixture = *state;
    g_autoptr(Plan) was = plan_of(fixture);
    LabNode *nic = lab_change_unplug(fixture->host, "p.n0", &port);
    assert_non_null(nic);
    assert_string_equal(port, "p.p0");
    assert_null(lab_change_find(fixture->host, "p.n0"));
    assert_null(lab_change_unplug(fixture->host, "p.n0", &port));
    g_autoptr(Plan) without = plan_of(fixture);
    assert_true(plan_change_check(was, without, "p.n0", NULL));
    assert_port(without, NULL, NULL, "p.p0");
    lab_change_plug(fixture->host, "p.p0", nic);
    g_autoptr(Plan) again = plan_of(fixture);
    g_autofree char *before = fixture_text(was, "manifest");
    g_autofree char *after = fixture_text(again, "manifest");
    assert_string_equal(before, after);
}

static void
give_address(const Plan *plan, const char *id, const char *address, gboolean joined)
{
    for (guint i = 0; i < plan->functions->len; i++) {
        PlanFunction *function = plan->functions->pdata[i];
        if (g_strcmp0(function->id, id) != 0)
            continue;
        function->ipv4 = g_strdup(address);
        function->joined = joined;
    }
}

/* Which a plan alone would count anew. */
static void
addresses_stay_and_who_comes_has_none(void **state)
{
    const Fixture *fixture = *state;
    g_autoptr(Plan) was = plan_of(fixture);
    give_address(was, "p.n0", "10.100.0.2/24", TRUE);
    lab_change_plug(fixture->host, "free", device("nic|id=new", NULL));
    g_autoptr(Plan) now = plan_of(fixture);
    give_address(now, "new", "10.100.0.2/24", TRUE);
    give_address(now, "p.n0", "10.100.0.3/24", FALSE);
    plan_change_carry(was, now, "new");
    assert_string_equal(plan_function(now, "p.n0")->ipv4, "10.100.0.2/24");
    assert_true(plan_is_joined(plan_function(now, "p.n0")));
    assert_null(plan_function(now, "new")->ipv4);
    assert_true(plan_is_joined(plan_function(now, "new")));
}

static void
assert_device(const Plan *plan, const char *name, const char *found)
{
    g_autoptr(GError) error = NULL;
    const PlanFunction *function = plan_change_device(plan, name, &error);
    assert_string_equal(function ? function->id : error->message, found);
}

static void
assert_nic(const Plan *plan, const char *name, const char *found)
{
    g_autoptr(GError) error = NULL;
    const PlanFunction *function = plan_change_nic(plan, name, &error);
    assert_string_equal(function ? function->id : error->message, found);
}

static void
devices_are_found_by_name_and_address(void **state)
{
    const Fixture *fixture = *state;
    LabNode *off = lab_change_find(fixture->host, "off");
    fixture_node(off, LAB_NIC, "kept");
    LabNode *late = lab_change_find(fixture->host, "late");
    fixture_node(late, LAB_NIC, "one");
    fixture_node(late, LAB_NIC, "two");
    fixture_root(fixture->host->nodes, LAB_NIC, "root");
    g_autoptr(Plan) plan = plan_of(fixture);
    assert_device(plan, "p.n0", "p.n0");
    assert_device(plan, "0000:41:00.0", "p.n0");
    assert_device(plan, "41:00.0", "p.n0");
    assert_device(plan, "free", "free is a port, and no device; in it is nothing");
    assert_device(plan, "p.p0", "p.p0 is a port, and no device; in it is p.n0");
    assert_device(plan, "nosuch", "the host has no device 'nosuch'; there are p.n0");
    assert_device(plan, "p.n9", "the host has no device 'p.n9'; did you mean p.n0?");
    assert_nic(plan, "kept", "kept");
    assert_nic(plan, "root", "root");
    assert_nic(plan, "41:00.0", "p.n0");
    assert_nic(plan, "rooot", "the host has no NIC 'rooot'; did you mean root?");
    assert_device(plan, "kept",
                  "kept cannot be taken out while the host runs: its port "
                  "off has hotplug=\"off\"");
    assert_device(plan, "one",
                  "one cannot be taken out while the host runs: it shares the "
                  "port late with two, which would go too");
    assert_device(plan, "root",
                  "root cannot be taken out while the host runs: it is on a "
                  "root bus, and not behind a port");
}

/* ---- what the emulator is told
 * ------------------------------------------------------------------------------------ */

static void
what_stands_behind_a_device_comes_first(void **state)
{
    const Fixture *fixture = *state;
    lab_change_plug(fixture->host, "free",
                    device("nvme|id=disk|size=1 MiB|serial=s", NULL));
    g_autoptr(Plan) plan = plan_of(fixture);
    g_autofree char *plug =
        fixture_commands(emit_qemu_plug(plan_function(plan, "disk"), NULL));
    g_autofree char *clear =
        fixture_commands(emit_qemu_clear(plan_function(plan, "disk"), FALSE));
    assert_string_equal(
        plug, "blockdev-add {\"driver\":\"null-co\",\"node-name\":\"disk-disk\","
              "\"read-zeroes\":true,\"size\":1048576}\n"
              "device_add {\"driver\":\"nvme\",\"id\":\"disk\",\"bus\":\"free\",\"addr\":"
              "\"00.0\",\"serial\":\"s\",\"drive\":\"disk-disk\"}\n");
    assert_string_equal(clear, "blockdev-del {\"node-name\":\"disk-disk\"}\n");
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(devices_are_asked_for_in_the_words_of_a_lab),
        cmocka_unit_test(what_is_no_device_is_refused),
        CASE(ports_are_found_by_their_names_and_expanders),
        CASE(ports_that_the_host_takes_for_full_come_last),
        CASE(which_ports_are_free_is_told),
        CASE(no_free_port_is_told),
        CASE(a_device_comes_and_all_else_stays),
        CASE(a_device_leaves_and_comes_back),
        CASE(addresses_stay_and_who_comes_has_none),
        CASE(devices_are_found_by_name_and_address),
        CASE(what_stands_behind_a_device_comes_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
