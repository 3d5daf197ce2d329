/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "plan-fixture.h"

#define MIB ((gint64)1024 * 1024)
#define GIB (1024 * MIB)

static int
node_of(const Plan *plan, guint cell)
{
    return ((PlanCell *)g_ptr_array_index(plan->cells, cell))->node;
}

static int
distance(const Plan *plan, guint from, guint to)
{
    return g_array_index(((PlanCell *)g_ptr_array_index(plan->cells, from))->distances,
                         int, to);
}

static void
add_distance(LabCell *from, int to, int value)
{
    LabDistance *written = g_new0(LabDistance, 1);
    written->cell = to;
    written->value = value;
    g_ptr_array_add(from->distances, written);
}

static void
add_hugepages(LabCell *cell, gint64 page_bytes, gint64 count)
{
    LabHugepages *pages = g_new0(LabHugepages, 1);
    pages->page_bytes = page_bytes;
    pages->count = count;
    pages->pos = (FilePos){"test.xml", 50};
    g_ptr_array_add(cell->hugepages, pages);
}

/* Linux numbers first by CPU, then generic initiators, then memory. */
static void
nodes_are_numbered_as_linux_does(void **state)
{
    Fixture *fixture = *state;
    fixture_cell(fixture->host, 0, 0, 256 * MIB);
    fixture_root(fixture_cell(fixture->host, 0, 0, 0)->nodes, LAB_EXPANDER, "x");
    fixture_cell(fixture->host, 1, 1, 256 * MIB);
    fixture_cell(fixture->host, 0, 1, 0);
    g_autoptr(Plan) plan = fixture_plan(fixture->lab, fixture->emulator);

    assert_int_equal(node_of(plan, 3), 0);
    assert_int_equal(node_of(plan, 2), 1);
    assert_int_equal(node_of(plan, 1), 2);
    assert_int_equal(node_of(plan, 0), 3);
    assert_int_equal(plan->node_count, 4);
    assert_string_equal(((PlanCell *)plan->cells->pdata[1])->generic_initiator, "x");
}

/* A cell with memory is seen by that, so its devices do not move its number forward. */
static void
memory_needs_no_initiator(void **state)
{
    Fixture *fixture = *state;
    fixture_cell(fixture->host, 0, 0, 256 * MIB);
    fixture_root(fixture_cell(fixture->host, 0, 0, 256 * MIB)->nodes, LAB_EXPANDER, "x");
    fixture_cell(fixture->host, 0, 1, 256 * MIB);
    g_autoptr(Plan) plan = fixture_plan(fixture->lab, fixture->emulator);

    assert_int_equal(node_of(plan, 2), 0);
    assert_int_equal(node_of(plan, 0), 1);
    assert_int_equal(node_of(plan, 1), 2);
    for (guint i = 0; i < plan->cells->len; i++)
        assert_null(((PlanCell *)plan->cells->pdata[i])->generic_initiator);
}

static void
a_device_only_cell_needs_an_initiator(void **state)
{
    Fixture *fixture = *state;
    Emulator *older = fixture_emulator(FALSE);
    fixture_cell(fixture->host, 0, 1, 256 * MIB);
    LabCell *cell = fixture_cell(fixture->host, 0, 0, 0);
    LabNode *expander = fixture_root(cell->nodes, LAB_EXPANDER, "x");
    fixture_ports(expander, NULL, 1, "x");
    g_autoptr(Plan) plan = fixture_plan(fixture->lab, fixture->emulator);
    assert_string_equal(((PlanCell *)plan->cells->pdata[1])->generic_initiator, "x.n0");
    assert_int_equal(plan_function(plan, "x.n0")->node, 1);

    g_autofree char *text = fixture_refused(fixture->lab, older);
    assert_non_null(strstr(text, "test.xml:11: "));
    assert_non_null(strstr(text, "(7.2.22) has no acpi-generic-initiator"));
    fixture_emulator_free(older);

    fixture_root(fixture_cell(fixture->host, 0, 0, 0)->nodes, LAB_EXPANDER, "y");
    fixture_assert_refused(fixture, "[device-only-cells]");
}

