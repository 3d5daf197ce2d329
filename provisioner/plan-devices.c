/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What one function is: the emulator's device for it, its properties, what the guest will
 * read from it, and the driver that the micro image binds to it.
 */
#include <string.h>

#include "nearest.h"
#include "plan-steps.h"

#define MIB ((gint64)1024 * 1024)
#define NVME_DEFAULT_BYTES (64 * MIB)
#define NVME_SERIAL_LENGTH 20

/* igb is an 82576: its first virtual function follows 0x80 behind, each other one 2
 * further (hw/net/igb.c; seen in the guest). */
#define IGB_VF_OFFSET 0x80
#define IGB_VF_STRIDE 2
#define IGB_VF_DEVICE 0x10ca
#define IGB_VF_BAR_BYTES 0x4000

/* The kernel's drivers for devices that labs use. A device that is not here gets none,
 * for the micro image has only the modules that the plan names. */
static const struct {
    const char *device;
    const char *linux_driver;
    const char *modules[2];
} drivers[] = {
    {"e1000e", "e1000e", {"e1000e"}},
    {"e1000", "e1000", {"e1000"}},
    {"igb", "igb", {"igb"}},
    {"vmxnet3", "vmxnet3", {"vmxnet3"}},
    {"nvme", "nvme", {"nvme"}},
    {"virtio-net-pci", "virtio-pci", {"virtio_pci", "virtio_net"}},
    {"virtio-blk-pci", "virtio-pci", {"virtio_pci", "virtio_blk"}},
    {"virtio-scsi-pci", "virtio-pci", {"virtio_pci", "virtio_scsi"}},
    {"virtio-rng-pci", "virtio-pci", {"virtio_pci", "virtio_rng"}},
    {"virtio-serial-pci", "virtio-pci", {"virtio_pci", "virtio_console"}},
    {"virtio-balloon-pci", "virtio-pci", {"virtio_pci", "virtio_balloon"}},
    {"virtio-iommu-pci", "virtio-pci", {"virtio_pci", "virtio_iommu"}},
};

/* Properties that follow from the tree; a lab says them with the element's attributes. */
static const char *const reserved[] = {
    "id",   "driver", "bus",       "addr",        "multifunction",  "chassis",
    "slot", "bus_nr", "numa_node", "bus-reserve", "disable-acs",    "hotplug",
    "mac",  "netdev", "drive",     "serial",      "disable-legacy", "disable-modern",
};

gboolean
plan_is_virtio(const char *driver)
{
    return driver != NULL && g_str_has_prefix(driver, "virtio-");
}

static const char *
model_of(const LabNode *node)
{
    static const char *const defaults[] = {
        [LAB_EXPANDER] = "pxb-pcie",
        [LAB_PORT] = "pcie-root-port",
        [LAB_SWITCH] = "x3130-upstream",
        [LAB_DOWNSTREAM] = "xio3130-downstream",
        [LAB_NIC] = "e1000e",
        [LAB_NVME] = "nvme",
    };
    if (node->model == NULL)
        return node->kind < G_N_ELEMENTS(defaults) ? defaults[node->kind] : NULL;
    if (node->kind == LAB_NIC && g_str_equal(node->model, "virtio"))
        return "virtio-net-pci";
    return node->model;
}

/* ---- MACs
 * ------------------------------------------------------------------------------- */

static void
macs_below(const GPtrArray *nodes, GHashTable *macs)
{
    for (guint i = 0; i < nodes->len; i++) {
        const LabNode *node = g_ptr_array_index(nodes, i);
        if (node->mac != NULL)
            g_hash_table_add(macs, g_strdup(node->mac));
        macs_below(node->children, macs);
    }
}

void
plan_macs_taken(const Lab *lab, GHashTable *macs)
{
    for (guint i = 0; i < lab->hosts->len; i++) {
        const LabHost *host = g_ptr_array_index(lab->hosts, i);
        macs_below(host->nodes, macs);
        for (guint j = 0; j < host->cells->len; j++)
            macs_below(((LabCell *)g_ptr_array_index(host->cells, j))->nodes, macs);
    }
}

/* The emulator's usual prefix, and three bytes that stay the same as long as the names
 * do. */
static char *
choose_mac(Planning *planning, const LabNode *node)
{
    for (guint attempt = 0;; attempt++) {
        g_autofree char *name =
            g_strdup_printf("%s\n%s\n%s\n%u", planning->plan->lab_name,
                            planning->plan->host_id, node->id, attempt);
        g_autofree char *sum = g_compute_checksum_for_string(G_CHECKSUM_SHA256, name, -1);
        g_autofree char *mac =
            g_strdup_printf("52:54:00:%.2s:%.2s:%.2s", sum, sum + 2, sum + 4);
        if (g_hash_table_add(planning->macs, g_strdup(mac)))
            return g_steal_pointer(&mac);
    }
}

