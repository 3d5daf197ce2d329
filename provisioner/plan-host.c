/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A host planned: its machine and command line, the steps in their order, and the hosts
 * of a lab one after the other.
 */
#include <string.h>

#include "plan-steps.h"
#include "probes.h"

#define MIB ((gint64)1024 * 1024)

static void
plan_machine(Planning *planning)
{
    const LabHost *host = planning->host;
    Plan *plan = planning->plan;
    const char *machine = host->machine;
    const FilePos pos = host->machine_pos.file != NULL ? host->machine_pos : host->pos;

    if (machine == NULL || g_str_equal(machine, "q35"))
        machine = planning->emulator->default_machine;
    else if (!g_str_has_prefix(machine, "pc-q35-"))
        findings_add(planning->findings, FINDING_ERROR, pos, "machine",
                     "machine %s is not one whose addresses hostbed can tell; leave it "
                     "out or name "
                     "a q35, such as %s",
                     machine, planning->emulator->default_machine);
    else if (!g_hash_table_contains(planning->emulator->machines, machine))
        findings_add(planning->findings, FINDING_UNSUPPORTED, pos, "machine",
                     "this emulator (%s) has no machine %s; leave it out or name a q35 "
                     "that it has, such as %s",
                     planning->emulator->version, machine,
                     planning->emulator->default_machine);
    plan->machine = g_strdup(machine);
    plan->firmware =
        host->firmware == LAB_FIRMWARE_AUTO ? LAB_FIRMWARE_BIOS : host->firmware;
    /* The emulator keeps a memory map for each CPU that can enter that mode, and draws
     * all of them anew for every change of a BAR. BIOS and Linux do without; EFI may not.
     */
    plan->tcg_without_smm = plan->firmware == LAB_FIRMWARE_BIOS;
    plan->has_generation_id = planning_device(planning, "vmgenid") != NULL;
    plan->kernel = g_strdup(host->kernel);
    for (guint i = 0; i < host->interconnects->len; i++)
        g_ptr_array_add(plan->interconnects,
                        lab_interconnect_copy(g_ptr_array_index(host->interconnects, i)));
    for (guint i = 0; i < host->qemu_args->len; i++) {
        const LabProperty *argument = g_ptr_array_index(host->qemu_args, i);
        g_ptr_array_add(plan->raw_args, g_strdup(argument->name));
    }
    plan->tainted = plan->raw_args->len > 0;
    for (guint i = 0; i < host->cells->len; i++)
        g_ptr_array_add(plan->cells,
                        plan_cell_new(g_ptr_array_index(host->cells, i), (int)i));
}

/* Pages reserved at boot by the kernel (NODE:COUNT), or later by the agent (wire.h:
 * NODE:SIZE:COUNT). */
static void
add_hugepages(const Plan *plan, GString *words, gboolean at_boot, const char *separator)
{
    for (guint node = 0; node < plan->node_count; node++) {
        for (guint i = 0; i < plan->cells->len; i++) {
            const PlanCell *cell = g_ptr_array_index(plan->cells, i);
            for (guint j = 0; cell->node == (int)node && j < cell->hugepages->len; j++) {
                const PlanHugepages *pages =
                    &g_array_index(cell->hugepages, PlanHugepages, j);
                if (pages->at_boot != at_boot)
                    continue;
                g_string_append_printf(words, "%s%u:", separator, node);
                if (!at_boot)
                    g_string_append_printf(
                        words, "%" G_GINT64_FORMAT "kB:", pages->page_bytes / 1024);
                g_string_append_printf(words, "%" G_GINT64_FORMAT, pages->count);
                separator = ",";
            }
        }
    }
}

/* What the agent makes before anybody looks: see wire.h. */
static void
add_vfs(const Plan *plan, GString *words)
{
    const char *separator = " hostbed.vfs=";
    for (guint i = 0; i < plan->functions->len; i++) {
        const PlanFunction *function = g_ptr_array_index(plan->functions, i);
        char address[PCI_ADDRESS_SIZE];
        if (function->vfs == 0)
            continue;
        g_string_append_printf(words, "%s%s:%d", separator,
                               pci_address_text(function->address, address),
                               function->vfs);
        separator = ",";
    }
}

/* Whoever starts the host again to see more puts " loglevel=7 " behind all this. */
#define CMDLINE_LATER 12

