/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Where a host that is up takes a device, what can be taken out of it, and whether all
 * else stays as it is. Pure.
 */
#pragma once

#include "plan.h"

/* The port that a device goes into: PORT, an id; or the first free one below EXPANDER, an
 * id or the number of its bus; or, both NULL, the first free one. Those at the addresses
 * KEPT, NULL-terminated, which the host still takes for full, come last. HB_USAGE: none,
 * and which are free. Borrowed from PLAN. */
const PlanFunction *
plan_change_port(const Plan *plan, const char *expander, const char *port,
                 const char *const *kept, GError **error);
/* Whether FUNCTION, which is behind a port, is where EXPANDER and PORT (or NULL) say.
 * HB_USAGE: it is elsewhere. */
gboolean plan_change_is_at(const Plan *plan, const PlanFunction *function,
                           const char *expander, const char *port, GError **error);
/* The device that NAME is, an id or an address, and that can be taken out. HB_USAGE: it
 * is none, or cannot. Borrowed from PLAN. */
const PlanFunction *
plan_change_device(const Plan *plan, const char *name, GError **error);
/* The NIC that NAME is, wherever it is and whether or not it can be taken out. HB_USAGE:
 * it is none. Borrowed from PLAN. */
const PlanFunction *plan_change_nic(const Plan *plan, const char *name, GError **error);
/* Whether FUNCTION's id or address is NAME; the domain may be left out. */
gboolean plan_change_is_called(const PlanFunction *function, const char *name);
/* Whether NOW is WAS in all but the function ID, which only one of them has. HB_USAGE: it
 * is not, since something follows from that function. */
gboolean
plan_change_check(const Plan *was, const Plan *now, const char *id, GError **error);
/* The addresses of NOW's functions, which passed that, and where their networks lead, are
 * those of WAS, however many NICs others would now be counted after. The function ID gets
 * no address: nobody in the host would set it. */
void plan_change_carry(const Plan *was, Plan *now, const char *id);
