/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * hostbed test: cmd-test.c reads the command line and finds out what is to be run, with
 * cmd-test-labs.c; cmd-test-list.c only tells it; cmd-test-run.c runs it, a process for
 * each host, cmd-test-command.c says how that is called, cmd-test-worker.c is it, and
 * cmd-test-units.c those that it starts; cmd-test-share.c says how many;
 * cmd-test-report.c tells what happens.
 */
#pragma once

#include "cli-program.h"
#include "cli-trace.h"
#include "cli.h"
#include "job.h"
#include "selection.h"
#include "session.h"

typedef struct {
    CliMachine machine;
    Accel accel;
    char **arguments;          /* labs and patterns, as given */
    char **patterns;           /* --select, and the arguments that are no labs */
    char *junit, *json, *html; /* files, "-": standard output; or NULL */
    char *log_dir;
    char **suites;           /* --suite: command lines of other people's programs */
    double suite_timeout;    /* seconds, of each of them */
    double case_timeout;     /* of a case, on the reference machine; below 0: not given */
    GPtrArray *foreign;      /* Suite, of these */
    char **prepare_commands; /* --prepare: the same */
    GPtrArray *prepare;      /* Suite, of these */
    CliProgram program;      /* what they get */
    CliTrace trace;
    char **modules;
    char *shard_text;
    Shard shard;
    int repeat, retry;
    int jobs;                /* below 1: as cores and memory allow; known when it runs */
    double deadline_seconds; /* 0: none */
    gint64 deadline_us;      /* g_get_monotonic_time(), the same in every process; or 0 */
    char *isolate_text;
    char *connect; /* the libvirt that starts the hosts; or NULL */
    SessionIsolation isolation;
    gboolean cold, keep, check_clones;
    gboolean list, capture, no_retry, no_skip, even_if_different, quiet, verbose;

    /* between us and our workers, and for tests */
    int worker_fd;        /* -1: we are none */
    char *worker_name;    /* the lab's name in reports */
    char *worker_lab;     /* what to read in place of the lab's file, or NULL */
    char **worker_units;  /* "HOST/SUITE" */
    gboolean worker_jobs; /* the process may start others, as it is allowed to */
    int worker_template;  /* descriptor of what is known of the template; -1: none is */
    char *manifest;       /* file to compare with in place of the plan's */
    char *started_as;     /* lab whose machine is started in place of this one's */
    char **extra_args;
} TestOptions;

/* How many reports go to standard output, in place of TAP. */
guint test_streams(const TestOptions *options);

/* One host of a lab: a process and a part of the lab's report. */
typedef struct {
    char *id;
    gint64 memory_bytes;
    Report *part;
    Job *job; /* NULL: not started, or ended */
    gboolean done;
    JobPlaces places; /* as it told last */
    guint allowed;    /* places, as we told last; its own counted */
    guint held;       /* places beside its own that are counted in */
    char *told;       /* the last line that was printed of its template, or NULL */
} TestHost;

/* One lab to run, once. */
typedef struct {
    char *filename;
    char *path;       /* of a file with its text for workers to read; NULL: none will */
    char *name;       /* unique: "NAME", "NAME[run=2]" */
    GPtrArray *hosts; /* TestHost, in order */
    GPtrArray *units; /* Unit, in order */
    Report *report;   /* of all hosts; their parts are gathered into it */
    gboolean begun;   /* a host was started */
    gboolean done;
} TestLab;

void test_lab_free(gpointer lab);
/* Adds to LABS those of FILENAMES: all are planned, and their findings printed, before
 * one is started. Nothing is kept for a list. HB_INTERRUPTED: the thread's current
 * GCancellable was cancelled. */
HbStatus test_plan_labs(const TestOptions *options, const GPtrArray *filenames,
                        const Emulator *emulator, GPtrArray *labs);

/* FALSE, and *STATUS and a sentence: the programs of OPTIONS (--suite, --prepare, and
 * what they get) are none that a host can have. They are suites then. */
gboolean test_check_programs(TestOptions *options, int *status);
/* What is known of a session of PLAN's host before one is to be run, and all that decides
 * what the host is but its manifest and suites; borrowed from OPTIONS. */
SessionOptions
test_session_for(const TestOptions *options, const Plan *plan, const char *emulator);

/* Runs LABS (TestLab); returns the exit status. */
int test_run(const TestOptions *options, GPtrArray *labs, const Selection *selection);

/* Prints what of LABS' units is selected, without LABS what suites have on every host. */
int
test_list(const TestOptions *options, const GPtrArray *labs, const Selection *selection);

/* The command line of the process that runs HOST of LAB; owned by the caller. */
GStrv
test_worker_command(const TestOptions *options, const TestLab *lab, const TestHost *host);
/* That of a process for units of the same host, from this one's. */
GStrv test_unit_command(GError **error);
/* The process of one host: FILENAME's units to OPTIONS->worker_fd. */
int test_worker(const TestOptions *options, const char *filename);
