/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A Plan is one host with every choice made: bus numbers, slots, chassis, MACs, memory
 * backends, and what the guest's kernel will see: the address and node of every function,
 * the members of every IOMMU group. Only the planner chooses; emitters write down what
 * stands here. After plan_host() nobody changes a Plan. A Plan owns all it points to and
 * does not need the Lab any more, but for PlanFunction.parent and the like, which point
 * within the plan.
 */
#pragma once

#include <glib.h>
#include <json-glib/json-glib.h>

#include "emulator.h"
#include "findings.h"
#include "lab.h"
#include "os-facts.h"

/* Where a PCI function is for the guest; segment 0 only (FACTS: one segment). Distinct
 * types so that a slot cannot be passed for a bus. */
typedef struct {
    guint8 bus;
    guint8 slot;     /* PCI "device number", 0-31 */
    guint8 function; /* 0-7 */
} PciAddress;

/* "0000:b5:00.0"; BUFFER has room for 13 bytes; returned. */
#define PCI_ADDRESS_SIZE 13
const char *pci_address_text(PciAddress address, char buffer[PCI_ADDRESS_SIZE]);
int pci_address_compare(PciAddress a, PciAddress b);

/* Bytes that a prepared image may add to the command line. */
#define PLAN_ROOT_MAX 256

/* A number for "no node" / "no cell" / "no value". */
#define PLAN_NONE (-1)

/* A property of a device or object as the emulator takes it; the value keeps its JSON
 * type. */
typedef struct {
    char *name;
    JsonNode *value;
} PlanProperty;

typedef enum {
    PLAN_BUILTIN,  /* comes with the machine: host bridge, LPC, SATA, SMBus */
    PLAN_EXPANDER, /* the pxb-pcie function on pcie.0; its root bus is .secondary */
    PLAN_ROOT_PORT,
    PLAN_UPSTREAM,
    PLAN_DOWNSTREAM,
    PLAN_ENDPOINT,
    PLAN_VF, /* a virtual function, there once the driver makes it */
} PlanRole;

typedef struct PlanFunction PlanFunction;
struct PlanFunction {
    PlanRole role;
    LabKind kind;    /* what the author called it; LAB_DEVICE for hostbed's own */
    FilePos pos;     /* of the element; file NULL for what nobody wrote */
    char *id;        /* id of the element and of the emulator's device; NULL: built in */
    char *driver;    /* the emulator's device name; NULL: built in, nothing to emit */
    char *bus;       /* the emulator's bus it is plugged into: "pcie.0" or an id */
    gboolean is_own; /* hostbed's own: the agent's channel, the disk of an image */

    PciAddress address;   /* as the guest's kernel will name it */
    PlanFunction *parent; /* the bridge above for the guest; NULL on a root bus */
    GPtrArray *children;  /* PlanFunction, borrowed, by address: what the bridge or the
                             expander leads to */
    /* Bus range below, of bridges and expanders; else PLAN_NONE. */
    int secondary, subordinate;

    int cell;               /* index of the cell it hangs off, or PLAN_NONE */
    int node;               /* Linux's node number, or PLAN_NONE */
    int group;              /* index in Plan.groups, or PLAN_NONE: no IOMMU */
    int chassis, port_slot; /* of ports, else PLAN_NONE */
    gboolean acs;           /* it isolates what is below it */
    gboolean hotplug;
    gboolean multifunction;

    char *mac;       /* of a NIC, else NULL */
    char *network;   /* or NULL */
    gboolean joined; /* the network leads out of the host */
    /* Of a NIC on a network that joins hosts, and of its virtual functions: the address
     * with the length of its prefix, "10.100.0.1/24"; else NULL, as of one that came to
     * a host that was up */
    char *ipv4, *ipv6;
    PlanFunction *physical; /* of PLAN_VF: whose it is */
    int vfs;                /* 0 if none */
    gint64 size_bytes;      /* NVMe namespace, else 0 */
    GPtrArray *properties; /* PlanProperty for the emulator, in order; without driver, id,
                              bus, addr */

    guint16 vendor, device;
    guint32 class_code;
    GArray *bars;             /* EmulatorBar */
    const char *linux_driver; /* that the micro image binds to it; NULL: none */
};

typedef struct {
    int bus;                /* number of the root bus: 0 or an expander's */
    PlanFunction *expander; /* NULL for bus 0 */
    int cell, node;         /* or PLAN_NONE */
    GPtrArray *functions;   /* PlanFunction directly on this bus, by address; borrowed */
} PlanRoot;

typedef struct {
    GPtrArray *members; /* PlanFunction, borrowed, by address */
} PlanGroup;

typedef struct {
    gint64 page_bytes, count;
    gboolean at_boot; /* reserved on the kernel command line, not by the agent */
} PlanHugepages;

