/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Checks of the PCI elements and the IOMMU. What depends on the emulator or on other
 * choices, such as bus ranges, is the planner's.
 */
#include "lab-check.h"

#include <string.h>

#include "nearest.h"

#define FUNCTIONS 8
#define SLOTS 32
#define IGB_VFS                                                                          \
    7 /* QEMU hw/net/igb_common.h: IGB_MAX_VF_FUNCTIONS less the one that Linux keeps */

static const LabNode *
node_at(const GPtrArray *nodes, guint index)
{
    return g_ptr_array_index(nodes, index);
}

static gboolean
is_port(const LabNode *node)
{
    return node->kind == LAB_PORT || node->kind == LAB_DOWNSTREAM;
}

/* ---- models --------------------------------------------------------------------- */

static void
check_port_model(LabCheck *check, const LabNode *port)
{
    if (g_strcmp0(port->model, "ioh3420") != 0)
        return;
    if (port->acs == LAB_ON)
        lab_check_say(
            check, port->pos,
            "ioh3420 has no ACS; leave model out for a pcie-root-port, which has");
    if (port->bus_reserve > 0)
        lab_check_say(
            check, port->pos,
            "ioh3420 cannot reserve buses; leave model out for a pcie-root-port, which "
            "can");
}

static void
check_ports(LabCheck *check)
{
    for (guint i = 0; i < check->nodes->len; i++)
        if (node_at(check->nodes, i)->kind == LAB_PORT)
            check_port_model(check, node_at(check->nodes, i));
}

static void
check_vfs(LabCheck *check)
{
    for (guint i = 0; i < check->nodes->len; i++) {
        const LabNode *nic = node_at(check->nodes, i);
        if (nic->vfs > 0 && g_strcmp0(nic->model, "igb") != 0)
            lab_check_say(
                check, nic->pos,
                "only an igb has virtual functions; write model='igb' or leave vfs out");
        else if (nic->vfs > IGB_VFS)
            lab_check_say(check, nic->pos,
                          "an igb has at most %d virtual functions, not %d", IGB_VFS,
                          nic->vfs);
    }
}

/* Models that are more than an endpoint have elements of their own. */
static void
check_device_models(LabCheck *check)
{
    static const struct {
        const char *model, *element;
    } owned[] = {
        {"pxb", "expander"},          {"pxb-pcie", "expander"},
        {"pcie-root-port", "port"},   {"ioh3420", "port"},
        {"x3130-upstream", "switch"}, {"xio3130-downstream", "downstream"},
        {"intel-iommu", "iommu"},     {"amd-iommu", "iommu"},
        {"virtio-iommu", "iommu"},    {"virtio-iommu-pci", "iommu"},
    };
    for (guint i = 0; i < check->nodes->len; i++) {
        const LabNode *node = node_at(check->nodes, i);
        for (gsize j = 0; node->kind == LAB_DEVICE && j < G_N_ELEMENTS(owned); j++)
            if (strcmp(node->model, owned[j].model) == 0)
                lab_check_say(check, node->pos,
                              "%s has an element of its own; write <%s>", node->model,
                              owned[j].element);
    }
}

/* What hostbed itself tells the emulator about a device, and how an author says it. */
static const char *
owner_of_property(const char *name)
{
    static const struct {
        const char *name, *instead;
    } owned[] = {
        {"addr", "the attributes slot and function"},
        {"bus", "the element's place, in the port that it is plugged into"},
        {"bus-reserve", "the attribute bus-reserve"},
        {"bus_nr", "the attribute bus"},
        {"chassis", "the attribute chassis"},
        {"disable-acs", "the attribute acs"},
        {"drive", "the attribute size"},
        {"driver", "the attribute model"},
        {"hotplug", "the attribute hotplug"},
        {"id", "the attribute id"},
        {"mac", "<nic mac='…'>"},
        {"multifunction", "the attribute multifunction"},
        {"netdev", "<nic network='…'>"},
        {"numa_node", "the element's place, in a cell"},
        {"port", "the attribute port-slot"},
        {"serial", "the attribute serial"},
        {"slot", "the attribute port-slot"},
    };
    for (gsize i = 0; i < G_N_ELEMENTS(owned); i++)
        if (strcmp(owned[i].name, name) == 0)
            return owned[i].instead;
    return NULL;
}

