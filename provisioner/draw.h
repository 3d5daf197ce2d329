/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The layout of a picture of a plan, in abstract pixels: boxes in boxes. What nests in
 * the machine nests in the picture: cells are areas, expanders are bars in them with
 * their ports below, devices stand below their port. A box of an IOMMU group surrounds
 * the functions that are its members, as far as they stand side by side. It knows no file
 * format; emit-svg.c paints it.
 */
#pragma once

#include "plan.h"

typedef enum {
    DRAW_HOST,     /* the whole picture */
    DRAW_AREA,     /* a cell, what belongs to none, or a table: lines in columns */
    DRAW_BUS,      /* a root bus: an expander's or bus 0 */
    DRAW_GROUP,    /* surrounds members of one IOMMU group, and names it */
    DRAW_FUNCTION, /* one PCI function */
} DrawKind;

typedef struct {
    DrawKind kind;
    int x, y, width, height; /* x, y: from the picture's corner */
    char *title;             /* NULL: none */
    GPtrArray *lines;        /* char *, below the title */
    const char *name;        /* of DRAW_FUNCTION: its whole id, the plan's, or NULL */
    int group;               /* of DRAW_GROUP and DRAW_FUNCTION, else PLAN_NONE */
    gboolean is_bridge;
    GPtrArray *children; /* DrawBox, painted after this one */
} DrawBox;

/* The picture lasts no longer than PLAN. */
DrawBox *draw_plan(const Plan *plan);
void draw_box_free(DrawBox *box);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DrawBox, draw_box_free)
