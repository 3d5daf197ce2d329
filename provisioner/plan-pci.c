/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The tree of PCI functions: what hangs where, as which function. Their slots are in
 * plan-slots.c; bus numbers come later (plan-buses.c).
 */
#include <string.h>

#include "plan-slots.h"

/* Where a display goes on pcie.0, as libvirt has it; and what hostbed puts at the far
 * end. */
#define DISPLAY_SLOT 1
#define CHANNEL_SLOT 0x1d
#define IOMMU_SLOT 0x1e
#define DISK_SLOT 0x1c
#define CHANNEL_ID "hostbed-agent"
#define IOMMU_ID "hostbed-iommu"
#define DISK_ID "hostbed-disk"

static gboolean
may_stand_below(const PlanFunction *owner, const LabNode *node)
{
    LabKind kind = node->kind;
    if (owner == NULL)
        return kind != LAB_DOWNSTREAM && kind != LAB_SWITCH;
    switch (owner->role) {
    case PLAN_EXPANDER:
        return kind == LAB_PORT || kind == LAB_SWITCH;
    case PLAN_ROOT_PORT:
    case PLAN_DOWNSTREAM:
        return kind == LAB_NIC || kind == LAB_NVME || kind == LAB_DEVICE ||
               kind == LAB_SWITCH;
    case PLAN_UPSTREAM:
        return kind == LAB_DOWNSTREAM;
    default:
        return FALSE;
    }
}

static const char *
what_may_stand_below(const PlanFunction *owner)
{
    if (owner == NULL)
        return "expanders, ports and devices";
    switch (owner->role) {
    case PLAN_EXPANDER:
        return "ports and switches: put it into a <port>";
    case PLAN_ROOT_PORT:
    case PLAN_DOWNSTREAM:
        return "devices and switches";
    case PLAN_UPSTREAM:
        return "<downstream> ports: put it into one";
    default:
        return "nothing";
    }
}

static PlanRole
role_of(LabKind kind)
{
    switch (kind) {
    case LAB_EXPANDER:
        return PLAN_EXPANDER;
    case LAB_PORT:
        return PLAN_ROOT_PORT;
    case LAB_SWITCH:
        return PLAN_UPSTREAM;
    case LAB_DOWNSTREAM:
        return PLAN_DOWNSTREAM;
    default:
        return PLAN_ENDPOINT;
    }
}

/* ---- functions of the lab
 * --------------------------------------------------------------- */

static int
node_of_cell(const Planning *planning, int cell)
{
    if (cell == PLAN_NONE)
        return PLAN_NONE;
    return ((PlanCell *)g_ptr_array_index(planning->plan->cells, (guint)cell))->node;
}

static PlanFunction *
add_function(Planning *planning, const LabNode *node, const PlanFunction *owner, int cell)
{
    PlanFunction *function = plan_function_new(role_of(node->kind), node->kind, node->id);
    function->pos = node->pos;
    function->bus = g_strdup(owner != NULL ? owner->id : "pcie.0");
    function->cell = cell;
    function->node =
        function->role == PLAN_EXPANDER ? PLAN_NONE : node_of_cell(planning, cell);
    function->multifunction = node->multifunction == LAB_ON;
    g_ptr_array_add(planning->plan->functions, function);
    plan_device(planning, function, node);
    return function;
}

/* Several devices below one port are functions of one device; say what that costs. */
static void
check_packing(Planning *planning, const PlanFunction *owner)
{
    if (owner->children->len < 2)
        return;
    const PlanFunction *first = g_ptr_array_index(owner->children, 0);
    for (guint i = 0; i < owner->children->len; i++) {
        const PlanFunction *function = g_ptr_array_index(owner->children, i);
        if (function->driver != NULL && g_str_equal(function->driver, "igb")) {
            findings_add(
                planning->findings, FINDING_ERROR, function->pos, "igb-packed",
                "igb %s shares port %s with other devices, and then the guest sees "
                "one of them at most; give each igb a port of its own",
                function->id, owner->id);
        }
    }
    findings_add(planning->findings, FINDING_NOTE, first->pos, "packed",
                 "%u devices on port %s are functions of one device, so %s; give each a "
                 "port of its "
                 "own to part them",
                 owner->children->len, owner->id,
                 planning->plan->iommu.model != LAB_IOMMU_NONE
                     ? "they share one IOMMU group and can only be assigned together"
                     : "an IOMMU would put them into one group");
}

