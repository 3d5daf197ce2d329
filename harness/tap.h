/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Reads TAP (versions 12-14, KTAP, and cmocka's dialect) as a guest prints it: hostile,
 * unbounded, not always UTF-8. Bytes go in as they come; results come out. Announced
 * results that never came, a second plan, a repeated number, nothing at all: each is a
 * failure, never a pass.
 *
 * What a reader keeps is bounded whatever the guest prints; the limits are below.
 *
 * Subtests are not results of their own: their lines become the output of the result that
 * they belong to, which fails if one of them failed, is missing, or came twice.
 *
 * cmocka 1.1 prints a skipped test as "not ok N # SKIP NAME", without a reason: the last
 * line that the test printed before is taken for it, or a comment "# SKIP REASON".
 */
#pragma once

#include <glib.h>

#include "outcome.h"

#define TAP_LINE_MAX 4096           /* bytes of a line that are kept */
#define TAP_CASES_MAX 10000         /* results of a suite; more of them are a failure */
#define TAP_OUTPUT_MAX (16 * 1024)  /* bytes of diagnostics kept for a case */
#define TAP_TOTAL_MAX (1024 * 1024) /* … and for all cases of a suite */
#define TAP_DEPTH_MAX 8             /* levels of subtests that are told apart */

typedef struct TapReader TapReader;

TapReader *tap_reader_new(const char *host, const char *suite);
void tap_reader_free(TapReader *reader);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(TapReader, tap_reader_free)

/* A program that prints nothing of TAP is one result: its exit status. Without this it is
 * a failure. */
void tap_reader_allow_plain(TapReader *reader);
/* The time of what is fed next, on any monotonic clock; the first call is the program's
 * start. Without it durations stay 0. */
void tap_reader_clock(TapReader *reader, gint64 now_us);
void tap_reader_feed(TapReader *reader, const guint8 *data, gsize length);
/* Results so far, for progress. */
guint tap_reader_count(const TapReader *reader);
/* What was printed since the last result, at most the last TAP_LAST_WORDS bytes, from the
 * start of a line on; or NULL. Owned by the caller. */
#define TAP_LAST_WORDS 2048
char *tap_reader_last_words(const TapReader *reader);
/* Of the results so far those up to number UPTO that were not taken before, in order;
 * with those that come later, or are taken then, each has a name of its own. What the
 * program says of one that was taken is not kept any more. */
GPtrArray *tap_reader_take(TapReader *reader, guint upto);
/* At the program's end: GPtrArray of CaseResult, what was not taken before; at least one
 * of all, each with a name of its own. STATUS is its exit status (77: the whole suite is
 * skipped), SIGNAL what ended it or 0. */
GPtrArray *tap_reader_finish(TapReader *reader, int status, int signal_number);
/* What came before the program was lost: like finish(), but says nothing about its end
 * and what was announced and did not come. For a host that died; may be empty. */
GPtrArray *tap_reader_abandon(TapReader *reader);
