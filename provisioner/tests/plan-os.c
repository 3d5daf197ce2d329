/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A host beside what is known of its operating system.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "json-line.h"
#include "plan-fixture.h"

#define MIB ((gint64)1 << 20)

static const char deb[] =
    "{\"id\":\"http://deb.example/deb/1\",\"short-id\":\"deb1\",\"name\":\"Deb 1\","
    "\"minimum\":{\"memory-bytes\":1073741824,\"cpus\":2},"
    "\"recommended\":{\"memory-bytes\":2147483648,\"cpus\":4},"
    "\"firmware\":[\"bios\"],\"firmware-lacking\":[\"efi\"],"
    "\"devices\":[{\"pci\":\"8086:10d3\",\"name\":\"e1000e\",\"class\":\"net\"},"
    "{\"pci\":\"ffff:0001\",\"name\":\"nowhere\",\"class\":\"net\"}],"
    "\"lacking\":[{\"pci\":\"8086:10c9\",\"name\":\"igb\",\"class\":\"net\"},"
    "{\"pci\":\"1b36:0010\",\"name\":\"nvme\",\"class\":\"block\"},"
    "{\"pci\":\"1af4:1057\",\"name\":\"virtio1.0-iommu\"}]}";

static OsAnswer *
answer_new(const char *facts)
{
    OsAnswer *answer = g_new0(OsAnswer, 1);
    g_autoptr(JsonObject) object =
        facts ? json_line_parse_object(facts, strlen(facts)) : NULL;
    answer->facts = object ? os_facts_from_json(object, NULL) : NULL;
    return answer;
}

/* The host is the fixture's; ANSWER (taken) is about its system, "deb1". What is found,
 * owned by the caller; *PLAN is NULL if it was refused. */
static char *
plan_with(const Fixture *fixture, OsAnswer *answer, Plan **plan)
{
    g_autoptr(Findings) findings = findings_new();
    g_autoptr(GHashTable) oses = g_hash_table_new_full(g_str_hash, g_str_equal, NULL,
                                                       (GDestroyNotify)os_answer_free);
    g_free(fixture->host->os);
    fixture->host->os = g_strdup("deb1");
    fixture->host->os_pos = (FilePos){g_intern_static_string("test.xml"), 7};
    g_hash_table_insert(oses, (gpointer) "deb1", answer);
    g_autoptr(GPtrArray) plans =
        plan_lab(fixture->lab, fixture->emulator, oses, PLAN_FOR_QEMU, findings);
    *plan = plans ? g_ptr_array_steal_index(plans, 0) : NULL;
    return findings_to_text(findings);
}

static void
assert_said(const Fixture *fixture, const char *expected)
{
    g_autoptr(Plan) plan = NULL;
    g_autofree char *text = plan_with(fixture, answer_new(deb), &plan);
    assert_non_null(plan);
    assert_string_equal(text, expected);
}

static void
a_host_that_has_enough_is_told_nothing(void **state)
{
    Fixture *fixture = *state;
    fixture_cell(fixture->host, 0, 4, 2048 * MIB);
    assert_said(fixture, "");
}

static void
less_than_the_minimum_is_a_warning(void **state)
{
    Fixture *fixture = *state;
    fixture_cell(fixture->host, 0, 1, 1023 * MIB);
    assert_said(
        fixture,
        "test.xml:1: warning: host l1 has 1023 MiB of memory, but Deb 1 needs at least 1 "
        "GiB [os-needs]\n"
        "test.xml:1: warning: host l1 has 1 CPU, but Deb 1 needs at least 2 "
        "[os-needs]\n");
}

/* Where the lab does not name the system, but a recipe whose name the answer has. The
 * fixture's emulator has nothing for the image's disk, which is found, too. */
