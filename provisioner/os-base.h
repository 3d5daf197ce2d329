/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What an image is made from: a recipe, or a file or folder of this machine, which may be
 * anybody's. What it is is told by its first bytes; a disk that refers to other files is
 * refused before anything opens them.
 */
#pragma once

#include <glib.h>

typedef enum {
    OS_BASE_RECIPE,
    OS_BASE_QCOW2,
    OS_BASE_RAW,
    OS_BASE_TAR,
    OS_BASE_FOLDER,
} OsBaseKind;

const char *os_base_kind_name(OsBaseKind kind); /* "qcow2", …; static */

typedef struct {
    OsBaseKind kind;
    char *path; /* absolute; of a recipe NULL */
    char *name; /* for people: as it was given */
} OsBase;

void os_base_free(OsBase *base);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(OsBase, os_base_free)

/* FROM: with a '/' a path, else a recipe's name. HB_USAGE: it is not there, or nothing
 * that an image can be made from. */
OsBase *os_base_find(const char *from, GError **error);

/* Of a file its content, of a folder what is in it by names, sizes and times: 64 digits,
 * owned by the caller. */
char *os_base_digest(const char *path, GError **error);
