/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What a host's kernel says of memory that comes or is to go: ACPI's _OST, of which the
 * emulator tells by events.
 */
#pragma once

#include <json-glib/json-glib.h>

typedef enum {
    OST_NOTHING, /* it is about something else, or it goes on */
    OST_USED,    /* the kernel uses it */
    OST_REFUSED, /* it does not, or keeps what is to go */
} OstAnswer;

/* Of EVENT with DATA (or NULL): *ID, borrowed from DATA, is what it is about; *REASON,
 * owned by the caller, is why it is refused. Both are set where that is the answer. */
OstAnswer ost_read(const char *event, JsonObject *data, const char **id, char **reason);
