/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What hostbed reads from ELF files: how a program is linked, what a kernel module says
 * of itself, which notes a kernel carries. The files may be hostile; libelf checks its
 * bounds and what is copied out is limited here.
 */
#pragma once

#include <glib.h>

typedef struct {
    gboolean is_64bit;
    guint16 machine;                /* EM_X86_64, … */
    char *interpreter;              /* the dynamic linker; NULL: static */
    GPtrArray *needed;              /* char *: names of libraries */
    char *soname, *rpath, *runpath; /* or NULL */
} ElfLinkage;

void elf_linkage_free(ElfLinkage *linkage);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ElfLinkage, elf_linkage_free)

/* Whether FD begins as an ELF file does. */
gboolean elf_file_is_elf(int fd);
ElfLinkage *elf_file_linkage(int fd, const char *what, GError **error);
/* The strings "key=value" of a kernel module. */
GPtrArray *elf_file_modinfo(int fd, const char *what, GError **error);
/* Whether there is a note of OWNER and TYPE in a segment. */
gboolean elf_file_has_note(int fd, const char *owner, guint32 type);
