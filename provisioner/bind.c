/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * From selectors to functions.
 */
#include "bind.h"

#include <stdio.h>
#include <string.h>

#include "error.h"

#define CLASS_NETWORK 0x02
#define ALL G_MAXUINT

const char *const bind_classes[] = {"nic", "nvme", "device", "vf", "any", NULL};

typedef struct {
    const char *text; /* as given */
    char *what, *cell;
    guint count;
    gboolean has_count;
} Selector;

static void
selector_clear(Selector *selector)
{
    g_free(selector->what);
    g_free(selector->cell);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Selector, selector_clear)

static void
binding_free(gpointer data)
{
    Binding *binding = data;
    g_free(binding->cell);
    g_free(binding->interface);
    g_free(binding);
}

void
bindings_free(Bindings *bindings)
{
    if (!bindings)
        return;
    g_ptr_array_unref(bindings->all);
    g_ptr_array_unref(bindings->names);
    g_free(bindings);
}

/* ---- the functions of a plan
 * ------------------------------------------------------------------------- */

static gboolean
is_nameable(const PlanFunction *function)
{
    return !function->is_own &&
           (function->role == PLAN_ENDPOINT || function->role == PLAN_VF);
}

static gboolean
has_interface(const PlanFunction *function)
{
    return is_nameable(function) && function->class_code >> 16 == CLASS_NETWORK &&
           function->linux_driver;
}

/* As the agent names interfaces: physical functions first, each kind by address. */
static char *
interface_of(const Plan *plan, const PlanFunction *function)
{
    guint before = 0;
    if (!has_interface(function))
        return NULL;
    for (guint i = 0; i < plan->functions->len; i++) {
        const PlanFunction *other = plan->functions->pdata[i];
        if (!has_interface(other))
            continue;
        gboolean is_first =
            other->role == function->role
                ? pci_address_compare(other->address, function->address) < 0
                : other->role != PLAN_VF;
        before += is_first;
    }
    return g_strdup_printf("eth%u", before);
}

static Binding *
binding_new(const Plan *plan, const PlanFunction *function, gboolean asked)
{
    Binding *binding = g_new0(Binding, 1);
    binding->function = function;
    if (function->cell != PLAN_NONE)
        binding->cell = g_strdup(((PlanCell *)plan->cells->pdata[function->cell])->id);
    binding->interface = interface_of(plan, function);
    binding->asked = asked;
    binding->group = PLAN_NONE;
    return binding;
}

static Binding *
find(const GPtrArray *list, const PlanFunction *function)
{
    for (guint i = 0; i < list->len; i++) {
        Binding *binding = list->pdata[i];
        if (binding->function == function)
            return binding;
    }
    return NULL;
}

/* "0000:b5:00.0 (cell0.expander0.port0.nic0)" */
static char *
describe(const PlanFunction *function)
{
    char buffer[PCI_ADDRESS_SIZE];
    pci_address_text(function->address, buffer);
    return function->id ? g_strdup_printf("%s (%s)", buffer, function->id)
                        : g_strdup(buffer);
}

/* ---- reading a selector
 * ------------------------------------------------------------------------------- */

/* "0000:b5:00.0" or "b5:00.0" → the former; NULL: no address. */
static char *
address_of(const char *text)
{
    guint domain = 0, bus, slot, function;
    int end = -1;
    if (strspn(text, "0123456789abcdefABCDEF:.") != strlen(text))
        return NULL;
    if (sscanf(text, "%4x:%2x:%2x.%1x%n", &domain, &bus, &slot, &function, &end) != 4 ||
        text[end] != '\0') {
        domain = 0;
        end = -1;
        if (sscanf(text, "%2x:%2x.%1x%n", &bus, &slot, &function, &end) != 3 ||
            text[end] != '\0')
            return NULL;
    }
    return g_strdup_printf("%04x:%02x:%02x.%x", domain, bus, slot, function);
}

static gboolean
selector_fail(const char *text, GError **error)
{
    g_set_error(error, HB_ERROR, HB_USAGE,
                "--bind '%s' is no WHAT[@CELL][:COUNT], such as nic, e1000e:2, nic@1:all "
                "or b5:00.0",
                text);
    return FALSE;
}

