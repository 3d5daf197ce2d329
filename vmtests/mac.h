/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * An address (MAC) as text, as /sys writes it: for the suites and for the guest inside,
 * which has nothing but libc.
 */
#pragma once

#include <stdio.h>

#define MAC_TEXT 18 /* with its end */

static inline void
mac_text(char text[MAC_TEXT], const unsigned char mac[6])
{
    snprintf(text, MAC_TEXT, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2],
             mac[3], mac[4], mac[5]);
}
