/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What hostbed-uplink is asked to be, in JSON:
 *
 *     {"ipv4": "10.100.0.254/24", "ipv6": "fd00::fffe/64", "dns": "10.100.0.253",
 *      "door": "10.100.0.252", "nat": true,
 *      "services": [{"port": 5432, "to": "127.0.0.1:5432", "where": "lab.xml:4"}],
 *      "forwards": [{"port": 22, "to": "127.0.0.1:2222", "guest": "10.100.0.1",
 *                    "where": "lab.xml:5"}]}
 *
 * Its standard input is a port of the network (segments.h). It says one line when it is
 * that, {"ready": true}, or cannot be: {"error": "one sentence", "status": N}.
 */
#pragma once

#include <json-glib/json-glib.h>

#include "plan.h"
#include "uplink-filter.h"

/* The order for UPLINK; without its forwards, unless FORWARDS. Owned by the caller. */
JsonObject *uplink_order_new(const PlanUplink *uplink, gboolean forwards);
/* What such an order lets pass; POLICY is a new one. FALSE: it is none. */
gboolean uplink_order_policy(JsonObject *order, UplinkPolicy *policy);
/* The passages in the member NAME, borrowed; NULL: there are none. */
JsonArray *uplink_order_passages(JsonObject *order, const char *name);
/* "127.0.0.1:2222" as a socket address of IPv4. */
gboolean uplink_order_address(const char *to, struct sockaddr_in *address);
