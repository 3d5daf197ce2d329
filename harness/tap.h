/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Reads TAP (versions 12-14, and cmocka's dialect) as a guest prints it: hostile, unbounded,
 * not always UTF-8. Bytes go in as they come; results come out. Announced results that never
 * came, a second plan, a repeated number, nothing at all: each is a failure, never a pass.
 */
#pragma once

#include <glib.h>

#include "outcome.h"

typedef struct TapReader TapReader;

TapReader *tap_reader_new(const char *host, const char *suite);
void tap_reader_free(TapReader *reader);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(TapReader, tap_reader_free)

void tap_reader_feed(TapReader *reader, const guint8 *data, gsize length);
/* At the program's end: GPtrArray of CaseResult, at least one. STATUS is its exit status (77: the
 * whole suite is skipped), SIGNAL what ended it or 0. */
GPtrArray *tap_reader_finish(TapReader *reader, int status, int signal_number);
