/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Bus numbers as the firmware gives them (SeaBIOS, pciinit.c, pci_bios_init_bus_rec();
 * OVMF was seen to give the same): from each root bus depth first, by device and
 * function; each bridge takes the next number, an empty one too, and bus-reserve further
 * ones behind it. So each root bus needs as many numbers as there are bridges below it,
 * and the emulator does not object when two of them overlap: devices vanish instead. Here
 * it is refused.
 */
#include "plan-steps.h"

static gboolean
is_bridge(const PlanFunction *function)
{
    return function->role == PLAN_ROOT_PORT || function->role == PLAN_UPSTREAM ||
           function->role == PLAN_DOWNSTREAM || (function->class_code >> 8) == 0x0604;
}

static int
reserve_of(const PlanFunction *function)
{
    for (guint i = 0; i < function->properties->len; i++) {
        const PlanProperty *property = g_ptr_array_index(function->properties, i);
        if (g_str_equal(property->name, "bus-reserve"))
            return (int)json_node_get_int(property->value);
    }
    return 0;
}

/* Gives numbers to the bridges among FUNCTIONS and below, from LAST + 1; returns the last
 * one used. With numbers beyond 255 it only counts. */
static int
number_below(const GPtrArray *functions, int bus, int last)
{
    for (guint i = 0; i < functions->len; i++) {
        PlanFunction *function = g_ptr_array_index(functions, i);
        function->address.bus = (guint8)bus;
        if (!is_bridge(function))
            continue;
        function->secondary = ++last;
        last = number_below(function->children, function->secondary, last);
        last = MAX(last, function->secondary + reserve_of(function));
        function->subordinate = last;
    }
    return last;
}

static gint
compare_roots(gconstpointer a, gconstpointer b)
{
    const PlanRoot *x = *(PlanRoot *const *)a, *y = *(PlanRoot *const *)b;
    return (x->bus > y->bus) - (x->bus < y->bus);
}

static void
gather_root_functions(Plan *plan)
{
    PlanRoot *first = g_ptr_array_index(plan->roots, 0);

    for (guint i = 0; i < plan->functions->len; i++) {
        PlanFunction *function = g_ptr_array_index(plan->functions, i);
        if (function->bus == NULL || g_str_equal(function->bus, "pcie.0"))
            g_ptr_array_add(first->functions, function);
    }
    g_ptr_array_sort(first->functions, plan_compare_functions);
    for (guint i = 1; i < plan->roots->len; i++) {
        PlanRoot *root = g_ptr_array_index(plan->roots, i);
        for (guint j = 0; j < root->expander->children->len; j++)
            g_ptr_array_add(root->functions,
                            g_ptr_array_index(root->expander->children, j));
    }
}

/* How many numbers a root needs, its own included. */
static int
numbers_needed(const PlanRoot *root)
{
    return number_below(root->functions, 0, 0) + 1;
}

static gboolean
is_free(const GPtrArray *roots, const int *needed, int bus, int count)
{
    if (bus + count > 256)
        return FALSE;
    for (guint i = 0; i < roots->len; i++) {
        const PlanRoot *other = g_ptr_array_index(roots, i);
        if (other->bus == LAB_AUTO)
            continue;
        if (bus < other->bus + needed[i] && other->bus < bus + count)
            return FALSE;
    }
    return TRUE;
}

/* Places the expanders without a number at multiples of STRIDE; FALSE if they do not all
 * fit. */
static gboolean
place(const GPtrArray *roots, const int *needed, int stride)
{
    g_autofree gboolean *was_auto = g_new0(gboolean, roots->len);
    gboolean fits = TRUE;

    for (guint i = 0; i < roots->len; i++) {
        PlanRoot *root = g_ptr_array_index(roots, i);
        was_auto[i] = root->bus == LAB_AUTO;
    }
    for (guint i = 0; fits && i < roots->len; i++) {
        PlanRoot *root = g_ptr_array_index(roots, i);
        if (!was_auto[i])
            continue;
        int bus = stride;
        while (bus < 256 && !is_free(roots, needed, bus, needed[i]))
            bus += stride;
        fits = bus < 256;
        root->bus = fits ? bus : LAB_AUTO;
    }
    for (guint i = 0; !fits && i < roots->len; i++) {
        PlanRoot *root = g_ptr_array_index(roots, i);
        if (was_auto[i])
            root->bus = LAB_AUTO;
    }
    return fits;
}

