/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What several emitters need to say the same thing in the same words. Only emit*.c and
 * their tests include it.
 */
#pragma once

#include "plan.h"

/* Whether the emulator is told of it: neither built in nor made by the guest's driver. */
gboolean emit_is_plugged(const PlanFunction *function);
/* hostbed's own channel to its agent. */
gboolean emit_is_channel(const PlanFunction *function);
/* The disk of an image that the host boots. */
gboolean emit_is_image(const PlanFunction *function);
/* An IOMMU that is a PCI function. */
gboolean emit_is_iommu(const PlanFunction *function);

/* CPUs in the kernel's list form, "0-3,8"; "none" if there are none. CPUS is ascending.
 * The result is owned by the caller. */
char *emit_cpu_list(const GArray *cpus);

/* The cell that Linux calls NODE, or NULL. */
const PlanCell *emit_cell_of_node(const Plan *plan, int node);

/* The property of this name in a list of PlanProperty, or NULL. */
const PlanProperty *emit_property(const GPtrArray *properties, const char *name);

/* The value as option strings write it: booleans are on and off. Owned by the caller. */
char *emit_property_text(const PlanProperty *property);

/* A block node's name for the disk of the function with this id: such names have 31
 * characters at most (the emulator's BlockDriverState.node_name). Owned by the caller. */
char *emit_disk_name(const char *id);

/* What the NIC's end of its network is called. Owned by the caller. */
char *emit_netdev_id(const PlanFunction *nic);
/* A port of the emulator's hub HUB, as -netdev takes it; owned by the caller. */
JsonObject *emit_hub_port(const char *id, guint hub);
/* Networks of PLAN are numbered in the order of their names. */
guint emit_hub_of(const Plan *plan, const char *network);

/* What of an emulator's command line writes the frames of the networks within it to files
 * in DIR (emit_capture_file()); NULL: nothing does. */
typedef struct {
    const char *dir;
    gboolean has_ports; /* networks that join hosts are not within it */
    /* A word, and what it is followed by, which this takes. */
    void (*add)(gpointer writer, const char *option, JsonObject *object);
    gpointer writer;
} EmitCapture;
void emit_captures(const Plan *plan, const EmitCapture *capture);

/* Values of -numa: one entry of the HMAT, one memory-side cache. Owned by the caller. */
char *emit_numa_link(const LabInterconnect *link);
char *emit_numa_cache(const PlanCell *cell, const LabCache *cache);

/* Which of the cells' memories are reached best from where, as Linux works it out from
 * the HMAT (drivers/acpi/numa/hmat.c, access class 0). 0: not told. */
typedef struct {
    guint64 read_latency_ns, write_latency_ns;
    guint64 read_bandwidth_mib, write_bandwidth_mib; /* MiB per second */
    GArray *initiators;                              /* guint, Linux's nodes, ascending */
} EmitAccess;

/* NULL if the plan has no HMAT or the cell no memory. */
EmitAccess *emit_access_new(const Plan *plan, const PlanCell *target);
void emit_access_free(EmitAccess *access);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(EmitAccess, emit_access_free)
