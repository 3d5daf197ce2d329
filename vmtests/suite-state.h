/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * States of the host that cases start from (harness/suite.h): the program that reaches
 * one is started with its name in HOSTBED_STATE, does that and no more, and leaves what
 * it did in place. What reaches a state is also what a case calls that finds the host
 * without it, so that it does only what is not done.
 */
#pragma once

#include "suite.h"

typedef struct {
    const char *name;
    void (*reach)(void); /* fails or skips as a case does, where it cannot */
} SuiteState;

/* A state is to be reached, and not cases to be run. */
bool suite_is_asked_for_state(void);
/* Reaches that one of STATES, which end with name NULL; returns the exit status: 0, 77 if
 * this host cannot have it, else 1. */
int suite_reach(const SuiteState *states);
