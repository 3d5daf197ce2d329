/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The tree of elements → Lab. This file has the lab and the host; cells and PCI elements
 * have their own. Each element has one function: read its attributes, then its children.
 */
#include "lab-parse.h"

#include <glib/gstdio.h>
#include <string.h>

#include "probes.h"

/* ---- parts of the host ---------------------------------------------------------- */

static void
parse_feature(LabParser *parser, LabXml *element, gpointer data)
{
    static const char *const policies[] = {"require", "disable", NULL};
    LabHost *host = data;
    LabCpuFeature *feature = g_new0(LabCpuFeature, 1);
    feature->pos = element->pos;
    g_ptr_array_add(host->cpu.features, feature);
    if (lab_attr_needed(parser, element, "name"))
        lab_attr_word(parser, element, "name", &feature->name);
    if (!feature->name)
        feature->name = g_strdup("?");
    int policy = 0;
    lab_attr_choice(parser, element, "policy", policies, &policy);
    feature->disabled = policy == 1;
    lab_no_children(parser, element);
}

static void
parse_cpu(LabParser *parser, LabXml *element, gpointer data)
{
    static const LabChild children[] = {{"feature", parse_feature}, {NULL}};
    LabHost *host = data;
    LabCpu *cpu = &host->cpu;
    cpu->pos = element->pos;
    lab_attr_word(parser, element, "model", &cpu->model);
    lab_attr_int(parser, element, "sockets", 1, LAB_MAX_CPU + 1, &cpu->sockets);
    lab_attr_int(parser, element, "dies", 1, LAB_MAX_CPU + 1, &cpu->dies);
    lab_attr_int(parser, element, "cores", 1, LAB_MAX_CPU + 1, &cpu->cores);
    lab_attr_int(parser, element, "threads", 1, LAB_MAX_CPU + 1, &cpu->threads);
    lab_children(parser, element, children, host);
}

static void
parse_firmware(LabParser *parser, LabXml *element, gpointer data)
{
    static const char *const types[] = {"bios", "efi", NULL};
    LabHost *host = data;
    host->firmware_pos = element->pos;
    int type = 0;
    if (lab_attr_needed(parser, element, "type") &&
        lab_attr_choice(parser, element, "type", types, &type))
        host->firmware = type == 0 ? LAB_FIRMWARE_BIOS : LAB_FIRMWARE_EFI;
    lab_no_children(parser, element);
}

/* The end of a pipe, such as the shell's <(…), or another that is in no folder: also
 * where a file stands behind the name. */
static gboolean
is_stream(const char *file)
{
    GStatBuf status;
    return strcmp(file, "/dev/stdin") == 0 || g_str_has_prefix(file, "/dev/fd/") ||
           g_str_has_prefix(file, "/proc/") ||
           (g_stat(file, &status) == 0 && !S_ISREG(status.st_mode));
}

char *
lab_path_beside(const char *file, const char *path)
{
    if (g_path_is_absolute(path) || !file || is_stream(file))
        return g_strdup(path);
    g_autofree char *folder = g_path_get_dirname(file);
    return strcmp(folder, ".") == 0 ? g_strdup(path)
                                    : g_build_filename(folder, path, NULL);
}

static void
parse_kernel(LabParser *parser, LabXml *element, gpointer data)
{
    LabHost *host = data;
    host->kernel_pos = element->pos;
    g_autofree char *path = NULL;
    if (lab_attr_text(parser, element, "path", &path)) {
        g_free(host->kernel);
        host->kernel = lab_path_beside(element->pos.file, path);
    }
    lab_attr_text(parser, element, "cmdline", &host->cmdline);
    lab_no_children(parser, element);
}

static void
parse_machine(LabParser *parser, LabXml *element, gpointer data)
{
    LabHost *host = data;
    host->machine_pos = element->pos;
    if (lab_attr_needed(parser, element, "type"))
        lab_attr_word(parser, element, "type", &host->machine);
    lab_no_children(parser, element);
}

