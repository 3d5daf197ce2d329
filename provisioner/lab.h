/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What the author of a lab wrote: Lab, LabHost, LabCell, LabNode. The tree of a LabHost
 * is the hierarchy that the machine will have. Nothing is chosen here: what was left out
 * is LAB_AUTO, NULL or LAB_UNSET, and the planner decides it. Counts are already
 * expanded: a port with count="3" is three nodes, each with its own id and MAC.
 *
 * lab_parse() makes a Lab, lab_check() looks at it alone, plan_lab() decides the rest.
 * After parsing nobody changes a Lab. The words are those of docs/lab-language.rst.
 */
#pragma once

#include <glib.h>

#include "findings.h"

/* "left to the planner", for every number in this file */
#define LAB_AUTO (-1)

/* Parts of a lab, as bits. What is wrong with one says nothing of the others, so those
 * are looked at all the same; but what needs a part is not said while it is faulty, for
 * it might only follow from that fault. */
typedef enum {
    LAB_PART_LAB = 1 << 0, /* what stands in <lab> */
    LAB_PART_NETWORKS = 1 << 1,
    LAB_PART_HOST = 1 << 2,  /* what stands in <host>: anything may be missing */
    LAB_PART_CPU = 1 << 3,   /* <cpu> */
    LAB_PART_CELLS = 1 << 4, /* attributes of cells, and what stands in them */
    LAB_PART_HUGEPAGES = 1 << 5,
    LAB_PART_DISTANCES = 1 << 6,
    LAB_PART_ATTRIBUTES = 1 << 7, /* of memory: interconnects and caches */
    LAB_PART_NODES = 1 << 8,      /* PCI elements */
    LAB_PART_IOMMU = 1 << 9,
    LAB_PART_BOOT = 1 << 10,  /* machine, firmware, kernel, raw arguments */
    LAB_PART_IMAGE = 1 << 11, /* <image>, and what stands in it */
} LabPart;

/* An attribute that is on or off, as libvirt writes it, or was not given. */
typedef enum {
    LAB_UNSET,
    LAB_OFF,
    LAB_ON,
} LabSwitch;

/* ---- one PCI element ------------------------------------------------------------ */

typedef enum {
    LAB_EXPANDER,   /* pxb-pcie: an extra root bus */
    LAB_PORT,       /* a root port */
    LAB_SWITCH,     /* the upstream port of a switch; its children are LAB_DOWNSTREAM */
    LAB_DOWNSTREAM, /* a downstream port of a switch */
    LAB_NIC,        /* an endpoint with a MAC */
    LAB_NVME,       /* an NVMe controller with one namespace */
    LAB_DEVICE,     /* any emulator device by name */
} LabKind;

/* The element's name in a lab file ("expander", "port", …); static. */
const char *lab_kind_name(LabKind kind);

/* One property handed to the emulator's device as it stands. */
typedef struct {
    char *name;
    char *value;
    FilePos pos;
} LabProperty;

typedef struct LabNode LabNode;
struct LabNode {
    LabKind kind;
    FilePos pos;
    guint element;   /* number of the file's element; copies share it */
    char *id;        /* never NULL; unique in the host; [A-Za-z][A-Za-z0-9._-]* */
    LabNode *parent; /* borrowed; NULL directly in a cell or in the host */

    char
        *model; /* the emulator's device name; NULL: the planner's choice for this kind */
    int slot;   /* PCI device number on the parent's bus 0-31, or LAB_AUTO */
    int function; /* 0-7, or LAB_AUTO */
    LabSwitch multifunction;

