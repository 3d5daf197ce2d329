/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A domain's place among those of its libvirt: gone with its host, or kept defined there.
 */
#pragma once

#include <glib.h>
#include <libvirt/libvirt.h>

/* Whether DOMAIN is only defined, by an earlier start of hostbed's that was to be kept.
 */
gboolean domain_is_kept(virDomainPtr domain);
/* Starts what XML describes, by FLAGS (virDomainCreateFlags), also where a definition of
 * hostbed's has its name, which stays as it is; but one with firmware that keeps
 * something, unless PERSISTENT says that this will take its place: both would write to
 * the same file. NULL: virGetLastError() says why. */
virDomainPtr domain_start(virConnectPtr connection, const char *xml, gboolean persistent,
                          unsigned int flags);

/* Has libvirt keep DOMAIN, which runs and was started from XML, defined after its end, in
 * place of the definition of an earlier start. FALSE: virGetLastError() says why. */
gboolean domain_keep(virDomainPtr domain, const char *xml);

/* What the firmware of DOMAIN, of a libvirt on this machine, keeps loses its name: its
 * emulator has it, and libvirt would leave it behind. */
void domain_forget_nvram(virDomainPtr domain);
