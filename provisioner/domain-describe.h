/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What libvirt says of a domain. Private to hostbed-domain.
 */
#pragma once

#include "servant-side.h"

/* Does one order, as servant_side_run() calls it: the text of the "domain" of the libvirt
 * that "connect" names. */
JsonObject *domain_describe(const ServantSide *side, JsonObject *order, GError **error);
