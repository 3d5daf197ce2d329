/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The cases of the suite numa-moves, which are in more files than one.
 */
#pragma once

#include "cases.h"
#include "suite.h"

#define DECLARE_CASE(name) void name(void **state);
NUMA_MOVES_CASES(DECLARE_CASE)
#undef DECLARE_CASE
