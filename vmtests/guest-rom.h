/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The ROM of the guest inside (guest.c) as the suite nested carries it along.
 */
#pragma once

extern const unsigned char guest_rom[], guest_rom_end[];
