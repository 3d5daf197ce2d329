/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "error.h"
#include "suite.h"

static Plan *
plan_of(guint nodes, LabIommuModel iommu, guint hugepages, guint32 class_code)
{
    Plan *plan = g_new0(Plan, 1);
    PlanCell *cell = g_new0(PlanCell, 1);
    plan->lab_name = g_strdup("lab");
    plan->host_id = g_strdup("l1");
    plan->node_count = nodes;
    plan->memory_bytes = (gint64)nodes << 30;
    plan->iommu.model = iommu;
    plan->cells = g_ptr_array_new();
    plan->functions = g_ptr_array_new_with_free_func(g_free);
    PlanFunction *function = g_new0(PlanFunction, 1);
    function->role = PLAN_ENDPOINT;
    function->class_code = class_code;
    g_ptr_array_add(plan->functions, function);
    cell->hugepages = g_array_new(FALSE, TRUE, sizeof(PlanHugepages));
    g_array_set_size(cell->hugepages, hugepages);
    g_ptr_array_add(plan->cells, cell);
    return plan;
}

static void
plan_drop(Plan *plan)
{
    PlanCell *cell = plan->cells->pdata[0];
    g_array_unref(cell->hugepages);
    g_free(cell);
    g_ptr_array_unref(plan->cells);
    g_ptr_array_unref(plan->functions);
    g_clear_pointer(&plan->image, lab_image_unref);
    g_clear_pointer(&plan->peers, g_ptr_array_unref);
    g_free(plan->lab_name);
    g_free(plan->host_id);
    g_free(plan);
}

static void
needs_are_seen_in_the_plan(void **state)
{
    Plan *bare = plan_of(1, LAB_IOMMU_NONE, 0, 0x060400);
    Plan *rich = plan_of(2, LAB_IOMMU_INTEL, 1, 0x020000);
    g_autofree char *iommu = suite_unmet(suite_find("iommu"), bare);
    g_autofree char *hugepages = suite_unmet(suite_find("hugepages"), bare);
    assert_non_null(strstr(iommu, "IOMMU"));
    assert_non_null(strstr(hugepages, "huge pages"));
    const Suite networked = {.name = "networked", .needs_nic = TRUE};
    g_autofree char *nic = suite_unmet(&networked, bare);
    assert_non_null(strstr(nic, "NIC"));
    PlanFunction *function = rich->functions->pdata[0];
    function->role = PLAN_VF;
    g_autofree char *virtual_one = suite_unmet(&networked, rich);
    assert_non_null(strstr(virtual_one, "NIC"));
    function->role = PLAN_ENDPOINT;
    g_autofree char *sriov = suite_unmet(suite_find("sriov"), rich);
    assert_non_null(strstr(sriov, "virtual functions"));
    PlanFunction *second = g_new0(PlanFunction, 1);
    second->role = PLAN_VF;
    g_ptr_array_add(rich->functions, second);
    g_autofree char *disk = suite_unmet(suite_find("disk"), rich);
    assert_non_null(strstr(disk, "no disk"));
    function->size_bytes = 1 << 26;
    g_autofree char *slots = suite_unmet(suite_find("memory"), rich);
    assert_non_null(strstr(slots, "no slot for memory"));
    rich->memory_slots = 1;
    ((PlanCell *)rich->cells->pdata[0])->memory_bytes = rich->memory_bytes;
    rich->max_memory_bytes = rich->memory_bytes + (1 << 27);
    g_autofree char *hotplug = suite_unmet(suite_find("hotplug"), rich);
    assert_non_null(strstr(hotplug, "no port"));
    g_autofree char *alone = suite_unmet(suite_find("network"), rich);
    assert_non_null(strstr(alone, "no network joins"));
    rich->peers = g_ptr_array_new();
    g_ptr_array_add(rich->peers, (gpointer) "other");
    rich->filled = bare;
    g_autofree char *nobody = suite_unmet(suite_find("hotplug"), rich);
    assert_non_null(strstr(nobody, "no port"));
    ((PlanFunction *)bare->functions->pdata[0])->id = (char *)"port0.nic0";
    g_autofree char *system = suite_unmet(suite_find("libvirt"), rich);
    assert_non_null(strstr(system, "no distribution"));
    rich->image = lab_image_new();
    for (const Suite *suite = suites; suite->name; suite++)
        assert_null(suite_unmet(suite, rich));
    ((PlanFunction *)bare->functions->pdata[0])->id = NULL;
    const Suite many = {.name = "many", .needs_nodes = 2};
    g_autofree char *nodes = suite_unmet(&many, bare);
    assert_string_equal(nodes, "the lab has 1 node; 2 are needed");
    const Suite large = {.name = "large", .needs_mib = 1025};
    g_autofree char *memory = suite_unmet(&large, bare);
    assert_string_equal(
        memory, "the host has 1024 MiB of memory beside huge pages; 1025 are needed");
    const PlanHugepages pool = {.page_bytes = 2 << 20, .count = 500};
    g_array_append_val(((PlanCell *)rich->cells->pdata[0])->hugepages, pool);
    const Suite larger = {.name = "larger", .needs_mib = 1049};
    g_autofree char *pools = suite_unmet(&larger, rich);
    assert_string_equal(
        pools, "the host has 1048 MiB of memory beside huge pages; 1049 are needed");

    g_auto(GStrv) environment = suite_environment(bare);
    assert_string_equal(environment[0], "HOSTBED_MANIFEST=/run/hostbed/manifest");
    assert_string_equal(environment[1], "HOSTBED_LAB=lab");
    assert_string_equal(environment[2], "HOSTBED_HOST=l1");
    assert_null(environment[3]);
    ((PlanFunction *)bare->functions->pdata[0])->network = (char *)"wire";
    g_auto(GStrv) wired = suite_environment(bare);
    assert_string_equal(wired[3], "HOSTBED_NETWORKS=0000:00:00.0=wire");
    ((PlanFunction *)bare->functions->pdata[0])->network = NULL;
    bare->tainted = TRUE;
    g_auto(GStrv) tainted = suite_environment(bare);
    assert_string_equal(tainted[3], "HOSTBED_TAINTED=1");
    plan_drop(bare);
    plan_drop(rich);
}