static void
an_empty_cell_is_refused(void **state)
{
    Fixture *fixture = *state;
    fixture_cell(fixture->host, 0, 1, 256 * MIB);
    fixture_cell(fixture->host, 0, 0, 0);
    fixture_assert_refused(fixture, "cell 1 has neither CPUs nor memory nor a device");
}

static void
sockets_lie_in_one_cell(void **state)
{
    Fixture *fixture = *state;
    fixture_cell(fixture->host, 0, 4, 256 * MIB);
    fixture_cell(fixture->host, 4, 2, 256 * MIB);
    fixture_cell(fixture->host, 6, 2, 256 * MIB);
    g_autoptr(Plan) plan = fixture_plan(fixture->lab, fixture->emulator);

    assert_int_equal(plan->sockets, 4);
    assert_int_equal(plan->cores, 2);
    assert_int_equal(plan->threads, 1);
    assert_null(plan->tcg_cpu_vendor);
}

static void
threads_ask_for_a_vendor_that_shows_them(void **state)
{
    Fixture *fixture = *state;
    fixture_cell(fixture->host, 0, 4, 256 * MIB);
    fixture_cell(fixture->host, 4, 4, 256 * MIB);
    fixture->host->cpu.threads = 2;
    g_autoptr(Plan) plan = fixture_plan(fixture->lab, fixture->emulator);

    assert_int_equal(plan->sockets, 2);
    assert_int_equal(plan->cores, 2);
    assert_string_equal(plan->tcg_cpu_vendor, "GenuineIntel");
    assert_string_equal(plan->cpu_model, "max");
}

/* What is written is not less than what is left out. */
static void
the_default_model_may_be_written(void **state)
{
    Fixture *fixture = *state;
    fixture_cell(fixture->host, 0, 4, 256 * MIB);
    fixture->host->cpu.threads = 2;
    g_autoptr(Plan) plan = fixture_plan(fixture->lab, fixture->emulator);
    fixture->host->cpu.model = g_strdup("max");
    g_autoptr(Plan) written = fixture_plan(fixture->lab, fixture->emulator);
    assert_string_equal(written->cpu_model, "max");
    assert_string_equal(written->tcg_cpu_vendor, plan->tcg_cpu_vendor);
    assert_string_equal(written->tcg_cpu_features, plan->tcg_cpu_features);
    assert_null(written->needs_kvm);
}

static void
models_that_emulation_lacks_need_kvm(void **state)
{
    Fixture *fixture = *state;
    LabCpu *cpu = &fixture->host->cpu;
    fixture_cell(fixture->host, 0, 4, 256 * MIB);
    cpu->pos = (FilePos){"test.xml", 7};
    cpu->model = g_strdup("EPYC");
    g_autoptr(Plan) cores = fixture_plan(fixture->lab, fixture->emulator);
    assert_null(cores->needs_kvm);
    cpu->threads = 2;
    g_autoptr(Plan) threads = fixture_plan(fixture->lab, fixture->emulator);
    assert_non_null(strstr(threads->needs_kvm, "threads of the AMD model EPYC"));
    assert_int_equal(threads->needs_kvm_pos.line, 7);
    g_free(cpu->model);
    cpu->model = g_strdup("Skylake-Server");
    g_autoptr(Plan) intel = fixture_plan(fixture->lab, fixture->emulator);
    assert_null(intel->needs_kvm);
    g_free(cpu->model);
    cpu->model = g_strdup("host");
    g_autoptr(Plan) host = fixture_plan(fixture->lab, fixture->emulator);
    assert_non_null(strstr(host->needs_kvm, "the CPU model host"));
}

