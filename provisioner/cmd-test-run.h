/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A run, which cmd-test-run.c drives, and what is told of it: TAP on standard output as
 * results come, reports, which are replaced then, progress on standard error.
 */
#pragma once

#include "cmd-test.h"
#include "report.h"
#include "schedule.h"

typedef struct {
    const TestOptions *options;
    GPtrArray *labs;    /* TestLab */
    GPtrArray *reports; /* Report, borrowed, one per lab */
    Schedule schedule;
    GMainLoop *loop;
    gint64 started_us, deadline_us; /* monotonic; deadline 0: none */
    guint expected;                 /* results, as far as is known before the run */
    guint tap_count;
    guint interrupts;     /* SIGINT and SIGTERM so far */
    gboolean tap;         /* TAP goes to standard output */
    gboolean status_line; /* progress is a line that is rewritten */
    gboolean line_shown, colour;
    char *activity;     /* what was begun last */
    GError *save_error; /* the first */
} Run;

/* Removes the line of progress, so that something else can be printed; shows it anew. */
void run_clear_line(Run *run);
void run_show_line(Run *run);
void run_print_tap(Run *run, const GString *text);
/* The head, and what is known before a host is started. */
void run_print_start(Run *run);
/* The results of REPORT from index FIRST on. */
void run_print_cases(Run *run, const Report *report, guint first);
/* Replaces the reports; one for standard output is written at the END only. */
void run_save_reports(Run *run, gboolean is_end);
void run_print_summary(const Run *run);
/* What is known of HOST's template, a line, owned by the caller. */
char *run_template_line(const TestLab *lab, const TestHost *host);

/* ---- cmd-test-share.c */

/* Gives the hosts that run what places the others leave. */
void run_share_places(Run *run);
/* What HOST's process says of its PLACES, which may free some; all zero: it is gone. */
void run_take_places(Run *run, TestHost *host, const JobPlaces *places);
