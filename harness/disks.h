/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What a suite has done to its host's disks, in the words of vmtests/disk-wire.h. What it
 * says is hostile: it can only have disks that its host's plan has for it to write to.
 */
#pragma once

#include "requests.h"
#include "session.h"

/* HOST is one of DRIVER's, of PLAN; all stay the caller's. It is settled when no disk has
 * faults. */
Requests *disks_requests(const Plan *plan, const SessionDriver *driver, void *host);

/* "HOSTBED_DISKS=ADDRESS…", owned by the caller; NULL: PLAN has none. */
char *disks_environment(const Plan *plan);