/* Round numbers with room behind them while they fit, close ones when they must. */
static void
choose_numbers(Planning *planning, const int *needed)
{
    const GPtrArray *roots = planning->plan->roots;
    int total = 0;

    for (int stride = 32; stride > 0; stride /= 2) {
        if (place(roots, needed, stride))
            return;
    }
    for (guint i = 0; i < roots->len; i++)
        total += needed[i];
    for (guint i = 0; i < roots->len; i++) {
        PlanRoot *root = g_ptr_array_index(roots, i);
        if (root->bus != LAB_AUTO)
            continue;
        planning_limit(
            planning, "buses", root->expander->pos,
            "no range of %d bus numbers is free for expander %s, the host's root buses "
            "need %d in all; use fewer ports, or let hostbed choose the expanders' "
            "numbers",
            needed[i], root->expander->id, total);
        return;
    }
}

static int
next_free(const GPtrArray *roots, const int *needed, guint index)
{
    PlanRoot *root = g_ptr_array_index(roots, index);
    const int was = root->bus;
    int bus = was;

    root->bus = LAB_AUTO;
    while (bus < 256 && !is_free(roots, needed, bus, needed[index]))
        bus++;
    for (int lower = was; bus == 256 && lower > 0; lower--) {
        if (is_free(roots, needed, lower, needed[index]))
            bus = lower;
    }
    root->bus = was;
    return bus < 256 ? bus : PLAN_NONE;
}

static void
report_overlap(Planning *planning, const int *needed, guint index, guint before)
{
    const GPtrArray *roots = planning->plan->roots;
    const PlanRoot *root = g_ptr_array_index(roots, index);
    const PlanRoot *other = g_ptr_array_index(roots, before);
    const int next = next_free(roots, needed, index);
    g_autofree char *other_name = other->expander != NULL
                                      ? g_strdup_printf("expander bus %d", other->bus)
                                      : g_strdup("the root bus");
    g_autofree char *advice =
        next != PLAN_NONE
            ? g_strdup_printf("the next bus that is free for it is %d", next)
            : g_strdup("no other bus is free for it, so use fewer ports");

    findings_add(
        planning->findings, FINDING_ERROR, root->expander->pos, "bus-range",
        "expander bus %d is inside the range of %s (%d-%d: one for each port below, and "
        "what they reserve); %s",
        root->bus, other_name, other->bus, other->bus + needed[before] - 1, advice);
}

/* ROOTS are in the order of their numbers. */
static gboolean
ranges_are_apart(Planning *planning, const int *needed)
{
    const GPtrArray *roots = planning->plan->roots;
    const PlanRoot *lowest = g_ptr_array_index(roots, 0);
    gboolean apart = TRUE;

    if (lowest->bus < 0)
        return FALSE; /* was reported when it found no number */
    for (guint i = 1; i < roots->len; i++) {
        const PlanRoot *root = g_ptr_array_index(roots, i);
        const PlanRoot *before = g_ptr_array_index(roots, i - 1);
        if (root->expander != NULL && (root->bus > 255 || root->bus == 0)) {
            planning_limit(planning, "buses", root->expander->pos,
                           "expander %s cannot have bus %d; choose from 1 to 255",
                           root->expander->id, root->bus);
            apart = FALSE;
        } else if (before->bus + needed[i - 1] > root->bus) {
            report_overlap(planning, needed, i, i - 1);
            apart = FALSE;
        }
    }
    const PlanRoot *last = g_ptr_array_index(roots, roots->len - 1);
    if (last->bus <= 255 && last->bus + needed[roots->len - 1] > 256) {
        planning_limit(
            planning, "buses",
            last->expander != NULL ? last->expander->pos : planning->host->pos,
            "bus %d and what is below it need %d bus numbers, so the last would be %d; "
            "start at %d or lower",
            last->bus, needed[roots->len - 1], last->bus + needed[roots->len - 1] - 1,
            256 - needed[roots->len - 1]);
        apart = FALSE;
    }
    return apart;
}

