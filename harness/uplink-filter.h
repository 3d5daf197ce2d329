/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Which frames of a network may go to its uplink, and so out of it: what the lab names,
 * and with `nat` what is outside, but never the machine itself. The user-mode network
 * behind it (libslirp) would connect to whatever it is asked for. Frames are hostile.
 * Pure: the machine's addresses come in as a value.
 */
#pragma once

#include <glib.h>
#include <netinet/in.h>

typedef struct {
    struct in_addr guest; /* 0 in services */
    guint16 port;
} UplinkPort;

typedef struct {
    struct in_addr network, mask, gateway, dns, door;
    struct in6_addr prefix, gateway6;
    guint prefix_bits;
    gboolean nat;
    GArray *services; /* UplinkPort: of the door */
    GArray *forwards; /* UplinkPort: of hosts */
    GArray *own4;     /* struct in_addr: the machine's */
    GArray *own6;     /* struct in6_addr */
} UplinkPolicy;

void uplink_policy_init(UplinkPolicy *policy);
void uplink_policy_clear(UplinkPolicy *policy);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(UplinkPolicy, uplink_policy_clear)

/* Whether FRAME is for the uplink, maybe among others; the rest is for other hosts. */
gboolean
uplink_filter_is_for(const UplinkPolicy *policy, const guint8 *frame, gsize length);
/* Whether FRAME, of a host, may go to the uplink. */
gboolean uplink_filter_in(const UplinkPolicy *policy, const guint8 *frame, gsize length);
/* Whether FRAME, of the uplink, may go to the hosts: no advertisement of a router. */
gboolean uplink_filter_out(const guint8 *frame, gsize length);

#define UPLINK_REFUSAL_BYTES 70
/* What tells the sender of FRAME, which is for the uplink and was not let through, that
 * it was not, so that nobody waits for an answer; 0: nothing does. */
gsize uplink_filter_refuse(const guint8 *frame, gsize length,
                           guint8 refusal[UPLINK_REFUSAL_BYTES]);
