/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A template in the hands of another process of ours, which makes clones of it, too. It
 * has no name: what it is made of is inherited.
 */
#pragma once

#include <json-glib/json-glib.h>

#include "template.h"

/* What another process must be told of TEMPLATE. The descriptors that it needs are added
 * to FDS (int), which borrows them. */
JsonObject *template_hand(const Template *template, GArray *fds);
/* How many descriptors those are. */
int template_hand_count(JsonObject *object);
/* There: a template of PLAN's host, of OBJECT and of the descriptors from FIRST_FD on,
 * which are its own then. */
Template *
template_take(JsonObject *object, const Plan *plan, int first_fd, GError **error);