static void
number_roots(Plan *plan)
{
    for (guint i = 0; i < plan->roots->len; i++) {
        PlanRoot *root = g_ptr_array_index(plan->roots, i);
        int last = number_below(root->functions, root->bus, root->bus);
        if (root->expander == NULL)
            continue;
        root->expander->secondary = root->bus;
        root->expander->subordinate = last;
        plan_property_int(root->expander->properties, "bus_nr", root->bus);
        if (root->node != PLAN_NONE || root->cell != PLAN_NONE)
            plan_property_int(root->expander->properties, "numa_node", root->cell);
    }
    g_ptr_array_sort(plan->functions, plan_compare_functions);
}

/* (chassis, slot) must be unique; a chassis for each port does it, for there are at most
 * 255. */
static void
number_chassis(Planning *planning)
{
    const GPtrArray *functions = planning->plan->functions;
    PlanFunction *taken[256] = {NULL};
    int next = 1;

    for (guint i = 0; i < functions->len; i++) {
        PlanFunction *function = g_ptr_array_index(functions, i);
        if (function->chassis >= 0 && function->chassis < 256)
            taken[function->chassis] = function;
    }
    for (guint i = 0; i < functions->len; i++) {
        PlanFunction *function = g_ptr_array_index(functions, i);
        if (function->role != PLAN_ROOT_PORT && function->role != PLAN_DOWNSTREAM)
            continue;
        if (function->chassis == PLAN_NONE) {
            while (next < 256 && taken[next] != NULL)
                next++;
            if (next == 256)
                continue; /* so many ports have no bus numbers, which was reported */
            function->chassis = next;
            taken[next] = function;
        }
        /* libvirt has no word for the slot number; a chassis of its own is enough. */
        if (function->port_slot == PLAN_NONE)
            function->port_slot =
                planning->plan->backend == PLAN_FOR_LIBVIRT ? 0 : function->chassis;
        plan_property_int(function->properties, "chassis", function->chassis);
        plan_property_int(function->properties, "slot", function->port_slot);
    }
}

static void
check_chassis(Planning *planning)
{
    const GPtrArray *functions = planning->plan->functions;
    g_autoptr(GHashTable) seen = g_hash_table_new(g_direct_hash, g_direct_equal);

    for (guint i = 0; i < functions->len; i++) {
        PlanFunction *function = g_ptr_array_index(functions, i);
        if (function->chassis == PLAN_NONE)
            continue;
        gpointer key =
            GINT_TO_POINTER((function->chassis << 16 | function->port_slot) + 1);
        const PlanFunction *other = g_hash_table_lookup(seen, key);
        if (other != NULL)
            findings_add(
                planning->findings, FINDING_ERROR, function->pos, "chassis",
                "%s and %s both are slot %d of chassis %d, which the emulator refuses; "
                "leave chassis and slot number out, or give each another one",
                function->id, other->id, function->port_slot, function->chassis);
        g_hash_table_insert(seen, key, function);
    }
}

static void
add_multifunction(Plan *plan)
{
    for (guint i = 0; i < plan->functions->len; i++) {
        PlanFunction *function = g_ptr_array_index(plan->functions, i);
        if (function->multifunction && function->driver != NULL)
            plan_property_bool(function->properties, "multifunction", TRUE);
    }
}

void
plan_buses(Planning *planning)
{
    Plan *plan = planning->plan;

    gather_root_functions(plan);
    g_autofree int *needed = g_new0(int, plan->roots->len);
    for (guint i = 0; i < plan->roots->len; i++)
        needed[i] = numbers_needed(g_ptr_array_index(plan->roots, i));
    choose_numbers(planning, needed);

    g_ptr_array_sort(plan->roots, compare_roots);
    for (guint i = 0; i < plan->roots->len; i++)
        needed[i] = numbers_needed(g_ptr_array_index(plan->roots, i));
    if (ranges_are_apart(planning, needed))
        number_roots(plan);
    number_chassis(planning);
    check_chassis(planning);
    add_multifunction(plan);
}
