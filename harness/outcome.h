/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * How a case, a suite or a host ended: a closed set, the same words in TAP, JUnit, JSON and the
 * exit status.
 */
#pragma once

#include <glib.h>

#include "error.h"

typedef enum {
    OUTCOME_PASS,
    OUTCOME_FAIL,
    OUTCOME_SKIP,
    OUTCOME_TIMEOUT,
    OUTCOME_GUEST_PANIC,
    OUTCOME_GUEST_HANG,
    OUTCOME_EMULATOR_DIED,
    OUTCOME_INFRASTRUCTURE,
} Outcome;

const char *outcome_name(Outcome outcome); /* "pass", …, "guest-panic" */
gboolean outcome_from_name(const char *name, Outcome *outcome);
HbStatus outcome_status(Outcome outcome);
Outcome outcome_from_error(const GError *error);

/* One result. A case that passed only when tried again is flaky, and stays a pass that says so. */
typedef struct {
    char *host;     /* "l1" */
    char *suite;    /* "numa"; "manifest" for the check itself */
    char *name;     /* of the case */
    Outcome outcome;
    gboolean flaky;
    char *message;  /* why it failed or was skipped, or NULL */
    char *output;   /* diagnostics, valid UTF-8, or NULL */
    gint64 duration_us;
} CaseResult;

CaseResult *case_result_new(const char *host, const char *suite, const char *name, Outcome outcome);
void case_result_free(CaseResult *result);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CaseResult, case_result_free)
