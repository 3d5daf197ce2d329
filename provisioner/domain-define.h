/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A domain's place among those of its libvirt: gone with its host, or kept defined there.
 */
#pragma once

#include <glib.h>
#include <libvirt/libvirt.h>

/* Starts what XML describes, by FLAGS (virDomainCreateFlags). PERSISTENT: it is defined
 * there, in place of the definition that it has from an earlier start, and stays so after
 * its end; but one that never started is not. Not PERSISTENT: such a definition stays as
 * it is. FALSE: virGetLastError() says why; *DOMAIN, the caller's, may be there
 * nevertheless. */
gboolean domain_start(virConnectPtr connection, const char *xml, gboolean persistent,
                      unsigned int flags, virDomainPtr *domain);

/* What the firmware of DOMAIN, of a libvirt on this machine, keeps loses its name: its
 * emulator has it, and libvirt would leave it behind. */
void domain_forget_nvram(virDomainPtr domain);
