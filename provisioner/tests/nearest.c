/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What a mistyped name probably means, and that the planner says it of the emulator's
 * words.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "nearest.h"
#include "plan-fixture.h"

static void
names_are_guessed(void **state)
{
    static const char *const names[] = {"check", "show", "run", "test", "doctor", NULL};
    assert_string_equal(nearest_name("chekc", names), "check");
    assert_string_equal(nearest_name("Tests", names), "test");
    assert_string_equal(nearest_name("docotr", names), "doctor");
    assert_null(nearest_name("", names));
    assert_null(nearest_name("frobnicate", names));
}

static gboolean
is_even(gconstpointer value)
{
    return GPOINTER_TO_INT(value) % 2 == 0;
}

static void
keys_are_guessed_by_the_alphabet(void **state)
{
    g_autoptr(GHashTable) table = g_hash_table_new(g_str_hash, g_str_equal);
    const char *const names[] = {"port4", "port2", "port1", "port3"};
    for (guint i = 0; i < G_N_ELEMENTS(names); i++)
        g_hash_table_insert(table, (gpointer)names[i],
                            GINT_TO_POINTER(names[i][4] - '0'));
    assert_string_equal(nearest_key("port", table, NULL), "port1");
    assert_string_equal(nearest_key("port", table, is_even), "port2");
    assert_null(nearest_key("zzz", table, NULL));
}

static void
hints_have_a_way_out(void **state)
{
    g_autofree char *meant = nearest_hint("e1000e", "leave it out");
    g_autofree char *otherwise = nearest_hint(NULL, "leave it out");
    assert_string_equal(meant, "did you mean e1000e?");
    assert_string_equal(otherwise, "leave it out");
}

static void
words_of_the_cpu_are_guessed(void **state)
{
    Fixture *fixture = *state;
    LabHost *host = fixture->host;
    LabCpuFeature *feature = g_new0(LabCpuFeature, 1);
    fixture_cell(host, 0, 1, 1 << 30);
    host->cpu.model = g_strdup("skylake-servr");
    feature->name = g_strdup("lahff_lm");
    g_ptr_array_add(host->cpu.features, feature);
    fixture_assert_refused(fixture,
                           "no CPU model skylake-servr; did you mean Skylake-Server?");
    fixture_assert_refused(fixture, "no feature lahff_lm; did you mean lahf-lm?");
}

static void
words_of_devices_are_guessed(void **state)
{
    Fixture *fixture = *state;
    LabCell *cell = fixture_cell(fixture->host, 0, 1, 1 << 30);
    LabNode *port =
        fixture_node(fixture_root(cell->nodes, LAB_EXPANDER, "a"), LAB_PORT, "p");
    LabNode *device = fixture_node(port, LAB_DEVICE, "d");
    device->model = g_strdup("e1000r");
    fixture_assert_refused(fixture, "has no PCI device e1000r, which d needs; "
                                    "did you mean e1000e?");
    g_free(device->model);
    device->model = g_strdup("pcie-rot-port"); /* a bridge is no device */
    fixture_assert_refused(fixture, "which d needs; use another emulator");

    g_free(device->model);
    device->model = g_strdup("e1000e");
    g_ptr_array_add(device->properties, lab_property_new("x_tset", "1", device->pos));
    fixture_assert_refused(fixture, "has no property x_tset that can be set; "
                                    "did you mean x-test?");
    LabIommu *iommu = &fixture->host->iommu;
    iommu->model = LAB_IOMMU_INTEL;
    g_ptr_array_add(iommu->properties, lab_property_new("caching-mod", "on", iommu->pos));
    fixture_assert_refused(fixture, "the intel IOMMU of this emulator (10.0.2) has no "
                                    "property caching-mod that can be set; did you mean "
                                    "caching-mode?");
}

static void
all_names_are_told(void **state)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    g_ptr_array_add(names, NULL);
    g_autofree char *none = nearest_or_all("nic", names, "it has none");
    assert_string_equal(none, "it has none");
    g_ptr_array_insert(names, 0, (gpointer) "nic1");
    g_ptr_array_insert(names, 1, (gpointer) "disk");
    g_autofree char *meant = nearest_or_all("nic", names, NULL);
    assert_string_equal(meant, "did you mean nic1?");
    g_autofree char *all = nearest_or_all("gpu", names, NULL);
    assert_string_equal(all, "there are nic1, disk");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_guessed),
        cmocka_unit_test(keys_are_guessed_by_the_alphabet),
        cmocka_unit_test(hints_have_a_way_out),
        cmocka_unit_test(all_names_are_told),
        cmocka_unit_test_setup_teardown(words_of_the_cpu_are_guessed, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(words_of_devices_are_guessed, fixture_setup,
                                        fixture_teardown),
    };
    return cmocka_run_group_tests_name("nearest", tests, NULL, NULL);
}
