/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What a suite has done to the networks that join its host with others, in the words of
 * vmtests/link-wire.h. What it says is hostile: it can only have the NICs and networks of
 * its own host's plan.
 */
#pragma once

#include "requests.h"
#include "session.h"

/* HOST is one of DRIVER's, of PLAN; all stay the caller's. It is settled when each link
 * is up and no network loses. */
Requests *links_requests(const Plan *plan, const SessionDriver *driver, void *host);

/* "HOSTBED_JOINED=HOST/NETWORK/IPV4/IPV6 …". Owned by the caller. */
char *links_environment(const Plan *plan);
