/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plan-slots.h"

gboolean
plan_bus_is_link(const PlanBus *bus)
{
    return bus->owner != NULL &&
           (bus->owner->role == PLAN_ROOT_PORT || bus->owner->role == PLAN_DOWNSTREAM);
}

void
plan_bus_take(PlanBus *bus, PlanFunction *function, int slot, int number)
{
    bus->taken[slot][number] = function;
    function->address.slot = (guint8)slot;
    function->address.function = (guint8)number;
}

int
plan_bus_free_slot(const PlanBus *bus)
{
    for (int slot = bus->first_auto; slot <= bus->last_auto; slot++) {
        gboolean is_free = TRUE;
        for (int number = 0; number < 8; number++)
            is_free = is_free && bus->taken[slot][number] == NULL;
        if (is_free)
            return slot;
    }
    return PLAN_NONE;
}

int
plan_bus_free_slots(const PlanBus *bus)
{
    int count = 0;
    for (int slot = bus->first_auto; slot <= bus->last_auto; slot++) {
        gboolean is_free = TRUE;
        for (int number = 0; number < 8; number++)
            is_free = is_free && bus->taken[slot][number] == NULL;
        count += is_free;
    }
    return count;
}

int
plan_bus_free_function(const PlanBus *bus, int slot)
{
    for (int number = 0; number < 8; number++) {
        if (bus->taken[slot][number] == NULL)
            return number;
    }
    return PLAN_NONE;
}

void
plan_bus_take_written(Planning *planning, PlanBus *bus, PlanFunction *function,
                      const LabNode *node)
{
    int number = node->function != LAB_AUTO ? node->function : 0;
    int slot = node->slot;

    if (plan_bus_is_link(bus) && slot != 0) {
        findings_add(
            planning->findings, FINDING_ERROR, node->pos, "slot",
            "slot %d does not exist below a port, which leads to one device; write "
            "slot=\"0\" or leave it out",
            slot);
        slot = 0;
    }
    if (plan_bus_is_link(bus) && node->function == LAB_AUTO)
        number = plan_bus_free_function(bus, slot);
    if (number < 0 || number > 7 || slot < 0 || slot > 31) {
        findings_add(planning->findings, FINDING_ERROR, node->pos, "slot",
                     "%s %s has no slot %d.%d; slots are 0-31, functions 0-7",
                     lab_kind_name(node->kind), node->id, slot, number);
        return;
    }
    const PlanFunction *other = bus->taken[slot][number];
    if (other != NULL) {
        findings_add(planning->findings, FINDING_ERROR, node->pos, "slot",
                     "slot %d function %d of %s is taken by %s; leave the slot out, or "
                     "give the two "
                     "different functions",
                     slot, number, bus->owner != NULL ? bus->owner->id : "the root bus",
                     other->id != NULL ? other->id : "a function of the machine itself");
        return;
    }
    plan_bus_take(bus, function, slot, number);
}

void
plan_bus_take_next(Planning *planning, PlanBus *bus, PlanFunction *function,
                   const LabNode *node, int *last_slot)
{
    int slot, number = node->function != LAB_AUTO ? node->function : 0;

    if (plan_bus_is_link(bus)) {
        slot = 0;
        number =
            node->function != LAB_AUTO ? node->function : plan_bus_free_function(bus, 0);
    } else if (number > 0 && *last_slot != PLAN_NONE) {
        slot = *last_slot;
    } else {
        slot = plan_bus_free_slot(bus);
    }
    if (slot == PLAN_NONE || number == PLAN_NONE) {
        planning_limit(
            planning, plan_bus_is_link(bus) ? "functions-per-port" : "slots-per-bus",
            node->pos, "there is no room for %s %s %s %s; %s", lab_kind_name(node->kind),
            node->id, plan_bus_is_link(bus) ? "below" : "on",
            bus->owner != NULL ? bus->owner->id : "the root bus",
            plan_bus_is_link(bus)
                ? "use another port"
                : "use another expander, or give functions of one slot");
        return;
    }
    if (bus->taken[slot][number] != NULL) {
        findings_add(planning->findings, FINDING_ERROR, node->pos, "slot",
                     "function %d of slot %d is taken by %s; choose another one", number,
                     slot, bus->taken[slot][number]->id);
        return;
    }
    plan_bus_take(bus, function, slot, number);
    *last_slot = slot;
}

void
plan_bus_mark_multifunction(Planning *planning, PlanBus *bus)
{
    for (int slot = 0; slot < 32; slot++) {
        PlanFunction *first = bus->taken[slot][0];
        for (int number = 1; number < 8; number++) {
            const PlanFunction *function = bus->taken[slot][number];
            if (function == NULL)
                continue;
            if (first == NULL) {
                findings_add(
                    planning->findings, FINDING_ERROR, function->pos, "slot",
                    "%s is function %d of slot %d, which has no function 0, so nobody "
                    "would look for it; give one of its siblings function=\"0\"",
                    function->id, number, slot);
                break;
            }
            first->multifunction = TRUE;
        }
    }
}