typedef struct {
    int index; /* the cell's number in the lab; also its ACPI proximity domain */
    char *id;
    FilePos pos;
    int node;     /* Linux's number for it, or PLAN_NONE: it cannot be seen */
    GArray *cpus; /* guint, the emulator's indices, which are Linux's numbers too */
    gint64 memory_bytes;
    char *backend;     /* id of the memory backend, or NULL: no memory */
    GArray *distances; /* int, one per cell: from this cell to that one (ACPI SLIT) */
    GArray *hugepages; /* PlanHugepages, by page size */
    GPtrArray *caches; /* LabCache */
    char *generic_initiator; /* id of the function that makes the node exist, or NULL */
} PlanCell;

/* Memory that was plugged into a host that is up. */
typedef struct {
    char *id;      /* of the emulator's device, too */
    char *backend; /* id of its memory backend */
    int cell, node;
    gint64 size_bytes;
} PlanMemory;

typedef struct {
    LabIommuModel model;
    /* never LAB_UNSET */
    LabSwitch intremap, caching_mode, iotlb, eim, scalable, snoop_control, dma_drain,
        pass_through;
    int aw_bits;  /* 0 where there is none */
    char *driver; /* what -device makes it of; NULL: none, or it is a function (virtio) */
    GPtrArray *properties; /* PlanProperty of the -device, in order */
} PlanIommu;

/* Who will start the machine. libvirt adds ports of its own, so the planner must know. */
typedef enum {
    PLAN_FOR_QEMU,
    PLAN_FOR_LIBVIRT,
} PlanBackend;

/* What a host calls an address on one of its networks. */
typedef struct {
    char *address;
    char *names; /* parted by blanks: "compute0.fabric compute0" */
    char *host, *network;
} PlanName;

/* A port that leads out of a network, or into it. */
typedef struct {
    FilePos pos;
    int port;    /* on the network */
    char *to;    /* of the machine: "127.0.0.1:5432" */
    char *host;  /* of those that lead into it: which host's it is; else NULL */
    char *guest; /* and that host's address */
} PlanPassage;

/* What leads out of a network and into it: somebody on it who is no host. */
typedef struct {
    FilePos pos;
    char *network;
    char *ipv4, *ipv6;   /* "10.100.0.254/24": whom hosts have as gateway */
    char *dns;           /* "10.100.0.253": whom they ask for names */
    char *door;          /* "10.100.0.252": who has the services */
    gboolean nat;        /* all that is outside is to be reached */
    gboolean is_default; /* and by this one */
    gboolean is_first;   /* of those with services; it is called "uplink" alone */
    GPtrArray *services; /* PlanPassage */
    GPtrArray *forwards; /* PlanPassage */
} PlanUplink;

/* What an uplink is called on its network. */
#define PLAN_UPLINK_NAME "uplink"

typedef struct Plan Plan;
struct Plan {
    char *lab_name, *host_id;
    char *os;      /* operating system as the lab names it, or NULL: the micro image's */
    char *os_id;   /* its URI of libosinfo, or NULL: it was not looked up */
    char *os_name; /* "Debian 12", or NULL */
    FilePos pos;
    GBytes *lab_source;
    PlanBackend backend;
    char *machine;                 /* versioned: "pc-q35-7.2" */
    GPtrArray *machine_properties; /* PlanProperty */
    char *cpu_model;
    const char *tcg_cpu_vendor; /* CPUID vendor under plain emulation, so that Linux sees
                                 * the threads of a core; NULL: the model's own */
    const char *tcg_cpu_features; /* -cpu words that make plain emulation faster, or NULL:
                                   * the lab chose the model */
    gboolean has_generation_id;   /* clones are told at once that they are, so that their
                                   * kernel draws random numbers of its own */
    gboolean tcg_without_smm;     /* no system management mode under plain emulation */
    GPtrArray *cpu_features;      /* LabCpuFeature */
    int sockets, dies, cores, threads;
    guint cpu_count;
    gint64 memory_bytes;     /* of the cells, at the start */
    int memory_slots;        /* for memory that is plugged, or 0 */
    gint64 max_memory_bytes; /* with what is plugged; 0: no slots */
    GPtrArray *memory;       /* PlanMemory: what was plugged */
    LabFirmware firmware;    /* never AUTO */
    char *kernel;            /* asked for by the lab, or NULL */
    LabImage *image; /* what it boots instead of the micro image, the lab's own; or NULL.
                      * Its disk is among the functions */
    char *
        cmdline; /* whole kernel command line that the machine needs, but for the words
                  * of an image that say where its root is: at most PLAN_ROOT_MAX bytes */
    const char *tcg_cmdline;    /* words before it under plain emulation */
    const char *direct_cmdline; /* words before it where hostbed starts the emulator */
    PlanIommu iommu;
    GPtrArray *cells;         /* PlanCell, by index */
    guint node_count;         /* of Linux */
    gboolean distances_given; /* the lab says distances; else the emulator is told none */
    GPtrArray *interconnects; /* LabInterconnect */
    GPtrArray *functions;     /* PlanFunction, owned, all of them, by guest address */
    GPtrArray *roots;         /* PlanRoot, by bus number */
    GPtrArray *groups;        /* PlanGroup, by first member */
    GPtrArray *modules;       /* char *: kernel modules the guest needs, in order */
    GPtrArray
        *optional_modules; /* char *: those that it should have if its kernel does */
    GPtrArray *raw_args;   /* char * */
    gboolean tainted;      /* raw arguments: facts they may disturb are unchecked */
    char *needs_kvm; /* why plain emulation cannot start it or cannot show what it has,
                      * and the way out, one sentence; or NULL */
    FilePos needs_kvm_pos; /* what in the lab says so */
    GPtrArray *peers; /* char *: ids of the hosts that networks join with it, also by way
                       * of others, in the lab's order */
    GPtrArray *names; /* PlanName: of them and of itself, by network, as in /etc/hosts */
    GPtrArray *uplinks; /* PlanUplink, of its networks, in the lab's order; each of them
                         * has its own copy */
    Plan *filled; /* the same host with a NIC in each port that is empty at start and
                   * takes a device while the host runs; NULL: it has none, or such a host
                   * would be refused */
};

