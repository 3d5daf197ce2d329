/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The check: a host's manifest (what was asked) against its observation (what was found),
 * both in the form of docs/manifest.rst. Pure. The observation comes from a guest and is
 * hostile.
 *
 * A case is a subject, "node 0" or "pci 0000:b5:00.0", so that its name is the same in
 * each run; it fails if one of its lines differs, and its output names each such line of
 * the manifest ("manifest:24:"), with what was asked and what was found.
 */
#pragma once

#include <glib.h>

#include "outcome.h"

/* The name of the check among the suites. */
#define COMPARE_SUITE "manifest"

/* Bytes of an observation that are read; more is a failure. The largest lab has some 200
 * KiB. */
#define COMPARE_MAX (8 * 1024 * 1024)

/* What is known of the host beside its manifest. */
typedef enum {
    COMPARE_TAINTED = 1 << 0, /* by raw arguments: what differs is a skip, "unchecked" */
    COMPARE_SYSTEM = 1 << 1,  /* a distribution loads drivers for all that it finds: one
                                 of a function of which none is asked is no difference */
    COMPARE_PLUGGED = 1 << 2, /* something came while it ran: which functions have room
                                 for their I/O then is the kernel's choice */
} CompareFlags;

/* GPtrArray of CaseResult, at least one, subjects in the manifest's order, those that
 * nobody asked for last. */
GPtrArray *compare_manifest(const char *host, const char *manifest,
                            const char *observation, CompareFlags flags);

/* OBSERVATION without what it says of functions right behind PORTS, NULL-terminated
 * addresses: those that have left without the host's knowing (compare-forget.c). Owned by
 * the caller. */
char *compare_forget_behind(const char *observation, const char *const *ports);

/* The subjects of a MANIFEST, in its order: the cases that compare_manifest() will give
 * if nothing else is found. Owned by the caller. */
GStrv compare_subjects(const char *manifest);

/* What differs, as diff(1) would say it: "-" and a line that was asked, "+" and one that
 * was found. Empty when they are the same. Owned by the caller. */
char *compare_diff(const char *manifest, const char *observation);