static void
cpus_and_machines_are_known_by_name(void **state)
{
    Fixture *fixture = *state;
    LabHost *host = fixture->host;
    LabCpuFeature *feature = g_new0(LabCpuFeature, 1);
    fixture_cell(host, 0, 1, 256 * MIB);
    feature->name = g_strdup("lahf_lm");
    feature->pos = (FilePos){"test.xml", 8};
    g_ptr_array_add(host->cpu.features, feature);
    host->machine = g_strdup("pc-q35-6.2");
    g_autoptr(Plan) plan = fixture_plan(fixture->lab, fixture->emulator);
    assert_string_equal(plan->machine, "pc-q35-6.2");

    g_free(feature->name);
    feature->name = g_strdup("nosuchfeat");
    g_free(host->machine);
    host->machine = g_strdup("pc-q35-2.0");
    host->machine_pos = (FilePos){"test.xml", 6};
    host->cpu.model = g_strdup("nosuch");
    host->cpu.pos = (FilePos){"test.xml", 7};
    g_autofree char *text = fixture_refused(fixture->lab, fixture->emulator);
    assert_non_null(strstr(text, "test.xml:6: unsupported: this emulator (10.0.2) has no "
                                 "machine pc-q35-2.0"));
    assert_non_null(strstr(text, "test.xml:7: unsupported: this emulator (10.0.2) has no "
                                 "CPU model nosuch"));
    assert_non_null(strstr(text, "test.xml:8: unsupported: the CPUs of this emulator "
                                 "(10.0.2) have no feature nosuchfeat"));
}

static void
half_a_core_is_refused(void **state)
{
    Fixture *fixture = *state;
    fixture_cell(fixture->host, 0, 3, 256 * MIB);
    fixture_cell(fixture->host, 3, 1, 256 * MIB);
    fixture->host->cpu.threads = 2;
    fixture_assert_refused(
        fixture, "CPU 3 is in this cell and CPU 2, of the same core, in another");
}

static void
cpus_have_no_gaps(void **state)
{
    Fixture *fixture = *state;
    fixture_cell(fixture->host, 0, 2, 256 * MIB);
    fixture_cell(fixture->host, 3, 1, 256 * MIB);
    fixture_assert_refused(fixture, "CPU 3 leaves a gap, for the host has 3 CPUs");
}

static void
the_topology_is_that_of_the_cells(void **state)
{
    Fixture *fixture = *state;
    fixture_cell(fixture->host, 0, 6, 256 * MIB);
    fixture->host->cpu.sockets = 4;
    fixture_assert_refused(fixture, "are 4 CPUs, but the cells have 6");
}

static void
large_apic_ids_need_eim(void **state)
{
    Fixture *fixture = *state;
    fixture_cell(fixture->host, 0, 260, 256 * MIB);
    fixture_assert_refused(fixture, "eim=\"on\"/>, or use fewer CPUs");
    fixture->host->iommu.model = LAB_IOMMU_INTEL;
    fixture->host->iommu.eim = LAB_ON;
    g_autoptr(Plan) plan = fixture_plan(fixture->lab, fixture->emulator);
    assert_null(plan->needs_kvm);
}

/* The largest id that needs no x2APIC is 254, for 255 is everybody's address. */
static void
apic_ids_end_at_254(void **state)
{
    Fixture *fixture = *state;
    LabCell *cell = fixture_cell(fixture->host, 0, 255, 256 * MIB);
    g_autoptr(Plan) plan = fixture_plan(fixture->lab, fixture->emulator);
    assert_int_equal(plan->cpu_count, 255);

    const guint last = 255;
    g_array_append_val(cell->cpus, last);
    fixture_assert_refused(fixture, "256 CPUs need APIC ids up to 255; write");
}

/* Five cores take the room of eight, so the ids have gaps. */
static void
apic_ids_have_gaps(void **state)
{
    Fixture *fixture = *state;
    LabCell *cell = fixture_cell(fixture->host, 0, 155, 256 * MIB);
    fixture->host->cpu.cores = 5;
    g_autoptr(Plan) plan = fixture_plan(fixture->lab, fixture->emulator);
    assert_int_equal(plan->sockets, 31);

    for (guint cpu = 155; cpu < 200; cpu++)
        g_array_append_val(cell->cpus, cpu);
    fixture_assert_refused(fixture, "200 CPUs need APIC ids up to 316; write");
}

