/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * How a case, a suite or a host ended: a closed set, the same words in TAP, JUnit, JSON
 * and the exit status.
 */
#pragma once

#include <glib.h>

#include "error.h"
#include "measure.h"

typedef enum {
    OUTCOME_PASS,
    OUTCOME_UNSUPPORTED, /* emulator, kernel or machine cannot do what is asked */
    OUTCOME_FAIL,
    OUTCOME_SKIP,
    OUTCOME_TIMEOUT,
    OUTCOME_GUEST_PANIC,
    OUTCOME_GUEST_HANG,
    OUTCOME_EMULATOR_DIED,
    OUTCOME_INFRASTRUCTURE,
} Outcome;

#define OUTCOME_COUNT (OUTCOME_INFRASTRUCTURE + 1)

const char *outcome_name(Outcome outcome); /* "pass", …, "guest-panic" */
gboolean outcome_from_name(const char *name, Outcome *outcome);
HbStatus outcome_status(Outcome outcome);
/* ERROR must be set. What is wrong with a lab or a command line is
 * OUTCOME_INFRASTRUCTURE. */
Outcome outcome_from_error(const GError *error);
/* Neither a pass nor a skip. */
gboolean outcome_is_bad(Outcome outcome);
/* Of two the one that decides: skip, then pass, then the others as they stand above. */
Outcome outcome_worst(Outcome a, Outcome b);
/* The same for exit statuses: what says least about the tests decides. */
HbStatus outcome_worst_status(HbStatus a, HbStatus b);

/* One result. A case that passed only when tried again is flaky, and stays a pass that
 * says so. */
typedef struct {
    char *host;  /* "l1" */
    char *suite; /* "numa"; "manifest" for the check itself */
    char *name;  /* of the case */
    Outcome outcome;
    gboolean flaky;
    char *message;       /* one line: why it failed, was skipped or is flaky; or NULL */
    char *output;        /* diagnostics, any number of lines, or NULL */
    GPtrArray *measures; /* Measure, shared by copies, which add nothing; or NULL */
    gint64 duration_us;
    guint order; /* in reports: before those with a greater one; else as they came */
} CaseResult;

/* The strings are copied and made fit for every report by outcome_text(). */
CaseResult *
case_result_new(const char *host, const char *suite, const char *name, Outcome outcome);
CaseResult *case_result_copy(const CaseResult *result);
void case_result_free(CaseResult *result);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CaseResult, case_result_free)
void
case_result_set_message(CaseResult *result, const char *format, ...) G_GNUC_PRINTF(2, 3);
void case_result_set_output(CaseResult *result, const char *text, gssize length);
/* An owning, empty list of them. */
GPtrArray *case_results_new(void);

/* LENGTH bytes (-1: up to the NUL) from anywhere as text that can go to a terminal and
 * into XML: valid UTF-8 in which every control character, NUL included, and every code
 * point that XML 1.0 forbids is U+FFFD. Tabs stay; newlines stay if LINES. Owned by the
 * caller. */
char *outcome_text(const char *bytes, gssize length, gboolean lines);
