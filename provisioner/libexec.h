/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Where hostbed's own programs are that nobody starts by hand: those that run inside a
 * host, and those that do what needs a large library.
 */
#pragma once

#include <glib.h>

/* Path of NAME ("hostbed-agent", "suites"), owned by the caller: in the first folder of
 * HOSTBED_LIBEXEC_DIR (several with ':' between them) that has it, else in the last; by
 * default where it was installed to. */
char *libexec_path(const char *name);
