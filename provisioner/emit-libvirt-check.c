/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What libvirt's domain cannot say of a plan, and so is refused.
 */
#include <string.h>

#include "emit-libvirt.h"
#include "emit-parts.h"

/* A controller of virtio-serial has 31 ports, of which the first is a console's and one
 * is the agent's; each NIC has two. */
#define JOINED_MAX 14

static void
check_cells(const Plan *plan, Findings *findings)
{
    for (guint i = 0; i < plan->cells->len; i++) {
        const PlanCell *cell = g_ptr_array_index(plan->cells, i);
        if (cell->memory_bytes == 0)
            findings_add(
                findings, FINDING_UNSUPPORTED, cell->pos, "libvirt-memory",
                "libvirt gives every cell a memory backend, which the emulator refuses "
                "when it is empty; give cell %s memory, or start the lab by hostbed",
                cell->id);
        else if (cell->memory_bytes % 1024 != 0)
            findings_add(
                findings, FINDING_UNSUPPORTED, cell->pos, "libvirt-memory",
                "libvirt counts memory in KiB; give cell %s a whole number of them",
                cell->id);
    }
}

static void
check_iommu(const Plan *plan, Findings *findings)
{
    if (plan->iommu.model == LAB_IOMMU_AMD)
        findings_add(
            findings, FINDING_UNSUPPORTED, plan->pos, "libvirt-iommu",
            "libvirt has no word for the amd IOMMU; use intel or virtio, or start the "
            "lab by hostbed");
}

/* A device that libvirt does not know of cannot be joined to one of its networks. */
static void
check_networks(const Plan *plan, Findings *findings)
{
    for (guint i = 0; i < plan->functions->len; i++) {
        const PlanFunction *function = g_ptr_array_index(plan->functions, i);
        if (function->network && !libvirt_interface_model(function))
            findings_add(
                findings, FINDING_UNSUPPORTED, function->pos, "libvirt-network",
                "libvirt does not know the NIC model %s, so %s cannot join network %s; "
                "use e1000e or virtio, or leave the network out",
                function->driver, function->id, function->network);
    }
}

static void
check_machine(const Plan *plan, Findings *findings)
{
    for (guint i = 0; i < plan->machine_properties->len; i++) {
        const PlanProperty *property = g_ptr_array_index(plan->machine_properties, i);
        if (property != libvirt_irqchip(plan) && !g_str_equal(property->name, "hmat"))
            findings_add(
                findings, FINDING_UNSUPPORTED, plan->pos, "libvirt-machine",
                "libvirt has no word for the machine's property %s; leave out what "
                "needs it, or start the lab by hostbed",
                property->name);
    }
}

/* For more channels libvirt adds a controller, which the host would see. */
static void
check_joined(const Plan *plan, Findings *findings)
{
    g_autoptr(GPtrArray) joined = plan_joined(plan);
    if (joined->len <= JOINED_MAX)
        return;
    const PlanFunction *first_too_many = joined->pdata[JOINED_MAX];
    findings_add(findings, FINDING_UNSUPPORTED, first_too_many->pos, "libvirt-network",
                 "%u NICs of the host are on networks that join hosts, and libvirt's "
                 "channels are enough for %d; leave some out, or start the lab by "
                 "hostbed",
                 joined->len, JOINED_MAX);
}

void
emit_libvirt_check_domain(const Plan *plan, Findings *findings)
{
    check_joined(plan, findings);
    check_cells(plan, findings);
    check_iommu(plan, findings);
    check_machine(plan, findings);
}

void
emit_libvirt_check(const Plan *plan, Findings *findings)
{
    emit_libvirt_check_domain(plan, findings);
    check_networks(plan, findings);
}
