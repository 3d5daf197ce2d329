/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The network interfaces of a host's PCI functions: where they are, and the order that
 * their names follow, as drivers find devices in an order of their own, and in any when
 * they look at the same time. It reads /sys or a recorded tree; libc only.
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

/* Of the FUNCTION ("0000:b5:00.0"), whose folder has the FOLDER ("net", "virtio3/net")
 * that has the one called NAME. */
typedef void InterfaceVisit(const char *function, const char *folder, const char *name,
                            void *user_data);

/* Calls VISIT for each interface of FUNCTION. */
void
interfaces_visit(int root, const char *function, InterfaceVisit *visit, void *user_data);

/* Whether the function at ADDRESS ("0000:b5:00.0") has an interface. */
bool interfaces_has(int root, const char *address);
