/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Kernel modules by name → their files, unpacked, with all that they need, in the order
 * to load them in. What a module needs is read from itself, so a package that was only
 * unpacked and a build tree are as good as an installed kernel whose depmod has run.
 */
#pragma once

#include <glib.h>

#include "image.h"

typedef struct {
    char *name; /* with '_', as /proc/modules has it */
    char
        *path; /* below lib/modules/RELEASE/, without compression: "kernel/…/e1000e.ko" */
    char *file;         /* on this machine, not compressed */
    GPtrArray *depends; /* char *: names of modules in the same result, before it */
    GPtrArray *after;   /* char *: names of modules to load after it, if they are there */
    gboolean at_boot;   /* FALSE: only there for who asks */
} KernelModule;

typedef struct {
    const GPtrArray *wanted;
    const GPtrArray *optional; /* or NULL: loaded, and first, if the kernel has them */
    const char *const
        *at_hand; /* or NULL: not loaded, and only what is there and whole */
} ModuleNames;

/* The names are written with '-' or '_'. What is built in is left out. GPtrArray of
 * KernelModule, or NULL: a wanted module is nowhere. */
GPtrArray *
modules_resolve(const Kernel *kernel, const ModuleNames *names, GError **error);

/* What must be loaded before the module INDEX of MODULES, and with it, in modprobe's
 * order: the last one first. GPtrArray of const KernelModule. */
GPtrArray *modules_before(const GPtrArray *modules, guint index);