static void
check_cmdline(Planning *planning, gsize own)
{
    const gint64 maximum = plan_limit("command-line")->maximum;
    const Plan *plan = planning->plan;
    const gsize later = CMDLINE_LATER + (plan->image != NULL ? PLAN_ROOT_MAX : 0);
    const gsize length = strlen(plan->tcg_cmdline) + 1 + strlen(plan->direct_cmdline) +
                         1 + strlen(plan->cmdline) + later;

    if ((gint64)length > maximum)
        planning_limit(planning, "command-line", planning->host->kernel_pos,
                       "the kernel's command line would have %" G_GSIZE_FORMAT
                       " bytes, %" G_GSIZE_FORMAT " of the lab's own and %" G_GSIZE_FORMAT
                       " that hostbed needs, each huge page size of a cell among them; "
                       "shorten cmdline, or have fewer cells with huge pages",
                       length, own, length - own);
}

/* A distribution's names of network interfaces stay the kernel's, so that the agent's are
 * the same in every host; the console is for logs, which a login would disturb, and has
 * those of its services. */
static void
add_system(const Plan *plan, GString *words)
{
    if (plan->image != NULL)
        g_string_append_printf(words,
                               " net.ifnames=0 systemd.hostname=%s systemd.getty_auto=no "
                               "systemd.show_status=1 TERM=dumb",
                               plan->host_id);
}

/* The words that the machine needs, then the lab's own, so that those can take something
 * back. */
static void
plan_cmdline(Planning *planning)
{
    Plan *plan = planning->plan;
    /* log_buf_len: a hundred NICs fill the kernel's own buffer, and suites and agent look
     * for lines from its beginning. panic=-1: a panic that the panic device did not tell
     * is seen as a reset, at once. no_timer_check: where the machine is busy, emulated
     * ticks come too late for the kernel's test of the I/O APIC, and it panics; the
     * emulator's timer needs no test. cryptomgr.notests: the kernel's tests of its own
     * ciphers are not about the machine.
     */
    g_autoptr(GString) words =
        g_string_new("console=ttyS0 quiet panic=-1 no_timer_check log_buf_len=1M "
                     "cryptomgr.notests");

    /* Linux does not trust the counter of an emulated CPU and would measure the delay
     * loop of each, slowly and with results that differ by four. lpj: loops per tick of a
     * counter of 5 GHz at 250 ticks a second, so that no delay is too short. To have it
     * trusted (tsc=reliable) is no way out, see docs/facts.rst.
     */
    plan->tcg_cmdline = "lpj=20000000";

    /* These drivers sleep for most of the time that a NIC takes them, so several NICs can
     * sleep at once; a module is still loaded only when all of its NICs are there. Not
     * for libvirt, whose emulation has a thread for each CPU and does not bear it.
     */
    plan->direct_cmdline = "driver_async_probe=e1000e,igb";

    if (plan->iommu.model == LAB_IOMMU_INTEL)
        g_string_append(words, " intel_iommu=on");
    if (plan->iommu.model == LAB_IOMMU_INTEL && plan->iommu.scalable == LAB_ON)
        g_string_append(words, ",sm_on");

    /* What is plugged is used at once, and only for what can be moved away again. */
    if (plan->memory_slots > 0)
        g_string_append(words, " memhp_default_state=online_movable");
    add_hugepages(plan, words, TRUE, " hugepagesz=1G hugepages=");
    add_hugepages(plan, words, FALSE, " hostbed.hugepages=");
    add_vfs(plan, words);
    g_string_append_printf(words, " hostname=%s", plan->host_id);
    add_system(plan, words);
    const char *own = planning->host->cmdline != NULL ? planning->host->cmdline : "";
    if (own[0] != '\0')
        g_string_append_printf(words, " %s", own);
    plan->cmdline = g_string_free(g_steal_pointer(&words), FALSE);
    check_cmdline(planning, strlen(own));
}

/* The order is that of need: the IOMMU decides about properties of functions, slots come
 * before buses, buses before addresses, addresses before groups. What a step finds is not
 * told where it may follow from what the checks found in one of the parts it NEEDS. */
