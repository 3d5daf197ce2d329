/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What the emit-qemu*.c files share, and nobody else includes: the list of arguments that
 * is being written, and a few words for writing it.
 */
#pragma once

#include "emit.h"

/* What is not in the plan, as words: a start fills them from EmitRuntime, a print with
 * placeholders. NULL leaves the option out. */
typedef struct {
    const char *accel;
    const char *firmware, *firmware_vars;
    const char *kernel, *initrd, *root, *cmdline_extra;
    const char *const *disk_files; /* as in EmitRuntime */
    const char *qmp_fd, *agent_fd, *console_fd;
    GStrv memory_fds; /* one for each cell with memory, in order */
    GStrv port_fds;   /* as in EmitRuntime */
    const char *capture_dir;
    gboolean clone, copy_on_write, memory_readonly, sandbox;
} QemuWords;

/* The list being written. Its elements are options: argument vectors of one or two words.
 */
typedef struct {
    const Plan *plan;
    const QemuWords *words;
    GPtrArray *options; /* GStrv */
} QemuWriter;

/* ---- emit-qemu.c */

void qemu_add(QemuWriter *writer, const char *name, const char *value);
void qemu_add_printf(QemuWriter *writer, const char *name, const char *format, ...)
    G_GNUC_PRINTF(3, 4);
/* Takes OBJECT. */
void qemu_add_json(QemuWriter *writer, const char *name, JsonObject *object);
/* With TYPE and, unless it is NULL, ID. */
JsonObject *qemu_object_new(const char *type_key, const char *type, const char *id_key,
                            const char *id);
void
qemu_set_properties(JsonObject *object, const GPtrArray *properties /* PlanProperty */);

/* ---- emit-qemu-cells.c */

void qemu_write_memory(QemuWriter *writer);
void qemu_write_cells(QemuWriter *writer);
/* Cells that exist by a function of theirs; after the functions. */
void qemu_write_generic_initiators(QemuWriter *writer);

/* ---- emit-qemu-devices.c */

void qemu_write_functions(QemuWriter *writer);
