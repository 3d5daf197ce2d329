/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The PCI elements: expander, port, switch, downstream, nic, nvme, device.
 */
#include <string.h>

#include "lab-parse.h"

#define PORTS (1 << LAB_PORT | 1 << LAB_DOWNSTREAM)
#define ALL 0x7f

static void parse_node_property(LabParser *parser, LabXml *element, gpointer place);

/* What stands below a node of each kind. */
/* clang-format off */
static const LabChild expander_children[] = {
    {"property", parse_node_property},
    {"port", lab_parse_node, .counted = TRUE},
    {"switch", lab_parse_node},
    {NULL}};
static const LabChild port_children[] = {
    {"property", parse_node_property},
    {"switch", lab_parse_node, .once = TRUE},
    {"nic", lab_parse_node, .counted = TRUE},
    {"nvme", lab_parse_node, .counted = TRUE},
    {"device", lab_parse_node, .counted = TRUE},
    {NULL}};
static const LabChild switch_children[] = {
    {"property", parse_node_property},
    {"downstream", lab_parse_node, .counted = TRUE},
    {NULL}};
static const LabChild downstream_children[] = {
    {"property", parse_node_property},
    {"nic", lab_parse_node, .counted = TRUE},
    {"nvme", lab_parse_node, .counted = TRUE},
    {"device", lab_parse_node, .counted = TRUE},
    {NULL}};
static const LabChild endpoint_children[] = {
    {"property", parse_node_property},
    {NULL}};
/* clang-format on */

static const LabChild *const children_of[] = {
    [LAB_EXPANDER] = expander_children, [LAB_PORT] = port_children,
    [LAB_SWITCH] = switch_children,     [LAB_DOWNSTREAM] = downstream_children,
    [LAB_NIC] = endpoint_children,      [LAB_NVME] = endpoint_children,
    [LAB_DEVICE] = endpoint_children,
};

/* The models that the author may choose from, and what each is for the emulator. A
 * device's model is open, the others have only one. */
typedef struct {
    const char *const *names;
    const char *const *devices;
} Models;

static const char *const port_models[] = {"pcie-root-port", "ioh3420", NULL};
static const char *const switch_models[] = {"x3130-upstream", NULL};
static const char *const downstream_models[] = {"xio3130-downstream", NULL};
static const char *const nic_models[] = {"e1000e", "igb", "virtio-net-pci", "virtio",
                                         NULL};
static const char *const nic_devices[] = {"e1000e", "igb", "virtio-net-pci",
                                          "virtio-net-pci", NULL};

static const Models models_of[] = {
    [LAB_PORT] = {port_models, port_models},
    [LAB_SWITCH] = {switch_models, switch_models},
    [LAB_DOWNSTREAM] = {downstream_models, downstream_models},
    [LAB_NIC] = {nic_models, nic_devices},
    [LAB_DEVICE] = {NULL, NULL},
};

typedef gboolean (*ReadInt)(LabParser *parser, LabXml *element, const char *name,
                            int minimum, int maximum, int *value);

typedef struct {
    const char *name;
    guint kinds;  /* bit per LabKind */
    gsize offset; /* in LabNode, of an int or a LabSwitch */
    ReadInt read; /* NULL: a LabSwitch */
    int minimum, maximum;
} NumberAttribute;

#define ADDRESSED                                                                        \
    (ALL & ~(1 << LAB_SWITCH)) /* a switch has no choice: 00.0 behind its port */

