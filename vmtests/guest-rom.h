/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The ROM of the guest inside (guest.c) as suites carry it along.
 */
#pragma once

#include <stdbool.h>

extern const unsigned char guest_rom[], guest_rom_end[];

/* Writes it to a file. FALSE: it cannot be written, and errno. */
bool guest_rom_write(const char *path);
