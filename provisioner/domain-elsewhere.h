/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A domain for a libvirt that is not the user's own on this machine: with what it boots
 * in a place of that libvirt's. Private to hostbed-domain.
 */
#pragma once

#include <glib.h>
#include <libvirt/libvirt.h>

#include "domain-store.h"

/* XML, a domain, as CONNECTION can start it, as long as STORE is there; both owned by the
 * caller. HB_UNSUPPORTED: there is no such emulator or machine there. */
char *domain_elsewhere(virConnectPtr connection, const char *xml, DomainStore **store,
                       GError **error);