static gboolean
selector_parse(const char *text, Selector *selector, GError **error)
{
    guint64 count = 1;
    *selector = (Selector){.text = text, .count = 1};
    char *address = address_of(text);
    if (address) {
        selector->what = address;
        return TRUE;
    }
    g_autofree char *rest = g_strdup(text);
    char *colon = strrchr(rest, ':');
    if (colon) {
        *colon = '\0';
        selector->has_count = TRUE;
        if (strcmp(colon + 1, "all") == 0)
            count = ALL;
        else if (!g_ascii_string_to_unsigned(colon + 1, 10, 1, 65536, &count, NULL))
            return selector_fail(text, error);
    }
    selector->count = (guint)count;
    char *at = strchr(rest, '@');
    if (at) {
        *at = '\0';
        selector->cell = g_strdup(at + 1);
    }
    selector->what = g_strdup(rest);
    return *rest && (!at || at[1]) ? TRUE : selector_fail(text, error);
}

/* ---- what it means
 * ------------------------------------------------------------------------------------ */

static gboolean
is_of_class(const PlanFunction *function, const char *name)
{
    if (strcmp(name, "any") == 0)
        return TRUE;
    if (function->role == PLAN_VF)
        return strcmp(name, "vf") == 0;
    return strcmp(name, lab_kind_name(function->kind)) == 0;
}

/* As the lab writes it: a NIC of model "virtio" is a virtio-net-pci. */
static gboolean
is_of_model(const PlanFunction *function, const char *name)
{
    if (!function->driver)
        return FALSE;
    return strcmp(function->driver, name) == 0 ||
           (strcmp(name, "virtio") == 0 && g_str_has_prefix(function->driver, "virtio-"));
}

static gboolean
is_at(const PlanFunction *function, const char *address)
{
    char buffer[PCI_ADDRESS_SIZE];
    return strcmp(pci_address_text(function->address, buffer), address) == 0;
}

static gboolean
has_id(const PlanFunction *function, const char *id)
{
    return g_strcmp0(function->id, id) == 0;
}

typedef gboolean (*Means)(const PlanFunction *function, const char *what);

static gboolean
any_means(const Bindings *bindings, Means means, const char *what)
{
    for (guint i = 0; i < bindings->names->len; i++)
        if (means(((Binding *)bindings->names->pdata[i])->function, what))
            return TRUE;
    return FALSE;
}

/* " (perhaps cell0.expander0.port0.nvme0)": the ids that END, as the tree has it, ends;
 * "" if there is none. Owned by the caller. */
static char *
whole_ids(const Bindings *bindings, const char *end)
{
    GString *text = g_string_new(NULL);
    g_autofree char *suffix = g_strconcat(".", end, NULL);
    for (guint i = 0; i < bindings->names->len; i++) {
        const char *id = ((Binding *)bindings->names->pdata[i])->function->id;
        if (id && g_str_has_suffix(id, suffix))
            g_string_append_printf(text, "%s%s", text->len ? ", or " : " (perhaps ", id);
    }
    if (text->len > 0)
        g_string_append_c(text, ')');
    return g_string_free(text, FALSE);
}

static gboolean
fail_unknown(const Bindings *bindings, const Selector *selector, GError **error)
{
    g_autofree char *classes = g_strjoinv(", ", (char **)bind_classes);
    g_autoptr(GString) models = g_string_new(NULL);
    for (guint i = 0; i < bindings->names->len; i++) {
        const PlanFunction *function = ((Binding *)bindings->names->pdata[i])->function;
        g_autofree char *item =
            function->driver ? g_strdup_printf(", %s", function->driver) : g_strdup("");
        if (!strstr(models->str, item))
            g_string_append(models, item);
    }
    g_autofree char *whole = whole_ids(bindings, selector->what);
    g_set_error(error, HB_ERROR, HB_USAGE,
                "--bind %s: the lab has no function that '%s' means%s; there are the "
                "classes %s%s%s, whole ids, and addresses as 'hostbed show' has them",
                selector->text, selector->what, whole, classes,
                models->len ? ", the models " : "", models->len ? models->str + 2 : "");
    return FALSE;
}

/* By what WHAT is to be compared; NULL: nothing has it. */
static Means
meaning_of(const Bindings *bindings, const char *what)
{
    const Means tries[] = {has_id, is_of_model, is_at};
    if (g_strv_contains(bind_classes, what))
        return is_of_class;
    for (guint i = 0; i < G_N_ELEMENTS(tries); i++)
        if (any_means(bindings, tries[i], what))
            return tries[i];
    return NULL;
}

