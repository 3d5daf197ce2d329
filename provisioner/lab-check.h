/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What the lab-check*.c files share, and nobody else includes: one host under
 * examination, and how a check says what it found. A check is a row in a table and a
 * function; it looks at what the author wrote, needs no emulator, and changes nothing.
 */
#pragma once

#include "lab.h"

typedef struct {
    const Lab *lab;
    const LabHost *host; /* NULL while the lab as a whole is looked at */
    GPtrArray *nodes;    /* const LabNode: all of the host, parents first */
    Findings *findings;
    GHashTable *told; /* set of char *: copies of an element do not repeat a finding */
    GHashTable *macs; /* char * → const LabNode *: of all hosts so far */
    const char *name; /* of the check that runs */
    gboolean said;    /* it found something */
} LabCheck;

typedef struct {
    const char *name; /* in brackets behind the message */
    void (*run)(LabCheck *check);
    guint needs; /* LabPart: it does not run while one of these is faulty */
    guint part;  /* LabPart that is wrong when it finds something; 0: nothing for which
                  * the planner has a sentence of its own */
} LabCheckRow;

/* All cells, for `needs`: what is missing may only be missing because of a fault; what is
 * there is there. */
#define LAB_CHECK_CELLS (LAB_PART_HOST | LAB_PART_CELLS)

/* Each ends with name NULL. */
extern const LabCheckRow lab_checks_cells[];
extern const LabCheckRow lab_checks_attributes[];
extern const LabCheckRow lab_checks_pci[];
extern const LabCheckRow lab_checks_image[];

/* Whether the emulator's machine has taken the name ID for what is its own. */
gboolean lab_check_is_machines(const char *id);

/* The cell number INDEX of the host. */
const LabCell *lab_check_cell(const LabCheck *check, guint index);

void
lab_check_say(LabCheck *check, FilePos pos, const char *format, ...) G_GNUC_PRINTF(3, 4);
