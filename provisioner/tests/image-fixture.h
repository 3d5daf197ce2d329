/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Small forged ELF files, kernels and packages, and a folder of its own for each test
 * program that is also its cache. For the tests of the micro image and of what is cached.
 */
#pragma once

#include <glib.h>

typedef struct {
    const char *interpreter;   /* or NULL */
    const char *const *needed; /* or NULL: no dynamic section */
    const char *runpath;       /* or NULL */
    const char *note_owner;    /* or NULL */
    guint32 note_type;
    const char *modinfo; /* strings, each ended by '\n', or NULL */
    const char *tail;    /* bytes at the end, or NULL */
} FakeElf;

GBytes *fake_elf(const FakeElf *elf);

/* A bzImage with PAYLOAD, gzipped; RELEASE as its header tells. */
GBytes *fake_bzimage(const char *release, GBytes *payload);
GBytes *fake_gzip(const void *data, gsize length);

/* A .deb with a data.tar.gz of the files: names and contents, ended by a name of NULL. */
typedef struct {
    const char *name;
    GBytes *content; /* NULL: a symbolic link to /tmp */
} FakeFile;
GBytes *fake_deb(const FakeFile *files);

/* ROOT/NAME with CONTENT; folders are made. The path, owned by the caller. */
char *fake_write(const char *root, const char *name, GBytes *content);
char *fake_write_text(const char *root, const char *name, const char *text);

/* cmocka's group set-up and tear-down: *STATE is a new folder, XDG_CACHE_HOME is below
 * it. */
int fake_root_setup(void **state);
int fake_root_teardown(void **state);

/* How many descriptors this process has open, and one for asking. */
guint count_descriptors(void);
