/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What the suites share: the facts of the manifest they are to prove, and the tree they
 * look at, which is the host's own (/sys, /proc) or a recorded one. libc and cmocka only.
 *
 *   HOSTBED_MANIFEST   file with the manifest (docs/manifest.rst)
 *   HOSTBED_SYSTEM     set: a distribution, with drivers for functions of which none is
 *                      asked
 *   HOSTBED_TAINTED    set: raw emulator arguments may have changed the host
 *   HOSTBED_ROOT       root of a recorded tree; not set: the running host
 *   HOSTBED_CASE       the only case to run; the host is thrown away after it
 *   HOSTBED_CASES      the only cases to run, with blanks between them; not set: all
 *   HOSTBED_SLOWNESS   how many times slower than the reference the machine is; not set:
 * 1
 *
 * A suite is skipped whole (exit status 77) when there is no manifest.
 */
#pragma once

#include "clock.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <setjmp.h>
#include <cmocka.h>

/* ---- the manifest
 * ------------------------------------------------------------------------- */

/* One line, split at blanks. */
typedef struct {
    int count;
    const char **word;
} Fact;

/* All facts, in order, read once; ended by one with count 0. */
const Fact *suite_facts(void);
/* Whether FACT begins with these words; WORDS as one string: "node 0 cpus". */
bool fact_is(const Fact *fact, const char *words);
/* The fact that begins with the words of FORMAT, or NULL. */
const Fact *suite_fact(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* What the manifest says of the function at ADDRESS ("node", "mac"), or "". */
const char *suite_asked(const char *address, const char *what);
/* The fact of the IOMMU group that has the function at ADDRESS: "group A B …"; NULL: it
 * is in none. */
const Fact *suite_group_of(const char *address);

/* ---- the tree
 * ----------------------------------------------------------------------------- */

/* TRUE if this is the running host, so that memory can be placed and devices used. */
bool suite_is_live(void);
/* Skips the case with a reason unless the host is live. */
#define suite_needs_live()                                                               \
    do {                                                                                 \
        if (!suite_is_live()) {                                                          \
            print_message("a recorded tree has no memory to place\n");                   \
            skip();                                                                      \
        }                                                                                \
    } while (0)

/* Skips the case if nothing was TRIED, since the host has no WHAT. */
void skip_unless_tried(int tried, const char *what);

/* PATH below the root of the tree; in one of a few static buffers. */
const char *suite_path(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The content of a file of the tree without its last newline, in one of a few static
 * buffers; NULL if it cannot be read. */
const char *suite_read(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The last part of what a link of the tree points to, or NULL. */
const char *suite_link(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Calls EACH with every name in a directory of the tree, sorted; returns how many. */
int suite_list(void (*each)(const char *name, void *data), void *data, const char *format,
               ...) __attribute__((format(printf, 3, 4)));
/* Whether the kernel's log has a line with TEXT in it. */
bool suite_log_has(const char *text);

/* Writes VALUE to a file of the host. Returns 0, or -1 with errno. */
int suite_write(const char *value, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* What a file of the host holds now is written again when the case ends. Fails the case
 * where it cannot be read. */
void suite_keep(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* suite_keep(), and writes VALUE; fails the case where that cannot be. */
void suite_set(const char *value, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Whether NUMBER is in a kernel list ("0-3,8"; "none" and "" are empty). */
bool list_has(const char *list, int number);
/* The next number of a kernel list that is greater than AFTER, or -1. */
int list_next(const char *list, int after);

/* ---- time
 * ---------------------------------------------------------------------------------- */

/* MS milliseconds of the reference machine, on this one (HOSTBED_SLOWNESS): how long to
 * wait for what should come. */
int suite_ms(int ms);

/* ---- the end of a case
 * --------------------------------------------------------------------- */

/* UNDO is called with NUMBER when the case ends, however it ends; the last that was said
 * comes first. Not where the host is nobody's after it: see suite_host_ends(). */
void suite_at_end(void (*undo)(long number), long number);
/* How many steps there are to undo; and undoing those that came after the first COUNT
 * now, for a case that tries one thing after another. */
int suite_to_undo(void);
void suite_undo_after(int count);
/* What was done up to now stays. */
void suite_forget_undo(void);
/* Whether the host is thrown away after this case, so that nothing need be as before. */
bool suite_host_ends(void);

/* ---- faults
 * -------------------------------------------------------------------------------- */

/* Each case is shown to be able to fail: a test has HOSTBED_FAULT=NAME in the suite's
 * environment, or "hostbed.fault=NAME" on the command line of its host's kernel, and the
 * case of this name, when all it needs is there, does what it is to notice. TRUE if this
 * is such a run. */
bool suite_has_fault(const char *name);

/* ---- failing
 * ------------------------------------------------------------------------------- */

/* cmocka's fail_msg() writes to standard error, where the sentence is far from its case;
 * this one gives the sentence to the case's own diagnostics. */
#undef fail_msg
#define fail_msg(...) suite_fail(__FILE__, __LINE__, __VA_ARGS__)
void suite_fail(const char *file, int line, const char *format, ...)
    __attribute__((noreturn, format(printf, 3, 4)));

/* Fails because a fact of the manifest differs. In a host that raw emulator arguments may
 * have made another one (HOSTBED_TAINTED) that proves nothing: the case is skipped, with
 * the sentence, as the check of the manifest does. */
#define differs_msg(...) suite_differs(__FILE__, __LINE__, __VA_ARGS__)
void suite_differs(const char *file, int line, const char *format, ...)
    __attribute__((noreturn, format(printf, 3, 4)));

/* ---- memory of a node
 * ------------------------------------------------------------------------ */

/* The node that the page at ADDRESS is on, or -1; the page must have been touched. */
int page_node(const void *address);
/* Sets the policy MODE (linux/mempolicy.h) with the one NODE for LENGTH bytes at ADDRESS.
 */
int bind_range(void *address, size_t length, int mode, int node);
/* A field of a node's meminfo in KiB ("MemFree"), or -1. */
int64_t node_meminfo_kib(int node, const char *field);

/* For the lists of cases.h. */
#define SUITE_CASE(name) cmocka_unit_test_teardown(name, suite_case_ends),
int suite_case_ends(void **state);

/* Runs TESTS as the suite NAME and returns its exit status. */
#define suite_run(name, tests) suite_main(name, tests, sizeof(tests) / sizeof((tests)[0]))
int suite_main(const char *name, const struct CMUnitTest *tests, size_t count);
