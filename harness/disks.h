/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What a suite has done to its host's disks, in the words of vmtests/disk-wire.h. What it
 * says is hostile: it can only have disks that its host's plan has for it to write to.
 */
#pragma once

#include "requests.h"
#include "session.h"

typedef struct Disks Disks;

/* HOST is one of DRIVER's, of PLAN; all stay the caller's. */
Disks *disks_new(const Plan *plan, const SessionDriver *driver, void *host);
/* Only once disks_settle() was called, or when the host has ended. */
void disks_free(Disks *disks);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Disks, disks_free)

/* How the suite is heard and answered. */
Requests *disks_requests(const Disks *disks);
/* FALSE: a disk is not as it was, or an answer is still to come, so that the host has to
 * be ended. */
gboolean disks_settle(const Disks *disks);

/* "HOSTBED_DISKS=ADDRESS…", owned by the caller; NULL: PLAN has none. */
char *disks_environment(const Plan *plan);
