/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The steps of the planner and what they share. Nobody outside plan*.c includes this.
 */
#pragma once

#include "plan.h"

/* One host being planned. A step reads the lab and what the steps before it decided, and
 * reports all that it finds; what cannot be is reported and replaced by something
 * harmless, so that the steps behind it can look on. */
typedef struct {
    const Lab *lab;
    const LabHost *host;
    const Emulator *emulator;
    const OsAnswer *os; /* what is known of the host's operating system, or NULL */
    Findings *findings;
    GHashTable *macs; /* set of char *: taken in the whole lab */
    gboolean filling; /* empty ports get NICs: Plan.filled */
    Plan *plan;
} Planning;

/* ---- plan.c: values and questions; plan-host.c runs the steps */
Plan *plan_new(const Lab *lab, const LabHost *host, PlanBackend backend);
PlanCell *plan_cell_new(const LabCell *from, int index);
PlanFunction *plan_function_new(PlanRole role, LabKind kind, const char *id);
PlanProperty *plan_property_new(const char *name, JsonNode *value);
/* By guest address, for g_ptr_array_sort() of PlanFunction. */
gint plan_compare_functions(gconstpointer a, gconstpointer b);
const EmulatorDevice *planning_device(const Planning *planning, const char *name);
gboolean
planning_device_takes(const Planning *planning, const char *device, const char *property);

/* Properties for the emulator, by the type it expects. */
void plan_property_bool(GPtrArray *properties, const char *name, gboolean value);
void plan_property_int(GPtrArray *properties, const char *name, gint64 value);
void plan_property_string(GPtrArray *properties, const char *name, const char *value);
/* WRITTEN in a lab: the value becomes what TYPE (of the emulator, or NULL) asks for. It
 * replaces a property of the same name. FALSE if it cannot. */
gboolean plan_property_text(GPtrArray *properties, const char *name, const char *value,
                            const char *type);

/* A refusal that quotes a row of plan_limits: "MESSAGE (at most N UNIT: REASON)". */
void planning_limit(Planning *planning, const char *limit, FilePos pos,
                    const char *format, ...) G_GNUC_PRINTF(4, 5);

/* Plain emulation is not enough, for the reason and with the way out that the sentence
 * says. The first one found stands. */
void planning_need_kvm(Planning *planning, FilePos pos, const char *format, ...)
    G_GNUC_PRINTF(3, 4);

/* The row "total-memory", in bytes. */
gint64 plan_memory_maximum(void);

/* ---- plan-cpu.c: the CPU model; its threads once the topology is known */
void plan_cpu_model(Planning *planning);
void plan_cpu_threads(Planning *planning);

/* ---- plan-cells.c: CPUs, cells, nodes, distances */
PlanCell *plan_cell_at(const Plan *plan, guint index);
void plan_cells(Planning *planning);
/* The cells that only a generic initiator makes visible get it once functions are known.
 */
void plan_generic_initiators(Planning *planning);

/* ---- plan-memory.c: slots for memory, and what was plugged into them */
PlanMemory *plan_memory_new(const LabMemory *from, int node);
void plan_slots(Planning *planning);

/* ---- plan-hugepages.c */
void plan_hugepages(Planning *planning);

/* ---- plan-iommu.c */
void plan_iommu(Planning *planning);

/* ---- plan-pci.c: functions, their slots on each bus */
void plan_pci(Planning *planning);

/* ---- plan-addresses.c: of all hosts together, once each is planned: who is joined with
 * whom by networks, by what addresses and names. */
void plan_addresses(const Lab *lab, const GPtrArray *plans, Findings *findings);
/* The address NUMBER of PREFIX, with its length. Owned by the caller. */
char *plan_address_text(const LabPrefix *prefix, int family, guint number);

/* ---- plan-uplinks.c: what leads out of networks and into them */
PlanUplink *plan_uplink_new(void); /* plan.c */
gboolean plan_has_uplink(const LabNetwork *network);
/* How many of the last addresses of a network are its uplink's. */
#define PLAN_UPLINK_ADDRESSES 3
/* Tells those of PLANS that are on NETWORK of its uplink, by those addresses. */
void plan_uplink_add(const LabNetwork *network, const LabPrefix *ipv4,
                     const LabPrefix *ipv6, const GPtrArray *plans, Findings *findings);

/* ---- plan-filled.c: NICs for empty ports */
gboolean plan_has_empty_port(const Plan *plan);
/* What is planned below OWNER instead of NODES (GPtrArray of LabNode, owned by the
 * caller); NULL: NODES. */
GPtrArray *
plan_filling(const Planning *planning, const PlanFunction *owner, const GPtrArray *nodes);

/* ---- plan-buses.c: bus numbers, and so addresses */
void plan_buses(Planning *planning);

/* ---- plan-devices.c: what a function is: ids, BARs, properties, driver */
void plan_device(Planning *planning, PlanFunction *function, const LabNode *node);
void plan_virtual_functions(Planning *planning);
void plan_modules(Planning *planning);
void plan_macs_taken(const Lab *lab, GHashTable *macs);
gboolean plan_is_virtio(const char *driver);
/* A property that OWNER, of which the emulator tells FACTS (or NULL), does not have. */
void plan_refuse_property(Planning *planning, const LabProperty *written,
                          const EmulatorDevice *facts, const char *owner);

/* ---- plan-groups.c */
void plan_groups(Planning *planning);

/* ---- plan-os.c: what the operating system needs, and what it has no drivers for */
/* By what the answer about HOST's system is found; NULL: it names none. Borrowed. */
const char *plan_os_word(const LabHost *host);
void plan_os(Planning *planning);
void plan_os_resources(Planning *planning);
void plan_os_firmware(Planning *planning);
void plan_os_devices(Planning *planning);

/* ---- plan-limits.c */
void plan_check_cell_limits(Planning *planning);
void plan_check_pci_limits(Planning *planning);
