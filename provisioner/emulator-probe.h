/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The probe without the cache (emulator-cache.c): for the cache, the recorder and tests.
 */
#pragma once

#include "emulator.h"

/* Asks BINARY everything. An error if it is no emulator that hostbed can use; what one
 * device does wrong only costs that device. The thread's current GCancellable ends it
 * (HB_INTERRUPTED). */
Emulator *emulator_ask(const char *binary, const char *const *data_dirs, GError **error);
