/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A lab that changes while it is up: what is plugged into a port of a host, and what is
 * taken out. For the one who owns the Lab, and has planned what follows from it; all
 * others find it as it was parsed. Pure.
 */
#pragma once

#include "lab.h"

/* The device that WORDS ask for: an element's name, and attributes as in a lab, "nic",
 * "model=igb". Its id is NULL where none was given. Owned by the caller. HB_USAGE: they
 * mean none. */
LabNode *lab_change_device(const char *const *words, GError **error);

/* The port of this id gets NODE (taken), whose id becomes one below that of the port
 * where it has none. */
void lab_change_plug(LabHost *host, const char *port, LabNode *node);
/* What HOST has by this id, or NULL. */
LabNode *lab_change_find(const LabHost *host, const char *id);
/* Takes the device of this id off its port, for the caller; *PORT (may be NULL) is that
 * port's id. NULL: no port has it. */
LabNode *lab_change_unplug(LabHost *host, const char *id, const char **port);
