/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lab.h"

static const char *const kind_names[] = {
    [LAB_EXPANDER] = "expander",     [LAB_PORT] = "port", [LAB_SWITCH] = "switch",
    [LAB_DOWNSTREAM] = "downstream", [LAB_NIC] = "nic",   [LAB_NVME] = "nvme",
    [LAB_DEVICE] = "device",
};

static const char *const iommu_model_names[] = {
    [LAB_IOMMU_NONE] = "none",
    [LAB_IOMMU_INTEL] = "intel",
    [LAB_IOMMU_VIRTIO] = "virtio",
    [LAB_IOMMU_AMD] = "amd",
};

static const char *const step_names[] = {
    [LAB_STEP_COPY] = "copy",       [LAB_STEP_WRITE] = "write",
    [LAB_STEP_LINK] = "link",       [LAB_STEP_FIRST_BOOT] = "first-boot",
    [LAB_STEP_PACKAGE] = "package",
};

const char *
lab_step_name(LabStepKind kind)
{
    return step_names[kind];
}

const char *
lab_kind_name(LabKind kind)
{
    return kind_names[kind];
}

const char *
lab_iommu_model_name(LabIommuModel model)
{
    return iommu_model_names[model];
}

/* Free functions with the type that GPtrArray wants; each element is the list's own. */
#define FREE_ELEMENT(name, type, release)                                                \
    static void name(gpointer data)                                                      \
    {                                                                                    \
        release((type *)data);                                                           \
    }

LabCache *
lab_cache_copy(const LabCache *cache)
{
    LabCache *copy = g_memdup2(cache, sizeof *cache);
    copy->associativity = g_strdup(cache->associativity);
    copy->policy = g_strdup(cache->policy);
    return copy;
}

void
lab_cache_free(LabCache *cache)
{
    g_free(cache->associativity);
    g_free(cache->policy);
    g_free(cache);
}

LabInterconnect *
lab_interconnect_copy(const LabInterconnect *interconnect)
{
    LabInterconnect *copy = g_memdup2(interconnect, sizeof *interconnect);
    copy->type = g_strdup(interconnect->type);
    return copy;
}

void
lab_interconnect_free(LabInterconnect *interconnect)
{
    g_free(interconnect->type);
    g_free(interconnect);
}

LabCpuFeature *
lab_cpu_feature_copy(const LabCpuFeature *feature)
{
    LabCpuFeature *copy = g_memdup2(feature, sizeof *feature);
    copy->name = g_strdup(feature->name);
    return copy;
}

void
lab_cpu_feature_free(LabCpuFeature *feature)
{
    g_free(feature->name);
    g_free(feature);
}

static void
passage_free(gpointer data)
{
    LabPassage *passage = data;
    g_free(passage->host);
    g_free(passage->to);
    g_free(passage);
}

LabNetwork *
lab_network_new(const char *id)
{
    LabNetwork *network = g_new0(LabNetwork, 1);
    network->id = g_strdup(id);
    network->ipv4.bits = network->ipv6.bits = LAB_AUTO;
    network->services = g_ptr_array_new_with_free_func(passage_free);
    network->forwards = g_ptr_array_new_with_free_func(passage_free);
    return network;
}

static void
network_free(LabNetwork *network)
{
    g_free(network->id);
    g_ptr_array_unref(network->services);
    g_ptr_array_unref(network->forwards);
    g_free(network);
}

void
lab_step_free(LabStep *step)
{
    g_free(step->from);
    g_free(step->path);
    g_free(step->text);
    g_free(step);
}

FREE_ELEMENT(free_step, LabStep, lab_step_free)
FREE_ELEMENT(free_cache, LabCache, lab_cache_free)
FREE_ELEMENT(free_interconnect, LabInterconnect, lab_interconnect_free)
FREE_ELEMENT(free_feature, LabCpuFeature, lab_cpu_feature_free)
FREE_ELEMENT(free_network, LabNetwork, network_free)
FREE_ELEMENT(free_property, LabProperty, lab_property_free)
FREE_ELEMENT(free_node, LabNode, lab_node_free)
FREE_ELEMENT(free_cell, LabCell, lab_cell_free)
FREE_ELEMENT(free_host, LabHost, lab_host_free)

LabStep *
lab_step_new(LabStepKind kind)
{
    LabStep *step = g_new0(LabStep, 1);
    step->kind = kind;
    step->mode = LAB_AUTO;
    return step;
}

LabStep *
lab_step_copy(const LabStep *step)
{
    LabStep *copy = g_memdup2(step, sizeof *step);
    copy->from = g_strdup(step->from);
    copy->path = g_strdup(step->path);
    copy->text = g_strdup(step->text);
    return copy;
}

LabImage *
lab_image_new(void)
{
    LabImage *image = g_rc_box_new0(LabImage);
    image->size_bytes = LAB_AUTO;
    image->steps = g_ptr_array_new_with_free_func(free_step);
    return image;
}

