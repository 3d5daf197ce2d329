/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The supervisor of a lab that is up: one process, which owns the emulators of its hosts
 * and the folder by which others find it (live-dir.h), writes down what there is to know
 * (live-state.h), and answers on its socket (live-wire.h). It ends when the lab goes
 * down, and its emulators with it, however it ends.
 */
#pragma once

#include "accel.h"
#include "live-state.h"
#include "plan.h"

typedef struct {
    const char *name, *file, *digest; /* as in LiveLab */
    const GPtrArray *plans;           /* Plan: all hosts of the lab */
    Lab *lab; /* of which they were made; it changes with its hosts */
    /* Plans it anew; as cli_plan_lab(). */
    GPtrArray *(*plan_again)(const Lab *lab, Findings *findings, gpointer plan_data);
    gpointer plan_data;
    const char *dir;  /* of all labs */
    const char *logs; /* a folder, ours alone */
    const char *emulator;
    const char *connect; /* this and the next as in BootOptions */
    gboolean persistent;
    Accel accel;
    const char *kernel; /* this and the next three as in BootOptions */
    const char *const *programs;
    const char *const *copies;
    const char *const *modules;
    gboolean warm, even_if_different;
    gboolean trace;           /* whoever has FIRST_FD wants to see QMP */
    int first_fd;             /* a connection that is there already; taken */
    const char *const *hosts; /* that it waits for; empty: all */
} LiveServeOptions;

/* Serves the lab until it goes down. FALSE: it never was up, as whoever has the other end
 * of FIRST_FD was told. */
gboolean live_serve(const LiveServeOptions *options, GError **error);
