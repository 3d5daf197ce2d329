/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The network interfaces of a host's PCI functions, in the order that their names follow:
 * drivers find devices in an order of their own, and in any when they look at the same
 * time. It reads /sys or a recorded tree; libc only.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Physical functions by their addresses, then virtual ones by theirs; of a function with
 * several interfaces those in the order of their present names. The names are those in
 * ROOT (sysfs.h), each owned by the list. */
typedef struct {
    char **names;
    size_t count;
} Interfaces;

Interfaces interfaces_in_order(int root);
void interfaces_clear(Interfaces *interfaces);

/* Whether the function at ADDRESS ("0000:b5:00.0") has an interface. */
bool interfaces_has(int root, const char *address);
