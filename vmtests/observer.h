/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What the files of the observation share: the tree they look at and the lines they add.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "sysfs.h"

typedef struct {
    int root;     /* for sysfs_…() */
    bool is_live; /* the running machine: its devices can be asked, too */
    bool failed;  /* memory was short */
    char **lines;
    size_t count, room;
} Observer;

/* Adds a fact, without its newline. */
void observer_add(Observer *observer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* TEXT as a list of the manifest: an empty one is "none". */
const char *observer_list(const char *text);

void observe_cpus(Observer *observer);
void observe_nodes(Observer *observer);
void observe_memory(Observer *observer); /* sizes of nodes */
void observe_pci(Observer *observer);
void observe_iommu(Observer *observer);

/* A base address register that found no room, by the kernel's log. */
typedef struct {
    char function[13];
    int index; /* 6: the expansion ROM */
    uint64_t flags, size;
} HomelessBar;

typedef struct {
    HomelessBar *bars; /* freed by free() */
    size_t count;
} HomelessBars;

HomelessBars bars_without_home(const Observer *observer);
void observe_bars(Observer *observer, const char *function, const HomelessBars *homeless);
