/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The state of a TAP reader, shared by tap.c, which reads, and tap-end.c, which
 * concludes.
 */
#pragma once

#include "tap.h"

struct TapReader {
    char *host, *suite;
    GString *line;    /* the line that has no end yet */
    GPtrArray *cases; /* CaseResult, those that were not taken yet */
    guint taken;      /* results before these */
    gboolean taken_failed;
    GHashTable *names; /* of what was taken; owned */
    GString *pending;  /* output since the last result: it belongs to the next one */
    GString *after;    /* comments since the last result: they belong to it */
    GString *words;    /* the end of those that were given to it, or too late for it */
    gsize total_output;
    GPtrArray *measures; /* Measure, for the next result; or NULL */
    char *skip_reason;   /* of a "# SKIP" comment, for the next skipped result */
    char *last_comment;
    GArray *levels;          /* Level, by depth */
    gboolean subtest_failed; /* one that ended since the last result at the top */
    gboolean in_yaml;
    guint yaml_indent;

    gint64 planned; /* -1: no plan yet */
    char *skip_all; /* reason of a plan 1..0, or NULL */
    char *bailed;
    guint8 *seen; /* by number */
    guint last_number, dropped;
    GPtrArray *problems; /* char * */
    gboolean plain_allowed;
    gboolean is_tap; /* a version, a plan, a result or a bail-out was seen */
    gint64 clock_us, last_result_us;
};

/* Something is wrong with the stream itself; the first few are kept. */
void tap_reader_problem(TapReader *reader, const char *format, ...) G_GNUC_PRINTF(2, 3);
/* The line that was fed so far is whole. */
void tap_reader_end_line(TapReader *reader);
/* Gives the comments that followed the last result to it, once. */
void tap_reader_settle_comments(TapReader *reader);
