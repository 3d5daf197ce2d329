/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "plan-steps.h"

#define MIB ((gint64)1024 * 1024)

/* ---- addresses
 * -------------------------------------------------------------------------- */

const char *
pci_address_text(PciAddress address, char buffer[PCI_ADDRESS_SIZE])
{
    g_snprintf(buffer, PCI_ADDRESS_SIZE, "0000:%02x:%02x.%x", address.bus,
               address.slot & 31, address.function & 7);
    return buffer;
}

int
pci_address_compare(PciAddress a, PciAddress b)
{
    if (a.bus != b.bus)
        return a.bus < b.bus ? -1 : 1;
    if (a.slot != b.slot)
        return a.slot < b.slot ? -1 : 1;
    return (int)a.function - (int)b.function;
}

gint
plan_compare_functions(gconstpointer a, gconstpointer b)
{
    const PlanFunction *x = *(PlanFunction *const *)a, *y = *(PlanFunction *const *)b;
    return pci_address_compare(x->address, y->address);
}

/* ---- making and freeing
 * ----------------------------------------------------------------- */

PlanProperty *
plan_property_new(const char *name, JsonNode *value)
{
    PlanProperty *property = g_new0(PlanProperty, 1);
    property->name = g_strdup(name);
    property->value = value;
    return property;
}

static void
plan_property_free(gpointer data)
{
    PlanProperty *property = data;
    g_free(property->name);
    json_node_unref(property->value);
    g_free(property);
}

PlanFunction *
plan_function_new(PlanRole role, LabKind kind, const char *id)
{
    PlanFunction *function = g_new0(PlanFunction, 1);
    function->role = role;
    function->kind = kind;
    function->id = g_strdup(id);
    function->children = g_ptr_array_new();
    function->secondary = function->subordinate = PLAN_NONE;
    function->cell = function->node = function->group = PLAN_NONE;
    function->chassis = function->port_slot = PLAN_NONE;
    function->properties = g_ptr_array_new_with_free_func(plan_property_free);
    function->bars = g_array_new(FALSE, TRUE, sizeof(EmulatorBar));
    return function;
}

static void
plan_function_free(gpointer data)
{
    PlanFunction *function = data;
    g_free(function->id);
    g_free(function->driver);
    g_free(function->bus);
    g_ptr_array_unref(function->children);
    g_free(function->mac);
    g_free(function->network);
    g_free(function->ipv4);
    g_free(function->ipv6);
    g_ptr_array_unref(function->properties);
    g_array_unref(function->bars);
    g_free(function);
}

static void
plan_root_free(gpointer data)
{
    PlanRoot *root = data;
    g_ptr_array_unref(root->functions);
    g_free(root);
}

static void
plan_group_free(gpointer data)
{
    PlanGroup *group = data;
    g_ptr_array_unref(group->members);
    g_free(group);
}

static void
plan_name_free(gpointer data)
{
    PlanName *name = data;
    g_free(name->address);
    g_free(name->names);
    g_free(name->host);
    g_free(name->network);
    g_free(name);
}

static void
plan_passage_free(gpointer data)
{
    PlanPassage *passage = data;
    g_free(passage->to);
    g_free(passage->host);
    g_free(passage->guest);
    g_free(passage);
}

PlanUplink *
plan_uplink_new(void)
{
    PlanUplink *uplink = g_new0(PlanUplink, 1);
    uplink->services = g_ptr_array_new_with_free_func(plan_passage_free);
    uplink->forwards = g_ptr_array_new_with_free_func(plan_passage_free);
    return uplink;
}

static void
plan_uplink_free(gpointer data)
{
    PlanUplink *uplink = data;
    g_free(uplink->network);
    g_free(uplink->ipv4);
    g_free(uplink->ipv6);
    g_free(uplink->dns);
    g_free(uplink->door);
    g_ptr_array_unref(uplink->services);
    g_ptr_array_unref(uplink->forwards);
    g_free(uplink);
}

static void
plan_cell_free(gpointer data)
{
    PlanCell *cell = data;
    g_free(cell->id);
    g_array_unref(cell->cpus);
    g_free(cell->backend);
    g_array_unref(cell->distances);
    g_array_unref(cell->hugepages);
    g_ptr_array_unref(cell->caches);
    g_free(cell->generic_initiator);
    g_free(cell);
}