void plan_free(Plan *plan);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Plan, plan_free)

/* Plans every host of LAB; result: GPtrArray of Plan, in the lab's order. OSES has what
 * is known of the hosts' operating systems (os-lookup.h: char * as the lab names them →
 * OsAnswer); of those that it has not, or where it is NULL, nothing is said. NULL if
 * FINDINGS now has an error; warnings and notes may be there in either case. Pure: no
 * process, clock, random number, environment or host path. */
GPtrArray *plan_lab(const Lab *lab, const Emulator *emulator, GHashTable *oses,
                    PlanBackend backend, Findings *findings);

/* lab_check() and plan_lab() together, as every command does it: where the checks find
 * something, the planner still tells what cannot follow from that. */
GPtrArray *plan_checked_lab(const Lab *lab, const Emulator *emulator, GHashTable *oses,
                            PlanBackend backend, Findings *findings);

/* The function with this id, or NULL. */
const PlanFunction *plan_function(const Plan *plan, const char *id);

/* What was plugged by this id, or NULL; and what CELL has, its own and plugged. */
const PlanMemory *plan_memory(const Plan *plan, const char *id);
gint64 plan_cell_memory(const Plan *plan, const PlanCell *cell);
/* What can be plugged is a multiple of this. */
gint64 plan_memory_block(const Plan *plan);
/* Memory that slots of a host at its start take, for a suite to ask for: one for each
 * cell that keeps its node without it, of a block, at most MAXIMUM in all. GPtrArray of
 * PlanMemory, owned by the caller. */
GPtrArray *plan_pluggable_memory(const Plan *plan, guint maximum);
void plan_memory_free(PlanMemory *memory);

/* The NICs that plan->filled has and PLAN has not, by address; borrowed from there. Each
 * fills its .parent. */
GPtrArray *plan_pluggable(const Plan *plan);

/* const Plan *: those of PLANS that are of PLAN's peers, in their order. */
GPtrArray *plan_peers(const Plan *plan, const GPtrArray *plans);

/* Whether it is a port that has no device, and takes one while the host runs. */
gboolean plan_is_free_port(const PlanFunction *port);

/* The names of the networks that functions are on, each once, sorted; borrowed from PLAN.
 */
GPtrArray *plan_networks(const Plan *plan);

/* The same of those that do not join it with other hosts. */
GPtrArray *plan_own_networks(const Plan *plan);

/* Whether FUNCTION is a NIC on a network that joins hosts; and those of PLAN, by address
 * (PlanFunction, borrowed). */
gboolean plan_is_joined(const PlanFunction *function);
GPtrArray *plan_joined(const Plan *plan);
/* The uplink of the network of this name, or NULL. */
const PlanUplink *plan_uplink(const Plan *plan, const char *network);
/* Whether the network of this name joins PLAN's host with others. */
gboolean plan_joins_hosts(const Plan *plan, const char *network);

/* Memory that starting this host takes on the machine, in bytes: the guest's own and the
 * emulator's. */
gint64 plan_memory_needed(const Plan *plan);

/* A limit of the field, so that a refusal quotes its reason and the guide lists the
 * table. */
typedef struct {
    const char *name;   /* the check's name in findings */
    gboolean is_least;  /* MAXIMUM is the least, not the most */
    gint64 maximum;     /* how many of UNIT */
    const char *unit;   /* "cells", "MiB" */
    const char *reason; /* why, and what hostbed saw: one sentence */
} PlanLimit;

/* What stands before the number: "at most", "at least". */
const char *plan_limit_bound(const PlanLimit *limit);

extern const PlanLimit plan_limits[]; /* ends with name NULL */
const PlanLimit *plan_limit(const char *name);