static void
machines_have_a_number_of_cpus(void **state)
{
    Fixture *fixture = *state;
    LabCell *cell = fixture_cell(fixture->host, 0, 16, 256 * MIB);
    fixture->emulator->max_cpus = 16;
    g_autoptr(Plan) plan = fixture_plan(fixture->lab, fixture->emulator);
    assert_int_equal(plan->cpu_count, 16);

    const guint last = 16;
    g_array_append_val(cell->cpus, last);
    fixture_assert_refused(
        fixture, "unsupported: the host has 17 CPUs, this emulator's pc-q35-10.0 has at "
                 "most 16");
}

static void
distances_are_completed(void **state)
{
    Fixture *fixture = *state;
    LabCell *first = fixture_cell(fixture->host, 0, 1, 256 * MIB);
    LabCell *second = fixture_cell(fixture->host, 1, 1, 256 * MIB);
    fixture_cell(fixture->host, 2, 1, 256 * MIB);
    add_distance(first, 1, 31);
    add_distance(second, 2, 41);
    g_autoptr(Plan) plan = fixture_plan(fixture->lab, fixture->emulator);

    assert_true(plan->distances_given);
    assert_int_equal(distance(plan, 0, 0), 10);
    assert_int_equal(distance(plan, 1, 0), 31);
    assert_int_equal(distance(plan, 2, 1), 41);
    assert_int_equal(distance(plan, 0, 2), 20);
    add_distance(first, 7, 31);
    fixture_assert_refused(fixture, "there is no cell 7; cells are 0 to 2");
}

/* Measured on the article's machine: one page on each cell and no more. */
static void
gib_pages_are_counted_around_the_hole(void **state)
{
    Fixture *fixture = *state;
    g_autoptr(Lab) article = fixture_article();
    LabHost *host = fixture_host(article);
    for (guint i = 0; i < 3; i++)
        add_hugepages(g_ptr_array_index(host->cells, i), GIB, 1);
    g_autoptr(Plan) plan = fixture_plan(article, fixture->emulator);
    assert_non_null(strstr(plan->cmdline, " hugepagesz=1G hugepages=0:1,1:1,2:1"));

    LabHugepages *pages =
        ((LabCell *)g_ptr_array_index(host->cells, 0))->hugepages->pdata[0];
    pages->count = 2;
    g_autofree char *text = fixture_refused(article, fixture->emulator);
    assert_non_null(
        strstr(text, "test.xml:50: error: cell 0 has room for 1 pages of 1 GiB"));
}

static void
small_pages_are_the_agents(void **state)
{
    Fixture *fixture = *state;
    LabCell *cell = fixture_cell(fixture->host, 0, 1, 512 * MIB);
    add_hugepages(cell, 2 * MIB, 16);
    g_autoptr(Plan) plan = fixture_plan(fixture->lab, fixture->emulator);
    assert_null(strstr(plan->cmdline, "hugepagesz"));
    assert_non_null(strstr(plan->cmdline, " hostbed.hugepages=0:2048kB:16"));
    ((LabHugepages *)cell->hugepages->pdata[0])->count = 250;
    fixture_assert_refused(fixture, "its huge pages take 500 MiB");
}

static void
pages_that_may_not_be_had_are_told(void **state)
{
    Fixture *fixture = *state;
    LabCell *cell = fixture_cell(fixture->host, 0, 1, GIB);
    add_hugepages(cell, 2 * MIB, 480); /* of which a host gave 424 */
    g_autoptr(Findings) findings = findings_new();
    g_autoptr(GPtrArray) plans =
        plan_lab(fixture->lab, fixture->emulator, NULL, PLAN_FOR_QEMU, findings);
    assert_true(findings_ok(findings));
    assert_int_equal(findings_count(findings, FINDING_WARNING), 1);

    ((LabHugepages *)cell->hugepages->pdata[0])->count = 400;
    g_autoptr(Findings) fewer = findings_new();
    g_autoptr(GPtrArray) again =
        plan_lab(fixture->lab, fixture->emulator, NULL, PLAN_FOR_QEMU, fewer);
    assert_int_equal(findings_count(fewer, FINDING_WARNING), 0);
}