static const NumberAttribute numbers[] = {
    {"slot", ADDRESSED, offsetof(LabNode, slot), lab_attr_pci, 0, 31},
    {"function", ADDRESSED, offsetof(LabNode, function), lab_attr_pci, 0, 7},
    {"multifunction", ADDRESSED, offsetof(LabNode, multifunction), NULL},
    {"bus", 1 << LAB_EXPANDER, offsetof(LabNode, bus), lab_attr_pci, 1, 255},
    {"chassis", PORTS, offsetof(LabNode, chassis), lab_attr_pci, 0, 255},
    {"port-slot", PORTS, offsetof(LabNode, port_slot), lab_attr_pci, 0, 8191},
    {"hotplug", PORTS, offsetof(LabNode, hotplug), NULL},
    {"acs", 1 << LAB_PORT, offsetof(LabNode, acs), NULL},
    {"bus-reserve", 1 << LAB_PORT, offsetof(LabNode, bus_reserve), lab_attr_int, 0, 255},
    {"vfs", 1 << LAB_NIC, offsetof(LabNode, vfs), lab_attr_int, 0, 256},
};

static void
read_numbers(LabParser *parser, LabXml *element, LabNode *node)
{
    for (gsize i = 0; i < G_N_ELEMENTS(numbers); i++) {
        const NumberAttribute *how = &numbers[i];
        gpointer field = G_STRUCT_MEMBER_P(node, how->offset);
        if (!(how->kinds & (1u << node->kind)))
            continue;
        if (how->read)
            how->read(parser, element, how->name, how->minimum, how->maximum, field);
        else
            lab_attr_switch(parser, element, how->name, field);
    }
}

static void
read_model(LabParser *parser, LabXml *element, LabNode *node)
{
    if (node->kind == LAB_EXPANDER || node->kind == LAB_NVME)
        return;
    if (node->kind == LAB_DEVICE) {
        if (lab_attr_needed(parser, element, "model"))
            lab_attr_word(parser, element, "model", &node->model);
        return;
    }
    int index = 0;
    if (lab_attr_choice(parser, element, "model", models_of[node->kind].names, &index))
        node->model = g_strdup(models_of[node->kind].devices[index]);
}

/* ---- NICs ----------------------------------------------------------------------- */

/* "52:54:00:7e:6e:c6" → 48 bits. */
static gboolean
scan_mac(const char *text, guint64 *mac)
{
    if (strlen(text) != 17)
        return FALSE;
    *mac = 0;
    for (int i = 0; i < 17; i++) {
        if (i % 3 == 2 ? text[i] != ':' : !g_ascii_isxdigit(text[i]))
            return FALSE;
        if (i % 3 != 2)
            *mac = *mac << 4 | (guint64)g_ascii_xdigit_value(text[i]);
    }
    return TRUE;
}

static char *
mac_text(guint64 mac)
{
    GString *text = g_string_new(NULL);
    for (int shift = 40; shift >= 0; shift -= 8)
        g_string_append_printf(text, "%s%02x", text->len ? ":" : "",
                               (guint)(mac >> shift & 0xff));
    return g_string_free(text, FALSE);
}

/* With '+' the lower half counts up by one per copy; the upper half, the maker's, stays.
 */
static void
read_mac(LabParser *parser, LabXml *element, LabNode *node)
{
    const char *text = lab_attr(parser, element, "mac");
    if (!text)
        return;
    gboolean counts_up = g_str_has_suffix(text, "+");
    g_autofree char *plain = g_strndup(text, strlen(text) - counts_up);
    guint64 mac = 0;
    if (!scan_mac(plain, &mac)) {
        lab_attr_wrong(
            parser, element, "mac",
            "is not a MAC address; write six bytes as in '52:54:00:12:34:56', with "
            "'+' at the end to count up");
        return;
    }
    const guint64 lower = 0xffffff;
    guint64 number = (mac & lower) + (counts_up ? element->copies : 0);
    if (number > lower) {
        lab_say(
            parser, lab_attr_pos(element, "mac"), "mac",
            "mac='%s' counts beyond %06x in its lower half; begin with a lower number",
            text, (guint)lower);
        return;
    }
    node->mac = mac_text((mac & ~lower) | (number & lower));
}

