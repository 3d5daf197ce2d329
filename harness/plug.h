/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * NICs that are plugged into a running host because its suite asks, in the words of
 * vmtests/plug-wire.h. What the suite says is hostile: it can only have the NICs of
 * Plan.filled, each at its place, in turn put in and taken out.
 */
#pragma once

#include "requests.h"
#include "session.h"

typedef struct Plugs Plugs;

/* HOST is one of DRIVER's, of PLAN; all stay the caller's. */
Plugs *plugs_new(const Plan *plan, const SessionDriver *driver, void *host);
/* Only once plugs_settled(), or when the host has ended. */
void plugs_free(Plugs *plugs);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Plugs, plugs_free)

/* How the suite is heard and answered. */
Requests *plugs_requests(const Plugs *plugs);
/* Nothing more is heard of the host. FALSE: something was plugged or has left, so that it
 * is not as it was at its start, or it may still answer; it has to be ended. (Also when
 * all is out again: Linux takes I/O windows from the neighbours for what comes, and they
 * cannot be enabled afterwards: "BAR 2: not claimed".) */
gboolean plugs_settle(Plugs *plugs);

/* "HOSTBED_PLUGGABLE=ADDRESS…". Owned by the caller. */
char *plugs_environment(const Plan *plan);
