/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The probe without the cache (emulator-cache.c): for the cache, the recorder and tests.
 */
#pragma once

#include "emulator.h"

/* How long an emulator may take to greet, and for an answer. */
#define EMULATOR_ANSWER_MS 10000

/* Asks BINARY everything; each answer may take ANSWER_MS. An error if it is no emulator
 * that hostbed can use; what one device does wrong only costs that device. The thread's
 * current GCancellable ends it (HB_INTERRUPTED). */
Emulator *emulator_ask(const char *binary, const char *const *data_dirs, guint answer_ms,
                       GError **error);
