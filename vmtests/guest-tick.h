/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What the guest inside says while it works (guest-memory.c), among its answers: a byte
 * that stands in none of these.
 */
#pragma once

#define GUEST_TICK '+'
