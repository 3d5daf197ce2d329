/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * How a suite in the host asks the harness to plug NICs. Both sides include this file; it
 * needs nothing. Only a suite that the harness's table declares to plug is heard.
 *
 * A request is a line of the suite's standard output, to TAP a comment:
 *
 *     # hostbed: plug ADDRESS      fill the port that leads to ADDRESS
 *     # hostbed: unplug ADDRESS    ask the host to give the NIC at ADDRESS back
 *     # hostbed: await ADDRESS     wait until the host has given it back by itself
 *
 * ADDRESS is one of PLUG_ENVIRONMENT, where the plan has a port that is empty at start
 * and a NIC for it; all else (model, id, MAC) is the plan's. The manifest that such a
 * suite gets is that of the host with all of them plugged.
 *
 * An answer is a line of its standard input. The answer to unplug and await comes when
 * the emulator has let the NIC go; until then other addresses may be asked for. Both may
 * be said of one address, which is answered once. Whose plug is refused is not awaited.
 *
 *     ADDRESS there
 *     ADDRESS gone
 *     ADDRESS refused REASON       it is as it was; ADDRESS is "?" if none was understood
 */
#pragma once

#define PLUG_ENVIRONMENT "HOSTBED_PLUGGABLE" /* addresses, parted by blanks */
#define PLUG_REQUEST "# hostbed: "
#define PLUG_LINE_MAX 512 /* of a request and an answer, with its end */
