/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Slots and functions of one bus while they are given away: those that the lab asks for,
 * and those that are left to us.
 */
#pragma once

#include "plan-steps.h"

typedef struct {
    const PlanFunction *owner; /* bridge or expander; NULL: pcie.0 */
    PlanFunction *taken[32][8];
    int first_auto, last_auto; /* slots that hostbed chooses from */
} PlanBus;

/* Below a port there is one link, so one device: its functions are all there is room for.
 */
gboolean plan_bus_is_link(const PlanBus *bus);
void plan_bus_take(PlanBus *bus, PlanFunction *function, int slot, int number);
/* The first slot that hostbed may choose, or PLAN_NONE; and how many there are. */
int plan_bus_free_slot(const PlanBus *bus);
int plan_bus_free_slots(const PlanBus *bus);
/* The same of the functions of a slot. */
int plan_bus_free_function(const PlanBus *bus, int slot);

/* A slot that was asked for. */
void plan_bus_take_written(Planning *planning, PlanBus *bus, PlanFunction *function,
                           const LabNode *node);
/* A slot that was left to us. A function number above 0 joins the slot of the sibling
 * before. */
void plan_bus_take_next(Planning *planning, PlanBus *bus, PlanFunction *function,
                        const LabNode *node, int *last_slot);

/* Functions 1-7 are only looked for when function 0 is there and says that there are
 * more. */
void plan_bus_mark_multifunction(Planning *planning, PlanBus *bus);