PlanCell *
plan_cell_new(const LabCell *from, int index)
{
    PlanCell *cell = g_new0(PlanCell, 1);
    cell->index = index;
    cell->id = g_strdup(from->id);
    cell->pos = from->pos;
    cell->node = PLAN_NONE;
    cell->memory_bytes = from->memory_bytes;
    if (from->memory_bytes > 0)
        cell->backend = g_strdup_printf("hostbed-memory-%d", index);
    cell->cpus = g_array_new(FALSE, FALSE, sizeof(guint));
    g_array_append_vals(cell->cpus, from->cpus->data, from->cpus->len);
    cell->distances = g_array_new(FALSE, FALSE, sizeof(int));
    cell->hugepages = g_array_new(FALSE, FALSE, sizeof(PlanHugepages));
    cell->caches = g_ptr_array_new_with_free_func((GDestroyNotify)lab_cache_free);
    for (guint i = 0; i < from->caches->len; i++)
        g_ptr_array_add(cell->caches, lab_cache_copy(g_ptr_array_index(from->caches, i)));
    return cell;
}

Plan *
plan_new(const Lab *lab, const LabHost *host, PlanBackend backend)
{
    Plan *plan = g_new0(Plan, 1);
    plan->lab_name = g_strdup(lab->name);
    plan->host_id = g_strdup(host->id);
    plan->pos = host->pos;
    plan->image = host->image != NULL ? lab_image_ref(host->image) : NULL;
    plan->lab_source = lab->source != NULL ? g_bytes_ref(lab->source) : NULL;
    plan->backend = backend;
    plan->machine_properties = g_ptr_array_new_with_free_func(plan_property_free);
    plan->cpu_features =
        g_ptr_array_new_with_free_func((GDestroyNotify)lab_cpu_feature_free);
    plan->iommu.properties = g_ptr_array_new_with_free_func(plan_property_free);
    plan->cells = g_ptr_array_new_with_free_func(plan_cell_free);
    plan->memory = g_ptr_array_new_with_free_func((GDestroyNotify)plan_memory_free);
    plan->interconnects =
        g_ptr_array_new_with_free_func((GDestroyNotify)lab_interconnect_free);
    plan->functions = g_ptr_array_new_with_free_func(plan_function_free);
    plan->roots = g_ptr_array_new_with_free_func(plan_root_free);
    plan->groups = g_ptr_array_new_with_free_func(plan_group_free);
    plan->modules = g_ptr_array_new_with_free_func(g_free);
    plan->optional_modules = g_ptr_array_new_with_free_func(g_free);
    plan->raw_args = g_ptr_array_new_with_free_func(g_free);
    plan->peers = g_ptr_array_new_with_free_func(g_free);
    plan->names = g_ptr_array_new_with_free_func(plan_name_free);
    plan->uplinks = g_ptr_array_new_with_free_func(plan_uplink_free);
    return plan;
}

void
plan_free(Plan *plan)
{
    if (plan == NULL)
        return;
    g_free(plan->lab_name);
    g_free(plan->host_id);
    g_free(plan->os);
    g_free(plan->os_id);
    g_free(plan->os_name);
    g_clear_pointer(&plan->lab_source, g_bytes_unref);
    g_free(plan->machine);
    g_ptr_array_unref(plan->machine_properties);
    g_free(plan->cpu_model);
    g_ptr_array_unref(plan->cpu_features);
    g_free(plan->kernel);
    g_clear_pointer(&plan->image, lab_image_unref);
    g_free(plan->cmdline);
    g_free(plan->iommu.driver);
    g_ptr_array_unref(plan->iommu.properties);
    g_ptr_array_unref(plan->cells);
    g_clear_pointer(&plan->memory, g_ptr_array_unref);
    g_ptr_array_unref(plan->interconnects);
    g_ptr_array_unref(plan->roots);
    g_ptr_array_unref(plan->groups);
    g_ptr_array_unref(plan->functions);
    g_ptr_array_unref(plan->modules);
    g_ptr_array_unref(plan->optional_modules);
    g_ptr_array_unref(plan->raw_args);
    g_clear_pointer(&plan->peers, g_ptr_array_unref);
    g_clear_pointer(&plan->names, g_ptr_array_unref);
    g_clear_pointer(&plan->uplinks, g_ptr_array_unref);
    g_free(plan->needs_kvm);
    plan_free(plan->filled);
    g_free(plan);
}

/* ---- properties
 * ------------------------------------------------------------------------- */

