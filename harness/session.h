/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * One host, from its plan to the results of its suites: started, compared with its
 * manifest, then suite after suite. Whatever happens to the host becomes a result: one
 * that dies in a suite fails that suite, and the next suite gets a host started anew,
 * which is checked again.
 */
#pragma once

#include "bind.h"
#include "boot.h"
#include "job.h"
#include "outcome.h"
#include "selection.h"

/* The suite whose cases are about the host as such: "boot", "prepare", "clone". */
#define SESSION_HOST_SUITE "host"

typedef struct SessionOptions SessionOptions;

/* How a session gets at a host; tests play one. ERROR says what happened as
 * boot_explain() does. */
typedef struct {
    /* FREEZABLE: as in boot.h. */
    void *(*start)(const SessionOptions *options, gboolean freezable, const char *log_dir,
                   GError **error);
    void (*stop)(void *host);
    /* Why it took more than one start, or NULL. */
    const char *(*retried)(void *host);
    Accel (*accel)(void *host);
    char *(*observe)(void *host, GError **error);
    gboolean (*put)(void *host, const char *path, guint mode, GBytes *content,
                    GError **error);
    gboolean (*run)(void *host, const GuestCommand *command, GuestExit *result,
                    GError **error);
    /* FALSE: something was seen from outside that no suite may pass with. */
    gboolean (*sound)(void *host, GError **error);
    /* For limits of cases (case-limit.h); TIME_OUT is NULL: there are none. How long the
     * host's start took, which of a clone says nothing; as machine_starved_us(); ends the
     * program that runs, which then has timed out. */
    gint64 (*boot_us)(void *host);
    gint64 (*starved_us)(void *host);
    void (*time_out)(void *host);
    /* For suites that count (count.h): the folder with what is captured of the host's
     * networks, or NULL; NULL for a kind of hosts that has none. */
    const char *(*captures)(void *host);
    /* For suites that plug (plug.h); NULL: nothing can be plugged. ASK sends the host's
     * emulator a command with ARGUMENTS (taken) and gives its answer to REPLY later,
     * unless the host is stopped before. LISTEN has HANDLER told of the emulator's
     * events; NULL: nobody is. */
    void (*ask)(void *host, const char *command, JsonObject *arguments, QmpReply reply,
                gpointer user_data);
    void (*listen)(void *host, QmpEvent handler, gpointer user_data);
    /* For suites that need hosts joined with theirs; NULL for a kind of hosts that has
     * none. Runs a program, which must end well, in each of them; what is between them.
     */
    gboolean (*run_in_peers)(void *host, const char *const *argv, GError **error);
    Segments *(*segments)(void *host);
    /* For suites that end those (outages.h). ASK_PEER is ASK of the peer PEER, without
     * arguments. From GIVE_UP_PEER on it is no failure that the peer ends, by which the
     * result (the peer's) is cancelled; PEER_FAILURE tells how it ended, or NULL. */
    void (*ask_peer)(void *host, const char *peer, const char *command, QmpReply reply,
                     gpointer user_data);
    GCancellable *(*give_up_peer)(void *host, const char *peer);
    const GError *(*peer_failure)(void *host, const char *peer);
    /* Templates (template.h); all NULL: each host is started. FREEZE makes one of *HOST,
     * which is gone then, or says why not, and the host goes on. */
    void *(*freeze)(void **host, GError **error);
    /* Why that will fail, known since the host's start and told then; NULL: not known, or
     * nobody asks. */
    const char *(*obstacle)(const void *host);
    void *(*clone)(const void *template, const char *log_dir, GCancellable *interrupt,
                   GError **error);
    void (*discard)(void *template);
    /* Bytes of memory that it takes, whatever its clones do; NULL: nobody counts. */
    gint64 (*bytes)(const void *template);
    /* A clone that can be frozen itself; NULL: there is none such. */
    void *(*branch)(const void *template, const char *log_dir, GCancellable *interrupt,
                    GError **error);
    /* The store of templates (template.h); all NULL: nothing is kept. KEPT gives the one
     * of such hosts, or NULL, and then perhaps what was wrong with it (*TROUBLE, owned by
     * the caller); KEEP puts one there and FORGET takes it away. *HOW, owned by the
     * caller, is what there is to tell of it. */
    void *(*kept)(const SessionOptions *options, char **how, char **trouble);
    gboolean (*keep)(const SessionOptions *options, void *template, char **how,
                     GError **error);
    void (*forget)(void *template);
    /* The same for what is done in a clone of BELOW, lines STEPS, and frozen again. */
    void *(*kept_above)(const void *below, const char *const *steps, char **how,
                        char **trouble);
    gboolean (*keep_above)(void *template, const void *below, const char *const *steps,
                           char **how, GError **error);
} SessionDriver;

/* Who gets a host of its own. */
typedef enum {
    SESSION_ISOLATE_AUTO,  /* suites, where hosts are clones; else nobody */
    SESSION_ISOLATE_NONE,  /* one host serves all, as long as it lives */
    SESSION_ISOLATE_SUITE, /* each suite */
    SESSION_ISOLATE_CASE,  /* each case of our suites, and each other suite */
} SessionIsolation;

