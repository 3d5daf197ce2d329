/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The state of a session, shared by its files: session.c goes from suite to suite,
 * session-host.c has the host, session-suite.c runs one suite, session-listen.c hears it,
 * session-results.c decides what is told; session-jobs.c has suites run elsewhere.
 */
#pragma once

#include "session.h"

typedef struct {
    const SessionOptions *options;
    void *host;               /* NULL: not started, or ended */
    void *template;           /* what hosts are clones of; or NULL */
    char *how;                /* it was made, and states, as told */
    GPtrArray *layers;        /* Layer: the states that were to be reached; or NULL */
    const HostState *wanted;  /* of the next host */
    const HostState *given;   /* wanted of the present one */
    gboolean cold;            /* there will be none */
    char *frozen_observation; /* of the host that was frozen, where clones are checked */
    gboolean looked;          /* for one that is kept */
    char *trouble;            /* what was wrong with that, or NULL */
    gboolean trouble_passes;  /* and it was kept all the same */
    guint starts;             /* and clones */
    gboolean checked;         /* a host, so that later ones tell less */
    char *log_dir;            /* of the present start */
    GPtrArray *prepares;      /* PrepareLayer; NULL: they were not read yet */
    guint layers_done;        /* of these, in the template, after it was kept */
    gboolean prepared;        /* all of them */
    gboolean unprepared;      /* what the last host lacked was to be prepared */
    gint64 boot_us;           /* of the last start, also where it was not today's */
    gboolean late;            /* the deadline passed */
    gboolean check_failed;    /* in all tries of a host */
    gboolean differs;         /* the host, from its manifest */
} Session;

/* Why something was not run. */
#define SESSION_NOT_RUN_LATE "not run: the deadline of the run had passed"
#define SESSION_NOT_RUN_DIFFERS "the host is not the machine that was asked for"

/* Asked to end from outside; the deadline is no interruption. */
gboolean session_interrupted(const Session *session);
void session_step(const Session *session, const char *what);

/* ---- session-results.c */

CaseResult *session_case(const Session *session, const char *suite, const char *name,
                         Outcome outcome);
/* What ERROR, or the deadline, makes of RESULT. */
void session_set_verdict(const Session *session, CaseResult *result, const GError *error);
void session_make_flaky(CaseResult *result, const char *how, const char *why);
gboolean session_any_bad(const GPtrArray *results);
/* Takes out of the results of another try, AGAIN, those of TOLD, which stay as they are.
 * That one of these passed and now fails is a result of its own. */
void session_settle_told(const GPtrArray *told, GPtrArray *again);
/* Adds to what the check found the place in the lab of what was asked. */
void session_tell_places(const Session *session, GPtrArray *differences);
/* Tells what is wanted of the RESULTS, which it takes. */
void session_deliver(Session *session, GPtrArray *results);
/* The same for one RESULT, taken. */
void session_deliver_one(Session *session, CaseResult *result);

/* ---- session-host.c */

/* A host that runs and was compared with its manifest. */
gboolean session_ensure_host(Session *session, GError **error);
/* Whether what suites find in the host proves anything. */
gboolean session_host_counts(const Session *session);
void session_stop_host(Session *session);
/* Whether what ERROR says would be the same a second time. */
gboolean session_is_final(const Session *session, const GError *error);

/* Puts the manifest into the host and compares it with that, both in its logs: the
 * check's results. NULL: it does not answer. */
GPtrArray *session_check_host(Session *session, GError **error);
/* Tells the check's RESULTS (taken): of the FIRST host all, of others what is wrong. */
void session_deliver_check(Session *session, GPtrArray *results, gboolean first);
/* Makes the folder NAME for the logs of the host to come. */
void session_choose_log_dir(Session *session, const char *name);

/* ---- session-template.c */

/* Whether hosts are to be clones, so that the first is started as freezable. */
gboolean session_wants_template(const Session *session);
/* Makes a template of the host, which was checked; the host is gone then. Without success
 * it stays, and all is as if nobody had asked. */
