/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * From a plan to a running host that said HELLO: acceleration decided, kernel found,
 * image made, emulator started, agent met. The wait follows the host's progress, not the
 * clock: a slow host is waited for, one that stands still is a hang. A host that hangs
 * before its agent speaks is started once more (unless .once), and that is reported (one
 * boot of some fifteen under emulation hung for no reason that was found: FACTS.md).
 */
#pragma once

#include <gio/gio.h>

#include "accel.h"
#include "guest.h"
#include "image.h"
#include "launch.h"
#include "log-dir.h"
#include "plan.h"
#include "segments.h"

/* What is being done now, for a progress line: "building the image", "starting the
 * kernel". */
typedef void (*BootStep)(const char *what, gpointer user_data);

typedef struct {
    const Plan *plan;
    const char *emulator; /* path */
    const char *connect;  /* address of the libvirt that starts the host; or NULL */
    gboolean persistent;  /* which keeps it defined after its end */
    Accel accel;          /* as asked */
    const char *kernel;   /* --kernel; NULL: Plan.kernel, else kernel_find()'s choice */
    const char *const *programs; /* --with; or NULL */
    const char *const *copies;   /* this and the next three are as in image.h */
    const char *const *commands;
    const char *const *later;
    const char *folder;
    const char *const *modules; /* --module: to be loaded beside the plan's; or NULL */
    gboolean tools;             /* numactl, lspci and others, see image.h */
    gboolean suites;            /* put the suites into the host, where image.h says */
    gboolean vfio;              /* and the modules of VFIO, where there are any */
    gboolean kvm;               /* and those of KVM, with an emulator */
    gboolean inner;             /* and a kernel for guests inside, as in image.h */
    const char
        *log_dir; /* exists, ours alone (log-dir.h); of the second start: "retry" in it */
    gboolean once;    /* a host that hangs before its agent speaks is not started again */
    gboolean capture; /* what is on the host's networks is kept beside the logs */
    Segments *segments; /* the networks that join the host with others; NULL: they join
                         * its own NICs only */
    const GArray *disk_fds; /* Boot.disk_fds of an earlier start of the same host, which
                             * it goes on with unless its image is another now; or NULL */
    gboolean freezable;     /* its memory is such that a template can be made of it */
    gboolean keep;          /* and that will be kept */
    gboolean prepared;      /* its kernel and image were made before: that is told */
    gboolean peers_guests;  /* the hosts that networks join with it run guests, too: they
                             * have .vfio and .kvm */
    gboolean peers_alike; /* the hosts that networks join with it have all that it has */
    /* Told, as soon as the emulator of such a host runs, why it cannot be frozen; or NULL
     */
    void (*obstacle)(const char *why, gpointer user_data);
    gpointer obstacle_data;    /* that one's */
    const char *cmdline_extra; /* or NULL */
    const char *const
        *extra_args; /* tests: alter the machine behind the manifest's back; or NULL */
    GCancellable *interrupt; /* fires on SIGINT and the like: HB_INTERRUPTED; or NULL */
    guint stall_ms; /* without progress for so long: a hang; 0: a default that fits */
    BootStep step;  /* or NULL */
    gpointer user_data;
} BootOptions;

typedef struct BootRecipe BootRecipe; /* boot-private.h */

typedef struct {
    BootRecipe *recipe;
    Machine *machine;
    Guest *guest;
    const AccelVerdict *accel; /* this and the next are the recipe's */
    const Kernel *kernel;
    Segments *segments;     /* borrowed, as in BootOptions */
    GArray *disk_fds;       /* of a host with an image: MachineOptions.disk_fds */
    gboolean shares_memory; /* a template's, of which it is a clone */
    gboolean given_up; /* that it ends is no failure of those that it is joined with */
    char *log_dir;     /* of the start that lives */
    char *retried;   /* why the host was started a second time, one sentence; NULL: it was
                        not */
    gint64 start_us; /* when it was spawned, by the monotonic clock */
    gint64 boot_us;  /* from spawn to HELLO */
    LogFile *agent_log;
} Boot;

Boot *boot_host(const BootOptions *options, GError **error);
/* Its two parts, for several hosts at the same time: the emulator runs; and the host was
 * met. FALSE: it is of no more use. */
Boot *boot_begin(const BootOptions *options, GError **error);
gboolean boot_meet(Boot *boot, const BootOptions *options, GError **error);
/* Of the disk of its image; 0: it has none. */
gint64 boot_disk_bytes(const Boot *boot);
/* Ends the emulator. */
void boot_free(Boot *boot);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Boot, boot_free)

/* What the port of NIC (of segments.h), of PLAN's host, is called; owned by the caller.
 */
char *boot_port_name(const Plan *plan, const PlanFunction *nic);

/* To pass to calls of guest.h: fires when the host is gone or the interrupt came. */
GCancellable *boot_cancellable(Boot *boot);
/* After a call of guest.h failed with *ERROR: puts there what was seen from outside
 * instead, if the host panicked, reset, hung or died, with what it said last and where
 * the logs are. */
void boot_explain(Boot *boot, GError **error);
