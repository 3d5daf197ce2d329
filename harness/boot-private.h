/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What boot*.c and template.c share. A host is started by boot.c, waited for by
 * boot-wait.c; template.c starts clones of one by the same recipe.
 */
#pragma once

#include "boot.h"

#define BOOT_FIRMWARE_LOG "firmware.log"

/* How a host was started, which is what its clones have in common with it. Counted
 * references; the plan is the caller's. */
struct BootRecipe {
    BootRecipe *origin; /* NULL; or the one that all but the memory belongs to */
    const Plan *plan;
    char *emulator, *kernel_file, *initrd_file, *cmdline;
    GStrv extra_args;
    gboolean capture;
    GArray *memory_fds;       /* int, ours; NULL: the emulator's own memory */
    gboolean memory_readonly; /* what clones are made of may not be opened for writing */
    gboolean maps_readonly;   /* machine_maps_readonly(), known when it was frozen */
    AccelVerdict *accel;
    Kernel *kernel;
    GPtrArray *inputs; /* TemplateInput (template-key.h) as they were before the start, of
                        * a host that is to be kept; NULL: they could not be told */
};

/* How the host of OPTIONS would be started: all is there but its memory. */
BootRecipe *boot_recipe_new(const BootOptions *options, GError **error);
/* The same with a copy of RECIPE's memory, as it is now. */
BootRecipe *boot_recipe_copy(BootRecipe *recipe, GError **error);
void boot_recipe_unref(BootRecipe *recipe);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BootRecipe, boot_recipe_unref)
/* Of descriptors (int), which it closes. */
GArray *boot_memory_fds_new(void);

/* Starts the emulator of BOOT, whose recipe (and shares_memory) is set, with logs in
 * LOG_DIR, and begins to listen to its agent. CLONE: it waits for its state. */
gboolean boot_start(Boot *boot, const char *log_dir, gboolean clone,
                    GCancellable *interrupt, GError **error);
/* Ends what boot_start() began; the recipe stays. */
void boot_stop(Boot *boot);
/* Waits until the agent has spoken; STALL_MS as in BootOptions. */
gboolean boot_wait_hello(Boot *boot, guint stall_ms, GError **error);
/* A GuestTrace that writes to a LogFile. */
void boot_log_frame(gboolean to_guest, guint type, guint channel, const guint8 *payload,
                    gsize length, gpointer log_file);