static void
emulation_gets_more_time(void **state)
{
    const Suite *suite = suite_find("numa");
    assert_true(suite_timeout_ms(suite, ACCEL_TCG) > suite_timeout_ms(suite, ACCEL_KVM));
    assert_true(suite_timeout_ms(suite, ACCEL_KVM) > 0);
}

static void
shards_are_a_partition(void **state)
{
    for (guint total = 0; total < 12; total++) {
        for (guint count = 1; count < 15; count++) {
            guint least = G_MAXUINT, most = 0, all = 0;
            for (guint k = 1; k <= count; k++) {
                guint in = 0;
                for (guint i = 0; i < total; i++)
                    in += shard_has((Shard){k, count}, i, total);
                least = MIN(least, in);
                most = MAX(most, in);
                all += in;
            }
            assert_int_equal(all, total);
            assert_true(most - least <= 1);
        }
    }
}

static void
shards_are_read(void **state)
{
    Shard shard;
    assert_true(shard_parse("2/5", &shard, NULL));
    assert_int_equal(shard.index, 2);
    assert_int_equal(shard.count, 5);
    static const char *const wrong[] = {"",    "/",     "0/5",  "6/5", "1/0",
                                        "a/b", "1/2/3", "-1/2", "1"};
    for (guint i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_autoptr(GError) error = NULL;
        assert_false(shard_parse(wrong[i], &shard, &error));
        assert_int_equal(hb_error_status(error), HB_USAGE);
    }
}

static void
other_peoples_suites_are_named_after_their_programs(void **state)
{
    const char *const commands[] = {"prog -v 'a b'", "/opt/x/prog", "numa",
                                    "/bin/sh -c x",  "numa 2",      NULL};
    const char *const names[] = {"prog", "prog[2]", "numa[2]", "sh", "numa[3]"};
    g_autoptr(GPtrArray) list = suites_foreign("--suite", commands, 30, NULL);
    assert_int_equal(list->len, G_N_ELEMENTS(names));
    for (guint i = 0; i < list->len; i++) {
        const Suite *suite = list->pdata[i];
        assert_string_equal(suite->name, names[i]);
        assert_null(suite->cases[0]);
        assert_int_equal(suite_timeout_ms(suite, ACCEL_TCG), 30000);
    }
    const Suite *first = list->pdata[0];
    assert_string_equal(first->command[2], "a b");
    assert_null(first->command[3]);
}

static void
what_is_no_command_is_told(void **state)
{
    static const char *const wrong[] = {"", "  ", "''", "'a", "a \\"};
    for (guint i = 0; i < G_N_ELEMENTS(wrong); i++) {
        const char *const commands[] = {"true", wrong[i], NULL};
        g_autoptr(GError) error = NULL;
        assert_null(suites_foreign("--suite", commands, 30, &error));
        assert_int_equal(hb_error_status(error), HB_USAGE);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(needs_are_seen_in_the_plan),
        cmocka_unit_test(emulation_gets_more_time),
        cmocka_unit_test(shards_are_a_partition),
        cmocka_unit_test(shards_are_read),
        cmocka_unit_test(other_peoples_suites_are_named_after_their_programs),
        cmocka_unit_test(what_is_no_command_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
