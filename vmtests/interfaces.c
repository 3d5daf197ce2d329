/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "interfaces.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sysfs.h"

#define DEVICES "sys/bus/pci/devices"

static void
visit_folder(int root, const char *function, const char *folder, InterfaceVisit *visit,
             void *user_data)
{
    SysfsNames names = sysfs_names(root, DEVICES "/%s/%s", function, folder);
    for (size_t i = 0; i < names.count; i++)
        visit(function, folder, names.names[i], user_data);
    sysfs_names_clear(&names);
}

/* A virtio function has its interface below the virtio device. */
void
interfaces_visit(int root, const char *function, InterfaceVisit *visit, void *user_data)
{
    visit_folder(root, function, "net", visit, user_data);
    SysfsNames names = sysfs_names(root, DEVICES "/%s", function);
    for (size_t i = 0; i < names.count; i++) {
        unsigned number;
        char folder[32];
        if (!sysfs_numbered(names.names[i], "virtio", &number))
            continue;
        snprintf(folder, sizeof folder, "virtio%u/net", number);
        visit_folder(root, function, folder, visit, user_data);
    }
    sysfs_names_clear(&names);
}

static void
append(const char *function, const char *folder, const char *name, void *user_data)
{
    Interfaces *interfaces = user_data;
    (void)function;
    (void)folder;
    char *copy = strdup(name);
    char **names =
        realloc(interfaces->names, (interfaces->count + 1) * sizeof *interfaces->names);
    if (names)
        interfaces->names = names;
    if (names && copy)
        names[interfaces->count++] = copy;
    else
        free(copy);
}

/* The kernel writes addresses with leading zeros, so that sorted names are in the order
 * of the addresses, but for a domain of more than four digits, which only gets longer. */
static int
compare_addresses(const void *a, const void *b)
{
    const char *x = *(char *const *)a, *y = *(char *const *)b;
    size_t x_length = strlen(x), y_length = strlen(y);
    if (x_length != y_length)
        return x_length < y_length ? -1 : 1;
    return strcmp(x, y);
}

Interfaces
interfaces_in_order(int root)
{
    Interfaces interfaces = {0};
    SysfsNames functions = sysfs_names(root, DEVICES);
    if (functions.count > 0)
        qsort(functions.names, functions.count, sizeof *functions.names,
              compare_addresses);
    for (int are_virtual = 0; are_virtual <= 1; are_virtual++)
        for (size_t i = 0; i < functions.count; i++)
            if (sysfs_exists(root, DEVICES "/%s/physfn", functions.names[i]) ==
                are_virtual)
                interfaces_visit(root, functions.names[i], append, &interfaces);
    sysfs_names_clear(&functions);
    return interfaces;
}

void
interfaces_clear(Interfaces *interfaces)
{
    for (size_t i = 0; i < interfaces->count; i++)
        free(interfaces->names[i]);
    free(interfaces->names);
    *interfaces = (Interfaces){0};
}

bool
interfaces_has(int root, const char *address)
{
    Interfaces interfaces = {0};
    interfaces_visit(root, address, append, &interfaces);
    bool has = interfaces.count > 0;
    interfaces_clear(&interfaces);
    return has;
}
