/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * One host's run in a process of its own, so that a crash, a hang or a kill there costs
 * that host only, and so that hosts run at the same time. The process tells what happens
 * in lines of JSON on a pipe; here are both ends. If we die it gets SIGTERM, and its
 * emulator goes with it.
 */
#pragma once

#include <gio/gio.h>

#include "report.h"

/* ---- the process's end: what it tells, each call a line on FD
 * -------------------------------- */

typedef struct {
    const char *emulator, *accel, *kernel, *log_dir; /* each may be NULL */
    const char *template, *cold;                     /* as in Report */
} JobFacts;

void job_tell_facts(int fd, const JobFacts *facts);
void job_tell_step(int fd, const char *what);
void job_tell_results(int fd, const GPtrArray *results);
/* The last line: without it the run was cut. */
void job_tell_end(int fd, HbStatus status);

/* ---- our end
 * ------------------------------------------------------------------------------------ */

typedef struct Job Job;

typedef struct {
    void (*step)(Job *job, const char *what, gpointer user_data);
    /* Results were added to the report from index FIRST on. */
    void (*results)(Job *job, guint first, gpointer user_data);
    /* The process is gone, its report complete unless it was interrupted. */
    void (*ended)(Job *job, gpointer user_data);
} JobWatch;

/* Starts ARGV with "--worker-fd=N" added as its last argument; results go to REPORT. Both
 * REPORT and WATCH are borrowed. PASS_STDERR: what it prints there goes to ours as well.
 */
Job *job_start(const char *const *argv, Report *report, gboolean pass_stderr,
               const JobWatch *watch, gpointer user_data, GError **error);
/* It must have ended. */
void job_free(Job *job);
Report *job_report(const Job *job);
void job_signal(Job *job, int signal_number);