/* ---- properties
 * ------------------------------------------------------------------------- */

static gboolean
is_reserved(const char *name)
{
    for (guint i = 0; i < G_N_ELEMENTS(reserved); i++) {
        if (g_str_equal(reserved[i], name))
            return TRUE;
    }
    return FALSE;
}

void
plan_refuse_property(Planning *planning, const LabProperty *written,
                     const EmulatorDevice *facts, const char *owner)
{
    const char *meant =
        facts != NULL ? nearest_key(written->name, facts->properties, NULL) : NULL;
    g_autofree char *hint = nearest_hint(meant, "leave it out");
    findings_add(planning->findings, FINDING_UNSUPPORTED, written->pos, "property",
                 "%s of this emulator (%s) has no property %s that can be set; %s", owner,
                 planning->emulator->version, written->name, hint);
}

static void
add_written(Planning *planning, PlanFunction *function, const LabNode *node)
{
    const EmulatorDevice *facts = planning_device(planning, function->driver);

    for (guint i = 0; facts != NULL && i < node->properties->len; i++) {
        const LabProperty *written = g_ptr_array_index(node->properties, i);
        const char *type = g_hash_table_lookup(facts->properties, written->name);
        if (is_reserved(written->name)) {
            findings_add(planning->findings, FINDING_ERROR, written->pos, "property",
                         "property %s of %s follows from the tree; say it with an "
                         "attribute of the "
                         "element",
                         written->name, node->id);
        } else if (type == NULL) {
            plan_refuse_property(planning, written, facts, function->driver);
        } else if (!plan_property_text(function->properties, written->name,
                                       written->value, type)) {
            findings_add(planning->findings, FINDING_ERROR, written->pos, "property",
                         "property %s of %s takes a value of type %s, not \"%s\"%s",
                         written->name, function->driver, type, written->value,
                         g_ascii_isdigit(written->value[0]) ? "; numbers are below 2^63"
                                                            : "");
        }
    }
}

/* TRUE if the device takes it; else it is reported, in the lab's own word for it. */
static gboolean
needs_property(Planning *planning, const PlanFunction *function, const char *property,
               const char *attribute)
{
    if (planning_device_takes(planning, function->driver, property))
        return TRUE;
    findings_add(planning->findings, FINDING_UNSUPPORTED, function->pos, "property",
                 "%s is a %s, which has no property %s in this emulator (%s), so %s "
                 "cannot be set; "
                 "choose another model",
                 function->id, function->driver, property, planning->emulator->version,
                 attribute);
    return FALSE;
}

static void
plan_port(Planning *planning, PlanFunction *function, const LabNode *node)
{
    /* Neither ioh3420 nor the ports of the switch have the capability, as the guest
     * shows. */
    const gboolean has_acs = g_str_equal(function->driver, "pcie-root-port");

    function->chassis = node->chassis;
    function->port_slot = node->port_slot;
    function->hotplug = node->hotplug != LAB_OFF;
    function->acs = has_acs && node->acs != LAB_OFF;
    if (node->hotplug != LAB_UNSET &&
        needs_property(planning, function, "hotplug", "hotplug"))
        plan_property_bool(function->properties, "hotplug", function->hotplug);
    if (node->bus_reserve > 0 &&
        needs_property(planning, function, "bus-reserve", "bus-reserve"))
        plan_property_int(function->properties, "bus-reserve", node->bus_reserve);
    if (node->acs == LAB_ON && !has_acs)
        findings_add(planning->findings, FINDING_ERROR, node->pos, "acs",
                     "port %s is an %s, which has no ACS; write model=\"pcie-root-port\"",
                     node->id, function->driver);
    if (node->acs == LAB_OFF && has_acs &&
        needs_property(planning, function, "disable-acs", "acs"))
        plan_property_bool(function->properties, "disable-acs", TRUE);
}

static void
check_port_model(Planning *planning, const PlanFunction *function)
{
    static const char *const models[] = {
        "pcie-root-port", "ioh3420", "x3130-upstream", "xio3130-downstream", "pxb-pcie",
    };
    for (guint i = 0; i < G_N_ELEMENTS(models); i++) {
        if (g_str_equal(function->driver, models[i]))
            return;
    }
    findings_add(
        planning->findings, FINDING_ERROR, function->pos, "model",
        "%s cannot be a %s; ports are pcie-root-port or ioh3420, switches x3130-upstream "
        "with xio3130-downstream",
        function->id, function->driver);
}