static void
hosts_have_a_least_memory(void **state)
{
    Fixture *fixture = *state;
    fixture_cell(fixture->host, 0, 1, 64 * MIB);
    fixture_cell(fixture->host, 1, 1, 60 * MIB);
    fixture_assert_refused(fixture,
                           "the host has 124 MiB of memory, with which it cannot boot");
    ((LabCell *)g_ptr_array_index(fixture->host->cells, 1))->memory_bytes = 64 * MIB;
    g_autoptr(Plan) plan = fixture_plan(fixture->lab, fixture->emulator);
    assert_int_equal(plan->memory_bytes, 128 * MIB);
}

static void
memory_has_a_limit(void **state)
{
    Fixture *fixture = *state;
    const gint64 tib = 1024 * GIB;
    LabCell *first = fixture_cell(fixture->host, 0, 1, 4095 * tib);
    LabCell *second = fixture_cell(fixture->host, 1, 1, tib);
    add_hugepages(first, GIB, 1);
    g_autoptr(Plan) plan = fixture_plan(fixture->lab, fixture->emulator);
    assert_true(plan->memory_bytes == 4096 * tib);
    second->memory_bytes = tib + 4096;
    fixture_assert_refused(fixture,
                           "the memory of the host's cells is more than 4096 TiB in all");

    for (guint i = 0; i < 126; i++)
        fixture_cell(fixture->host, 0, 0, 999999 * tib);
    first->memory_bytes = second->memory_bytes = 999999 * tib;
    g_autofree char *text = fixture_refused(fixture->lab, fixture->emulator);
    assert_true(g_str_has_prefix(
        text, "test.xml:1: error: the memory of the host's cells is more than 4096 TiB"));
    assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1); /* and nothing else */
}

static void
memory_beyond_emulated_addresses_needs_kvm(void **state)
{
    Fixture *fixture = *state;
    LabCell *cell = fixture_cell(fixture->host, 0, 1, 978 * GIB);
    g_autoptr(Plan) plan = fixture_plan(fixture->lab, fixture->emulator);
    assert_null(plan->needs_kvm);
    cell->memory_bytes = 979 * GIB;
    g_autoptr(Plan) larger = fixture_plan(fixture->lab, fixture->emulator);
    assert_non_null(strstr(larger->needs_kvm, "979 GiB of memory"));
}

/* 2047 bytes of which twelve are kept for who starts the host again to see more. */
static void
the_command_line_has_a_limit(void **state)
{
    Fixture *fixture = *state;
    fixture_cell(fixture->host, 0, 1, 256 * MIB);
    fixture->host->kernel_pos = (FilePos){"test.xml", 5};
    fixture->host->cmdline = g_strdup("x");
    g_autoptr(Plan) plan = fixture_plan(fixture->lab, fixture->emulator);
    const gsize emulation =
        strlen(plan->tcg_cmdline) + 1 + strlen(plan->direct_cmdline) + 1;
    const gsize room = 2047 - 12 - emulation - strlen(plan->cmdline) + 1;

    g_free(fixture->host->cmdline);
    fixture->host->cmdline = g_strnfill(room, 'x');
    g_autoptr(Plan) full = fixture_plan(fixture->lab, fixture->emulator);
    assert_int_equal(emulation + strlen(full->cmdline), 2035);

    g_free(fixture->host->cmdline);
    fixture->host->cmdline = g_strnfill(room + 1, 'x');
    g_autofree char *words =
        g_strdup_printf("test.xml:5: error: the kernel's command line would have 2048 "
                        "bytes, %" G_GSIZE_FORMAT " of the lab's own",
                        room + 1);
    fixture_assert_refused(fixture, words);
}

static void
cells_have_a_limit(void **state)
{
    Fixture *fixture = *state;
    fixture_cell(fixture->host, 0, 1, 256 * MIB);
    for (int i = 0; i < 128; i++)
        fixture_cell(fixture->host, 0, 0, 16 * MIB);
    fixture_assert_refused(
        fixture,
        "test.xml:138: error: the host has 129 cells; use fewer (at most 128 cells: ");
}

/* ---- the IOMMU
 * -------------------------------------------------------------------------- */

static const JsonNode *
iommu_property(const Plan *plan, const char *name)
{
    for (guint i = 0; i < plan->iommu.properties->len; i++) {
        const PlanProperty *property = plan->iommu.properties->pdata[i];
        if (g_str_equal(property->name, name))
            return property->value;
    }
    return NULL;
}

