/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What is done in a host around the command of somebody else: functions bound for it
 * before it starts, and what it is told of them. What the host answers is hostile.
 */
#pragma once

#include "bind.h"
#include "outbox.h"
#include "session.h"

/* File in the host with all functions that a selector can mean (bindings_list()). */
#define WRAP_FUNCTIONS_PATH "/run/hostbed/functions"

/* Gives what BINDINGS ask for to vfio-pci in HOST, which has the module, and learns the
 * groups. HB_INFRASTRUCTURE, with what the host says, if it does not take them. */
gboolean
wrap_bind(const SessionDriver *driver, void *host, Bindings *bindings, GError **error);
/* Makes the folder that a command leaves its results in, and lets core dumps go there. */
gboolean wrap_prepare_out(const SessionDriver *driver, void *host, GError **error);
/* Brings what is there into OUTBOX. FALSE: not all came. */
gboolean
wrap_collect_out(const SessionDriver *driver, void *host, Outbox *outbox, GError **error);

/* What a command finds in its environment beside EXTRA (or NULL). */
GStrv
wrap_environment(const Bindings *bindings, gboolean has_out, const char *const *extra);