static void
check_properties_of(LabCheck *check, const GPtrArray *properties, gboolean is_device)
{
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);
    for (guint i = 0; i < properties->len; i++) {
        const LabProperty *property = g_ptr_array_index(properties, i);
        const char *instead = is_device ? owner_of_property(property->name) : NULL;
        if (instead)
            lab_check_say(check, property->pos,
                          "the property %s is hostbed's own; say it by %s",
                          property->name, instead);
        if (!g_hash_table_add(seen, property->name))
            lab_check_say(check, property->pos,
                          "the property %s is there twice; write it once",
                          property->name);
    }
}

static void
check_properties(LabCheck *check)
{
    for (guint i = 0; i < check->nodes->len; i++)
        check_properties_of(check, node_at(check->nodes, i)->properties, TRUE);
    check_properties_of(check, check->host->iommu.properties, FALSE);
}

/* ---- addresses that were given -------------------------------------------------- */

static int
slot_of(const LabNode *node)
{
    return node->parent && is_port(node->parent) ? MAX(node->slot, 0) : node->slot;
}

/* Behind a port there is one device; its functions are asked for, never made in silence,
 * because they share an IOMMU group. */
static void
check_port_children(LabCheck *check, const LabNode *port)
{
    if (port->children->len > FUNCTIONS)
        lab_check_say(
            check, node_at(port->children, FUNCTIONS)->pos,
            "a port holds one device of at most %d functions, and here are %u; use "
            "more ports",
            FUNCTIONS, port->children->len);
    for (guint i = 0; i < port->children->len; i++) {
        const LabNode *child = node_at(port->children, i);
        if (child->slot > 0)
            lab_check_say(check, child->pos,
                          "behind a port there is only slot 0, not %d; leave slot out",
                          child->slot);
        if (port->children->len > 1 && child->function == LAB_AUTO &&
            child->multifunction != LAB_ON)
            lab_check_say(
                check, child->pos,
                "a port holds one device; to make these %u the functions of one, "
                "which share an IOMMU group, write multifunction='on' on each, or "
                "give each a port",
                port->children->len);
    }
}

typedef struct {
    const LabNode *functions[SLOTS][FUNCTIONS];
} Bus;

/* Two children of one bus at one address. */
static void
take_address(LabCheck *check, Bus *bus, const LabNode *node)
{
    int slot = slot_of(node);
    if (slot == LAB_AUTO || node->function == LAB_AUTO)
        return;
    const LabNode **taker = &bus->functions[slot][node->function];
    if (!*taker)
        *taker = node;
    else if ((*taker)->element == node->element)
        lab_check_say(
            check, node->pos,
            "copies of this element share the address %02x.%d; leave function or slot "
            "out",
            slot, node->function);
    else
        lab_check_say(
            check, node->pos,
            "the address %02x.%d is that of the element in line %d already; choose "
            "another or leave slot and function out",
            slot, node->function, (*taker)->pos.line);
}

static gboolean
has_free_function_zero(const GPtrArray *children, int slot)
{
    for (guint i = 0; i < children->len; i++) {
        const LabNode *node = node_at(children, i);
        if (node->function == LAB_AUTO &&
            (slot_of(node) == slot || slot_of(node) == LAB_AUTO))
            return TRUE;
    }
    return FALSE;
}

/* The bus is scanned by function 0: without it, the others are not found. */
static void
check_function_zero(LabCheck *check, const Bus *bus, const GPtrArray *children)
{
    for (int slot = 0; slot < SLOTS; slot++) {
        const LabNode *zero = bus->functions[slot][0], *other = NULL;
        for (int function = FUNCTIONS - 1; function > 0; function--)
            other =
                bus->functions[slot][function] ? bus->functions[slot][function] : other;
        if (!other)
            continue;
        if (!zero && !has_free_function_zero(children, slot))
            lab_check_say(
                check, other->pos,
                "nothing is function 0 of slot %d, and without it no other is found; "
                "add one or leave function out",
                slot);
        else if (zero && zero->multifunction == LAB_OFF)
            lab_check_say(check, zero->pos,
                          "slot %d has further functions, so multifunction cannot be off",
                          slot);
    }
}

static void
check_bus(LabCheck *check, const GPtrArray *children)
{
    Bus bus = {{{NULL}}};
    for (guint i = 0; i < children->len; i++)
        take_address(check, &bus, node_at(children, i));
    check_function_zero(check, &bus, children);
}