static void
parse_iommu(LabParser *parser, LabXml *element, gpointer data)
{
    static const char *const models[] = {"intel", "virtio", "amd", NULL};
    static const LabChild children[] = {{"property", lab_parse_property}, {NULL}};
    static const struct {
        const char *name;
        gsize offset;
    } switches[] = {
        {"intremap", offsetof(LabIommu, intremap)},
        {"caching-mode", offsetof(LabIommu, caching_mode)},
        {"iotlb", offsetof(LabIommu, iotlb)},
        {"eim", offsetof(LabIommu, eim)},
        {"scalable", offsetof(LabIommu, scalable)},
        {"snoop-control", offsetof(LabIommu, snoop_control)},
        {"dma-drain", offsetof(LabIommu, dma_drain)},
        {"pass-through", offsetof(LabIommu, pass_through)},
    };
    LabIommu *iommu = &((LabHost *)data)->iommu;
    iommu->pos = element->pos;
    int model = 0;
    if (lab_attr_needed(parser, element, "model") &&
        lab_attr_choice(parser, element, "model", models, &model))
        iommu->model = (LabIommuModel)(LAB_IOMMU_INTEL + model);
    for (gsize i = 0; i < G_N_ELEMENTS(switches); i++)
        lab_attr_switch(parser, element, switches[i].name,
                        G_STRUCT_MEMBER_P(iommu, switches[i].offset));
    lab_attr_int(parser, element, "aw-bits", 32, 64, &iommu->aw_bits);
    lab_children(parser, element, children, iommu->properties);
}

static void
parse_arg(LabParser *parser, LabXml *element, gpointer data)
{
    LabHost *host = data;
    const char *value = lab_attr_raw(parser, element, "value");
    lab_no_children(parser, element);
    if (value)
        g_ptr_array_add(host->qemu_args, lab_property_new(value, NULL, element->pos));
}

static void
parse_qemu(LabParser *parser, LabXml *element, gpointer host)
{
    static const LabChild children[] = {{"arg", parse_arg}, {NULL}};
    lab_children(parser, element, children, host);
}

static void
parse_host_node(LabParser *parser, LabXml *element, gpointer data)
{
    LabHost *host = data;
    LabNodePlace place = {host->nodes, NULL, NULL};
    lab_parse_node(parser, element, &place);
}

/* ---- the host ------------------------------------------------------------------- */

/* A short id or a URI; both are short, and printed. */
static gboolean
is_os_word(const char *text)
{
    gsize length = strlen(text);
    return g_ascii_isalnum(*text) && length <= LAB_MAX_OS &&
           strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                        "._+~:/-") == length;
}

static void
parse_os(LabParser *parser, LabXml *element, LabHost *host)
{
    const char *word = lab_attr(parser, element, "os");
    host->os_pos = lab_attr_pos(element, "os");
    if (!word)
        return;
    if (is_os_word(word))
        host->os = g_strdup(word);
    else
        lab_attr_wrong(parser, element, "os",
                       "is not how libosinfo names a system; write a short id, as in "
                       "'debian12', or a URI ('hostbed os' lists them)");
}

/* ---- the lab -------------------------------------------------------------------- */

static const LabChild host_children[] = {
    {"cpu", parse_cpu, .once = TRUE, .part = LAB_PART_CPU},
    {"firmware", parse_firmware, .once = TRUE, .part = LAB_PART_BOOT},
    {"kernel", parse_kernel, .once = TRUE, .part = LAB_PART_BOOT},
    {"machine", parse_machine, .once = TRUE, .part = LAB_PART_BOOT},
    {"image", lab_parse_image, .once = TRUE, .part = LAB_PART_IMAGE},
    {"iommu", parse_iommu, .once = TRUE, .part = LAB_PART_IOMMU},
    {"maxMemory", lab_parse_max_memory, .once = TRUE, .part = LAB_PART_CELLS},
    {"cell", lab_parse_cell, .counted = TRUE, .part = LAB_PART_CELLS},
    {"interconnects", lab_parse_interconnects, .once = TRUE, .part = LAB_PART_ATTRIBUTES},
    {"expander", parse_host_node, .counted = TRUE, .part = LAB_PART_NODES},
    {"port", parse_host_node, .counted = TRUE, .part = LAB_PART_NODES},
    {"nic", parse_host_node, .counted = TRUE, .part = LAB_PART_NODES},
    {"nvme", parse_host_node, .counted = TRUE, .part = LAB_PART_NODES},
    {"device", parse_host_node, .counted = TRUE, .part = LAB_PART_NODES},
    {"qemu", parse_qemu, .once = TRUE, .part = LAB_PART_BOOT},
    {NULL},
};

