/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What the process of a host and those of its units share.
 */
#pragma once

#include "cmd-test.h"

/* What a unit's process inherits beside its channel: what is known of the template, the
 * lab's text, and from there on the template's descriptors. */
#define UNIT_ABOUT_FD JOB_FIRST_FD
#define UNIT_LAB_FD (JOB_FIRST_FD + 1)
#define UNIT_TEMPLATE_FD (JOB_FIRST_FD + 2)

typedef struct {
    const TestOptions *options;
    const Emulator *emulator;
    const char *log_dir; /* of the host that runs */
    int lab_fd;          /* of a file with the lab's text; -1: not kept */
    JobPlaces places;
} TestWorker;

/* For the process of a host: how its units run elsewhere. */
extern const SessionJobs test_jobs;
/* An order for such a process. */
void test_hear_places(JsonObject *order, gpointer worker);

/* For the process of units: runs those of SESSION's host that it gets. */
HbStatus test_run_units(TestWorker *worker, SessionOptions *session, GError **error);
