/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The NICs on networks that join hosts: frames between a socket of hostbed's, where each
 * is a datagram, and two channels of the domain's (domain-frames.h), by libvirt's event
 * loop. Private to hostbed-domain.
 */
#pragma once

#include <glib.h>
#include <libvirt/libvirt.h>

/* Opens the channels of DOMAIN's NICs, libvirt_alias_of_port(), as many as there are
 * words in FDS (or NULL), which are the numbers of sockets; those stay the caller's.
 * BROKEN is called when what comes out of one is no frame; nothing more comes out of it
 * then. What this returns ends them. NULL: libvirt says why (virGetLastErrorMessage()).
 */
GPtrArray *
domain_ports_open(virConnectPtr connection, virDomainPtr domain, const char *const *fds,
                  void (*broken)(gpointer user_data), gpointer user_data);
