/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * How a suite in the host asks the harness to do something to the hosts that networks
 * join with its own, in the way of ask-wire.h:
 *
 *     # hostbed: hang HOST      it stands still
 *     # hostbed: wake HOST      and goes on
 *     # hostbed: panic HOST     its kernel panics, by an NMI that it is to take so
 *     # hostbed: cut HOST       it has no power any more
 *
 * HOST is one of LINK_JOINED's (link-wire.h). Answers:
 *
 *     HOST hangs
 *     HOST wakes
 *     HOST panicked
 *     HOST off
 *
 * A host that was asked to panic or to lose its power does not come back: each case has
 * hosts of its own.
 */
#pragma once

#include "ask-wire.h"
