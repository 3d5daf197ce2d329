/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * NICs that the harness plugs when a case asks for them (plug-wire.h), and the slots that
 * they are in. They are numbered from 0 as PLUG_ENVIRONMENT has them. What a case leaves
 * plugged is out again when it ends.
 */
#pragma once

#include "suite.h"

/* How long a function may take to come or to go: seconds by the standard (an attention
 * button is pressed, and five seconds later it counts), many more on a busy machine. */
#define PLUG_LIMIT_MS 120000

#define PLUGS_MAX 32

/* How many there are, PLUGS_MAX at most; skips the case if there are none. */
int plug_count(void);
const char *plug_address(int number);

/* Sends a request: "plug", "unplug", "await". */
void plug_ask(const char *word, int number);
/* The answer to the last request about NUMBER, without the address; fails the case if
 * none comes. */
const char *plug_answer(int number);
/* Fails the case unless the answer is WORD. */
void plug_expect(int number, const char *word);

/* Whether the kernel has a function there. */
bool plug_is_there(int number);
/* Waits until it has one, or has none; fails the case if that does not come. */
void plug_wait_there(int number);
void plug_wait_gone(int number);

/* What a file of the slot that leads to NUMBER says ("adapter": 1 if it is full); -1:
 * nothing. */
long plug_slot(int number, const char *file);
/* Has the host power the slot off, which ends the function. 0 or a negative errno. */
int plug_power_off(int number);

/* Plugs all of them, until the case ends, and waits until their drivers have them. */
void plug_all(void);
/* Has the host power off all slots that are full, and waits until they are empty. */
void plug_power_all_off(void);
/* Has the harness ask all of them back, and waits until they are gone. */
void plug_unplug_all(void);
