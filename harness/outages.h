/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What a suite has done to the hosts that networks join with its own, in the words of
 * vmtests/outage-wire.h. What it says is hostile: it can only have the peers of its own
 * host's plan.
 */
#pragma once

#include "requests.h"
#include "session.h"

typedef struct Outages Outages;

/* HOST is one of DRIVER's, of PLAN; all stay the caller's. */
Outages *outages_new(const Plan *plan, const SessionDriver *driver, void *host);
/* Only once outages_settle() was called, or when the hosts have ended. */
void outages_free(Outages *outages);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Outages, outages_free)

/* How the suite is heard and answered. */
Requests *outages_requests(const Outages *outages);
/* FALSE: a peer is not as it was, or an answer is still to come, so that the hosts have
 * to be ended. */
gboolean outages_settle(const Outages *outages);