/* *CELL: its index, PLAN_NONE for "none". */
static gboolean
find_cell(const Plan *plan, const Selector *selector, int *cell, GError **error)
{
    guint64 number;
    *cell = PLAN_NONE;
    if (!selector->cell || strcmp(selector->cell, "none") == 0)
        return TRUE;
    g_autoptr(GString) names = g_string_new(NULL);
    for (guint i = 0; i < plan->cells->len; i++) {
        const PlanCell *each = plan->cells->pdata[i];
        g_string_append_printf(names, "%s%s", i > 0 ? ", " : "", each->id);
        if (strcmp(each->id, selector->cell) == 0) {
            *cell = (int)i;
            return TRUE;
        }
    }
    if (g_ascii_string_to_unsigned(selector->cell, 10, 0, G_MAXINT, &number, NULL) &&
        number < plan->cells->len) {
        *cell = (int)number;
        return TRUE;
    }
    g_set_error(error, HB_ERROR, HB_USAGE, "--bind %s: there is no cell '%s', but %s",
                selector->text, selector->cell, names->str);
    return FALSE;
}

/* ---- what can be had
 * ---------------------------------------------------------------------------------- */

/* Why the function cannot be taken from its driver, or NULL. */
static const char *
obstacle(const PlanFunction *function)
{
    if (function->vfs > 0)
        return "has virtual functions, which would go with its driver";
    if (function->is_own)
        return "is hostbed's own";
    if (function->role == PLAN_BUILTIN)
        return "belongs to the machine";
    return NULL;
}

/* Bridges may stay in a group that VFIO takes. */
static gboolean
counts_in_group(const PlanFunction *function)
{
    return function->role == PLAN_ENDPOINT || function->role == PLAN_VF ||
           function->role == PLAN_BUILTIN;
}

static gboolean
check_group(const Plan *plan, const PlanFunction *function, const char *text,
            GError **error)
{
    g_autofree char *name = describe(function);
    if (function->group == PLAN_NONE) {
        g_set_error(error, HB_ERROR, HB_USAGE,
                    "--bind %s: %s has no IOMMU group, which VFIO needs; %s", text, name,
                    plan->iommu.model == LAB_IOMMU_NONE
                        ? "the lab has no IOMMU (<iommu>)"
                        : "the lab's IOMMU does not translate for it");
        return FALSE;
    }
    const PlanGroup *group = plan->groups->pdata[function->group];
    g_autoptr(GString) others = g_string_new(NULL);
    for (guint i = 0; i < group->members->len; i++) {
        const PlanFunction *member = group->members->pdata[i];
        const char *why = counts_in_group(member) ? obstacle(member) : NULL;
        g_autofree char *other = describe(member);
        if (why)
            g_string_append_printf(others, "%s%s, which %s",
                                   others->len ? ", and with " : "", other, why);
    }
    if (others->len == 0)
        return TRUE;
    g_set_error(error, HB_ERROR, HB_USAGE,
                "--bind %s: VFIO takes whole IOMMU groups, and %s shares its own with %s",
                text, name, others->str);
    return FALSE;
}

static gboolean
fail_obstacle(const PlanFunction *function, const char *text, GError **error)
{
    g_autofree char *name = describe(function);
    g_set_error(error, HB_ERROR, HB_USAGE, "--bind %s: %s %s", text, name,
                obstacle(function));
    return FALSE;
}

static gboolean
fail_few(const Selector *selector, const GString *found, guint there, guint taken,
         GError **error)
{
    g_autoptr(GString) text = g_string_new(NULL);
    if (there == 0)
        g_string_append(text, "there is none that can be bound");
    else
        g_string_append_printf(text, "there %s %u%s", there == 1 ? "is" : "are", there,
                               found->str);
    if (taken > 0)
        g_string_append_printf(text, ", of which an earlier --bind takes %u", taken);
    if (selector->count == ALL)
        g_string_append(text, ", so that none is left");
    else
        g_string_append_printf(text, "; %u %s asked for", selector->count,
                               selector->count == 1 ? "is" : "are");
    g_set_error(error, HB_ERROR, HB_USAGE, "--bind %s: %s", selector->text, text->str);
    return FALSE;
}