static char *
plan_with_recipe(const Fixture *fixture, OsAnswer *answer)
{
    g_autoptr(Findings) findings = findings_new();
    g_autoptr(GHashTable) oses = g_hash_table_new_full(g_str_hash, g_str_equal, NULL,
                                                       (GDestroyNotify)os_answer_free);
    g_clear_pointer(&fixture->host->os, g_free);
    if (!fixture->host->image)
        fixture->host->image = lab_image_new();
    g_free(fixture->host->image->from);
    fixture->host->image->from = g_strdup("deb-recipe");
    g_hash_table_insert(oses, (gpointer) "deb-recipe", answer);
    g_autoptr(GPtrArray) plans =
        plan_lab(fixture->lab, fixture->emulator, oses, PLAN_FOR_QEMU, findings);
    return findings_to_text(findings);
}

static void
the_system_of_a_recipe_is_compared_too(void **state)
{
    Fixture *fixture = *state;
    fixture_cell(fixture->host, 0, 1, 2048 * MIB);
    g_autofree char *needs = plan_with_recipe(fixture, answer_new(deb));
    assert_non_null(strstr(needs, "test.xml:1: warning: host l1 has 1 CPU, but Deb 1 "
                                  "needs at least 2 [os-needs]\n"));
    OsAnswer *unknown = answer_new(NULL);
    unknown->nearest = g_ptr_array_new_with_free_func(g_free);
    g_ptr_array_add(unknown->nearest, g_strdup("deb1"));
    g_autofree char *nearest = plan_with_recipe(fixture, unknown);
    assert_non_null(strstr(nearest, "test.xml:1: warning: no operating system is called "
                                    "as the recipe deb-recipe says; did you mean deb1? "
                                    "[os]\n"));
}

static void
less_than_is_recommended_is_a_note(void **state)
{
    Fixture *fixture = *state;
    fixture_cell(fixture->host, 0, 2, 512 * MIB);
    fixture_cell(fixture->host, 2, 1, 512 * MIB);
    assert_said(fixture,
                "test.xml:1: note: host l1 has 1 GiB of memory; for Deb 1 2 GiB are "
                "recommended [os-needs]\n"
                "test.xml:1: note: host l1 has 3 CPUs; for Deb 1 4 are recommended "
                "[os-needs]\n");
}

static void
what_is_not_known_is_not_compared(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(Plan) plan = NULL;
    fixture_cell(fixture->host, 0, 1, 256 * MIB);
    fixture->host->firmware = LAB_FIRMWARE_EFI;
    g_autofree char *text = plan_with(
        fixture, answer_new("{\"id\":\"http://deb.example/deb/1\",\"name\":\"Deb 1\"}"),
        &plan);
    assert_string_equal(text, "");
    assert_string_equal(plan->os_id, "http://deb.example/deb/1");
}

static void
firmware_that_it_lacks_is_a_warning(void **state)
{
    Fixture *fixture = *state;
    fixture_cell(fixture->host, 0, 4, 2048 * MIB);
    fixture->host->firmware = LAB_FIRMWARE_EFI;
    fixture->host->firmware_pos = (FilePos){g_intern_static_string("test.xml"), 3};
    assert_said(fixture, "test.xml:3: warning: Deb 1 does not boot by EFI; write "
                         "<firmware type='bios'/> [os-firmware]\n");
}

static void
a_device_that_it_lacks_is_a_warning(void **state)
{
    Fixture *fixture = *state;
    LabCell *cell = fixture_cell(fixture->host, 0, 4, 2048 * MIB);
    LabNode *expander = fixture_root(cell->nodes, LAB_EXPANDER, "a");
    LabNode *nic = fixture_node(fixture_node(expander, LAB_PORT, "p"), LAB_NIC, "lan");
    LabNode *disk = fixture_node(fixture_node(expander, LAB_PORT, "q"), LAB_NVME, "disk");
    fixture_node(fixture_node(expander, LAB_PORT, "r"), LAB_NIC, "good");
    nic->model = g_strdup("igb");
    nic->pos = (FilePos){g_intern_static_string("test.xml"), 4};
    disk->pos = (FilePos){g_intern_static_string("test.xml"), 5};
    assert_said(
        fixture,
        "test.xml:4: warning: Deb 1 is not known to have a driver for lan, which "
        "is igb 8086:10c9; it has them for e1000e [os-device]\n"
        "test.xml:5: warning: Deb 1 is not known to have a driver for disk, which "
        "is nvme 1b36:0010 [os-device]\n");
}

