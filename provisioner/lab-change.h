/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A lab that changes while it is up: what is plugged into a port of a host or a slot for
 * memory, and what is taken out. For the one who owns the Lab, and has planned what
 * follows from it; all others find it as it was parsed. Pure.
 */
#pragma once

#include "lab.h"

/* The device that WORDS ask for: an element's name, and attributes as in a lab, "nic",
 * "model=igb". Its id is NULL where none was given. Owned by the caller. HB_USAGE: they
 * mean none. */
LabNode *lab_change_device(const char *const *words, GError **error);

/* The memory for HOST that WORDS ask for: "memory", "size=256 MiB", "cell=1"; the cell
 * of the memory of that name that is there, or the first one that has CPUs or memory, and
 * the first name of "memory0", "memory1" … that is free, where they say none. HB_USAGE:
 * they mean none. lab-change-memory.c. */
gboolean lab_change_is_memory(const char *const *words);
LabMemory *
lab_change_memory(const LabHost *host, const char *const *words, GError **error);
/* The memory of this id that was plugged into HOST, or NULL; the other takes it out, for
 * the caller. */
LabMemory *lab_change_find_memory(const LabHost *host, const char *id);
LabMemory *lab_change_unplug_memory(LabHost *host, const char *id);

/* The port of this id gets NODE (taken), whose id becomes one below that of the port
 * where it has none. */
void lab_change_plug(LabHost *host, const char *port, LabNode *node);
/* What HOST has by this id, or NULL. */
LabNode *lab_change_find(const LabHost *host, const char *id);
/* Takes the device of this id off its port, for the caller; *PORT (may be NULL) is that
 * port's id. NULL: no port has it. */
LabNode *lab_change_unplug(LabHost *host, const char *id, const char **port);