/* Expanders sit on bus 0 wherever they stand in the lab, as does what stands in the host.
 */
static GPtrArray *
on_bus_zero(const LabCheck *check)
{
    GPtrArray *children = g_ptr_array_new();
    for (guint i = 0; i < check->nodes->len; i++)
        if (!node_at(check->nodes, i)->parent)
            g_ptr_array_add(children, (gpointer)node_at(check->nodes, i));
    return children;
}

static void
check_addresses(LabCheck *check)
{
    g_autoptr(GPtrArray) bus_zero = on_bus_zero(check);
    check_bus(check, bus_zero);
    for (guint i = 0; i < check->nodes->len; i++) {
        const LabNode *node = node_at(check->nodes, i);
        if (is_port(node))
            check_port_children(check, node);
        if (node->children->len > 0)
            check_bus(check, node->children);
    }
}

/* The two numbers together name a slot of the machine for the guest. */
static void
check_chassis(LabCheck *check)
{
    g_autoptr(GHashTable) seen = g_hash_table_new(NULL, NULL);
    for (guint i = 0; i < check->nodes->len; i++) {
        const LabNode *port = node_at(check->nodes, i);
        if (!is_port(port) || port->chassis == LAB_AUTO || port->port_slot == LAB_AUTO)
            continue;
        gpointer key = GINT_TO_POINTER(port->chassis << 16 | port->port_slot);
        const LabNode *other = g_hash_table_lookup(seen, key);
        if (other)
            lab_check_say(
                check, port->pos,
                "chassis %d and port-slot %d are those of the port in line %d already; "
                "leave one of them out",
                port->chassis, port->port_slot, other->pos.line);
        else
            g_hash_table_insert(seen, key, (gpointer)port);
    }
}

/* ---- NICs ----------------------------------------------------------------------- */

static void
check_mac(LabCheck *check, const LabNode *nic)
{
    if (g_ascii_xdigit_value(nic->mac[1]) & 1)
        lab_check_say(
            check, nic->pos,
            "mac='%s' is a group address, because its first byte is odd; a NIC has an "
            "even one, as in '52:54:00:…'",
            nic->mac);
    else if (strcmp(nic->mac, "00:00:00:00:00:00") == 0)
        lab_check_say(check, nic->pos,
                      "a NIC cannot have the MAC address 0; leave mac out");
    const LabNode *other = g_hash_table_lookup(check->macs, nic->mac);
    if (!other)
        g_hash_table_insert(check->macs, nic->mac, (gpointer)nic);
    else if (other->element == nic->element)
        lab_check_say(
            check, nic->pos,
            "copies of this NIC share mac='%s'; end it in '+' to count up, or leave it "
            "out",
            nic->mac);
    else
        lab_check_say(check, nic->pos, "mac='%s' is that of the NIC in line %d already",
                      nic->mac, other->pos.line);
}

static void
check_macs(LabCheck *check)
{
    for (guint i = 0; i < check->nodes->len; i++)
        if (node_at(check->nodes, i)->mac)
            check_mac(check, node_at(check->nodes, i));
}

/* ---- NVMe ----------------------------------------------------------------------- */

/* Linux refuses the second controller of a name, which the emulator makes of the serial
 * number alone. */
static void
check_serials(LabCheck *check)
{
    g_autoptr(GHashTable) serials = g_hash_table_new(g_str_hash, g_str_equal);
    for (guint i = 0; i < check->nodes->len; i++) {
        const LabNode *nvme = node_at(check->nodes, i);
        const LabNode *other =
            nvme->serial ? g_hash_table_lookup(serials, nvme->serial) : NULL;
        if (nvme->serial && !other)
            g_hash_table_insert(serials, nvme->serial, (gpointer)nvme);
        else if (other && other->element == nvme->element)
            lab_check_say(check, nvme->pos,
                          "copies of this controller share serial='%s'; leave it out",
                          nvme->serial);
        else if (other)
            lab_check_say(check, nvme->pos,
                          "serial='%s' is that of the controller in line %d already",
                          nvme->serial, other->pos.line);
    }
}

/* ---- networks ------------------------------------------------------------------- */