static void
parse_host(LabParser *parser, LabXml *element, gpointer data)
{
    Lab *lab = data;
    const guint outside = parser->faulty;
    parser->faulty = 0;
    g_autofree char *id = lab_attr_id(parser, element, "name", "host", lab->hosts->len);
    LabHost *host = lab_host_new(id);
    host->pos = host->cpu.pos = host->iommu.pos = element->pos;
    host->firmware_pos = host->kernel_pos = element->pos;
    parse_os(parser, element, host);
    g_ptr_array_add(lab->hosts, host);
    lab_children(parser, element, host_children, host);
    if (host->cells->len == 0 && !element->has_unknown && !parser->exhausted)
        lab_say(parser, element->pos, "schema",
                "<host> has no <cell>; its CPUs and memory stand in cells, as in "
                "<cell cpus='0-1' memory='1 GiB'/>");
    if (host->os && !host->image && strcmp(host->os, OS_HOSTBED) != 0) {
        host->image = lab_image_new(); /* which one is for the system to say */
        host->image->pos = host->os_pos;
    }
    lab_resolve_cells(parser, host);
    host->faulty = parser->faulty;
    parser->faulty = outside;
}

static void
parse_description(LabParser *parser, LabXml *element, gpointer data)
{
    Lab *lab = data;
    if (element->text && !lab->description)
        lab->description = g_strdup(g_strstrip(element->text->str));
    g_autoptr(GString) text = g_steal_pointer(&element->text); /* here it is allowed */
    lab_no_children(parser, element);
}

static gboolean
check_root(LabParser *parser, const LabXml *root)
{
    const char *colon = strchr(root->name, ':');
    gboolean is_lab = strcmp(colon ? colon + 1 : root->name, "lab") == 0;
    if (is_lab && !root->is_foreign)
        return TRUE;
    g_autofree char *name = lab_xml_quote(root->name);
    if (is_lab)
        lab_say(parser, root->pos, "schema",
                "<%s> is not in the namespace of labs of version 1; write "
                "<lab xmlns='" LAB_NAMESPACE "' name='…'>",
                name);
    else
        lab_say(parser, root->pos, "schema",
                "the file holds <%s>, not a lab; a lab begins with "
                "<lab xmlns='" LAB_NAMESPACE "' name='…'>",
                name);
    return FALSE;
}

static Lab *
parse_lab(LabParser *parser, LabXml *root)
{
    static const LabChild children[] = {
        {"description", parse_description, .once = TRUE},
        {"network", lab_parse_network, .part = LAB_PART_NETWORKS},
        {"host", parse_host, .counted = TRUE, .part = LAB_PART_HOST},
        {NULL},
    };
    if (!check_root(parser, root))
        return NULL;
    g_autoptr(Lab) lab = lab_new(NULL);
    lab->pos = root->pos;
    if (lab_attr_needed(parser, root, "name"))
        lab_attr_word(parser, root, "name", &lab->name);
    lab_children(parser, root, children, lab);
    if (lab->hosts->len == 0 && !root->has_unknown && !parser->exhausted)
        lab_say(parser, root->pos, "schema",
                "<lab> has no <host>; it needs at least one");
    lab->faulty = parser->faulty;
    return g_steal_pointer(&lab);
}

static void
free_reference(gpointer data)
{
    LabReference *reference = data;
    g_free(reference->name);
    g_free(reference);
}

Lab *
lab_parse_text(const char *text, gsize length, const char *filename, Findings *findings)
{
    const char *file = g_intern_string(filename);
    g_autoptr(LabXml) root = lab_xml_read(text, length, file, findings);
    if (!root)
        return NULL;
    g_autoptr(GHashTable) told =
        g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autoptr(GPtrArray) references = g_ptr_array_new_with_free_func(free_reference);
    LabParser parser = {.findings = findings,
                        .told = told,
                        .part = LAB_PART_LAB,
                        .references = references};
    g_autoptr(Lab) lab = parse_lab(&parser, root);
    const gboolean is_whole = !parser.exhausted && parser.cpus <= LAB_MAX_CPUS &&
                              g_hash_table_size(told) <= LAB_MAX_FINDINGS;
    if (lab && is_whole && g_hash_table_size(told) > 0)
        lab_check(lab, findings);
    if (g_hash_table_size(told) > 0)
        return NULL;
    lab->source = g_bytes_new(text, length);
    PROBE2(lab_parsed, filename, (int)lab->hosts->len);
    return g_steal_pointer(&lab);
}
