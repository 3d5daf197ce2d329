/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The lab of a domain that hostbed had libvirt start: emit_libvirt_domain() put it there.
 */
#pragma once

#include <gio/gio.h>

/* The bytes of the lab in XML, libvirt's text of domain NAME; owned by the caller. What
 * hostbed did not start has none: HB_USAGE. */
GBytes *domain_lab_source(const char *xml, const char *name, GError **error);

/* The same of a domain of the libvirt at URI. */
GBytes *domain_lab_ask(const char *uri, const char *name, GError **error);
