/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "suite.h"

#include <string.h>

#include "cases.h"
#include "compare.h"
#include "disks.h"
#include "emit.h"
#include "error.h"
#include "memory-wire.h"

#define NAME(name) #name,
static const char *const numa_cases[] = {NUMA_CASES(NAME) NULL};
static const char *const numa_moves_cases[] = {NUMA_MOVES_CASES(NAME) NULL};
static const char *const numa_cpus_cases[] = {NUMA_CPUS_CASES(NAME) NULL};
static const char *const pci_cases[] = {PCI_CASES(NAME) NULL};
static const char *const iommu_cases[] = {IOMMU_CASES(NAME) NULL};
static const char *const hugepages_cases[] = {HUGEPAGES_CASES(NAME) NULL};
static const char *const vfio_cases[] = {VFIO_CASES(NAME) NULL};
static const char *const dma_cases[] = {DMA_CASES(NAME) NULL};
static const char *const sriov_cases[] = {SRIOV_CASES(NAME) NULL};
static const char *const aer_cases[] = {AER_CASES(NAME) NULL};
static const char *const disk_cases[] = {DISK_CASES(NAME) NULL};
static const char *const memory_cases[] = {MEMORY_CASES(NAME) NULL};
static const char *const hotplug_cases[] = {HOTPLUG_CASES(NAME) NULL};
static const char *const nested_cases[] = {NESTED_CASES(NAME) NULL};
static const char *const network_cases[] = {NETWORK_CASES(NAME) NULL};
static const char *const outage_cases[] = {OUTAGE_CASES(NAME) NULL};
static const char *const migration_cases[] = {MIGRATION_CASES(NAME) NULL};
static const char *const libvirt_cases[] = {LIBVIRT_CASES(NAME) NULL};

/* ---- states
 * ---------------------------------------------------------------------------------------
 */

/* VFIO is loaded and has the functions that suites take first. */
static const HostState bound = {
    .name = "bound", .program = "vfio", .timeout_seconds = 60};
/* A guest runs with the first of them, and answers; one that is Linux drives it. */
static const HostState guest = {
    .name = "guest", .on = &bound, .program = "nested", .timeout_seconds = 100};
static const HostState linux_guest = {
    .name = "linux-guest", .on = &bound, .program = "nested", .timeout_seconds = 150};

/* The host has a connection to each that it is joined with, which is in use. */
static const HostState connected = {
    .name = "connected", .program = "network", .timeout_seconds = 60};

static const CaseState network_states[] = {
    {"connections_outlive_the_checkpoint", &connected},
    {"connections_outlive_a_lost_link", &connected},
    {NULL, NULL},
};

/* Those that are about what the host's own drivers do before. */
static const CaseState vfio_states[] = {
    {"function_is_bound_and_given_back", NULL},
    {"group_is_viable_beside_bridges", NULL},
    {"group_with_a_function_of_the_host_is_refused", NULL},
    {NULL, NULL},
};

static const CaseState nested_states[] = {
    {"kvm_runs_guest_code", NULL},
    {"guest_drives_its_function", &guest},
    {"function_is_plugged_into_a_running_guest", &guest},
    {"frames_pass_between_guests", &guest},
    {"linux_drives_its_function", &linux_guest},
    {"frames_pass_between_linux_and_the_host", &linux_guest},
    {"linux_takes_a_plugged_function", &linux_guest},
    {"linux_drives_a_virtual_function", NULL},
    {NULL, NULL},
};

