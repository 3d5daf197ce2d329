/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What leads out of the networks of a lab: one process for each network that has an
 * uplink (hostbed-uplink), with a port of its segment. It ends with us.
 */
#pragma once

#include "plan.h"
#include "segments.h"

typedef struct Uplinks Uplinks;

/* Whether any of PLANS (Plan) is on a network with an uplink. */
gboolean uplinks_are_asked(const GPtrArray *plans);
/* Starts those of PLANS' networks on SEGMENTS, which stay the caller's; all lead out when
 * this returns. Ports of the machine are forwarded only if FORWARDS, since copies of a
 * lab cannot share them. NULL: ERROR, with file and line if it is about such a port. */
Uplinks *uplinks_start(Segments *segments, const GPtrArray *plans, gboolean forwards,
                       GError **error);
/* FALSE: one of them has ended. */
gboolean uplinks_live(const Uplinks *uplinks);
void uplinks_free(Uplinks *uplinks);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Uplinks, uplinks_free)
