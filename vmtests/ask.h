/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What a suite asks of the harness, in the form of ask-wire.h. One at a time: who asks
 * something reads the answers.
 */
#pragma once

#include <stdbool.h>

#include "ask-wire.h"

/* Sends the request "WORD ABOUT". */
void ask_harness(const char *word, const char *about);
/* The next answer, in one buffer that the next call uses again. FALSE: none came within
 * LIMIT_MS (0: none is there already), or there is no harness. Fails the case if what
 * came is no answer. */
bool ask_answer(int limit_ms, const char **about, const char **answer);