/* ---- suites
 * ---------------------------------------------------------------------------------------
 */

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
        .case_seconds = 40,
    },
    {
        .name = "numa-moves",
        .cases = numa_moves_cases,
        .summary = "policies of tasks and memory; memory that moves from node to node",
        .needs_nodes = 2,
        .timeout_seconds = 60,
        .case_seconds = 40,
    },
    {
        .name = "numa-cpus",
        .cases = numa_cpus_cases,
        .summary = "tasks and interrupts on their CPUs; CPUs that go and come back",
        .timeout_seconds = 60,
        .case_seconds = 40,
    },
    {
        .name = "pci",
        .cases = pci_cases,
        .summary = "every function: parent, ids, node, local CPUs, driver",
        .timeout_seconds = 60,
        .case_seconds = 40,
    },
    {
        .name = "iommu",
        .cases = iommu_cases,
        .summary = "the kernel uses the IOMMU, and every group has its members",
        .needs_iommu = TRUE,
        .timeout_seconds = 60,
        .case_seconds = 40,
    },
    {
        .name = "hugepages",
        .cases = hugepages_cases,
        .summary = "huge pages: reserved, faulted in, on the right node",
        .needs_hugepages = TRUE,
        .timeout_seconds = 120,
        .case_seconds = 40,
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
        .state = &bound,
        .case_states = vfio_states,
        .timeout_seconds = 60,
        .case_seconds = 40,
    },
    {
        .name = "dma",
        .cases = dma_cases,
        .summary =
            "a NIC driven from user space reaches the memory that is mapped for it, "
            "and no other",
        .needs_iommu = TRUE,
        .needs_nic = TRUE,
        .counts = TRUE,
        .uses_vfio = TRUE,
        .state = &bound,
        .timeout_seconds = 120,
        .case_seconds = 60,
    },
    {
        .name = "sriov",
        .cases = sriov_cases,
        .summary = "virtual functions: made, addressed, driven side by side, connected",
        .needs_vfs = TRUE,
        .uses_vfio = TRUE,
        .timeout_seconds = 60,
        .case_seconds = 40,
    },
    {
        .name = "aer",
        .cases = aer_cases,
        .summary = "errors that functions report: counted, recovered from, told on",
        .needs_nic = TRUE,
        .uses_vfio = TRUE,
        .timeout_seconds = 120,
        .case_seconds = 60,
    },
    {
        .name = "disk",
        .cases = disk_cases,
        .summary = "a disk that fails, or does not answer: told, and nothing else harmed",
        .disturbs = TRUE,
        .timeout_seconds = 60,
        .case_seconds = 30,
    },
    {
        .name = "hotplug",
        .cases = hotplug_cases,
        .summary =
            "NICs that are plugged while the host runs: found, used, given back, again "
            "and again",
        .needs_iommu = TRUE,
        .plugs = TRUE,
        .uses_vfio = TRUE,
        .timeout_seconds = 400,
        .case_seconds = 150,
    },
    {
        .name = "memory",
        .cases = memory_cases,
        .summary = "memory that is plugged while the host runs: used, and given back",
        .grows = TRUE,
        .timeout_seconds = 120,
        .case_seconds = 60,
    },
    {
        .name = "nested",
        .cases = nested_cases,
        .summary = "the host runs guests of its own and gives them its functions",
        .needs_iommu = TRUE,
        .needs_nic = TRUE,
        .needs_mib = 1024,
        .uses_vfio = TRUE,
        .uses_kvm = TRUE,
        .state = &bound,
        .case_states = nested_states,
        .timeout_seconds = 300,
        .case_seconds = 150,
    },
    {
        .name = "network",
        .cases = network_cases,
        .summary = "hosts that networks join: names, addresses, frames, links, losses",
        .joins = TRUE,
        .case_states = network_states,
        .timeout_seconds = 120,
        .case_seconds = 60,
    },
    {
        .name = "outage",
        .cases = outage_cases,
        .summary = "a host that networks join with others hangs, panics, loses its power",
        .joins = TRUE,
        .ends = TRUE,
        .timeout_seconds = 60,
        .case_seconds = 60,
    },
    {
        .name = "migration",
        .cases = migration_cases,
        .summary = "a guest inside moves to another host that networks join",
        .joins = TRUE,
        .needs_iommu = TRUE,
        .needs_mib = 512,
        .uses_vfio = TRUE,
        .uses_kvm = TRUE,
        .peers_too = TRUE,
        .timeout_seconds = 200,
        .case_seconds = 100,
    },
    {
        .name = "libvirt",
        .cases = libvirt_cases,
        .summary =
            "libvirt in the host's distribution sees the host as it was asked for, and "
            "gives a function to a guest",
        .needs_system = TRUE,
        .timeout_seconds = 120,
        .case_seconds = 60,
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

const Suite *
suite_find_in(const GPtrArray *list, const char *name)
{
    for (guint i = 0; i < list->len; i++) {
        const Suite *suite = list->pdata[i];
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
has_function(const Plan *plan, gboolean (*is_one)(const PlanFunction *function))
{
    for (guint i = 0; i < plan->functions->len; i++)
        if (is_one(plan->functions->pdata[i]))
            return TRUE;
    return FALSE;
}

static gboolean
is_nic(const PlanFunction *function)
{
    return function->class_code >> 8 == 0x0200 && function->role != PLAN_VF;
}

static gboolean
is_vf(const PlanFunction *function)
{
    return function->role == PLAN_VF;
}

static gboolean
has_disk(const Plan *plan)
{
    g_autofree char *disks = disks_environment(plan);
    return disks != NULL;
}

/* ---- other people's
 * ---------------------------------------------------------------------------------- */

static void
foreign_free(gpointer data)
{
    Suite *suite = data;
    g_free((char *)suite->name);
    g_strfreev(suite->command);
    g_free(suite);
}

static gboolean
is_taken(const GPtrArray *list, const char *name)
{
    for (guint i = 0; i < list->len; i++)
        if (g_str_equal(((const Suite *)list->pdata[i])->name, name))
            return TRUE;
    return suite_find(name) || g_str_equal(name, "host");
}

/* "numa" of the machine is numa[2], as the first is ours. */
static char *
foreign_name(const GPtrArray *list, const char *program)
{
    g_autofree char *base = g_path_get_basename(program);
    char *name = g_strdup(base);
    for (guint n = 2; is_taken(list, name); n++) {
        g_free(name);
        name = g_strdup_printf("%s[%u]", base, n);
    }
    return name;
}

/* A program that is named by a path is called by its absolute one, inside, too. */
static void
make_absolute(char **word)
{
    if (!strchr(*word, '/') || !g_file_test(*word, G_FILE_TEST_IS_REGULAR))
        return;
    char *path = g_canonicalize_filename(*word, NULL);
    g_free(*word);
    *word = path;
}

GPtrArray *
suites_foreign(const char *option, const char *const *commands, guint timeout_seconds,
               GError **error)
{
    static const char *const none[] = {NULL};
    g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func(foreign_free);
    for (; commands && *commands; commands++) {
        g_autoptr(GError) reason = NULL;
        g_auto(GStrv) words = NULL;
        if (!g_shell_parse_argv(*commands, NULL, &words, &reason) || *words[0] == '\0') {
            g_set_error(error, HB_ERROR, HB_USAGE, "%s '%s' is no command: %s", option,
                        *commands, reason ? reason->message : "its name is empty");
            return NULL;
        }
        make_absolute(&words[0]);
        Suite *suite = g_new0(Suite, 1);
        suite->name = foreign_name(list, words[0]);
        suite->summary = "somebody else's";
        suite->cases = none;
        suite->timeout_seconds = timeout_seconds;
        suite->command = g_steal_pointer(&words);
        g_ptr_array_add(list, suite);
    }
    return g_steal_pointer(&list);
}

/* What pools of huge pages leave of the host's memory. */
static gint64
ordinary_mib(const Plan *plan)
{
    gint64 bytes = plan->memory_bytes;
    for (guint i = 0; i < plan->cells->len; i++) {
        const PlanCell *cell = plan->cells->pdata[i];
        for (guint j = 0; cell->hugepages && j < cell->hugepages->len; j++) {
            const PlanHugepages *pool = &g_array_index(cell->hugepages, PlanHugepages, j);
            bytes -= pool->count * pool->page_bytes;
        }
    }
    return bytes >> 20;
}

static gboolean
has_pluggable(const Plan *plan)
{
    g_autoptr(GPtrArray) functions = plan_pluggable(plan);
    return functions->len > 0;
}

static gboolean
has_slot(const Plan *plan)
{
    g_autoptr(GPtrArray) offered = plan_pluggable_memory(plan, MEMORY_MODULES_MAX);
    return offered->len > 0;
}

char *
suite_unmet(const Suite *suite, const Plan *plan)
{
    if (suite->needs_system && !plan->image)
        return g_strdup("the lab's host runs no distribution (<image>)");
    if (suite->needs_iommu && plan->iommu.model == LAB_IOMMU_NONE)
        return g_strdup("the lab has no IOMMU (<iommu>)");
    if (suite->needs_hugepages && !has_hugepages(plan))
        return g_strdup("no cell of the lab has huge pages (<hugepages>)");
    if (suite->needs_nic && !has_function(plan, is_nic))
        return g_strdup("the lab has no NIC that is a PCI function (<nic>)");
    if (suite->needs_vfs && !has_function(plan, is_vf))
        return g_strdup("no NIC of the lab has virtual functions (<nic vfs>)");
    if (suite->plugs && !has_pluggable(plan))
        return g_strdup("no port of the lab is empty and has room for a NIC (<port/>)");
    if (suite->grows && !has_slot(plan))
        return g_strdup("the lab's host has no slot for memory (<maxMemory>)");
    if (suite->disturbs && !has_disk(plan))
        return g_strdup("the lab's host has no disk (<nvme>)");
    if (suite->joins && (!plan->peers || plan->peers->len == 0))
        return g_strdup("no network joins the lab's host with another (<network>)");
    if (plan->node_count < suite->needs_nodes)
        return g_strdup_printf("the lab has %u node%s; %u are needed", plan->node_count,
                               plan->node_count == 1 ? "" : "s", suite->needs_nodes);
    if (ordinary_mib(plan) < suite->needs_mib)
        return g_strdup_printf("the host has %" G_GINT64_FORMAT
                               " MiB of memory beside huge pages; %u are needed",
                               ordinary_mib(plan), suite->needs_mib);
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

static guint
limit_ms(const Suite *suite, guint seconds, Accel accel)
{
    gboolean as_given = accel == ACCEL_KVM || suite->command;
    return seconds * 1000 * (as_given ? 1 : SUITE_TCG_FACTOR);
}

guint
suite_timeout_ms(const Suite *suite, Accel accel)
{
    return limit_ms(suite, suite->timeout_seconds, accel);
}

guint
suite_case_timeout_ms(const Suite *suite, Accel accel)
{
    return limit_ms(suite, suite->case_seconds, accel);
}

guint
host_state_timeout_ms(const HostState *state, Accel accel)
{
    return state->timeout_seconds * 1000 * (accel == ACCEL_KVM ? 1 : SUITE_TCG_FACTOR);
}

const HostState *
suite_state(const Suite *suite, const char *only)
{
    for (const CaseState *one = suite->case_states; only && one && one->name; one++) {
        if (g_str_equal(one->name, only))
            return one->state;
    }
    return suite->state;
}

/* Which functions are wired to each other, as no one inside can see; NULL: none. */
static char *
networks_of(const Plan *plan)
{
    g_autoptr(GString) text = g_string_new(NULL);
    char address[PCI_ADDRESS_SIZE];
    for (guint i = 0; i < plan->functions->len; i++) {
        const PlanFunction *function = plan->functions->pdata[i];
        if (function->network)
            g_string_append_printf(
                text, "%s%s=%s", text->len > 0 ? " " : "HOSTBED_NETWORKS=",
                pci_address_text(function->address, address), function->network);
    }
    return text->len > 0 ? g_strdup(text->str) : NULL;
}

GStrv
suite_environment(const Plan *plan)
{
    g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
    g_autofree char *lab = g_strdup_printf("HOSTBED_LAB=%s", plan->lab_name);
    g_autofree char *host = g_strdup_printf("HOSTBED_HOST=%s", plan->host_id);
    g_strv_builder_add_many(builder, "HOSTBED_MANIFEST=" SUITE_MANIFEST_PATH, lab, host,
                            NULL);
    g_autofree char *networks = networks_of(plan);
    if (networks)
        g_strv_builder_add(builder, networks);
    if (plan->image)
        g_strv_builder_add(builder, "HOSTBED_SYSTEM=1");
    if (plan->tainted)
        g_strv_builder_add(builder, "HOSTBED_TAINTED=1");
    /* Only tests have it (vmtests/suite.h). */
    const char *fault = g_getenv(SUITE_FAULT);
    if (fault) {
        g_autofree char *word = g_strconcat(SUITE_FAULT "=", fault, NULL);
        g_strv_builder_add(builder, word);
    }
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
