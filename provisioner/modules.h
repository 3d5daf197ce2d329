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
} KernelModule;

/* WANTED and OPTIONAL (or NULL) are names, with '-' or '_'. What is built in is left out,
 * and what is optional and nowhere; what is optional comes first. GPtrArray of
 * KernelModule, or NULL: a wanted module is nowhere. */
GPtrArray *modules_resolve(const Kernel *kernel, GPtrArray *wanted, GPtrArray *optional,
                           GError **error);
