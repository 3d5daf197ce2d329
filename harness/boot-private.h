/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What boot*.c, template.c and template-save.c share. A host is started by boot.c, waited
 * for by boot-wait.c; template.c starts clones of one by the same recipe.
 */
#pragma once

#include "boot.h"

#define BOOT_FIRMWARE_LOG "firmware.log"

/* How a host was started, which is what its clones have in common with it. Counted
 * references; the plan is the caller's. */
struct BootRecipe {
    BootRecipe *origin; /* NULL; or the one that all but the memory belongs to */
    const Plan *plan;
    char *emulator, *connect, *kernel_file, *initrd_file, *cmdline;
    GStrv extra_args;
    gboolean persistent, capture;
    char *root_words;   /* this and the next three are of an image: where its root is */
    char *image_file;   /* its disk */
    GArray *disk_fds;   /* int, ours: what the host's disk is based on; NULL: no image */
    gint64 disk_bytes;  /* of that disk */
    GArray *memory_fds; /* int, ours; NULL: the emulator's own memory, and of a template:
                         * part of the state */
    gboolean memory_readonly; /* what clones are made of may not be opened for writing */
    gboolean maps_readonly;   /* machine_maps_readonly(), known when it was frozen */
    AccelVerdict *accel;
    Kernel *kernel;
    GPtrArray *inputs; /* TemplateInput (template-key.h) as they were before the start, of
                        * a host that is to be kept; NULL: they could not be told */
};

/* How the host of OPTIONS would be started: all is there but its memory. */
BootRecipe *boot_recipe_new(const BootOptions *options, GError **error);
/* Memory for RECIPE's host, zeroes, in place of what it had. */
gboolean boot_open_memory(BootRecipe *recipe, GError **error);
/* The same as RECIPE, without memory and disk. */
BootRecipe *boot_recipe_again(BootRecipe *recipe);
/* And with a copy of RECIPE's memory, as it is now, and its disk. */
BootRecipe *boot_recipe_copy(BootRecipe *recipe, GError **error);
/* The same without memory, and with what the image's disk is itself, and nothing that was
 * written to it. */
BootRecipe *boot_recipe_bare(BootRecipe *recipe, GError **error);
void boot_recipe_unref(BootRecipe *recipe);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BootRecipe, boot_recipe_unref)
/* Of descriptors (int), which it closes. */
GArray *boot_fds_new(void);
void boot_step(const BootOptions *options, const char *what);
/* The same of what makes a start possible, which who did it before has told. */
void boot_step_before(const BootOptions *options, const char *what);

/* boot-image.c: the image that the plan asks for, prepared; kernel and disk of RECIPE,
 * whose acceleration is known. */
gboolean boot_take_image(BootRecipe *recipe, const BootOptions *options, GError **error);
GArray *boot_copy_fds(const GArray *from, GError **error);
/* What BOOT's disk consists of, if it has one: what the recipe has, with a new file for
 * what this start writes at the end; or BEFORE (or NULL), of an earlier start from the
 * same. */
gboolean boot_take_disk(Boot *boot, const GArray *before, GError **error);
/* Has a host with an image load MODULES (or NULL); of the micro image they are part. */
gboolean boot_load_modules(Boot *boot, const char *const *modules, GError **error);

/* Starts the emulator of BOOT, whose recipe, disk (and shares_memory) are set, with logs
 * in LOG_DIR, and begins to listen to its agent. CLONE: it waits for its state. */
gboolean boot_start(Boot *boot, const char *log_dir, gboolean clone,
                    GCancellable *interrupt, GError **error);
/* Ends what boot_start() began; the recipe stays. */
void boot_stop(Boot *boot);
/* Waits until the agent has spoken; STALL_MS as in BootOptions. */
gboolean boot_wait_hello(Boot *boot, guint stall_ms, GError **error);
/* A GuestTrace that writes to a LogFile. */
void boot_log_frame(gboolean to_guest, guint type, guint channel, const guint8 *payload,
                    gsize length, gpointer log_file);
