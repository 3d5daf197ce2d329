/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What the commands for labs that are up share (cmd-up.c, cmd-down.c, cmd-list.c,
 * cmd-exec.c, cmd-ssh.c, cmd-console.c, cmd-log.c, cmd-qmp.c, cmd-verify.c,
 * cmd-plug.c, cmd-disk.c, cmd-link.c, cmd-power.c, cmd-save.c).
 */
#pragma once

#include "cli.h"
#include "cmd-run.h"
#include "live-call.h"
#include "live-names.h"
#include "report.h"

/* ---- cmd-up.c, cmd-up-serve.c: the order that a supervisor gets is of JSON */

#define SUPERVISOR_NAME "hostbed-supervisor"
/* The descriptor at which it finds its order. */
#define SUPERVISOR_FD 3

/* main() of a supervisor. */
int cmd_up_serve(void);

/* ---- cmd-live.c */

/* The host that NAME is, and that it can be asked: its lab lives. LABS are what
 * live_lab_read_all() gives, owned by the caller. FALSE: ERROR. */
gboolean
cmd_live_find(const char *name, GPtrArray **labs, LiveName *found, GError **error);
/* A connection to the supervisor of that host, on which REQUEST (taken; without "host",
 * which is added) was answered; or -1. ANSWER (owned by the caller) may be NULL. */
int cmd_live_ask(const LiveName *name, JsonObject *request, JsonObject **answer,
                 GError **error);
/* The ANSWER (owned by the caller) to REQUEST (taken) of the host called HOST. FALSE:
 * what went wrong was said, and STATUS is to be exited with. */
gboolean
cmd_live_answer(const char *host, JsonObject *request, JsonObject **answer, int *status);
/* All was asked: who reads what is printed may leave, and ends us without a word. */
void cmd_live_print(void);
/* The "results" of ANSWER. NULL: ERROR. */
Report *cmd_live_report(const LiveName *name, JsonObject *answer, GError **error);
/* What differs, on standard error. */
void cmd_live_print_differences(const Report *report);

/* Asks for REQUEST (taken), which changes the host called HOST, has PRINT say what was
 * done, and tells what differs from its manifest; the status to exit with. */
int cmd_live_change(const char *host, JsonObject *request,
                    void (*print)(const LiveName *name, JsonObject *answer));

/* ---- cmd-exec.c */

/* Runs a command there as if it ran here; the status to exit with. Once in a process. */
int cmd_exec_in(const LiveName *name, const RunOptions *options, const char *const *argv);
