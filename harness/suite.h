/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Which suites there are: data, one table. A suite is a program in the host (image.h says
 * where) that prints TAP; here stands what it needs of a lab and how long it may take.
 * What a lab does not have is known from its plan, so a suite whose needs are not met is
 * skipped before it is started, with the reason.
 *
 * What a suite finds in its environment:
 *
 *   HOSTBED_MANIFEST   file with the manifest (docs/manifest.rst)
 *   HOSTBED_LAB        name of the lab
 *   HOSTBED_HOST       id of the host
 *   HOSTBED_NETWORKS   "ADDRESS=NETWORK …" of the functions that are on a network
 *   HOSTBED_SYSTEM     "1" if the host runs a distribution, with drivers for functions
 *                      that the manifest asks none for
 *   HOSTBED_TAINTED    "1" if raw emulator arguments may have made it another one
 *   HOSTBED_SLOWNESS   for ours: how many times slower than the reference machine
 *                      (case-limit.h) this one was measured, a number from 1.0
 *   HOSTBED_CASE       the only case that is to run, where each has a host of its own
 *   HOSTBED_CASES      for ours: those that are to run, where not all are meant, with
 *                      blanks between them
 *   HOSTBED_STATE      for ours: all that the program is to do is to reach this state of
 *                      the host, and to wait in it, stopped (HB_RUN_WAITS), until cases
 *                      are to be run
 *   HOSTBED_PLUGGABLE  for a suite that plugs: see plug-wire.h
 *   HOSTBED_MEMORY     for a suite that grows: see memory-wire.h
 *   HOSTBED_COUNTED    for a suite that counts: see count-wire.h
 *   HOSTBED_JOINED     for a suite that joins: see link-wire.h, and outage-wire.h if it
 *                      ends its peers
 */
#pragma once

#include <gio/gio.h>

#include "accel.h"
#include "plan.h"

/* A variable of the environment, for suites (vmtests/suite.h). */
#define SUITE_FAULT "HOSTBED_FAULT"
#define SUITE_MANIFEST_PATH "/run/hostbed/manifest"
/* Of the host with a NIC in each empty port, for suites that plug them. */
#define SUITE_FILLED_PATH "/run/hostbed/manifest-filled"
#define SUITE_PROGRAMS_PATH "/usr/lib/hostbed/vmtests"

/* What a host has come to that suites, or cases of theirs, start from: reached once by
 * one of our programs (HOSTBED_STATE), and frozen. Whoever starts from it finds in place
 * what he would else do himself, and does himself what he does not find. */
typedef struct HostState HostState;
struct HostState {
    const char *name;
    const HostState *on;   /* what it is reached from; NULL: the host as it was checked */
    const char *program;   /* the suite whose program reaches it */
    guint timeout_seconds; /* as that of a suite */
};

typedef struct {
    const char *name; /* of a case */
    const HostState *state;
} CaseState;

typedef struct {
    const char *name;
    const char *summary;      /* one line for --list */
    const char *const *cases; /* ends with NULL; of the check the plan tells, see below */
    gboolean is_check; /* the manifest's own: done from outside, no program in the host */
    gboolean needs_system; /* a distribution */
    gboolean needs_iommu;
    gboolean needs_hugepages;
    gboolean needs_nic;    /* a network function that is no virtual one */
    gboolean needs_vfs;    /* virtual functions that are there at start */
    gboolean plugs;        /* it asks for NICs in ports that are empty, and needs one */
    gboolean grows;        /* it asks for memory in slots, and needs one */
    gboolean disturbs;     /* it asks for disks to fail, and needs one */
    gboolean counts;       /* it asks what frames there were on the lab's networks */
    gboolean joins;        /* it asks for links and losses, and needs hosts joined with
                            * its own, in which its program answers (--serve) */
    gboolean ends;         /* it asks for the ends of those hosts instead, and each of its
                            * cases has hosts of its own */
    gboolean uses_vfio;    /* the host gets VFIO's modules, if the kernel has them */
    gboolean uses_kvm;     /* and KVM's, and the machine's emulator */
    gboolean peers_too;    /* the hosts joined with its own get these as well */
    guint needs_nodes;     /* at least so many nodes */
    guint needs_mib;       /* at least so much memory */
    guint timeout_seconds; /* with KVM; emulation gets SUITE_TCG_FACTOR times that */
    guint case_seconds; /* the same for one of its cases, on the reference machine; 0: no
                           limit of its own */
    const HostState *state; /* what it starts from, or NULL: the host as it was checked */
    const CaseState *case_states; /* those of its cases that start from another; ends with
                                     name NULL; or NULL */
    char **command; /* somebody else's program with its arguments, whose limit is the same
                       everywhere; NULL: one of ours */
} Suite;

#define SUITE_TCG_FACTOR 5

extern const Suite suites[]; /* ends with name NULL; the check is the first */
const Suite *suite_find(const char *name); /* NULL if unknown */
const Suite *suite_find_in(const GPtrArray *list /* Suite */, const char *name);

/* Suites of COMMANDS (NULL-terminated), each a command line as a shell would split it,
 * the name that of its program, made unique: GPtrArray of Suite. HB_USAGE: it is none;
 * OPTION is where it was given, "--suite". */
GPtrArray *suites_foreign(const char *option, const char *const *commands,
                          guint timeout_seconds, GError **error);

/* Why PLAN cannot have SUITE, one sentence; NULL: it can. Owned by the caller. */
char *suite_unmet(const Suite *suite, const Plan *plan);
/* The cases that SUITE has on PLAN's host, in order. Owned by the caller. */
GStrv suite_cases(const Suite *suite, const Plan *plan);
/* What SUITE, or its case ONLY where that is not NULL, starts from; NULL: the host as it
 * was checked. */
const HostState *suite_state(const Suite *suite, const char *only);
guint suite_timeout_ms(const Suite *suite, Accel accel);
/* Of a case; 0: none. */
guint suite_case_timeout_ms(const Suite *suite, Accel accel);
guint host_state_timeout_ms(const HostState *state, Accel accel);
GStrv suite_environment(const Plan *plan);

/* ---- shards
 * ---------------------------------------------------------------------------------- */

typedef struct {
    guint index, count; /* 1 ≤ index ≤ count */
} Shard;

/* "K/N" */
gboolean shard_parse(const char *text, Shard *shard, GError **error);
/* Whether item NUMBER (from 0) of TOTAL is in SHARD: neighbours stay together, so that
 * few hosts are started twice; shards differ by one item at most. */
gboolean shard_has(Shard shard, guint number, guint total);
