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

static PlanCell *
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

static Plan *
plan_new(const Lab *lab, const LabHost *host, PlanBackend backend)
{
    Plan *plan = g_new0(Plan, 1);
    plan->lab_name = g_strdup(lab->name);
    plan->host_id = g_strdup(host->id);
    plan->pos = host->pos;
    plan->lab_source = lab->source != NULL ? g_bytes_ref(lab->source) : NULL;
    plan->backend = backend;
    plan->machine_properties = g_ptr_array_new_with_free_func(plan_property_free);
    plan->cpu_features =
        g_ptr_array_new_with_free_func((GDestroyNotify)lab_cpu_feature_free);
    plan->iommu.properties = g_ptr_array_new_with_free_func(plan_property_free);
    plan->cells = g_ptr_array_new_with_free_func(plan_cell_free);
    plan->interconnects =
        g_ptr_array_new_with_free_func((GDestroyNotify)lab_interconnect_free);
    plan->functions = g_ptr_array_new_with_free_func(plan_function_free);
    plan->roots = g_ptr_array_new_with_free_func(plan_root_free);
    plan->groups = g_ptr_array_new_with_free_func(plan_group_free);
    plan->modules = g_ptr_array_new_with_free_func(g_free);
    plan->optional_modules = g_ptr_array_new_with_free_func(g_free);
    plan->raw_args = g_ptr_array_new_with_free_func(g_free);
    return plan;
}

void
plan_free(Plan *plan)
{
    if (plan == NULL)
        return;
    g_free(plan->lab_name);
    g_free(plan->host_id);
    g_clear_pointer(&plan->lab_source, g_bytes_unref);
    g_free(plan->machine);
    g_ptr_array_unref(plan->machine_properties);
    g_free(plan->cpu_model);
    g_ptr_array_unref(plan->cpu_features);
    g_free(plan->kernel);
    g_free(plan->cmdline);
    g_free(plan->iommu.driver);
    g_ptr_array_unref(plan->iommu.properties);
    g_ptr_array_unref(plan->cells);
    g_ptr_array_unref(plan->interconnects);
    g_ptr_array_unref(plan->roots);
    g_ptr_array_unref(plan->groups);
    g_ptr_array_unref(plan->functions);
    g_ptr_array_unref(plan->modules);
    g_ptr_array_unref(plan->optional_modules);
    g_ptr_array_unref(plan->raw_args);
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
    return plan->memory_bytes + NEEDED_BY_MACHINE +
           NEEDED_BY_CPU * (gint64)plan->cpu_count +
           NEEDED_BY_FUNCTION * (gint64)plan->functions->len;
}

/* ---- the host
 * --------------------------------------------------------------------------- */

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
    const gsize length = strlen(plan->tcg_cmdline) + 1 + strlen(plan->direct_cmdline) +
                         1 + strlen(plan->cmdline);

    if ((gint64)length + CMDLINE_LATER > maximum)
        planning_limit(planning, "command-line", planning->host->kernel_pos,
                       "the kernel's command line would have %" G_GSIZE_FORMAT
                       " bytes, %" G_GSIZE_FORMAT " of the lab's own and %" G_GSIZE_FORMAT
                       " that hostbed needs, each huge page size of a cell among them; "
                       "shorten cmdline, or have fewer cells with huge pages",
                       length + CMDLINE_LATER, own, length + CMDLINE_LATER - own);
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

    add_hugepages(plan, words, TRUE, " hugepagesz=1G hugepages=");
    add_hugepages(plan, words, FALSE, " hostbed.hugepages=");
    add_vfs(plan, words);
    g_string_append_printf(words, " hostname=%s", plan->host_id);
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
plan_hosts(const Lab *lab, const Emulator *emulator, PlanBackend backend, guint wrong,
           Findings *findings)
{
    g_autoptr(GHashTable) macs = macs_new();
    g_autoptr(GPtrArray) plans =
        g_ptr_array_new_with_free_func((GDestroyNotify)plan_free);

    plan_macs_taken(lab, macs);
    for (guint i = 0; i < lab->hosts->len; i++) {
        Planning planning = {
            .lab = lab,
            .host = g_ptr_array_index(lab->hosts, i),
            .emulator = emulator,
            .findings = findings,
            .macs = macs,
        };
        g_ptr_array_add(plans, plan_host(&planning, backend, wrong));
    }
    return findings_ok(findings) ? g_steal_pointer(&plans) : NULL;
}

GPtrArray *
plan_lab(const Lab *lab, const Emulator *emulator, PlanBackend backend,
         Findings *findings)
{
    return plan_hosts(lab, emulator, backend, 0, findings);
}

GPtrArray *
plan_checked_lab(const Lab *lab, const Emulator *emulator, PlanBackend backend,
                 Findings *findings)
{
    const guint wrong = lab_check(lab, findings);
    return plan_hosts(lab, emulator, backend, wrong, findings);
}
