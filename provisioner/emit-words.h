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
/* "buses b4-b7" */
char *emit_bus_range(int first, int last);
/* What is worth saying of it beside its model: MAC, size, bus range, "" if nothing is. */
char *emit_function_detail(const PlanFunction *function);
/* "cell 1, node 2: CPUs 4-5, 2000 MiB" */
char *emit_cell_title(const PlanCell *cell);
