/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The words in which the forms for people (tree, SVG, DOT) say the same thing. All
 * results are owned by the caller.
 */
#pragma once

#include "plan.h"

/* In the largest unit in which it is a whole number: "4000 MiB". */
char *emit_size_text(gint64 bytes);
/* Without the segment, which is always 0: "b5:00.0". */
char *emit_short_address(PciAddress address);
/* The end of the function's id below the id ABOVE; what it is where it has none. */
char *emit_short_id(const PlanFunction *function, const char *above);
/* The emulator's name of it, or the ids "8086:29c0" of what has none. */
char *emit_function_model(const PlanFunction *function);
/* "buses b4-b7" */
char *emit_bus_range(int first, int last);
/* What is worth saying of it beside its model: MAC, size, bus range, "" if nothing is. */
char *emit_function_detail(const PlanFunction *function);
/* "cell 1, node 2: CPUs 4-5, 2000 MiB" */
char *emit_cell_title(const PlanCell *cell);
/* "group 7", "" without an IOMMU. */
char *emit_group(int group);
/* "1 cell", "2 cells" */
char *emit_counted(guint count, const char *noun);
/* "berrange-2017: host l1" */
char *emit_host_title(const Plan *plan);
/* What a picture says below its title: machine, CPUs, memory, IOMMU, in one line. */
char *emit_host_detail(const Plan *plan);
/* Tables in aligned columns, each line with its end, the first a heading; NULL: the lab
 * says nothing of it. */
char *emit_distances(const Plan *plan);
char *emit_attributes(const Plan *plan);
char *emit_names(const Plan *plan);
/* What leads out of its networks and into them. */
char *emit_uplinks(const Plan *plan);
