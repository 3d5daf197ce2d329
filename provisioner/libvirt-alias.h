/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What a device is called where libvirt starts the emulator. libvirt keeps an alias of
 * ours only if it begins with "ua-" and has no other sign than letters, digits, "-" and
 * "_"; ids may have dots. No two ids get the same alias.
 */
#pragma once

#include <glib.h>

/* Owned by the caller. */
char *libvirt_alias(const char *id);
/* The id that ALIAS is of; NULL: it is none of ours. Owned by the caller. */
char *libvirt_alias_id(const char *alias);
/* The same of a bus, some of which are the machine's own. */
char *libvirt_alias_of_bus(const char *bus);
/* The same of a path to an object (QOM), where it leads to a device of ours or what that
 * has. */
char *libvirt_alias_of_path(const char *path);
/* The same of a line for the human monitor, in which such a path is a word of its own. */
char *libvirt_alias_of_line(const char *line);
/* The channel by which the frames of a NIC on a network that joins hosts come OUT of its
 * host, or get there; they are numbered as plan_joined() has them. It is no id's alias.
 */
char *libvirt_alias_of_port(guint index, gboolean out);
