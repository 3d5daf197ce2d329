/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A stream of libvirt's that events drive.
 */
#pragma once

#include <libvirt/libvirt.h>

/* What virStreamRecv() and virStreamSend() return where they would wait. */
#define DOMAIN_STREAM_NOT_NOW (-2)

/* Ends *STREAM, if it is not NULL, and makes it that. */
void domain_stream_end(virStreamPtr *stream);