LabImage *
lab_image_ref(LabImage *image)
{
    return g_rc_box_acquire(image);
}

static void
image_clear(gpointer data)
{
    LabImage *image = data;
    g_free(image->from);
    g_free(image->mirror);
    g_free(image->proxy);
    g_free(image->ssh_key);
    g_ptr_array_unref(image->steps);
}

void
lab_image_unref(LabImage *image)
{
    g_rc_box_release_full(image, image_clear);
}

LabProperty *
lab_property_new(const char *name, const char *value, FilePos pos)
{
    LabProperty *property = g_new0(LabProperty, 1);
    property->name = g_strdup(name);
    property->value = g_strdup(value);
    property->pos = pos;
    return property;
}

void
lab_property_free(LabProperty *property)
{
    g_free(property->name);
    g_free(property->value);
    g_free(property);
}

LabNode *
lab_node_new(LabKind kind, const char *id)
{
    LabNode *node = g_new0(LabNode, 1);
    node->kind = kind;
    node->id = g_strdup(id);
    node->slot = node->function = node->bus = node->chassis = LAB_AUTO;
    node->port_slot = node->bus_reserve = node->vfs = LAB_AUTO;
    node->size_bytes = LAB_AUTO;
    node->properties = g_ptr_array_new_with_free_func(free_property);
    node->children = g_ptr_array_new_with_free_func(free_node);
    return node;
}

void
lab_node_free(LabNode *node)
{
    g_free(node->id);
    g_free(node->model);
    g_free(node->mac);
    g_free(node->network);
    g_free(node->serial);
    g_ptr_array_unref(node->properties);
    g_ptr_array_unref(node->children);
    g_free(node);
}

LabCell *
lab_cell_new(const char *id)
{
    LabCell *cell = g_new0(LabCell, 1);
    cell->id = g_strdup(id);
    cell->cpus = g_array_new(FALSE, FALSE, sizeof(guint));
    cell->hugepages = g_ptr_array_new_with_free_func(g_free);
    cell->distances = g_ptr_array_new_with_free_func(g_free);
    cell->caches = g_ptr_array_new_with_free_func(free_cache);
    cell->nodes = g_ptr_array_new_with_free_func(free_node);
    return cell;
}

void
lab_cell_free(LabCell *cell)
{
    g_free(cell->id);
    g_array_unref(cell->cpus);
    g_ptr_array_unref(cell->hugepages);
    g_ptr_array_unref(cell->distances);
    g_ptr_array_unref(cell->caches);
    g_ptr_array_unref(cell->nodes);
    g_free(cell);
}

void
lab_memory_free(LabMemory *memory)
{
    g_free(memory->id);
    g_free(memory);
}

LabHost *
lab_host_new(const char *id)
{
    LabHost *host = g_new0(LabHost, 1);
    host->id = g_strdup(id);
    host->cpu.sockets = host->cpu.dies = host->cpu.cores = host->cpu.threads = LAB_AUTO;
    host->cpu.features = g_ptr_array_new_with_free_func(free_feature);
    host->iommu.aw_bits = LAB_AUTO;
    host->iommu.properties = g_ptr_array_new_with_free_func(free_property);
    host->cells = g_ptr_array_new_with_free_func(free_cell);
    host->memory = g_ptr_array_new_with_free_func((GDestroyNotify)lab_memory_free);
    host->interconnects = g_ptr_array_new_with_free_func(free_interconnect);
    host->nodes = g_ptr_array_new_with_free_func(free_node);
    host->qemu_args = g_ptr_array_new_with_free_func(free_property);
    return host;
}

void
lab_host_free(LabHost *host)
{
    g_free(host->id);
    g_free(host->os);
    g_free(host->cpu.model);
    g_ptr_array_unref(host->cpu.features);
    g_ptr_array_unref(host->iommu.properties);
    g_free(host->kernel);
    g_free(host->cmdline);
    g_free(host->machine);
    g_clear_pointer(&host->image, lab_image_unref);
    g_ptr_array_unref(host->cells);
    g_ptr_array_unref(host->memory);
    g_ptr_array_unref(host->interconnects);
    g_ptr_array_unref(host->nodes);
    g_ptr_array_unref(host->qemu_args);
    g_free(host);
}

Lab *
lab_new(const char *name)
{
    Lab *lab = g_new0(Lab, 1);
    lab->name = g_strdup(name);
    lab->hosts = g_ptr_array_new_with_free_func(free_host);
    lab->networks = g_ptr_array_new_with_free_func(free_network);
    return lab;
}

void
lab_free(Lab *lab)
{
    g_free(lab->name);
    g_free(lab->description);
    g_ptr_array_unref(lab->hosts);
    g_ptr_array_unref(lab->networks);
    g_clear_pointer(&lab->source, g_bytes_unref);
    g_free(lab);
}