static void
add_below(Planning *planning, PlanFunction *owner, const GPtrArray *nodes, int cell);

/* Gives slots to NODES on BUS, the written ones first, and goes down into each. FUNCTIONS
 * get what was made, in the order of the nodes. */
static void
add_nodes(Planning *planning, PlanBus *bus, const GPtrArray *nodes, const GArray *cells,
          GPtrArray *functions)
{
    int last_slot = PLAN_NONE;

    for (guint i = 0; i < nodes->len; i++) {
        const LabNode *node = g_ptr_array_index(nodes, i);
        if (!may_stand_below(bus->owner, node)) {
            findings_add(planning->findings, FINDING_ERROR, node->pos, "place",
                         "%s %s cannot stand %s%s, which takes %s",
                         lab_kind_name(node->kind), node->id,
                         bus->owner != NULL ? "in " : "on the root bus",
                         bus->owner != NULL ? bus->owner->id : "",
                         what_may_stand_below(bus->owner));
            g_ptr_array_add(functions, NULL);
            continue;
        }
        g_ptr_array_add(functions, add_function(planning, node, bus->owner,
                                                g_array_index(cells, int, i)));
        if (node->slot != LAB_AUTO)
            plan_bus_take_written(planning, bus, g_ptr_array_index(functions, i), node);
    }
    for (guint i = 0; i < nodes->len; i++) {
        const LabNode *node = g_ptr_array_index(nodes, i);
        PlanFunction *function = g_ptr_array_index(functions, i);
        if (function == NULL)
            continue;
        if (node->slot == LAB_AUTO)
            plan_bus_take_next(planning, bus, function, node, &last_slot);
        else
            last_slot = node->slot;
        add_below(planning, function, node->children, function->cell);
    }
    plan_bus_mark_multifunction(planning, bus);
}

/* The children of OWNER, a bridge or an expander. */
static void
add_below(Planning *planning, PlanFunction *owner, const GPtrArray *nodes, int cell)
{
    PlanBus bus = {.owner = owner, .first_auto = 0, .last_auto = 31};
    g_autoptr(GPtrArray) functions = g_ptr_array_new();
    g_autoptr(GArray) cells = g_array_new(FALSE, FALSE, sizeof(int));
    g_autoptr(GPtrArray) filling = plan_filling(planning, owner, nodes);

    if (filling != NULL)
        nodes = filling;
    for (guint i = 0; i < nodes->len; i++)
        g_array_append_val(cells, cell);
    add_nodes(planning, &bus, nodes, cells, functions);
    for (guint i = 0; i < functions->len; i++) {
        PlanFunction *function = g_ptr_array_index(functions, i);
        if (function == NULL)
            continue;
        function->parent = owner->role != PLAN_EXPANDER ? owner : NULL;
        g_ptr_array_add(owner->children, function);
    }
    g_ptr_array_sort(owner->children, plan_compare_functions);
    if (plan_bus_is_link(&bus))
        check_packing(planning, owner);
}

/* ---- the root bus
 * ----------------------------------------------------------------------- */

static PlanFunction *
builtin_function(Planning *planning, const EmulatorDevice *facts)
{
    PlanFunction *function = plan_function_new(PLAN_BUILTIN, LAB_DEVICE, NULL);
    function->vendor = facts->vendor;
    function->device = facts->device;
    function->class_code = facts->class_code;
    g_array_append_vals(function->bars, facts->bars->data, facts->bars->len);
    g_ptr_array_add(planning->plan->functions, function);
    return function;
}

