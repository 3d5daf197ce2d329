/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * How a suite in the host asks the harness to plug memory, in the way of ask-wire.h:
 *
 *     # hostbed: plug NAME      into a slot
 *     # hostbed: unplug NAME    ask the host to give it back
 *
 * NAME is one of MEMORY_ENVIRONMENT, each of which is for one node and as large as the
 * least that Linux takes. The answers come when the emulator has it, which the kernel has
 * yet to find, and when the kernel has let it go:
 *
 *     NAME there
 *     NAME gone
 */
#pragma once

#include "ask-wire.h"

#define MEMORY_ENVIRONMENT "HOSTBED_MEMORY" /* "NAME=NODE:MIB …" */
#define MEMORY_MODULES_MAX 8
#define MEMORY_NAME_MAX 32 /* with its end */