    int bus;       /* LAB_EXPANDER: number of its root bus 1-255, or LAB_AUTO */
    int chassis;   /* LAB_PORT, LAB_DOWNSTREAM: 0-255, or LAB_AUTO */
    int port_slot; /* LAB_PORT, LAB_DOWNSTREAM: the slot number in the Slot Capabilities,
                      or LAB_AUTO */
    int bus_reserve;   /* LAB_PORT: further buses kept for hot-plug 0-255, or LAB_AUTO */
    LabSwitch acs;     /* LAB_PORT: Access Control Services; LAB_UNSET: the model's own */
    LabSwitch hotplug; /* LAB_PORT, LAB_DOWNSTREAM */

    char *mac;     /* LAB_NIC: "52:54:00:7e:6e:c6", lower case, or NULL */
    char *network; /* LAB_NIC: id of a LabNetwork, or NULL: no peer */
    int vfs; /* LAB_NIC: virtual functions to be there at start, or LAB_AUTO (none) */

    char *serial;      /* LAB_NVME, or NULL */
    gint64 size_bytes; /* LAB_NVME: of its namespace, or LAB_AUTO */

    GPtrArray *properties; /* LabProperty, in the order written */
    GPtrArray *children;   /* LabNode, in the order written */
};

/* ---- cells ---------------------------------------------------------------------- */

typedef struct {
    gint64 page_bytes; /* 2 MiB or 1 GiB */
    gint64 count;      /* pages reserved on this cell */
    FilePos pos;
} LabHugepages;

typedef struct {
    int cell;  /* index of the other cell */
    int value; /* 10-254 (ACPI SLIT), 255 unreachable */
    FilePos pos;
} LabDistance;

/* One entry of the Heterogeneous Memory Attribute Table, in libvirt's words
 * (domain <interconnects>): what the cell INITIATOR sees of the memory of cell TARGET. */
typedef struct {
    gboolean is_bandwidth; /* else latency */
    int initiator, target; /* indices of cells */
    int cache;             /* 0: memory itself; else the cache level it is about */
    char *type;            /* "access", "read" or "write" */
    gint64 value; /* latency: ns; bandwidth: bytes per second, a multiple of 1 MiB */
    FilePos pos;
} LabInterconnect;

/* A memory-side cache of a cell (HMAT), libvirt's <cache>. */
typedef struct {
    int level;           /* 1-3 */
    char *associativity; /* "none", "direct" or "full" */
    char *policy;        /* "none", "writeback" or "writethrough" */
    gint64 size_bytes, line_bytes;
    FilePos pos;
} LabCache;

typedef struct {
    FilePos pos;
    guint element; /* number of the file's element; copies share it */
    char *id;
    GArray *cpus; /* guint, ascending; the emulator's CPU index; empty: without CPUs */
    gint64 memory_bytes;  /* 0: without memory */
    GPtrArray *hugepages; /* LabHugepages */
    GPtrArray *distances; /* LabDistance; those that were written */
    GPtrArray *caches;    /* LabCache */
    GPtrArray *nodes;     /* LabNode (expanders, and what hangs off them) */
} LabCell;

/* ---- the image of an operating system --------------------------------------------- */

typedef enum {
    LAB_STEP_COPY,       /* a file or folder of this machine */
    LAB_STEP_WRITE,      /* a file with this text */
    LAB_STEP_LINK,       /* a symbolic link */
    LAB_STEP_FIRST_BOOT, /* a script that the host runs once */
    LAB_STEP_PACKAGE,    /* of the distribution */
} LabStepKind;

/* The element's name in a lab file ("copy", "first-boot", …); static. */
const char *lab_step_name(LabStepKind kind);

/* One thing that is done to an image before its first host starts. */
typedef struct {
    LabStepKind kind;
    FilePos pos;
    char *from; /* COPY: path on this machine, relative to the current folder */
    char *path; /* COPY, WRITE, LINK: absolute, in the image */
    char *text; /* WRITE, FIRST_BOOT: what; LINK: where it leads; PACKAGE: its name */
    int mode;   /* COPY, WRITE: permissions 0-07777, or LAB_AUTO */
} LabStep;

/* What the host boots instead of the micro image. Counted references: copies of a host
 * and its plan share it. */
