/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "suite.h"

#include "cases.h"
#include "compare.h"
#include "emit.h"
#include "error.h"

#define NAME(name) #name,
static const char *const numa_cases[] = {NUMA_CASES(NAME) NULL};
static const char *const numa_moves_cases[] = {NUMA_MOVES_CASES(NAME) NULL};
static const char *const numa_cpus_cases[] = {NUMA_CPUS_CASES(NAME) NULL};
static const char *const pci_cases[] = {PCI_CASES(NAME) NULL};
static const char *const iommu_cases[] = {IOMMU_CASES(NAME) NULL};
static const char *const hugepages_cases[] = {HUGEPAGES_CASES(NAME) NULL};
static const char *const vfio_cases[] = {VFIO_CASES(NAME) NULL};

const Suite suites[] = {
    {
        .name = COMPARE_SUITE,
        .summary = "the host is the one that was asked for",
        .is_check = TRUE,
        .timeout_seconds = 60,
    },
    {
        .name = "numa",
        .cases = numa_cases,
        .summary =
            "cells, CPUs, memory, distances; memory comes from the node it is asked of",
        .needs_nodes = 1,
        .timeout_seconds = 60,
    },
    {
        .name = "numa-moves",
        .cases = numa_moves_cases,
        .summary = "policies of tasks and memory; memory that moves from node to node",
        .needs_nodes = 2,
        .timeout_seconds = 60,
    },
    {
        .name = "numa-cpus",
        .cases = numa_cpus_cases,
        .summary = "tasks and interrupts on their CPUs; CPUs that go and come back",
        .timeout_seconds = 60,
    },
    {
        .name = "pci",
        .cases = pci_cases,
        .summary = "every function: parent, ids, node, local CPUs, driver",
        .timeout_seconds = 60,
    },
    {
        .name = "iommu",
        .cases = iommu_cases,
        .summary = "the kernel uses the IOMMU, and every group has its members",
        .needs_iommu = TRUE,
        .timeout_seconds = 60,
    },
    {
        .name = "hugepages",
        .cases = hugepages_cases,
        .summary = "huge pages: reserved, faulted in, on the right node",
        .needs_hugepages = TRUE,
        .timeout_seconds = 120,
    },
    {
        .name = "vfio",
        .cases = vfio_cases,
        .summary =
            "functions in user space: drivers, groups, mappings, regions, interrupts, "
            "resets, limits",
        .needs_iommu = TRUE,
        .needs_nic = TRUE,
        .uses_vfio = TRUE,
        .timeout_seconds = 60,
    },
    {NULL},
};

const Suite *
suite_find(const char *name)
{
    for (const Suite *suite = suites; suite->name; suite++) {
        if (g_str_equal(suite->name, name))
            return suite;
    }
    return NULL;
}

static gboolean
has_hugepages(const Plan *plan)
{
    for (guint i = 0; i < plan->cells->len; i++) {
        const PlanCell *cell = plan->cells->pdata[i];
        if (cell->hugepages && cell->hugepages->len > 0)
            return TRUE;
    }
    return FALSE;
}

static gboolean
has_nic(const Plan *plan)
{
    for (guint i = 0; i < plan->functions->len; i++) {
        const PlanFunction *function = plan->functions->pdata[i];
        if (function->class_code >> 8 == 0x0200 && function->role != PLAN_VF)
            return TRUE;
    }
    return FALSE;
}

char *
suite_unmet(const Suite *suite, const Plan *plan)
{
    if (suite->needs_iommu && plan->iommu.model == LAB_IOMMU_NONE)
        return g_strdup("the lab has no IOMMU (<iommu>)");
    if (suite->needs_hugepages && !has_hugepages(plan))
        return g_strdup("no cell of the lab has huge pages (<hugepages>)");
    if (suite->needs_nic && !has_nic(plan))
        return g_strdup("the lab has no NIC that is a PCI function (<nic>)");
    if (plan->node_count < suite->needs_nodes)
        return g_strdup_printf("the lab has %u nodes; %u are needed", plan->node_count,
                               suite->needs_nodes);
    return NULL;
}

GStrv
suite_cases(const Suite *suite, const Plan *plan)
{
    if (!suite->is_check)
        return g_strdupv((char **)suite->cases);
    g_autoptr(GString) manifest = g_string_new(NULL);
    emit_manifest(plan, manifest);
    return compare_subjects(manifest->str);
}

guint
suite_timeout_ms(const Suite *suite, Accel accel)
{
    return suite->timeout_seconds * 1000 * (accel == ACCEL_KVM ? 1 : SUITE_TCG_FACTOR);
}

GStrv
suite_environment(const Plan *plan)
{
    g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
    g_autofree char *lab = g_strdup_printf("HOSTBED_LAB=%s", plan->lab_name);
    g_autofree char *host = g_strdup_printf("HOSTBED_HOST=%s", plan->host_id);
    g_strv_builder_add_many(builder, "HOSTBED_MANIFEST=" SUITE_MANIFEST_PATH, lab, host,
                            NULL);
    if (plan->tainted)
        g_strv_builder_add(builder, "HOSTBED_TAINTED=1");
    return g_strv_builder_end(builder);
}

/* ---- shards
 * ------------------------------------------------------------------------------------ */

gboolean
shard_parse(const char *text, Shard *shard, GError **error)
{
    g_auto(GStrv) parts = g_strsplit(text, "/", -1);
    guint64 index = 0, count = 0;
    if (g_strv_length(parts) == 2 &&
        g_ascii_string_to_unsigned(parts[1], 10, 1, 100000, &count, NULL) &&
        g_ascii_string_to_unsigned(parts[0], 10, 1, count, &index, NULL)) {
        *shard = (Shard){(guint)index, (guint)count};
        return TRUE;
    }
    g_set_error(error, HB_ERROR, HB_USAGE,
                "'%s' is no shard; 'K/N' is one, with K from 1 to N, as in 2/5", text);
    return FALSE;
}

gboolean
shard_has(Shard shard, guint number, guint total)
{
    return (guint64)number * shard.count / total == shard.index - 1;
}
