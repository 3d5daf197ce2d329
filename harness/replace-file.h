/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A file that appears whole or not at all: what is written goes aside and then takes the
 * place of what was there. What is no regular file (a device, a FIFO) is written in place
 * and never removed.
 */
#pragma once

#include <glib.h>

typedef struct {
    int fd;         /* to write to */
    char *filename; /* as asked, for messages */
    char *target;   /* what is replaced: behind a symbolic link; NULL: written in place */
    char *copy;     /* the name it has for a moment, or already */
    gboolean named; /* already */
} ReplaceFile;

/* NULL: it cannot be opened, or nothing can be made beside it. */
ReplaceFile *replace_file_new(const char *filename, GError **error);
/* What was written is the file. */
gboolean replace_file_commit(ReplaceFile *file, GError **error);
/* What was not committed is gone. */
void replace_file_free(ReplaceFile *file);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ReplaceFile, replace_file_free)
