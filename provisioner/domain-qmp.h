/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * QMP where libvirt has the emulator's monitor: what hostbed says and hears stays QMP as
 * the emulator speaks it, and here it becomes what libvirt takes and is made of what
 * libvirt gives: ids of commands, and those of devices (libvirt-alias.h). Only text; it
 * knows no libvirt.
 */
#pragma once

#include <json-glib/json-glib.h>

/* What the emulator would say first. As all lines here: with its end, owned by the
 * caller. */
char *domain_qmp_greeting(void);

/* The command in LINE for libvirt, which has ids of its own; owned by the caller. *ID is
 * what the reply is told by, or NULL; owned by the caller, too. NULL: it needs no
 * emulator, and *REPLY is the line that answers it. */
char *domain_qmp_command(const char *line, JsonNode **id, char **reply);

/* The line that answers the command with ID (or NULL), of what libvirt gave; and where it
 * gave nothing but a reason. */
char *domain_qmp_reply(const char *text, JsonNode *id);
char *domain_qmp_refusal(const char *why, JsonNode *id);

/* DETAILS is an object in JSON, or NULL. */
char *domain_qmp_event(const char *name, gint64 seconds, guint microseconds,
                       const char *details);