static void
plan_nic(Planning *planning, PlanFunction *function, const LabNode *node)
{
    function->mac = node->mac != NULL ? g_strdup(node->mac) : choose_mac(planning, node);
    function->network = g_strdup(node->network);
    function->vfs = MAX(node->vfs, 0);
    if (needs_property(planning, function, "mac", "a MAC"))
        plan_property_string(function->properties, "mac", function->mac);
    if (function->vfs > 0 && !g_str_equal(function->driver, "igb")) {
        findings_add(
            planning->findings, FINDING_ERROR, node->pos, "vfs",
            "nic %s is a %s, which has no virtual functions; write model=\"igb\"",
            node->id, function->driver);
        function->vfs = 0;
    }
    const PlanLimit *limit = plan_limit("vfs");
    if (function->vfs > limit->maximum) {
        planning_limit(planning, "vfs", node->pos,
                       "nic %s has %d virtual functions; use more NICs", node->id,
                       function->vfs);
        function->vfs = 0;
    }
}

/* Linux refuses the second of two controllers of one serial number, so that an id that is
 * too long for one is not only cut. */
static char *
nvme_serial(const LabNode *node)
{
    if (node->serial || strlen(node->id) <= NVME_SERIAL_LENGTH)
        return g_strndup(node->serial ? node->serial : node->id, NVME_SERIAL_LENGTH);
    g_autofree char *digest =
        g_compute_checksum_for_string(G_CHECKSUM_SHA256, node->id, -1);
    return g_strdup_printf("%.11s-%.8s", node->id, digest);
}

static void
plan_nvme(PlanFunction *function, const LabNode *node)
{
    g_autofree char *serial = nvme_serial(node);
    plan_property_string(function->properties, "serial", serial);
    function->size_bytes =
        node->size_bytes != LAB_AUTO ? node->size_bytes : NVME_DEFAULT_BYTES;
}

/* Without the platform's IOMMU virtio goes around it. hostbed's own channel does, so that
 * it works whatever happens to the IOMMU; and the IOMMU does not translate for itself. */
static void
plan_virtio(Planning *planning, PlanFunction *function)
{
    plan_property_string(function->properties, "disable-legacy", "on");
    if (planning->plan->iommu.model != LAB_IOMMU_NONE && !function->is_own)
        plan_property_bool(function->properties, "iommu_platform", TRUE);
}

/* ---- what the guest reads
 * --------------------------------------------------------------- */

static gboolean
has_property(const PlanFunction *function, const char *name)
{
    for (guint i = 0; i < function->properties->len; i++) {
        const PlanProperty *property = g_ptr_array_index(function->properties, i);
        if (g_str_equal(property->name, name))
            return TRUE;
    }
    return FALSE;
}

/* An option ROM costs boot time and serves nobody here. */
static gboolean
drops_rom(PlanFunction *function, const EmulatorDevice *facts)
{
    if (!g_hash_table_contains(facts->properties, "romfile") ||
        has_property(function, "romfile"))
        return FALSE;
    for (guint i = 0; i < facts->bars->len; i++) {
        if (g_array_index(facts->bars, EmulatorBar, i).index == 6) {
            plan_property_string(function->properties, "romfile", "");
            return TRUE;
        }
    }
    return FALSE;
}

/* A clone announces itself nowhere. An emulator that was told so forgets the timer of a
 * virtio NIC that can have its driver announce it, and ends by signal 11 when that is
 * reset (seen with QEMU 7.2 and 10.0). */
static void
drop_announcement(PlanFunction *function, const EmulatorDevice *facts)
{
    if (g_hash_table_contains(facts->properties, "guest_announce") &&
        !has_property(function, "guest_announce"))
        plan_property_bool(function->properties, "guest_announce", FALSE);
}

/* A virtio device that was looked at with its legacy form on has the old id and an I/O
 * BAR; hostbed switches that off (virtio 1.1, 4.1.2). */
static guint16
modern_virtio_id(guint16 device)
{
    static const struct {
        guint16 legacy, modern;
    } ids[] = {
        {0x1000, 0x1041}, {0x1001, 0x1042}, {0x1002, 0x1045}, {0x1003, 0x1043},
        {0x1004, 0x1048}, {0x1005, 0x1044}, {0x1009, 0x1049},
    };
    for (guint i = 0; i < G_N_ELEMENTS(ids); i++) {
        if (ids[i].legacy == device)
            return ids[i].modern;
    }
    return device;
}

