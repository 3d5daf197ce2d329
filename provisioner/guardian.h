/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A process that ends a group of processes when we die, however that happens. The
 * parent-death signal reaches the program that we start and not what it starts, as a
 * wrapper script does that does not exec its emulator.
 */
#pragma once

#include <sys/types.h>

/* To be called between fork and exec, async-signal-safe, in a child of PARENT that leads
 * a process group: puts a guardian into the group, which is a child of PARENT, too, and
 * keeps no descriptor open. Returns 0 or an errno. */
int guardian_start(pid_t parent);

/* Ends the group of the child LEADER, guardian included, and waits until all that are our
 * children are gone. LEADER need not live, but something of its group must not have been
 * waited for, or its number may be another's by now. */
void guardian_end_group(pid_t leader);
