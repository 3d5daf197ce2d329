/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Hosts that nobody starts, of files that a test changes, for keys of templates.
 */
#pragma once

#include "plan-fixture.h"
#include "template-key.h"

#define MIB ((gint64)1 << 20)

/* One has a folder of its own. */
typedef struct {
    const char *root; /* borrowed */
    char *folder;
    BootRecipe *recipe;
    Emulator *emulator;
    Lab *lab;
    Plan *plan;
} Bench;

Bench *bench_new(const char *root, gint64 memory_bytes);
void bench_free(Bench *bench);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Bench, bench_free)
/* That of the host's template, compared with MANIFEST; owned by the caller. */
char *bench_key(const Bench *bench, const char *manifest);

/* Something that the host is started from is another. */
typedef void (*BenchChange)(Bench *bench);
void bench_change_emulator(Bench *bench);
void bench_change_kernel(Bench *bench);
void bench_change_initrd(Bench *bench);

/* A program in FOLDER that runs and says nothing, with a TAIL that does not matter to it;
 * its path, owned by the caller. */
char *bench_write_emulator(const char *folder, const char *name, const char *tail);
