/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * From libslirp, which connects what hosts ask for to a Unix socket, to a port of the
 * machine. It works in a thread of its own, and ends with the process. The socket has no
 * name by then that another process could use, and nothing of it is left behind.
 */
#pragma once

#include <gio/gio.h>

/* A path, owned by the caller, each connection to which is one to TO ("127.0.0.1:5432"):
 * for this process only. */
char *uplink_relay_new(const char *to, GError **error);
