/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Plan → text. An emitter writes what the planner decided: it chooses nothing and cannot
 * fail. The formats are a table; adding one is a row and a file emit-NAME.c.
 */
#pragma once

#include <glib.h>

#include "plan.h"

typedef struct {
    const char *name;      /* as `hostbed show -f NAME` takes it */
    const char *extension; /* of the expected files in topologies/expected/ */
    const char *summary;   /* one line for --help */
    PlanBackend backend;   /* for whom the host must have been planned */
    gboolean per_lab;      /* one text for all hosts, else one per host */
    void (*write)(const Plan *plan, GString *out);
    /* The same for an accelerator, "kvm" or "tcg", where the text depends on it; then
     * write() is for "kvm". NULL: it does not. */
    void (*write_for)(const Plan *plan, const char *accel, GString *out);
    /* Reports what of PLAN this format has no words for; then it must not be written.
     * NULL: it can say all. */
    void (*check)(const Plan *plan, Findings *findings);
} EmitFormat;

extern const EmitFormat
    emit_formats[]; /* ends with name NULL; the first is the default */
const EmitFormat *emit_format(const char *name); /* NULL if unknown */

void emit_tree(const Plan *plan, GString *out);
void emit_svg(const Plan *plan, GString *out);
void emit_dot(const Plan *plan, GString *out);
void emit_qemu(const Plan *plan, GString *out);
void emit_libvirt(const Plan *plan, GString *out);
void emit_libvirt_for(const Plan *plan, const char *accel, GString *out);
void emit_manifest(const Plan *plan, GString *out);
void emit_libvirt_check(const Plan *plan, Findings *findings);

/* What a start by libvirt adds to the plan. */
typedef struct {
    const char *accel;           /* "tcg" or "kvm" */
    const char *emulator;        /* path, where libvirt runs */
    const char *kernel, *initrd; /* paths there; NULL: a boot loader has them */
    const char *root_words;      /* as in EmitRuntime */
    const char *cmdline_extra;   /* appended to the kernel's words, or NULL */
    /* The same as in EmitRuntime, there. */
    const char *const *disk_files;
    const char *const *more_args; /* of the emulator's, after all others; or NULL */
    /* The NICs of plan_joined() have channels, libvirt_alias_of_port(); else their
     * networks join the NICs of this host only. */
    gboolean has_ports;
    /* Each other network's frames go to a file in it, as in EmitRuntime; or NULL */
    const char *capture_dir;
} EmitDomain;

/* Of what is ours in a domain's metadata. */
#define EMIT_HOST_NAMESPACE "urn:hostbed:host:1"

/* The same as emit_libvirt_check() of what emit_libvirt_domain() writes. */
void emit_libvirt_check_domain(const Plan *plan, Findings *findings);
/* The domain as libvirt starts it. Networks that join NICs of the host are in the
 * emulator, as without libvirt; and the bytes of the lab are in the metadata. */
void emit_libvirt_domain(const Plan *plan, const EmitDomain *start, GString *out);

/* What a start adds to the plan: the accelerator, files and inherited descriptors. A
 * negative descriptor or NULL leaves the option out; emit_qemu() prints placeholders such
 * as @KERNEL@. */
typedef struct {
    const char *accel;              /* "tcg" or "kvm" */
    const char *firmware_file;      /* EFI: code; NULL: the emulator's own */
    const char *firmware_vars_file; /* EFI: variables, or NULL */
    const char *kernel, *initrd;
    const char *cmdline_extra; /* appended to Plan.cmdline, or NULL */
    int qmp_fd, agent_fd, console_fd;
    const char *capture_dir; /* each network's frames go to a file in it; or NULL */
    /* Of a host with an image: files of its disk, what they are based on first, which is
     * only read; the last one gets what the host writes. NULL-terminated, or NULL. */
    const char *const *disk_files;
    const char *root_words; /* of an image, before cmdline_extra; or NULL */
    GArray *memory_fds;     /* int per cell with memory, or NULL: anonymous memory */
    /* int for each NIC of plan_joined(): a socket whose datagrams are frames
     * (segments.h); NULL: the networks that join hosts join the NICs of this one only */
    const GArray *port_fds;
    gboolean clone;           /* it waits for the rest of its state */
    gboolean copy_on_write;   /* what it writes to memory is its own */
    gboolean memory_readonly; /* what memory_fds are may not be opened for writing */
    gboolean sandbox;
} EmitRuntime;

/* What the emulator's names of the disk of an image begin with. */
#define EMIT_IMAGE_NODE "hostbed-disk-"

/* The file (pcap) that gets all frames of NETWORK, each once, from their first byte on as
 * many as this. Owned by the caller. */
#define EMIT_CAPTURE_MAX 65536
char *emit_capture_file(const char *dir, const char *network);

/* The emulator's arguments without argv[0]: a list, never a string to be split again. */
GStrv emit_qemu_args(const Plan *plan, const EmitRuntime *runtime);
/* What -name says in them of a host. Owned by the caller. */
char *emit_qemu_name(const char *lab_name, const char *host_id);
/* One device as the emulator takes it, by -device or device_add, without what stands for
 * itself on the command line (a network, a disk). Owned by the caller. */
JsonObject *emit_qemu_device(const PlanFunction *function);

/* A command of QMP. */
typedef struct {
    const char *name;
    JsonObject *arguments;
} EmitCommand;

/* The end of a NIC's network, as -netdev and netdev_add take it: the port of a network
 * that joins hosts, a descriptor that the emulator knows by the name FD. Owned by the
 * caller. */
JsonObject *emit_qemu_port(const PlanFunction *nic, const char *fd);
/* The same for a network within the host, which is the emulator's hub HUB. */
JsonObject *emit_qemu_hub(const PlanFunction *nic, guint hub);
/* What plugs FUNCTION into a host that runs, in this order, the last one the device
 * itself. NETDEV (taken) is the end of the network that it is on; NULL: the emulator has
 * it, or there is none. GPtrArray of EmitCommand, owned by the caller. */
GPtrArray *emit_qemu_plug(const PlanFunction *function, JsonObject *netdev);
/* What takes away, when the device is gone, what stood behind it; with KEEP_NETWORK all
 * but the end of its network. */
GPtrArray *emit_qemu_clear(const PlanFunction *function, gboolean keep_network);

/* The same of MEMORY that is plugged, and of what is left when the module is gone. */
GPtrArray *emit_qemu_plug_memory(const PlanMemory *memory);
GPtrArray *emit_qemu_clear_memory(const PlanMemory *memory);

/* Whether it is the disk of the image that the host boots. */
gboolean emit_qemu_is_image(const PlanFunction *function);
/* The block node that is the disk of FUNCTION; that of an image consists of FILES files.
 * Owned by the caller. */
char *emit_qemu_disk_node(const PlanFunction *function, guint files);
