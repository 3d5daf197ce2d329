/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What hosts that the tests of sessions play have in common, where nothing depends on it.
 */
#pragma once

#include "session.h"

#define PLAYED_MANIFEST "cpus 0\nnode 0 cpus 0\n"

/* Words, ended with NULL. */
#define LIST(...) ((const char *const[]){__VA_ARGS__, NULL})

/* For SessionDriver: a host that started at once, emulated, takes files, and is sound. */
const char *played_retried(void *host);
Accel played_accel(void *host);
gboolean
played_put(void *host, const char *path, guint mode, GBytes *content, GError **error);
gboolean played_sound(void *host, GError **error);

/* const Suite *, those of NAMES; owned by the caller. */
GPtrArray *played_suites(const char *const *names);
