/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The limits of the field, each with its reason: refusals quote it, the guide lists the
 * table.
 */
#include "plan-steps.h"

const PlanLimit plan_limits[] = {
    {"cells", FALSE, 128, "cells",
     "the emulator's MAX_NODES; proximity domains beyond it do not exist"},
    {"device-only-cells", FALSE, 1, "such cell",
     "the emulator lists such cells in an order of its own, so the numbers of their "
     "nodes cannot be foretold"},
    {"buses", FALSE, 256, "buses",
     "a PCI segment has bus numbers 0 to 255, the emulator has one segment, and where "
     "numbers run out devices vanish without a word"},
    {"expanders", FALSE, 64, "expanders",
     "more than 64 root buses were not seen to work, and the firmware numbers one after "
     "the other"},
    {"slots-per-bus", FALSE, 32, "slots", "a slot has five bits in a PCI address"},
    {"functions-per-port", FALSE, 8, "functions",
     "a port leads to one device, and a device has up to eight functions"},
    {"io-bridges", FALSE, 14, "such ports",
     "each port with an I/O BAR below takes 4 KiB of 64 KiB I/O space; at the 15th "
     "SeaBIOS hangs with \"PCI: out of I/O address space\" and OVMF leaves BARs without "
     "address"},
    {"vfs", FALSE, 7, "virtual functions",
     "an igb has eight pools, one of which is its own"},
    {"joined-hosts", FALSE, 32, "hosts",
     "hosts that networks join are started all together, whichever is tested"},
    {"apic-ids", FALSE, 255, "as APIC id",
     "larger ones need x2APIC, and for that the IOMMU's extended interrupt mode"},
    {"least-memory", TRUE, 128, "MiB",
     "with 96 Linux 6.1 and the image run out of memory before the host is up"},
    {"memory-slots", FALSE, 256, "slots", "the emulator's ACPI_MAX_RAM_SLOTS"},
    {"total-memory", FALSE, 4096, "TiB", "the physical addresses of x86 have 52 bits"},
    {"command-line", FALSE, 2047, "bytes",
     "what is behind them Linux cuts off on x86 without a word, by its "
     "COMMAND_LINE_SIZE"},
    {NULL, FALSE, 0, NULL, NULL},
};

const PlanLimit *
plan_limit(const char *name)
{
    for (const PlanLimit *limit = plan_limits; limit->name != NULL; limit++) {
        if (g_str_equal(limit->name, name))
            return limit;
    }
    return NULL;
}

const char *
plan_limit_bound(const PlanLimit *limit)
{
    return limit->is_least ? "at least" : "at most";
}

gint64
plan_memory_maximum(void)
{
    return plan_limit("total-memory")->maximum << 40;
}

void
planning_limit(Planning *planning, const char *name, FilePos pos, const char *format, ...)
{
    const PlanLimit *limit = plan_limit(name);
    va_list arguments;

    g_return_if_fail(limit != NULL);
    va_start(arguments, format);
    g_autofree char *message = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    findings_add(planning->findings, FINDING_ERROR, pos, limit->name,
                 "%s (%s %" G_GINT64_FORMAT " %s: %s)", message, plan_limit_bound(limit),
                 limit->maximum, limit->unit, limit->reason);
}

static gboolean
has_io_bar(const PlanFunction *function)
{
    for (guint i = 0; i < function->bars->len; i++) {
        if (g_array_index(function->bars, EmulatorBar, i).is_io)
            return TRUE;
    }
    return FALSE;
}

static gboolean
leads_to_io(const PlanFunction *function)
{
    if (function->role != PLAN_ROOT_PORT && function->role != PLAN_DOWNSTREAM)
        return FALSE;
    for (guint i = 0; i < function->children->len; i++) {
        if (has_io_bar(g_ptr_array_index(function->children, i)))
            return TRUE;
    }
    return FALSE;
}

static void
check_io_bridges(Planning *planning)
{
    const Plan *plan = planning->plan;
    const gint64 maximum = plan_limit("io-bridges")->maximum;
    const PlanFunction *breaking = NULL;
    gint64 count = 0;

    for (guint i = 0; i < plan->functions->len; i++) {
        const PlanFunction *function = g_ptr_array_index(plan->functions, i);
        if (leads_to_io(function) && ++count == maximum + 1)
            breaking = function;
    }
    if (breaking != NULL)
        planning_limit(planning, "io-bridges", breaking->pos,
                       "%" G_GINT64_FORMAT
                       " ports have a device with an I/O BAR below, %s is one too "
                       "many; put up to eight NICs on one port, or use virtio or NVMe, "
                       "which have no "
                       "I/O BAR",
                       count, breaking->id);
}

static void
check_expanders(Planning *planning)
{
    const Plan *plan = planning->plan;
    const gint64 maximum = plan_limit("expanders")->maximum;
    const PlanFunction *breaking = NULL;
    gint64 count = 0;

    for (guint i = 0; i < plan->functions->len; i++) {
        const PlanFunction *function = g_ptr_array_index(plan->functions, i);
        if (function->role == PLAN_EXPANDER && ++count == maximum + 1)
            breaking = function;
    }
    if (breaking != NULL)
        planning_limit(planning, "expanders", breaking->pos,
                       "the host has %" G_GINT64_FORMAT
                       " expanders; put more ports on fewer of them",
                       count);
}

static void
check_cells(Planning *planning)
{
    const Plan *plan = planning->plan;
    const gint64 maximum = plan_limit("cells")->maximum;

    if ((gint64)plan->cells->len <= maximum)
        return;
    const PlanCell *breaking = g_ptr_array_index(plan->cells, (guint)maximum);
    planning_limit(planning, "cells", breaking->pos, "the host has %u cells; use fewer",
                   plan->cells->len);
}

/* The one limit that is a least; the cells' memory counts together. */
static void
check_memory(Planning *planning)
{
    const gint64 mib = 1024 * 1024;
    const gint64 memory = planning->plan->memory_bytes;

    if (memory < plan_limit("least-memory")->maximum * mib)
        planning_limit(planning, "least-memory", planning->host->pos,
                       "the host has %" G_GINT64_FORMAT
                       " MiB of memory, with which it cannot boot; give its cells more",
                       memory / mib);
}

void
plan_check_cell_limits(Planning *planning)
{
    check_cells(planning);
    check_memory(planning);
}

void
plan_check_pci_limits(Planning *planning)
{
    check_expanders(planning);
    check_io_bridges(planning);
}
