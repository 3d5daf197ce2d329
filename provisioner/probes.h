/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Static probes (SystemTap's, USDT) at the points that matter: an instruction that does
 * nothing each, and a note of where it is and what its arguments are, so that perf,
 * bpftrace, SystemTap or gdb can watch without hostbed knowing. docs/probes.rst lists
 * them, with their arguments; a test compares that with the notes.
 *
 * Of a build without <sys/sdt.h> (--disable-probes) nothing is left of them.
 */
#pragma once

#include "config.h"

#ifdef HAVE_PROBES
#include <sys/sdt.h>
#define PROBE2(name, a, b) DTRACE_PROBE2(hostbed, name, a, b)
#define PROBE3(name, a, b, c) DTRACE_PROBE3(hostbed, name, a, b, c)
#define PROBE4(name, a, b, c, d) DTRACE_PROBE4(hostbed, name, a, b, c, d)
#define PROBE5(name, a, b, c, d, e) DTRACE_PROBE5(hostbed, name, a, b, c, d, e)
#else
/* Arguments that are there for a probe alone are used all the same. */
#define PROBE2(name, a, b) ((void)(a), (void)(b))
#define PROBE3(name, a, b, c) ((void)(a), (void)(b), (void)(c))
#define PROBE4(name, a, b, c, d) (PROBE3(name, a, b, c), (void)(d))
#define PROBE5(name, a, b, c, d, e) (PROBE4(name, a, b, c, d), (void)(e))
#endif
