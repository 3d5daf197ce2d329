/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What a suite has done to the networks that join its host with others, in the words of
 * vmtests/link-wire.h. What it says is hostile: it can only have the NICs and networks of
 * its own host's plan.
 */
#pragma once

#include "requests.h"
#include "session.h"

typedef struct Links Links;

/* HOST is one of DRIVER's, of PLAN; all stay the caller's. */
Links *links_new(const Plan *plan, const SessionDriver *driver, void *host);
/* Only once links_settle() was called, or when the host has ended. */
void links_free(Links *links);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Links, links_free)

/* How the suite is heard and answered. */
Requests *links_requests(const Links *links);
/* FALSE: links or networks are not as they were, or an answer is still to come, so that
 * the host has to be ended. */
gboolean links_settle(const Links *links);

/* "HOSTBED_JOINED=HOST/NETWORK/IPV4/IPV6 …". Owned by the caller. */
char *links_environment(const Plan *plan);