typedef struct {
    FilePos pos;
    char *from; /* with a '/' a path, relative to the current folder; else a recipe's
                 * name; NULL: as the operating system says */
    gint64 size_bytes;    /* of the disk at least, or LAB_AUTO */
    gboolean loader;      /* the image's own boot loader starts it; else its kernel is */
    char *mirror, *proxy; /* where packages come from: URLs, or NULL */
    char *ssh_key;    /* path of a public key, relative to the current folder; or NULL */
    GPtrArray *steps; /* LabStep, in the order written */
} LabImage;

/* The operating system that the micro image is, which every hostbed knows. */
#define OS_HOSTBED "hostbed"

/* ---- the host ------------------------------------------------------------------- */

typedef struct {
    char *name;
    gboolean disabled; /* policy="disable"; else "require" */
    FilePos pos;
} LabCpuFeature;

typedef struct {
    FilePos pos;
    char *model;                       /* NULL: "max" */
    int sockets, dies, cores, threads; /* per level, or LAB_AUTO */
    GPtrArray *features;               /* LabCpuFeature */
} LabCpu;

typedef enum {
    LAB_IOMMU_NONE,
    LAB_IOMMU_INTEL,
    LAB_IOMMU_VIRTIO,
    LAB_IOMMU_AMD,
} LabIommuModel;

const char *lab_iommu_model_name(LabIommuModel model);

typedef struct {
    FilePos pos;
    LabIommuModel model;
    LabSwitch intremap;     /* interrupt remapping */
    LabSwitch caching_mode; /* VT-d CM */
    int aw_bits;            /* address width 39 or 48, or LAB_AUTO */
    LabSwitch iotlb;        /* device IOTLB (ATS) */
    LabSwitch eim;          /* extended interrupt mode (x2APIC) */
    LabSwitch scalable;     /* VT-d scalable mode */
    LabSwitch snoop_control;
    LabSwitch dma_drain;
    LabSwitch pass_through;
    GPtrArray *properties; /* LabProperty */
} LabIommu;

typedef enum {
    LAB_FIRMWARE_AUTO,
    LAB_FIRMWARE_BIOS, /* SeaBIOS */
    LAB_FIRMWARE_EFI,  /* OVMF */
} LabFirmware;

/* Memory that was plugged into a host that is up (lab-change.h); a file has none. */
typedef struct {
    char *id;
    int cell; /* index of the cell */
    gint64 size_bytes;
} LabMemory;

typedef struct {
    FilePos pos;
    guint faulty; /* LabPart: where reading found something wrong */
    char *id;
    char *os; /* operating system: libosinfo's short id or URI, or NULL. One that is not
               * the micro image's (OS_HOSTBED) has an image */
    FilePos os_pos;
    LabCpu cpu;
    LabIommu iommu;
    LabFirmware firmware;
    FilePos firmware_pos;
    FilePos kernel_pos;
    FilePos machine_pos;      /* file NULL: none was written */
    char *kernel;             /* path of a kernel, or NULL: the machine's choice */
    char *cmdline;            /* further words of the kernel command line, or NULL */
    char *machine;            /* emulator machine type, or NULL: the planner's */
    LabImage *image;          /* NULL: the micro image */
    GPtrArray *cells;         /* LabCell; index is the cell's number */
    int memory_slots;         /* for memory that is plugged, or 0 */
    gint64 max_memory_bytes;  /* all cells with what is plugged; 0: no slots */
    FilePos max_memory_pos;   /* of <maxMemory> */
    GPtrArray *memory;        /* LabMemory */
    GPtrArray *interconnects; /* LabInterconnect */
    GPtrArray *nodes;         /* LabNode that belong to no cell */
    GPtrArray *qemu_args; /* LabProperty with name = the argument; raw, taint the host */
} LabHost;