/* The AMD IOMMU brings a function of its own, in the first slot that it finds free. */
static void
add_amd_function(Planning *planning, PlanBus *bus)
{
    const EmulatorDevice *facts = planning_device(planning, "AMDVI-PCI");
    if (planning->plan->iommu.model == LAB_IOMMU_AMD && facts != NULL)
        plan_bus_take(bus, builtin_function(planning, facts), DISPLAY_SLOT, 0);
}

static void
add_builtin(Planning *planning, PlanBus *bus)
{
    const GPtrArray *builtin = planning->emulator->builtin;

    for (guint i = 0; i < builtin->len; i++) {
        const EmulatorBuiltin *from = g_ptr_array_index(builtin, i);
        PlanFunction *function = builtin_function(planning, from->device);
        plan_bus_take(bus, function, from->slot & 31, from->function & 7);
    }
    for (int slot = 0; slot < 32; slot++) {
        for (int number = 1; number < 8; number++) {
            if (bus->taken[slot][0] != NULL && bus->taken[slot][number] != NULL)
                bus->taken[slot][0]->multifunction = TRUE;
        }
    }
}

/* What hostbed adds for itself: at PREFERRED, or at the last free slot below. */
static PlanFunction *
add_own(Planning *planning, PlanBus *bus, const char *id, const char *driver,
        int preferred)
{
    PlanFunction *function = plan_function_new(PLAN_ENDPOINT, LAB_DEVICE, id);
    int slot = preferred;

    function->bus = g_strdup("pcie.0");
    function->is_own = TRUE;
    function->driver = g_strdup(driver);
    g_ptr_array_add(planning->plan->functions, function);
    plan_device(planning, function, NULL);
    while (slot > DISPLAY_SLOT && plan_bus_free_function(bus, slot) != 0)
        slot--;
    if (slot <= DISPLAY_SLOT) {
        planning_limit(planning, "slots-per-bus", planning->host->pos,
                       "the root bus has no slot left for %s, which hostbed needs; "
                       "take a device off it",
                       driver);
        return function;
    }
    plan_bus_take(bus, function, slot, 0);
    return function;
}

/* Written slots on the root bus may be where hostbed would put its own; theirs come
 * first. */
static gboolean
slot_is_written(const GPtrArray *nodes, int slot)
{
    for (guint i = 0; i < nodes->len; i++) {
        const LabNode *node = g_ptr_array_index(nodes, i);
        if (node->slot == slot)
            return TRUE;
    }
    return FALSE;
}

static int
own_slot(const GPtrArray *nodes, int preferred)
{
    while (preferred > DISPLAY_SLOT && slot_is_written(nodes, preferred))
        preferred--;
    return preferred;
}

/* The disk of an image. Where there is no room for what is written the host is stopped,
 * which else would go on with a file system that lost something; of other errors it is
 * told, since they may be asked for (disk-faults.h), and those that are not end it
 * (launch-watch.c). No command changes this while it runs. */
static void
add_disk(Planning *planning, PlanBus *bus, const GPtrArray *nodes)
{
    const LabImage *image = planning->plan->image;
    if (image == NULL)
        return;
    PlanFunction *disk =
        add_own(planning, bus, DISK_ID, "virtio-blk-pci", own_slot(nodes, DISK_SLOT));
    plan_property_string(disk->properties, "werror", "enospc");
    plan_property_string(disk->properties, "rerror", "report");
    if (image->loader)
        plan_property_int(disk->properties, "bootindex", 0);
}

/* Expanders get a slot each while there are slots; when there are too many, eight share
 * one. */