static void
set_property(GPtrArray *properties, const char *name, JsonNode *value)
{
    for (guint i = 0; i < properties->len; i++) {
        PlanProperty *property = g_ptr_array_index(properties, i);
        if (g_str_equal(property->name, name)) {
            json_node_unref(property->value);
            property->value = value;
            return;
        }
    }
    g_ptr_array_add(properties, plan_property_new(name, value));
}

void
plan_property_bool(GPtrArray *properties, const char *name, gboolean value)
{
    set_property(properties, name, json_node_init_boolean(json_node_alloc(), value));
}

void
plan_property_int(GPtrArray *properties, const char *name, gint64 value)
{
    set_property(properties, name, json_node_init_int(json_node_alloc(), value));
}

void
plan_property_string(GPtrArray *properties, const char *name, const char *value)
{
    set_property(properties, name, json_node_init_string(json_node_alloc(), value));
}

static gboolean
text_is_number(const char *text, gint64 *number)
{
    char *end = NULL;
    if (!g_ascii_isdigit(text[0]) && text[0] != '-')
        return FALSE;
    errno = 0;
    *number = g_ascii_strtoll(text, &end, g_str_has_prefix(text, "0x") ? 16 : 10);
    return *end == '\0' && errno == 0;
}

gboolean
plan_property_text(GPtrArray *properties, const char *name, const char *value,
                   const char *type)
{
    gboolean is_on = g_str_equal(value, "on") || g_str_equal(value, "true");
    gboolean is_off = g_str_equal(value, "off") || g_str_equal(value, "false");
    gint64 number;

    if (g_strcmp0(type, "bool") == 0) {
        if (!is_on && !is_off)
            return FALSE;
        plan_property_bool(properties, name, is_on);
        return TRUE;
    }
    if (type != NULL && (g_str_has_prefix(type, "int") ||
                         g_str_has_prefix(type, "uint") || g_str_equal(type, "size"))) {
        if (!text_is_number(value, &number))
            return FALSE;
        plan_property_int(properties, name, number);
        return TRUE;
    }
    plan_property_string(properties, name, value);
    return TRUE;
}

/* ---- questions
 * -------------------------------------------------------------------------- */

void
planning_need_kvm(Planning *planning, FilePos pos, const char *format, ...)
{
    Plan *plan = planning->plan;
    va_list arguments;

    if (plan->needs_kvm != NULL)
        return;
    va_start(arguments, format);
    plan->needs_kvm = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    plan->needs_kvm_pos = pos;
}

const EmulatorDevice *
planning_device(const Planning *planning, const char *name)
{
    return g_hash_table_lookup(planning->emulator->devices, name);
}

gboolean
planning_device_takes(const Planning *planning, const char *device, const char *property)
{
    const EmulatorDevice *facts = planning_device(planning, device);
    return facts != NULL && g_hash_table_contains(facts->properties, property);
}

const PlanFunction *
plan_function(const Plan *plan, const char *id)
{
    for (guint i = 0; i < plan->functions->len; i++) {
        const PlanFunction *function = g_ptr_array_index(plan->functions, i);
        if (g_strcmp0(function->id, id) == 0)
            return function;
    }
    return NULL;
}

/* What the emulator takes beside the guest's memory, read from its resident pages while
 * all suites ran under plain emulation, with 7.2 and 10.0, the larger of both: 168 MiB
 * for one CPU and 8 functions, 175 for 2 and 8, 199 for 8 and 15, 282 for 8 and 26, 279
 * for 2 and 35, 662 for 2 and 133. So: firmware, translated code and the kernel's file; a
 * stack and a heap for each CPU; and for each function its address space behind the
 * IOMMU. Translated code may grow for as long as a host runs, to 1 GiB in all; that is
 * not counted. */
#define NEEDED_BY_MACHINE (160 * MIB)
#define NEEDED_BY_CPU (3 * MIB)
#define NEEDED_BY_FUNCTION (4 * MIB)

gint64
plan_memory_needed(const Plan *plan)
{
    gint64 plugged_bytes = 0;
    for (guint i = 0; i < plan->memory->len; i++)
        plugged_bytes += ((const PlanMemory *)plan->memory->pdata[i])->size_bytes;
    return plan->memory_bytes + plugged_bytes + NEEDED_BY_MACHINE +
           NEEDED_BY_CPU * (gint64)plan->cpu_count +
           NEEDED_BY_FUNCTION * (gint64)plan->functions->len;
}
