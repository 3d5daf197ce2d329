/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What comes from one run of a suite's program, kept in its logs, read as results, and
 * told while it runs: each result within a second, so that whoever watches, or
 * interrupts, has what there was. What was told is not taken back. A failure that a retry
 * may change waits for that.
 */
#pragma once

#include "case-limit.h"
#include "requests.h"
#include "session-private.h"
#include "tap.h"

/* Of one run of a suite, as the machine is. */
typedef struct {
    double slowness;
    gint64 case_ms; /* 0: none */
    guint suite_ms;
} Limits;

typedef struct {
    Session *session;
    const Suite *suite;
    GStrv cases; /* those that run, in order, as far as they are known */
    TapReader *reader;
    LogFile *tap_log, *stderr_log;
    GString *errors;    /* the end of standard error, since it went with a failure */
    Requests *requests; /* how it asks for what only we can do, or NULL */
    Limits limits;
    CaseLimit *limit;  /* or NULL */
    guint seen;        /* results and requests */
    GPtrArray *told;   /* CaseResult, borrowed; NULL: nothing is told before the end */
    GPtrArray *held;   /* CaseResult, those that a retry may change */
    guint source, had; /* ticks; results that there were at the last one */
} Listener;

/* Of the TRYth run of SUITE, from 0, or of its case ONLY (or NULL). Copies of
 * what is told go to TOLD; NULL: this run's results are for the caller alone. */
void listener_open(Listener *listener, Session *session, const Suite *suite,
                   const char *only, guint try, GPtrArray *told);
void listener_close(Listener *listener);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Listener, listener_close)

/* A GuestOutput; user_data is the listener. */
void listener_hear(int stream, const guint8 *data, gsize length, gpointer listener);
/* From here on nothing is told any more. */
void listener_end(Listener *listener);
/* RESULTS are the last ones: puts those that were held before them, and gives the last
 * failure what was said on standard error. */
void listener_complete(Listener *listener, GPtrArray *results);
