/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * How a suite in the host asks the harness to plug NICs, in the way of ask-wire.h:
 *
 *     # hostbed: plug ADDRESS      fill the port that leads to ADDRESS
 *     # hostbed: unplug ADDRESS    ask the host to give the NIC at ADDRESS back
 *     # hostbed: await ADDRESS     wait until the host has given it back by itself
 *
 * ADDRESS is one of PLUG_ENVIRONMENT, where the plan has a port that is empty at start
 * and a NIC for it; all else (model, id, MAC) is the plan's. The manifest that such a
 * suite gets is that of the host with all of them plugged.
 *
 * The answer to unplug and await comes when the emulator has let the NIC go; until then
 * other addresses may be asked for. Both may be said of one address, which is answered
 * once. Whose plug is refused is not awaited.
 *
 *     ADDRESS there
 *     ADDRESS gone
 */
#pragma once

#include "ask-wire.h"

#define PLUG_ENVIRONMENT "HOSTBED_PLUGGABLE" /* addresses, parted by blanks */