/* Takes the functions that SELECTOR means, in order, until it has enough. */
static gboolean
take(const Plan *plan, Bindings *bindings, const Selector *selector, Means means,
     int cell, GError **error)
{
    guint there = 0, taken = 0, got = 0;
    gboolean is_one = means == has_id || means == is_at;
    g_autoptr(GString) found = g_string_new(NULL);
    for (guint i = 0; i < bindings->names->len && got < selector->count; i++) {
        const PlanFunction *function = ((Binding *)bindings->names->pdata[i])->function;
        if (!means(function, selector->what) ||
            (selector->cell && function->cell != cell))
            continue;
        if (obstacle(function) && is_one)
            return fail_obstacle(function, selector->text, error);
        if (obstacle(function))
            continue;
        g_autofree char *name = describe(function);
        g_string_append_printf(found, "%s%s", there++ > 0 ? ", " : ": ", name);
        if (find(bindings->all, function)) {
            taken++;
            continue;
        }
        if (!check_group(plan, function, selector->text, error))
            return FALSE;
        g_ptr_array_add(bindings->all, binding_new(plan, function, TRUE));
        got++;
    }
    if (got == 0 || (selector->count != ALL && got < selector->count))
        return fail_few(selector, found, there, taken, error);
    return TRUE;
}

static gboolean
resolve(const Plan *plan, Bindings *bindings, const char *text, GError **error)
{
    g_auto(Selector) selector = {0};
    int cell;
    if (!selector_parse(text, &selector, error) ||
        !find_cell(plan, &selector, &cell, error))
        return FALSE;
    Means means = meaning_of(bindings, selector.what);
    if (!means)
        return fail_unknown(bindings, &selector, error);
    return take(plan, bindings, &selector, means, cell, error);
}

/* What shares a group with those asked for goes with them. */
static void
add_companions(const Plan *plan, Bindings *bindings)
{
    for (guint i = 0; i < bindings->asked; i++) {
        const Binding *binding = bindings->all->pdata[i];
        const PlanGroup *group = plan->groups->pdata[binding->function->group];
        for (guint j = 0; j < group->members->len; j++) {
            const PlanFunction *member = group->members->pdata[j];
            if (counts_in_group(member) && !find(bindings->all, member))
                g_ptr_array_add(bindings->all, binding_new(plan, member, FALSE));
        }
    }
}

Bindings *
bindings_new(const Plan *plan, const char *const *selectors, GError **error)
{
    g_autoptr(Bindings) bindings = g_new0(Bindings, 1);
    bindings->all = g_ptr_array_new_with_free_func(binding_free);
    bindings->names = g_ptr_array_new_with_free_func(binding_free);
    for (guint i = 0; i < plan->functions->len; i++)
        if (is_nameable(plan->functions->pdata[i]))
            g_ptr_array_add(bindings->names,
                            binding_new(plan, plan->functions->pdata[i], FALSE));
    for (; selectors && *selectors; selectors++)
        if (!resolve(plan, bindings, *selectors, error))
            return NULL;
    bindings->asked = bindings->all->len;
    add_companions(plan, bindings);
    return g_steal_pointer(&bindings);
}

/* ---- the host's side
 * ---------------------------------------------------------------------------------- */

GStrv
bindings_addresses(const Bindings *bindings)
{
    g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
    char buffer[PCI_ADDRESS_SIZE];
    for (guint i = 0; i < bindings->all->len; i++) {
        const Binding *binding = bindings->all->pdata[i];
        g_strv_builder_add(builder, pci_address_text(binding->function->address, buffer));
    }
    return g_strv_builder_end(builder);
}

gboolean
bindings_take_groups(Bindings *bindings, const char *text, GError **error)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", (gint)bindings->all->len + 1);
    gboolean ok = g_strv_length(lines) == bindings->all->len + 1 &&
                  *lines[bindings->all->len] == '\0';
    for (guint i = 0; ok && i < bindings->all->len; i++) {
        Binding *binding = bindings->all->pdata[i];
        char buffer[PCI_ADDRESS_SIZE];
        guint64 group = 0;
        const char *address = pci_address_text(binding->function->address, buffer);
        ok = g_str_has_prefix(lines[i], address) && lines[i][strlen(address)] == ' ' &&
             g_ascii_string_to_unsigned(lines[i] + strlen(address) + 1, 10, 0, G_MAXINT32,
                                        &group, NULL);
        binding->group = (gint64)group;
    }
    if (!ok)
        g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE,
                    "the host does not say which groups the bound functions have");
    return ok;
}
