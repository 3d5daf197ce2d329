/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Results as they come → a report. The forms are a table. A report file is whole at every
 * moment, even when the run is killed: it is replaced at once by a renamed copy as
 * results come.
 */
#pragma once

#include <gio/gio.h>
#include <json-glib/json-glib.h>

#include "outcome.h"

typedef struct {
    GPtrArray *results;              /* CaseResult, in order of arrival */
    char *lab;                       /* its name; of a repeated run "NAME[run=2]" */
    char *emulator, *accel, *kernel; /* what it ran on, or NULL: not known (yet) */
    char *log_dir;                   /* or NULL */
    char *template; /* how the hosts' template was made, or NULL: none was */
    char *cold;     /* why hosts were no clones of one, or NULL */
    gint64 started_us, duration_us; /* real time, of the run; microseconds since 1970 */
    gboolean complete;              /* FALSE: the run was ended early, or still goes on */
    gboolean tainted;
    gboolean
        selected;    /* suites were asked for by name: none but skips is then a failure */
    HbStatus status; /* at least this: HB_UNSUPPORTED, HB_INTERRUPTED; else HB_OK.
                      * Of a gathered report: the worst of its parts */
} Report;

Report *report_new(const char *lab);
void report_free(Report *report);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Report, report_free)

/* Puts the PARTS (Report) of a lab, in their order, into WHOLE, in place of its results:
 * what it ran on is the first part's, the logs are the first's that failed. WHOLE is
 * complete when all parts are. */
void report_gather(Report *whole, const GPtrArray *parts);

/* The worst of all; OUTCOME_FAIL when there is no result, or none but skips of suites
 * that were asked for by name. */
Outcome report_outcome(const Report *report);
/* The exit status that says so, Report.status counted in. */
HbStatus report_status(const Report *report);

typedef struct {
    guint total, passed, failed, skipped, flaky; /* FLAKY are counted in PASSED too */
} ReportCount;

ReportCount report_count(const Report *report);

/* "LAB/HOST/SUITE/CASE": the name of a result in every report, and to select it by. */
char *report_case_name(const Report *report, const CaseResult *result);

/* The output, without what only says what the message says; NULL: there is no more. */
const char *report_case_details(const CaseResult *result);
/* Why a case is not as it should be, one line, owned by the caller: the message or, where
 * there is none, the output's first words. *MORE: the rest of the output, or NULL. */
char *report_case_reason(const CaseResult *result, const char **more);

typedef struct {
    const char *name; /* "tap", "junit", "json", "html" */
    void (*write)(const GPtrArray *reports /* Report, one per lab */, GString *out);
} ReportFormat;

extern const ReportFormat report_formats[];          /* ends with name NULL */
const ReportFormat *report_format(const char *name); /* NULL if unknown */

void report_write_tap(const GPtrArray *reports, GString *out);
void report_write_junit(const GPtrArray *reports, GString *out);
void report_write_json(const GPtrArray *reports, GString *out);
void report_write_html(const GPtrArray *reports, GString *out);

/* TAP in pieces, for a stream: the head; each case with its number from 1; the end. The
 * end of a run that was not complete is "Bail out!". */
void report_tap_head(GString *out);
void report_tap_case(const Report *report, const CaseResult *result, guint number,
                     GString *out);
void report_tap_end(const GPtrArray *reports, guint count, GString *out);

/* One result in JSON and back; NULL sets ERROR. */
JsonObject *report_case_to_json(const CaseResult *result);
CaseResult *report_case_from_json(JsonObject *object, GError **error);

/* Replaces FILENAME by the report: at no moment it is missing or cut. What is no regular
 * file (a pipe, a terminal) is written to as it is. */
gboolean report_save(const ReportFormat *format, const GPtrArray *reports,
                     const char *filename, GError **error);
