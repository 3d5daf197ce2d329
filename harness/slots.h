/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Memory that is plugged into a running host because its suite asks, in the words of
 * vmtests/memory-wire.h. What the suite says is hostile: it can only have what
 * plan_pluggable_memory() tells, each once, in turn put in and taken out.
 */
#pragma once

#include "requests.h"
#include "session.h"

typedef struct Slots Slots;

/* HOST is one of DRIVER's, of PLAN; both stay the caller's. */
Slots *slots_new(const Plan *plan, const SessionDriver *driver, void *host);
/* Only once slots_settle() was asked, or when the host has ended. */
void slots_free(Slots *slots);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Slots, slots_free)

/* How the suite is heard and answered. */
Requests *slots_requests(const Slots *slots);
/* Nothing more is heard of the host. FALSE: memory was plugged, or may still come, so
 * that it is not as it was at its start; it has to be ended. */
gboolean slots_settle(Slots *slots);

/* "HOSTBED_MEMORY=NAME=NODE:MIB …". Owned by the caller. */
char *slots_environment(const Plan *plan);
