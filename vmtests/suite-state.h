/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * States of the host that cases start from (harness/suite.h): the program that reaches
 * one is started with its name in HOSTBED_STATE, does that, and waits in it, stopped:
 * what a case of it finds done in a copy of the host is done in its own process, too.
 * What reaches a state is also what a case calls that finds the host without it, so that
 * it does only what is not done.
 */
#pragma once

#include "suite.h"

typedef struct {
    const char *name;
    void (*reach)(void); /* fails or skips as a case does, where it cannot */
} SuiteState;

/* A state is to be reached, and not cases to be run. */
bool suite_is_asked_for_state(void);
/* Reaches that one of STATES, which end with name NULL, if one is asked for. FALSE: the
 * program is to end with STATUS: 0, 77 if this host cannot have it, else 1. TRUE: cases
 * are to be run now: none was asked for, or it was reached, this process waited in it,
 * and goes on, in a copy of the host. */
bool suite_reaches(const SuiteState *states, int *status);