static void
every_option_is_written_out(void **state)
{
    Fixture *fixture = *state;
    fixture_cell(fixture->host, 0, 1, 256 * MIB);
    fixture->host->iommu.model = LAB_IOMMU_INTEL;
    g_autoptr(Plan) plan = fixture_plan(fixture->lab, fixture->emulator);

    assert_int_equal(plan->iommu.aw_bits, 48);
    assert_int_equal(json_node_get_int((JsonNode *)iommu_property(plan, "aw-bits")), 48);
    assert_string_equal(json_node_get_string((JsonNode *)iommu_property(plan, "eim")),
                        "off");
    assert_false(json_node_get_boolean((JsonNode *)iommu_property(plan, "caching-mode")));
    assert_int_equal(plan->machine_properties->len, 1);
    assert_string_equal(((PlanProperty *)plan->machine_properties->pdata[0])->name,
                        "kernel-irqchip");
}

static void
eim_says_when_it_needs_kvm(void **state)
{
    Fixture *fixture = *state;
    Emulator *older = fixture_emulator(FALSE);
    fixture_cell(fixture->host, 0, 1, 256 * MIB);
    fixture->host->iommu.model = LAB_IOMMU_INTEL;
    fixture->host->iommu.eim = LAB_ON;
    g_autoptr(Plan) newer_plan = fixture_plan(fixture->lab, fixture->emulator);
    g_autoptr(Plan) plan = fixture_plan(fixture->lab, older);
    assert_null(newer_plan->needs_kvm);
    assert_non_null(plan->needs_kvm);
    fixture->host->iommu.intremap = LAB_OFF;
    fixture_assert_refused(fixture, "eim is a part of interrupt remapping");
    fixture_emulator_free(older);
}

static void
options_of_other_models_are_refused(void **state)
{
    Fixture *fixture = *state;
    fixture_cell(fixture->host, 0, 1, 256 * MIB);
    fixture->host->iommu.model = LAB_IOMMU_VIRTIO;
    g_autoptr(Plan) plan = fixture_plan(fixture->lab, fixture->emulator);
    assert_null(plan->iommu.driver);
    assert_string_equal(plan_function(plan, "hostbed-iommu")->driver, "virtio-iommu-pci");
    /* Before the drivers that would have to wait for it. */
    assert_string_equal(plan->modules->pdata[0], "virtio_pci");
    assert_string_equal(plan->modules->pdata[1], "virtio_iommu");

    fixture->host->iommu.caching_mode = LAB_ON;
    fixture_assert_refused(fixture, "the virtio IOMMU has no caching-mode");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nodes_are_numbered_as_linux_does),
        TEST(memory_needs_no_initiator),
        TEST(a_device_only_cell_needs_an_initiator),
        TEST(an_empty_cell_is_refused),
        TEST(sockets_lie_in_one_cell),
        TEST(threads_ask_for_a_vendor_that_shows_them),
        TEST(the_default_model_may_be_written),
        TEST(models_that_emulation_lacks_need_kvm),
        TEST(cpus_and_machines_are_known_by_name),
        TEST(half_a_core_is_refused),
        TEST(cpus_have_no_gaps),
        TEST(the_topology_is_that_of_the_cells),
        TEST(large_apic_ids_need_eim),
        TEST(apic_ids_end_at_254),
        TEST(apic_ids_have_gaps),
        TEST(machines_have_a_number_of_cpus),
        TEST(distances_are_completed),
        TEST(gib_pages_are_counted_around_the_hole),
        TEST(small_pages_are_the_agents),
        TEST(pages_that_may_not_be_had_are_told),
        TEST(hosts_have_a_least_memory),
        TEST(memory_has_a_limit),
        TEST(memory_beyond_emulated_addresses_needs_kvm),
        TEST(the_command_line_has_a_limit),
        TEST(cells_have_a_limit),
        TEST(every_option_is_written_out),
        TEST(eim_says_when_it_needs_kvm),
        TEST(options_of_other_models_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