static void
pack_expanders(Planning *planning, PlanBus *bus, GPtrArray *nodes, GPtrArray *copies)
{
    guint count = 0, packed = 0;

    for (guint i = 0; i < nodes->len; i++) {
        const LabNode *node = g_ptr_array_index(nodes, i);
        count += node->slot == LAB_AUTO && node->function == LAB_AUTO;
    }
    if ((int)count <= plan_bus_free_slots(bus))
        return;
    for (guint i = 0; i < nodes->len; i++) {
        LabNode *node = g_ptr_array_index(nodes, i);
        if (node->kind != LAB_EXPANDER || node->slot != LAB_AUTO ||
            node->function != LAB_AUTO)
            continue;
        LabNode *copy = g_memdup2(node, sizeof *node);
        copy->function = (int)(packed++ % 8);
        g_ptr_array_add(copies, copy);
        nodes->pdata[i] = copy;
    }
}

static void
gather_root_nodes(Planning *planning, GPtrArray *nodes, GArray *cells)
{
    const LabHost *host = planning->host;
    const int none = PLAN_NONE;

    for (guint i = 0; i < host->cells->len; i++) {
        const LabCell *cell = g_ptr_array_index(host->cells, i);
        const int index = (int)i;
        for (guint j = 0; j < cell->nodes->len; j++) {
            LabNode *node = g_ptr_array_index(cell->nodes, j);
            if (node->kind != LAB_EXPANDER) {
                findings_add(
                    planning->findings, FINDING_ERROR, node->pos, "place",
                    "%s %s cannot stand in a cell without an expander, for the root bus "
                    "belongs to no cell; put it into an <expander>",
                    lab_kind_name(node->kind), node->id);
                continue;
            }
            g_ptr_array_add(nodes, node);
            g_array_append_val(cells, index);
        }
    }
    for (int expanders = TRUE; expanders >= FALSE; expanders--) {
        for (guint j = 0; j < host->nodes->len; j++) {
            LabNode *node = g_ptr_array_index(host->nodes, j);
            if ((node->kind == LAB_EXPANDER) != expanders)
                continue;
            g_ptr_array_add(nodes, node);
            g_array_append_val(cells, none);
        }
    }
}

static void
add_root(Planning *planning, int number, PlanFunction *expander)
{
    PlanRoot *root = g_new0(PlanRoot, 1);
    root->bus = number;
    root->expander = expander;
    root->cell = expander != NULL ? expander->cell : PLAN_NONE;
    root->node = node_of_cell(planning, root->cell);
    root->functions = g_ptr_array_new();
    g_ptr_array_add(planning->plan->roots, root);
}

void
plan_pci(Planning *planning)
{
    /* Slot 0 is the host bridge's, 31 the south bridge's. */
    PlanBus bus = {.owner = NULL, .first_auto = DISPLAY_SLOT + 1, .last_auto = 30};
    g_autoptr(GPtrArray) nodes = g_ptr_array_new();
    g_autoptr(GPtrArray) copies = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GPtrArray) functions = g_ptr_array_new();
    g_autoptr(GArray) cells = g_array_new(FALSE, FALSE, sizeof(int));

    gather_root_nodes(planning, nodes, cells);
    add_builtin(planning, &bus);
    add_amd_function(planning, &bus);
    add_own(planning, &bus, CHANNEL_ID, "virtio-serial-pci",
            own_slot(nodes, CHANNEL_SLOT));
    if (planning->plan->iommu.model == LAB_IOMMU_VIRTIO)
        add_own(planning, &bus, IOMMU_ID, "virtio-iommu-pci",
                own_slot(nodes, IOMMU_SLOT));
    add_disk(planning, &bus, nodes);
    pack_expanders(planning, &bus, nodes, copies);
    add_nodes(planning, &bus, nodes, cells, functions);

    add_root(planning, 0, NULL);
    for (guint i = 0; i < nodes->len; i++) {
        const LabNode *node = g_ptr_array_index(nodes, i);
        PlanFunction *function = g_ptr_array_index(functions, i);
        if (function != NULL && function->role == PLAN_EXPANDER)
            add_root(planning, node->bus, function);
    }
}
