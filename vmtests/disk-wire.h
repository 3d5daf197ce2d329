/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * How a suite in the host asks the harness to have requests of a disk of the host fail or
 * stand still, in the way of ask-wire.h:
 *
 *     # hostbed: fail ADDRESS REQUESTS [SECTOR]    from now on (read, write, flush, all)
 *     # hostbed: suspend ADDRESS POINT             the next one there (read, write, …)
 *     # hostbed: mend ADDRESS                      all of that is over
 *
 * ADDRESS is one of DISK_ENVIRONMENT; the other words are those of hostbed disk. Answers:
 *
 *     ADDRESS done
 */
#pragma once

#include "ask-wire.h"

#define DISK_ENVIRONMENT "HOSTBED_DISKS" /* "ADDRESS…": disks that can fail */
