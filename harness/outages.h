/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What a suite has done to the hosts that networks join with its own, in the words of
 * vmtests/outage-wire.h. What it says is hostile: it can only have the peers of its own
 * host's plan.
 */
#pragma once

#include "requests.h"
#include "session.h"

/* HOST is one of DRIVER's, of PLAN; all stay the caller's. It is settled while its peers
 * run; where it is not, they have to be ended, too. */
Requests *outages_requests(const Plan *plan, const SessionDriver *driver, void *host);
