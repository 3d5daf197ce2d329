/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Results as they come → a report. The forms are a table. A report file is whole at every
 * moment, even when the run is killed: it is replaced at once by a renamed copy after each suite.
 */
#pragma once

#include <gio/gio.h>

#include "outcome.h"

typedef struct {
    GPtrArray *results;  /* CaseResult, in order of arrival */
    char *lab, *emulator, *accel, *kernel; /* what it ran on */
    gint64 started_us, duration_us;        /* real time, of the run */
    gboolean complete;   /* FALSE: the run was ended early */
    gboolean tainted;
} Report;

Report *report_new(const char *lab);
void report_free(Report *report);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Report, report_free)

/* The worst of all; OUTCOME_FAIL when there is no result, or none but skips of suites that were asked for by name. */
Outcome report_outcome(const Report *report);

typedef struct {
    const char *name; /* "tap", "junit", "json" */
    void (*write)(const GPtrArray *reports /* Report, one per lab */, GString *out);
} ReportFormat;

extern const ReportFormat report_formats[]; /* ends with name NULL */
gboolean report_save(const ReportFormat *format, const GPtrArray *reports, const char *filename,
                     GError **error);