/* Addresses that have their first bits in common: "10.1.0.0/16", "fd00:1::/64". */
typedef struct {
    guint8 bytes[16]; /* in the order of the network; of IPv4 the first four */
    int bits;         /* LAB_AUTO: none was given */
} LabPrefix;

/* A port that leads out of a network, or into it. */
typedef struct {
    FilePos pos;
    char *host; /* of <forward>: id of a host; else NULL */
    int port;   /* on the network */
    char *to;   /* of the machine: "127.0.0.1:5432", "[::1]:5432" */
} LabPassage;

typedef struct {
    FilePos pos;
    char *id;
    LabPrefix ipv4, ipv6;
    gboolean has_uplink;
    FilePos uplink_pos;
    LabSwitch nat;       /* everything outside is to be reached */
    GPtrArray *services; /* LabPassage: what of the machine is to be reached */
    GPtrArray *forwards; /* LabPassage: what the machine is to reach */
} LabNetwork;

typedef struct {
    FilePos pos;
    guint faulty; /* LabPart: where reading found something wrong outside hosts */
    char *name;
    char *description;   /* or NULL */
    GPtrArray *hosts;    /* LabHost */
    GPtrArray *networks; /* LabNetwork */
    GBytes *source;      /* the file as it was read, for <metadata> of domain XML */
} Lab;

void lab_free(Lab *lab);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Lab, lab_free)

/* Constructors for parsers, importers and tests; every number LAB_AUTO, every list empty.
 * They copy their strings. */
Lab *lab_new(const char *name);
LabHost *lab_host_new(const char *id);
LabCell *lab_cell_new(const char *id);
LabNetwork *lab_network_new(const char *id);
LabNode *lab_node_new(LabKind kind, const char *id);
void lab_host_free(LabHost *host);
void lab_cell_free(LabCell *cell);
void lab_node_free(LabNode *node); /* and its children */
void lab_memory_free(LabMemory *memory);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(LabMemory, lab_memory_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(LabNode, lab_node_free)
LabProperty *lab_property_new(const char *name, const char *value, FilePos pos);
void lab_property_free(LabProperty *property);
LabStep *lab_step_new(LabStepKind kind);
LabStep *lab_step_copy(const LabStep *step);
void lab_step_free(LabStep *step);
LabImage *lab_image_new(void);

/* Whether a disk may have so many: whole MiB, from 64 MiB to 64 TiB. */
gboolean lab_image_is_size(gint64 bytes);

/* Parts that a plan takes over as they are. */
LabImage *lab_image_ref(LabImage *image);
void lab_image_unref(LabImage *image);
LabCache *lab_cache_copy(const LabCache *cache);
void lab_cache_free(LabCache *cache);
LabInterconnect *lab_interconnect_copy(const LabInterconnect *interconnect);
void lab_interconnect_free(LabInterconnect *interconnect);
LabCpuFeature *lab_cpu_feature_copy(const LabCpuFeature *feature);
void lab_cpu_feature_free(LabCpuFeature *feature);

/* The bytes of the lab in FILENAME ("-": standard input), a file, a pipe or a device: it
 * waits for those who write, until the thread's current GCancellable is cancelled. NULL:
 * FINDINGS say why not. */
GString *lab_read(const char *filename, Findings *findings);

/* Reads the lab in FILENAME as above, or in TEXT as if it came from FILENAME. The input
 * is hostile: no network, no entity, no DOCTYPE, bounded size and depth. What is wrong
 * goes to FINDINGS, all at once: where something is, what could be read is checked here
 * (lab_check). NULL if no lab can be made of it (then there is at least one
 * FINDING_ERROR). */
Lab *lab_parse_file(const char *filename, Findings *findings);
Lab *
lab_parse_text(const char *text, gsize length, const char *filename, Findings *findings);

/* The checks that need no emulator: a table, in lab-check.c. The parts (LabPart) of its
 * hosts in which they found something wrong. */
guint lab_check(const Lab *lab, Findings *findings);
