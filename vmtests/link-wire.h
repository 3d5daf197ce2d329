/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * How a suite in the host asks the harness to do something to the networks that join the
 * host with others, in the way of ask-wire.h:
 *
 *     # hostbed: down ADDRESS                     the link of the NIC at ADDRESS goes
 * down # hostbed: up ADDRESS                       and comes back # hostbed: lose NETWORK
 * PER_MILLE SEED      so many of a thousand frames are lost # hostbed: tally NETWORK how
 * many frames there were, since the start
 *
 * ADDRESS and NETWORK are those of LINK_NETWORKS that LINK_JOINED has, too. Answers:
 *
 *     ADDRESS is down
 *     ADDRESS is up
 *     NETWORK loses
 *     NETWORK tallied FRAMES DELIVERED LOST DROPPED REFUSED     as SegmentCounts has them
 *
 * What was asked ends with the suite.
 */
#pragma once

#include "ask-wire.h"

#define LINK_NETWORKS "HOSTBED_NETWORKS" /* "ADDRESS=NETWORK …" of the host's NICs */
/* "HOST/NETWORK/IPV4/IPV6 …": what hosts are called and by what addresses they are found,
 * this one, too; by network */
#define LINK_JOINED "HOSTBED_JOINED"
