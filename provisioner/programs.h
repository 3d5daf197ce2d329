/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Programs of this machine put into an image with all that they need to start: libraries,
 * the dynamic linker, the interpreters of scripts. Libraries are searched as ld.so(8)
 * searches them, but nothing is run.
 */
#pragma once

#include <glib.h>

#include "initramfs.h"

typedef struct Programs Programs;

/* IMAGE must live longer. */
Programs *programs_new(Initramfs *image);
void programs_free(Programs *programs);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Programs, programs_free)

/* The path of NAME: a path, or a name that is looked up in PATH and the folders for
 * administrators. NULL: there is none. */
char *programs_find(const char *name);

/* Adds the program (or library) at SOURCE as PATH; NULL: where it is on this machine, and
 * as /usr/bin/NAME if that is elsewhere. */
gboolean
programs_add(Programs *programs, const char *source, const char *path, GError **error);
/* Adds all that the program at SOURCE needs to start, but not the program itself. */
gboolean programs_add_needs(Programs *programs, const char *source, GError **error);