static void
copy_facts(PlanFunction *function, const EmulatorDevice *facts, gboolean without_rom)
{
    const gboolean is_virtio = plan_is_virtio(function->driver);

    function->vendor = facts->vendor;
    function->device = is_virtio ? modern_virtio_id(facts->device) : facts->device;
    function->class_code = facts->class_code;
    for (guint i = 0; i < facts->bars->len; i++) {
        const EmulatorBar *bar = &g_array_index(facts->bars, EmulatorBar, i);
        if ((bar->index == 6 && without_rom) || (is_virtio && bar->is_io))
            continue;
        g_array_append_val(function->bars, *bar);
    }
}

static const char *
linux_driver(const PlanFunction *function)
{
    if (function->role == PLAN_ROOT_PORT || function->role == PLAN_UPSTREAM ||
        function->role == PLAN_DOWNSTREAM)
        return "pcieport";
    for (guint i = 0; i < G_N_ELEMENTS(drivers); i++) {
        if (g_str_equal(drivers[i].device, function->driver))
            return drivers[i].linux_driver;
    }
    return NULL;
}

/* ---- a function
 * ------------------------------------------------------------------------- */

static void
plan_kind(Planning *planning, PlanFunction *function, const LabNode *node)
{
    switch (node->kind) {
    case LAB_PORT:
    case LAB_DOWNSTREAM:
        check_port_model(planning, function);
        plan_port(planning, function, node);
        break;
    case LAB_SWITCH:
    case LAB_EXPANDER:
        check_port_model(planning, function);
        break;
    case LAB_NIC:
        plan_nic(planning, function, node);
        break;
    case LAB_NVME:
        plan_nvme(function, node);
        break;
    case LAB_DEVICE:
        break;
    }
}

static gboolean
is_endpoint(gconstpointer device)
{
    const EmulatorDevice *facts = device;
    return facts->is_pci && (facts->class_code >> 16) != 0x06;
}

/* Where a model is to be had that is younger than emulators in use; else what a name that
 * was mistyped probably means. Owned by the caller. */
static char *
way_to_device(const Planning *planning, const PlanFunction *function)
{
    const char *meant = NULL;
    if (g_str_equal(function->driver, "igb"))
        return g_strdup(
            "QEMU has it since 8.0 (Debian 13, backports of Debian 12, Fedora 39): "
            "name such an emulator with --emulator, or use another model");
    if (function->kind == LAB_DEVICE)
        meant = nearest_key(function->driver, planning->emulator->devices, is_endpoint);
    return nearest_hint(meant, "use another emulator (--emulator) or model");
}

/* A bridge written as a plain device would take bus numbers that nobody counts. */
static gboolean
check_facts(Planning *planning, const PlanFunction *function, const EmulatorDevice *facts)
{
    if (facts == NULL && g_str_has_prefix(function->driver, "isa-")) {
        findings_add(planning->findings, FINDING_ERROR, function->pos, "device",
                     "%s, which %s asks for, is a device of the ISA bus and no PCI "
                     "device; name one that is, or write it as an <arg> of <qemu>",
                     function->driver, function->id);
        return FALSE;
    }
    if (facts == NULL) {
        g_autofree char *way_out = way_to_device(planning, function);
        findings_add(planning->findings, FINDING_UNSUPPORTED, function->pos, "device",
                     "this emulator (%s) has no PCI device %s, which %s needs; %s",
                     planning->emulator->version, function->driver, function->id,
                     way_out);
        return FALSE;
    }
    if (!facts->is_pci) {
        findings_add(planning->findings, FINDING_ERROR, function->pos, "device",
                     "%s, which %s asks for, is no PCI device; name one that is",
                     function->driver, function->id);
        return FALSE;
    }
    if (function->kind == LAB_DEVICE && (facts->class_code >> 16) == 0x06) {
        findings_add(planning->findings, FINDING_ERROR, function->pos, "device",
                     "%s is a bridge; write <port>, <switch> or <expander> for one",
                     function->driver);
        return FALSE;
    }
    if (!facts->is_probed)
        findings_add(
            planning->findings, FINDING_WARNING, function->pos, "device",
            "what a %s shows the guest is not known, so %s will differ from the manifest",
            function->driver, function->id);
    return TRUE;
}