static void
read_nic(LabParser *parser, LabXml *element, LabNode *node)
{
    read_mac(parser, element, node);
    const char *network = lab_attr(parser, element, "network");
    if (network && !lab_is_id(network))
        lab_attr_wrong(parser, element, "network", "is not the id of a <network>");
    else if (network)
        node->network = g_strdup(network);
}

static void
read_nvme(LabParser *parser, LabXml *element, LabNode *node)
{
    lab_attr_word(parser, element, "serial", &node->serial);
    if (node->serial &&
        strlen(node->serial) > 20) /* NVMe base specification, Identify Controller */
        lab_attr_wrong(parser, element, "serial",
                       "has more than the 20 characters of NVMe");
    lab_attr_size(parser, element, "size", &node->size_bytes);
}

/* ---- the element ---------------------------------------------------------------- */

void
lab_parse_property(LabParser *parser, LabXml *element, gpointer list)
{
    g_autofree char *name = NULL;
    if (lab_attr_needed(parser, element, "name"))
        lab_attr_word(parser, element, "name", &name);
    const char *value = lab_attr_raw(parser, element, "value");
    lab_no_children(parser, element);
    if (name && value)
        g_ptr_array_add(list, lab_property_new(name, value, element->pos));
}

static void
parse_node_property(LabParser *parser, LabXml *element, gpointer place)
{
    const LabNodePlace *of = place;
    lab_parse_property(parser, element, of->parent->properties);
}

static LabKind
kind_of(const LabXml *element)
{
    const char *colon = strchr(element->name, ':');
    for (LabKind kind = LAB_EXPANDER; kind < LAB_DEVICE; kind++)
        if (strcmp(colon ? colon + 1 : element->name, lab_kind_name(kind)) == 0)
            return kind;
    return LAB_DEVICE;
}

static guint
siblings_of_kind(const GPtrArray *list, LabKind kind)
{
    guint count = 0;
    for (guint i = 0; i < list->len; i++)
        count += ((const LabNode *)g_ptr_array_index(list, i))->kind == kind;
    return count;
}

static LabNode *
new_node(LabParser *parser, LabXml *element, const LabNodePlace *place)
{
    LabKind kind = kind_of(element);
    g_autofree char *stem =
        g_strdup_printf("%s%s%s", place->id_prefix ? place->id_prefix : "",
                        place->id_prefix ? "." : "", lab_kind_name(kind));
    g_autofree char *id =
        lab_attr_id(parser, element, "id", stem, siblings_of_kind(place->list, kind));
    LabNode *node = lab_node_new(kind, id);
    node->pos = element->pos;
    node->element = element->number;
    node->parent = place->parent;
    return node;
}

/* An upstream port takes the whole bus behind its root port. */
static void
check_switch_is_alone(LabParser *parser, const LabNode *port)
{
    const LabNode *alone = NULL, *other = NULL;
    for (guint i = 0; i < port->children->len; i++) {
        const LabNode *child = g_ptr_array_index(port->children, i);
        *(child->kind == LAB_SWITCH ? &alone : &other) = child;
    }
    if (alone && other)
        lab_say(parser, other->pos, "schema",
                "a port holds either devices or one switch; put the <%s> into a "
                "<downstream> of "
                "the switch in line %d",
                lab_kind_name(other->kind), alone->pos.line);
}

void
lab_parse_node(LabParser *parser, LabXml *element, gpointer data)
{
    const LabNodePlace *place = data;
    LabNode *node = new_node(parser, element, place);
    g_ptr_array_add(place->list, node);
    read_model(parser, element, node);
    read_numbers(parser, element, node);
    if (node->kind == LAB_NIC)
        read_nic(parser, element, node);
    if (node->kind == LAB_NVME)
        read_nvme(parser, element, node);
    LabNodePlace below = {node->children, node, node->id};
    lab_children(parser, element, children_of[node->kind], &below);
    if (node->kind == LAB_PORT)
        check_switch_is_alone(parser, node);
}
