/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The serial line of the guest inside (guest.c), from its side.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "guest-tick.h"

void begin_talk(void);
bool is_spoken_to(void);
/* Waits for a byte. */
char hear(void);
/* Digits, and the byte behind them, which ends the number. */
uint64_t hear_number(void);
void say(const char *text);
void say_hex(unsigned byte);
void say_number(uint64_t number);
/* GUEST_TICK, if the line takes a byte now. */
void say_tick(void);