/* NODE is NULL for what is hostbed's own: then driver and place are set. */
void
plan_device(Planning *planning, PlanFunction *function, const LabNode *node)
{
    if (node != NULL)
        function->driver = g_strdup(model_of(node));
    if (function->driver == NULL) {
        findings_add(
            planning->findings, FINDING_ERROR, function->pos, "model",
            "device %s has no model; write model=\"…\" with a device of the emulator",
            function->id);
        return;
    }
    const EmulatorDevice *facts = planning_device(planning, function->driver);
    if (node == NULL)
        function->pos = planning->host->pos;
    if (!check_facts(planning, function, facts))
        return;
    if (node == NULL)
        function->pos = (FilePos){NULL, 0};
    else
        plan_kind(planning, function, node);
    if (plan_is_virtio(function->driver))
        plan_virtio(planning, function);
    if (node != NULL)
        add_written(planning, function, node);
    drop_announcement(function, facts);
    copy_facts(function, facts, drops_rom(function, facts));
    function->linux_driver = linux_driver(function);
}

/* ---- virtual functions
 * ------------------------------------------------------------------ */

static PlanFunction *
virtual_function(PlanFunction *physical, int index)
{
    g_autofree char *id = g_strdup_printf("%s-vf%d", physical->id, index);
    PlanFunction *function = plan_function_new(PLAN_VF, physical->kind, id);
    const int devfn = (physical->address.slot << 3 | physical->address.function) +
                      IGB_VF_OFFSET + IGB_VF_STRIDE * index;
    const EmulatorBar bars[] = {
        {.index = 0,
         .is_64bit = TRUE,
         .is_prefetchable = TRUE,
         .size_bytes = IGB_VF_BAR_BYTES},
        {.index = 3,
         .is_64bit = TRUE,
         .is_prefetchable = TRUE,
         .size_bytes = IGB_VF_BAR_BYTES},
    };

    function->physical = physical;
    function->pos = physical->pos;
    function->parent = physical->parent;
    function->bus = g_strdup(physical->bus);
    function->address = (PciAddress){physical->address.bus, (guint8)(devfn >> 3 & 31),
                                     (guint8)(devfn & 7)};
    function->cell = physical->cell;
    function->node = physical->node;
    function->vendor = physical->vendor;
    function->device = IGB_VF_DEVICE;
    function->class_code = physical->class_code;
    g_array_append_vals(function->bars, bars, G_N_ELEMENTS(bars));
    function->linux_driver = "igbvf";
    return function;
}

void
plan_virtual_functions(Planning *planning)
{
    GPtrArray *functions = planning->plan->functions;
    const guint count = functions->len;

    for (guint i = 0; i < count; i++) {
        PlanFunction *physical = g_ptr_array_index(functions, i);
        for (int j = 0; j < physical->vfs; j++) {
            PlanFunction *function = virtual_function(physical, j);
            g_ptr_array_add(functions, function);
            if (function->parent != NULL)
                g_ptr_array_add(function->parent->children, function);
        }
    }
    g_ptr_array_sort(functions, plan_compare_functions);
}

/* ---- modules
 * ---------------------------------------------------------------------------- */

static void
add_module(GPtrArray *modules, const char *name)
{
    if (name != NULL &&
        !g_ptr_array_find_with_equal_func(modules, name, g_str_equal, NULL))
        g_ptr_array_add(modules, g_strdup(name));
}

/* The driver of the virtio IOMMU, and what it stands on. */
static gboolean
is_of_iommu(const char *module)
{
    return g_str_equal(module, "virtio_pci") || g_str_equal(module, "virtio_iommu");
}

/* Linux puts off the drivers of functions behind an IOMMU that has no driver yet, and
 * then starts them at a time of its own, so the IOMMU's comes first. */
static gint
compare_modules(gconstpointer a, gconstpointer b)
{
    const char *x = *(char *const *)a, *y = *(char *const *)b;
    if (is_of_iommu(x) != is_of_iommu(y))
        return is_of_iommu(x) ? -1 : 1;
    return is_of_iommu(x) ? -strcmp(x, y) : strcmp(x, y);
}

void
plan_modules(Planning *planning)
{
    Plan *plan = planning->plan;

    for (guint i = 0; i < plan->functions->len; i++) {
        const PlanFunction *function = g_ptr_array_index(plan->functions, i);
        if (function->role == PLAN_VF)
            add_module(plan->modules, function->linux_driver);
        for (guint j = 0; function->driver != NULL && j < G_N_ELEMENTS(drivers); j++) {
            if (!g_str_equal(drivers[j].device, function->driver))
                continue;
            add_module(plan->modules, drivers[j].modules[0]);
            add_module(plan->modules, drivers[j].modules[1]);
        }
    }
    g_ptr_array_sort(plan->modules, compare_modules);
    /* A panic is told by the emulator, and not only by the console's last line. */
    add_module(plan->optional_modules, "pvpanic_mmio");
}
