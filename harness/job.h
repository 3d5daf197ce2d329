/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * One host's run in a process of its own, so that a crash, a hang or a kill there costs
 * that host only, and so that hosts run at the same time. The process tells what happens
 * in lines of JSON on a socket, and hears there what it is to do besides its arguments;
 * here are both ends. If we die it gets SIGTERM (one that inherits what we have: SIGKILL,
 * since whoever ends us knows nothing of it), and its emulator goes with it.
 *
 * A host whose clones run units at the same time has a process for each of these, which
 * it starts itself: it is told units, one after the other, and says when each is done.
 */
#pragma once

#include <gio/gio.h>

#include "report.h"

/* What a test program prints may come in one line. */
#define JOB_LINE_MAX ((gsize)64 * 1024 * 1024)

/* ---- the process's end: what it tells, each call a line on FD
 * -------------------------------- */

typedef struct {
    const char *emulator, *accel, *kernel, *log_dir; /* each may be NULL */
    const char *template, *cold;                     /* as in Report */
} JobFacts;

void job_tell_facts(int fd, const JobFacts *facts);
void job_tell_step(int fd, const char *what);
void job_tell_results(int fd, const GPtrArray *results);
/* The unit is done, and the next one may come. */
void job_tell_done(int fd);

/* How many units run at once. */
typedef struct {
    guint runs, may, could; /* now; as it was allowed last; as it could use */
    gint64 template_bytes;  /* that its template takes besides what its clones do */
} JobPlaces;

void job_tell_places(int fd, const JobPlaces *places);
/* The last line: without it the run was cut. */
void job_tell_end(int fd, HbStatus status);

/* What is heard on FD, each line an object; NULL: whoever started us is gone, or needs us
 * no more. Called from the main loop; the object is borrowed. */
typedef void (*JobHear)(JsonObject *order, gpointer user_data);
typedef struct JobOrders JobOrders;

JobOrders *job_orders_new(int fd, JobHear hear, gpointer user_data);
void job_orders_free(JobOrders *orders);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(JobOrders, job_orders_free)

/* ---- our end
 * ------------------------------------------------------------------------------------ */

typedef struct Job Job;

typedef struct {
    void (*step)(Job *job, const char *what, gpointer user_data);
    /* Results were added to the report from index FIRST on. */
    void (*results)(Job *job, guint first, gpointer user_data);
    /* The report says more of what it ran on, and how; may be NULL. */
    void (*facts)(Job *job, gpointer user_data);
    /* For processes that are told what to do; may be NULL. */
    void (*done)(Job *job, gpointer user_data);
    void (*places)(Job *job, const JobPlaces *places, gpointer user_data);
    /* The process is gone, its report complete unless it was interrupted. */
    void (*ended)(Job *job, gpointer user_data);
} JobWatch;

/* The number that the first of FDS has in the process; the others follow. */
#define JOB_FIRST_FD 4

/* Starts ARGV with "--worker-fd=N" added as its last argument; results go to REPORT. Both
 * REPORT and WATCH are borrowed. FDS (int, or NULL) are given to it; they stay ours.
 * PASS_STDERR: what it prints there goes to ours as well. */
Job *job_start(const char *const *argv, const GArray *fds, Report *report,
               gboolean pass_stderr, const JobWatch *watch, gpointer user_data,
               GError **error);
/* It must have ended. */
void job_free(Job *job);
Report *job_report(const Job *job);
/* Takes ORDER. Nobody waits for a process that does not hear. */
void job_order(Job *job, JsonObject *order);
/* It hears the end of its orders. */
void job_dismiss(Job *job);
/* Something that it told could not be read. */
gboolean job_is_broken(const Job *job);
void job_signal(Job *job, int signal_number);
