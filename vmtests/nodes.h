/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What the suites that place tasks and memory share: the nodes of the manifest, pages on
 * them, and the CPU that a task runs on. All fail the case themselves where they cannot.
 */
#pragma once

#include "suite.h"

#define PAGE_BYTES 4096
/* What fresh_pages() gives, in pages. */
#define PAGES 32

/* Calls EACH for every node of the manifest, with its fact "node N cpus LIST". */
void for_each_node(void (*each)(int node, const Fact *fact));
/* The same for those who look what can be tried: EACH tells whether it tried anything on
 * the node, and is called until it has on MOST of them. Returns on how many it has. */
#define ALL_NODES 1024
int try_nodes(int most, bool (*each)(int node, const Fact *fact));
/* A node's list of CPUs or "none", from its fact. */
const char *cpus_of(const Fact *fact);
/* The manifest's; 0 if the node has none. */
int64_t node_asked_mib(int node);
/* Whether a case may put some pages on a node of the manifest: the kernel takes most of a
 * small one. A node that is not there fails the case. */
bool node_has_room(int node);
/* The next of the manifest's nodes after NODE, in a ring, that has room; -1 if no other
 * has. So each node with room is come from once, and gone to once. */
int next_node_with_room(int node);

/* Nodes as system calls take them: as many as a kernel can have at the most. */
typedef struct {
    unsigned long bits[ALL_NODES / 64];
} NodeMask;

void mask_add(NodeMask *mask, int node);
bool mask_has(const NodeMask *mask, int node);
/* All nodes that have room; *COUNT: how many. */
NodeMask nodes_with_room(int *count);

/* PAGES pages that were never touched. */
char *fresh_pages(void);
void drop_pages(char *pages);
/* Fresh pages that were bound to NODE and written: page i is full of the byte i + 1. */
char *written_pages_on(int node);
/* Fails unless all PAGES pages are on NODE and have what written_pages_on() wrote; WHAT
 * says how they came there: "moved to". */
void expect_written_on(const char *pages, int node, const char *what);
/* Writes each page and fails unless it is then on NODE; NAME is the case's. */
void touch_and_expect(char *pages, int node, const char *what, const char *name);

/* Moves one page to NODE. Returns 0, or -1 with errno. */
int move_page(void *page, int node);
/* The fault of the cases that look where memory is, in a host that is to fail the case
 * NAME: moves the page to another node than it is on. */
void misplace_for_fault(const char *name, void *page);

/* Lets this thread run on one CPU only, where it is when this returns. Returns 0, or -1
 * with errno. */
int stay_on_cpu(int cpu);
/* The same until the case ends, which it fails where it cannot. */
void run_on_cpu(int cpu);
