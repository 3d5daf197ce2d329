/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Bytes between a descriptor of hostbed's and a stream of libvirt's, both ways, by
 * libvirt's event loop. Private to hostbed-domain.
 */
#pragma once

#include <glib.h>
#include <libvirt/libvirt.h>

typedef struct Pump Pump;

/* Takes STREAM, which does not block; FD is a socket and stays the caller's, open, for
 * why a stream has ended is known some time later. NULL: libvirt says why
 * (virGetLastErrorMessage()). */
Pump *pump_new(virStreamPtr stream, int fd);
void pump_free(Pump *pump);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Pump, pump_free)

/* Whether the stream has said anything yet. */
gboolean pump_has_begun(const Pump *pump);
/* Nothing more comes from the stream, and all that came was handed on. */
gboolean pump_ended(const Pump *pump);