static void
an_iommu_that_it_lacks_is_a_warning(void **state)
{
    Fixture *fixture = *state;
    fixture_cell(fixture->host, 0, 4, 2048 * MIB);
    fixture->host->iommu.model = LAB_IOMMU_VIRTIO;
    fixture->host->iommu.pos = (FilePos){g_intern_static_string("test.xml"), 6};
    assert_said(fixture, "test.xml:6: warning: Deb 1 is not known to have a driver for "
                         "the IOMMU, which is virtio-iommu-pci 1af4:1057 [os-device]\n");
}

static void
a_system_that_nobody_knows_is_refused(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(Plan) plan = NULL;
    fixture_cell(fixture->host, 0, 1, 1024 * MIB);
    OsAnswer *answer = answer_new(NULL);
    answer->nearest = g_ptr_array_new_with_free_func(g_free);
    g_ptr_array_add(answer->nearest, g_strdup("deb11"));
    g_autofree char *text = plan_with(fixture, answer, &plan);
    assert_null(plan);
    assert_string_equal(text, "test.xml:7: error: no operating system is called deb1; "
                              "did you mean deb11? [os]\n");
}

static void
a_system_that_cannot_be_looked_up_is_taken(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(Plan) plan = NULL;
    fixture_cell(fixture->host, 0, 1, 1024 * MIB);
    OsAnswer *answer = answer_new(NULL);
    answer->reason = g_strdup("there is no libosinfo");
    g_autofree char *text = plan_with(fixture, answer, &plan);
    assert_string_equal(text, "test.xml:7: warning: what deb1 needs is not known here: "
                              "there is no libosinfo [os]\n");
    assert_string_equal(plan->os, "deb1");
    assert_null(plan->os_id);
}

static void
it_stands_in_what_is_shown(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(Plan) plan = NULL;
    fixture_cell(fixture->host, 0, 4, 2048 * MIB);
    g_autofree char *text = plan_with(fixture, answer_new(deb), &plan);
    assert_string_equal(text, "");
    g_autofree char *tree = fixture_text(plan, "tree");
    g_autofree char *libvirt = fixture_text(plan, "libvirt");
    g_autofree char *svg = fixture_text(plan, "svg");
    g_autofree char *dot = fixture_text(plan, "dot");
    assert_non_null(strstr(tree, "\n  system    Deb 1\n"));
    assert_non_null(strstr(svg, "Deb 1"));
    assert_non_null(strstr(dot, "Deb 1"));
    assert_non_null(strstr(
        libvirt, "<libosinfo:libosinfo "
                 "xmlns:libosinfo=\"http://libosinfo.org/xmlns/libvirt/domain/1.0\">"));
    assert_non_null(strstr(libvirt, "<libosinfo:os id=\"http://deb.example/deb/1\"/>"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_host_that_has_enough_is_told_nothing),
        TEST(less_than_the_minimum_is_a_warning),
        TEST(the_system_of_a_recipe_is_compared_too),
        TEST(less_than_is_recommended_is_a_note),
        TEST(what_is_not_known_is_not_compared),
        TEST(firmware_that_it_lacks_is_a_warning),
        TEST(a_device_that_it_lacks_is_a_warning),
        TEST(an_iommu_that_it_lacks_is_a_warning),
        TEST(a_system_that_nobody_knows_is_refused),
        TEST(a_system_that_cannot_be_looked_up_is_taken),
        TEST(it_stands_in_what_is_shown),
    };
    return cmocka_run_group_tests_name("plan-os", tests, NULL, NULL);
}
