/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * NICs that are plugged into a running host because its suite asks, in the words of
 * vmtests/plug-wire.h. What the suite says is hostile: it can only have the NICs of
 * Plan.filled, each at its place, in turn put in and taken out.
 */
#pragma once

#include "requests.h"
#include "session.h"

/* HOST is one of DRIVER's, of PLAN; all stay the caller's. It is never settled once
 * something was plugged or has left, also when all is out again: Linux takes I/O windows
 * from the neighbours for what comes, and they cannot be enabled afterwards ("BAR 2: not
 * claimed"). */
Requests *plugs_requests(const Plan *plan, const SessionDriver *driver, void *host);

/* "HOSTBED_PLUGGABLE=ADDRESS…". Owned by the caller. */
char *plugs_environment(const Plan *plan);