extern const SessionDriver session_boot_driver; /* real hosts; "host" is a LabBoot */
/* One real host by itself; "host" is a Boot. It only puts and runs. */
extern const SessionDriver session_single_driver;

/* A part of a session that can run by itself: a suite, or one case of it. */
typedef struct {
    const Suite *suite;
    char *only;   /* the case, or NULL: all that are meant */
    guint number; /* from 1; its clones' logs are called by it */
    guint order;  /* of its results */
} SessionUnit;

/* What a session starts from that is given its template, instead of a host. */
typedef struct {
    void *template;          /* the driver's; stays the caller's */
    const char *observation; /* of the host that was frozen, where clones are checked */
    gint64 boot_us;          /* of that host */
} SessionOrigin;

/* How units run at the same time, each in a process of its own (job.h). */
typedef struct {
    /* How many may run now, which may change whenever the main loop runs. */
    guint (*may)(gpointer user_data);
    /* What there is to tell of PLACES but how many may. */
    void (*uses)(const JobPlaces *places, gpointer user_data);
    /* A process that runs units in clones of ORIGIN, one after the other as it gets them
     * by job_order() (session_unit_to_json()), until it is dismissed. */
    Job *(*start)(const SessionOrigin *origin, Report *report, const JobWatch *watch,
                  gpointer watcher, gpointer user_data, GError **error);
} SessionJobs;

/* Owned by the caller. */
JsonObject *session_unit_to_json(const SessionUnit *unit);

/* The key that such a host's template has in the store, and what it is made of, as
 * lab_template_key_of(). */
char *
session_template_key(const SessionOptions *options, GPtrArray **inputs, GError **error);

/* Those of what --prepare makes of the host of INPUTS, NULL at the end: of the first
 * layer first. *STEPS, too, is what each adds to the inputs of the one below. */
GStrv session_layer_keys(const SessionOptions *options, const GPtrArray *inputs,
                         GStrv *steps, GError **error);

/* How it is told that a host cannot be frozen; owned by the caller. */
char *session_cannot_freeze(const char *why);
/* FALSE, HB_UNSUPPORTED: such a host cannot be frozen, as lab_template_possible(). */
gboolean session_template_possible(const SessionOptions *options, GError **error);

struct SessionOptions {
    const Plan *plan;
    const GPtrArray *peers; /* const Plan *: the hosts that Plan.peers names; or NULL */
    const char *lab;        /* its name in reports, for the selection */
    const char *manifest;   /* what the host is compared with */
    const SessionDriver *driver;
    const char *emulator; /* path; this and the next five are as in boot.h */
    const char *connect;
    Accel accel;
    const char *kernel;
    const char *const *modules;
    const char *const *extra_args;
    gboolean capture; /* also where no suite counts */
    /* for suites with a command: */
    const char *const *programs; /* this and the next two are as in boot.h */
    const char *const *copies;
    const char *folder;     /* where they start, or NULL */
    const char *const *env; /* "NAME=VALUE", or NULL */
    Bindings *bindings;     /* NULL where there is no such suite */
    const char *out;        /* folder for their results, one for each in it; or NULL */

    const char *log_dir; /* exists, ours alone */
    /* const Suite *, with commands: run in each host that is started, before the suites,
     * and what they make of it, layer upon layer, is what suites start from; or NULL */
    const GPtrArray *prepare;
    const GPtrArray *suites; /* const Suite *, those to run; the check is always made */
    const Selection *selection;
    guint retries; /* how often what failed is tried again, on a host started anew */
    /* Of a case, on the reference machine; 0: none; below: each suite's own. */
    gint64 case_timeout_ms;
    gboolean once;              /* as in boot.h */
    gboolean no_skip;           /* a skip is a failure */
    gboolean even_if_different; /* suites run also where the check failed */
    SessionIsolation isolation;
    gboolean cold;         /* no templates: each host is started */
    gboolean keep;         /* use a template that is kept, or keep the one that is made */
    gboolean check_clones; /* compare clones with the manifest, too */
    const SessionJobs *jobs;     /* NULL: one unit at a time, here */
    const SessionOrigin *origin; /* or NULL: hosts are started */
    const SessionUnit *unit;     /* the only one that is to run; or NULL */
    gint64 deadline_us; /* g_get_monotonic_time() by when all must be done; 0: none */
    GCancellable *interrupt; /* the session also fires it itself, at the deadline */

    /* Called as things happen; the first two may be NULL. */
    void (*started)(const void *host, gpointer user_data);
    void (*step)(const char *what, gpointer user_data);
    /* Hosts are clones from here on, and HOW that was done; or (COLD) they are not, and
     * why. Again, with all that there is to tell, as suites' states (suite.h) are reached
     * or are not. May be NULL. */
    void (*frozen)(gboolean cold, const char *how, gpointer user_data);
    void (*results)(const GPtrArray *results /* CaseResult */, gpointer user_data);
    gpointer user_data;
};

/* HB_OK: all suites are accounted for by results. HB_INTERRUPTED: they are not.
 * HB_UNSUPPORTED: a result says what this machine lacks. */
HbStatus session_run(const SessionOptions *options);

/* Puts what a second try of a suite gave into the RESULTS of the first: what failed and
 * then passed is flaky, and so is what passed and then failed. */
void session_merge_retry(GPtrArray *results, const GPtrArray *again);
