/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The address that a physical function gives one of its virtual functions, by netlink
 * (what "ip link set dev NIC vf N mac …" does, without the program).
 */
#pragma once

/* Gives virtual function NUMBER of the interface with INDEX the address MAC, which its
 * driver finds when it takes the function the next time; all 0: one of the driver's own.
 * Returns 0 or a negative errno. */
int net_vf_set_mac(int index, unsigned number, const unsigned char mac[6]);
/* What the kernel says it is. Returns 0 or a negative errno; -ENOENT: no such function.
 */
int net_vf_mac(int index, unsigned number, unsigned char mac[6]);