void session_freeze_host(Session *session);
/* Takes the template that is kept, if that was asked for and there is one that lives;
 * what the check finds in its first clone is told. */
void session_use_kept(Session *session);
/* A host, from the template. FALSE: there is none, so that one has to be started. */
gboolean session_clone_host(Session *session);
/* Whoever comes next gets a host of its own, if that was asked for. */
void session_isolate(Session *session);
/* Whether each case of SUITE gets one. */
gboolean session_isolates_cases(const Session *session, const Suite *suite);
void session_discard_template(Session *session);
/* Compares the clone that runs with the OBSERVATION of what was frozen, byte for byte;
 * NULL: it is not asked for. */
gboolean session_check_clone(Session *session, const char *observation, GError **error);
/* What the host sees of itself, kept in its logs; NULL: it does not answer. Owned by the
 * caller. */
char *session_observe(Session *session, GError **error);
/* Tells HOW hosts come about from here on. */
void session_tell_template(Session *session, const char *how);

/* ---- session-suite.c */

/* Has the program of SUITE, if it joins, answer in the hosts that the session's is joined
 * with. */
gboolean session_serve_peers(Session *session, const Suite *suite, GError **error);

/* ---- session-state.c */

/* A state that hosts start from, once it was reached. */
typedef struct {
    const HostState *state;
    void *template;    /* NULL: it is not to be had */
    char *observation; /* of the host that was frozen, where clones are checked */
} Layer;

/* The next host is for SUITE; ONLY: for this case, or NULL. */
void session_want(Session *session, const Suite *suite, const char *only);
/* The layer that the next host is a clone of, reached now if need be; no host runs.
 * NULL: the host as it was checked. */
Layer *session_layer(Session *session);
/* No more clones of it, since one did not live. */
void session_give_up_layer(Session *session, Layer *layer, const char *why);
void session_discard_layers(Session *session);

/* ---- session-prepare.c */

/* Reads what is to be done in each host that is started before suites come: its programs
 * are the same from then on. */
gboolean session_read_layers(Session *session, GError **error);
/* Does that in the host, from number FIRST up to END. FALSE: one of the commands failed.
 */
gboolean session_prepare_host(Session *session, guint first, guint end, GError **error);
/* Has the program of STATE reach it in the host. */
gboolean session_reach_in_host(Session *session, const HostState *state, GError **error);

/* ---- session-layers.c */

/* Whether the host is frozen, and kept, as it was checked, and is prepared in a clone. */
gboolean session_prepares_later(const Session *session);
/* That: what was prepared is then the template. FALSE: one of the commands failed. Where
 * it cannot be frozen hosts are started from here on. */
gboolean session_prepare_template(Session *session, GError **error);

/* ---- session-jobs.c */

/* Whether units are to run at the same time once there is a template. */
gboolean session_splits(const Session *session);
/* Runs all suites from number FIRST on, in clones of the template. */
HbStatus session_run_units(Session *session, guint first);

/* ---- session.c */

/* Nothing of SUITE was run, of which ONLY, or NULL, was to be: one result says WHY. Owned
 * by the caller. */
CaseResult *session_not_run(const Session *session, const Suite *suite, const char *only,
                            Outcome outcome, const char *why);

/* ---- session-suite.c */

/* Binds what SUITE, somebody else's, wants bound; its arguments and environment with what
 * is then known. */
gboolean session_prepare_foreign(Session *session, const Suite *suite, GStrv *argv,
                                 GStrv *environment, GError **error);

/* SUITE's cases that are meant, each with a unit of its own; owned by the caller. */
GStrv session_chosen_cases(const Session *session, const Suite *suite);

/* Those of SUITE's results that were not told while it ran; tries what failed again, each
 * time on a new host. NULL: interrupted. */
GPtrArray *session_run_suite(Session *session, const Suite *suite);
