/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Memory that is plugged into a running host because its suite asks, in the words of
 * vmtests/memory-wire.h. What the suite says is hostile: it can only have what
 * plan_pluggable_memory() tells, each once, in turn put in and taken out.
 */
#pragma once

#include "requests.h"
#include "session.h"

/* HOST is one of DRIVER's, of PLAN; both stay the caller's. It is never settled once
 * memory was plugged. */
Requests *slots_requests(const Plan *plan, const SessionDriver *driver, void *host);

/* "HOSTBED_MEMORY=NAME=NODE:MIB …". Owned by the caller. */
char *slots_environment(const Plan *plan);
