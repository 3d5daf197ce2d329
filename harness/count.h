/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The frames on a host's networks, counted outside of it because its suite asks, in the
 * words of vmtests/count-wire.h. They are read from the files to which the emulator
 * captures them (emit_capture_file()): it writes a frame before its NIC says that it was
 * sent.
 */
#pragma once

#include "plan.h"
#include "requests.h"

/* DIR has the files of PLAN's host, which stays the caller's. */
Requests *counts_requests(const Plan *plan, const char *dir);

/* "HOSTBED_COUNTED=NETWORK …"; NULL: there is none. Owned by the caller. */
char *counts_environment(const Plan *plan);
