/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The end of what somebody says who may say very much.
 */
#pragma once

#include <glib.h>

/* Adds LENGTH bytes to TAIL, and forgets what is not among its last MOST. */
void tail_add(GString *tail, const void *bytes, gsize length, gsize most);