static void
check_networks(LabCheck *check)
{
    g_autoptr(GHashTable) ids = g_hash_table_new(g_str_hash, g_str_equal);
    for (guint i = 0; i < check->lab->networks->len; i++) {
        const LabNetwork *network = g_ptr_array_index(check->lab->networks, i);
        g_hash_table_add(ids, network->id);
    }
    for (guint i = 0; i < check->nodes->len; i++) {
        const LabNode *nic = node_at(check->nodes, i);
        if (!nic->network || g_hash_table_contains(ids, nic->network))
            continue;
        g_autofree char *otherwise =
            g_strdup_printf("write <network id='%s'/> in <lab>", nic->network);
        g_autofree char *hint =
            nearest_hint(nearest_key(nic->network, ids, NULL), otherwise);
        lab_check_say(check, nic->pos, "there is no network '%s'; %s", nic->network,
                      hint);
    }
}

/* ---- the IOMMU ------------------------------------------------------------------ */

static void
check_iommu_options(LabCheck *check)
{
    enum {
        INTEL = 1 << LAB_IOMMU_INTEL,
        AMD = 1 << LAB_IOMMU_AMD
    };
    const LabIommu *iommu = &check->host->iommu;
    const struct {
        const char *name;
        gboolean given;
        guint models;
    } options[] = {
        {"intremap", iommu->intremap != LAB_UNSET, INTEL | AMD},
        {"caching-mode", iommu->caching_mode != LAB_UNSET, INTEL},
        {"iotlb", iommu->iotlb != LAB_UNSET, INTEL | AMD},
        {"eim", iommu->eim != LAB_UNSET, INTEL},
        {"scalable", iommu->scalable != LAB_UNSET, INTEL},
        {"snoop-control", iommu->snoop_control != LAB_UNSET, INTEL},
        {"dma-drain", iommu->dma_drain != LAB_UNSET, INTEL},
        {"pass-through", iommu->pass_through != LAB_UNSET, INTEL | AMD},
        {"aw-bits", iommu->aw_bits != LAB_AUTO, INTEL},
    };
    for (gsize i = 0; i < G_N_ELEMENTS(options); i++)
        if (options[i].given && !(options[i].models & 1u << iommu->model))
            lab_check_say(check, iommu->pos, "the %s IOMMU has no %s; leave it out",
                          lab_iommu_model_name(iommu->model), options[i].name);
}

static void
check_intel(LabCheck *check)
{
    const LabIommu *iommu = &check->host->iommu;
    if (iommu->model != LAB_IOMMU_INTEL)
        return;
    if (iommu->aw_bits != LAB_AUTO && iommu->aw_bits != 39 && iommu->aw_bits != 48)
        lab_check_say(
            check, iommu->pos,
            "aw-bits='%d' is no address width of the intel IOMMU; it can be 39 or 48",
            iommu->aw_bits);
    if (iommu->eim == LAB_ON && iommu->intremap == LAB_OFF)
        lab_check_say(
            check, iommu->pos,
            "eim='on' is a form of interrupt remapping, so intremap cannot be off");
    if (iommu->scalable == LAB_ON && iommu->dma_drain == LAB_OFF)
        lab_check_say(check, iommu->pos,
                      "scalable='on' needs DMA draining, so dma-drain cannot be off");
}

/* Slots are of all that stands on a bus, and on bus 0 that is what stands in host and
 * cells. */
#define BUSES (LAB_PART_HOST | LAB_PART_CELLS | LAB_PART_NODES)

const LabCheckRow lab_checks_pci[] = {
    {"port", check_ports, LAB_PART_NODES, LAB_PART_NODES},
    {"address", check_addresses, BUSES, LAB_PART_NODES},
    {"chassis", check_chassis, 0, LAB_PART_NODES},
    {"vfs", check_vfs, LAB_PART_NODES, LAB_PART_NODES},
    {"mac", check_macs},
    {"serial", check_serials},
    {"network", check_networks, LAB_PART_LAB | LAB_PART_NETWORKS},
    {"device", check_device_models, LAB_PART_NODES, LAB_PART_NODES},
    {"property", check_properties, 0, LAB_PART_NODES | LAB_PART_IOMMU},
    {"iommu", check_iommu_options, LAB_PART_IOMMU, LAB_PART_IOMMU},
    {"iommu", check_intel, LAB_PART_IOMMU, LAB_PART_IOMMU},
    {NULL},
};