static const struct {
    void (*run)(Planning *planning);
    guint needs; /* LabPart */
} steps[] = {
    {plan_machine, LAB_PART_BOOT},
    {plan_cpu_model, LAB_PART_CPU},
    {plan_cells, LAB_PART_CELLS | LAB_PART_CPU | LAB_PART_DISTANCES},
    {plan_slots, LAB_PART_CELLS},
    {plan_iommu, LAB_PART_IOMMU},
    {plan_pci, LAB_PART_NODES},
    {plan_buses, LAB_PART_NODES},
    {plan_virtual_functions, LAB_PART_NODES},
    {plan_groups, LAB_PART_NODES | LAB_PART_IOMMU},
    {plan_generic_initiators, LAB_PART_CELLS | LAB_PART_NODES},
    {plan_hugepages, LAB_PART_CELLS | LAB_PART_HUGEPAGES},
    {plan_modules, LAB_PART_NODES},
    {plan_cmdline, LAB_PART_CELLS | LAB_PART_HUGEPAGES | LAB_PART_BOOT},
    {plan_check_cell_limits, LAB_PART_CELLS},
    {plan_check_pci_limits, LAB_PART_NODES},
    {plan_os, 0},
    {plan_os_resources, LAB_PART_CELLS | LAB_PART_CPU},
    {plan_os_firmware, LAB_PART_BOOT},
    {plan_os_devices, LAB_PART_NODES | LAB_PART_IOMMU},
};

static Plan *
plan_once(Planning *planning, PlanBackend backend, guint wrong)
{
    Findings *findings = planning->findings;
    g_autoptr(Findings) untold = findings_new();

    planning->plan = plan_new(planning->lab, planning->host, backend);
    for (guint i = 0; i < G_N_ELEMENTS(steps); i++) {
        planning->findings = steps[i].needs & wrong ? untold : findings;
        steps[i].run(planning);
    }
    return planning->plan;
}

static void
add_all(GHashTable *set, GHashTable *more)
{
    GHashTableIter iter;
    gpointer key;
    g_hash_table_iter_init(&iter, more);
    while (g_hash_table_iter_next(&iter, &key, NULL))
        g_hash_table_add(set, g_strdup(key));
}

static GHashTable *
macs_new(void)
{
    return g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
}

/* The NICs that are there from the start get the same MACs both times. */
static Plan *
plan_host(const Planning *planning, PlanBackend backend, guint wrong)
{
    g_autoptr(GHashTable) macs = macs_new();
    g_autoptr(Findings) untold = findings_new();
    Planning once = *planning, filled = *planning;
    add_all(macs, planning->macs);
    Plan *plan = plan_once(&once, backend, wrong);

    if (wrong != 0 || !findings_ok(planning->findings) || !plan_has_empty_port(plan))
        return plan;
    filled.macs = macs;
    filled.findings = untold;
    filled.filling = TRUE;
    plan->filled = plan_once(&filled, backend, wrong);
    if (!findings_ok(untold))
        g_clear_pointer(&plan->filled, plan_free);
    else
        add_all(planning->macs, macs);
    return plan;
}

static GPtrArray *
plan_hosts(const Lab *lab, const Emulator *emulator, GHashTable *oses,
           PlanBackend backend, guint wrong, Findings *findings)
{
    g_autoptr(GHashTable) macs = macs_new();
    g_autoptr(GPtrArray) plans =
        g_ptr_array_new_with_free_func((GDestroyNotify)plan_free);

    plan_macs_taken(lab, macs);
    for (guint i = 0; i < lab->hosts->len; i++) {
        const LabHost *host = g_ptr_array_index(lab->hosts, i);
        const char *system = plan_os_word(host);
        Planning planning = {
            .lab = lab,
            .host = host,
            .emulator = emulator,
            .os = oses && system ? g_hash_table_lookup(oses, system) : NULL,
            .findings = findings,
            .macs = macs,
        };
        g_ptr_array_add(plans, plan_host(&planning, backend, wrong));
    }
    if (wrong == 0 && findings_ok(findings))
        plan_addresses(lab, plans, findings);
    if (!findings_ok(findings))
        return NULL;
    for (guint i = 0; i < plans->len; i++) {
        const Plan *plan = plans->pdata[i];
        PROBE3(lab_planned, plan->lab_name, plan->host_id, plan->memory_bytes);
    }
    return g_steal_pointer(&plans);
}

GPtrArray *
plan_lab(const Lab *lab, const Emulator *emulator, GHashTable *oses, PlanBackend backend,
         Findings *findings)
{
    return plan_hosts(lab, emulator, oses, backend, 0, findings);
}

GPtrArray *
plan_checked_lab(const Lab *lab, const Emulator *emulator, GHashTable *oses,
                 PlanBackend backend, Findings *findings)
{
    const guint wrong = lab_check(lab, findings);
    return plan_hosts(lab, emulator, oses, backend, wrong, findings);
}
