/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What of the conversation with the agent is kept for a person.
 */
#include "boot-private.h"
#include "printable.h"
#include "wire.h"

static const char *
frame_name(guint type)
{
    switch ((HbFrame)type) {
    case HB_FRAME_HELLO:
        return "HELLO";
    case HB_FRAME_STDOUT:
        return "STDOUT";
    case HB_FRAME_STDERR:
        return "STDERR";
    case HB_FRAME_EXIT:
        return "EXIT";
    case HB_FRAME_OBSERVATION:
        return "OBSERVATION";
    case HB_FRAME_FAILED:
        return "FAILED";
    case HB_FRAME_DONE:
        return "DONE";
    case HB_FRAME_DATA:
        return "DATA";
    case HB_FRAME_RUN:
        return "RUN";
    case HB_FRAME_STDIN:
        return "STDIN";
    case HB_FRAME_SIGNAL:
        return "SIGNAL";
    case HB_FRAME_OBSERVE:
        return "OBSERVE";
    case HB_FRAME_PUT:
        return "PUT";
    case HB_FRAME_GET:
        return "GET";
    case HB_FRAME_RESIZE:
        return "RESIZE";
    case HB_FRAME_CREDIT:
        return "CREDIT";
    case HB_FRAME_PING:
        return "PING";
    case HB_FRAME_PONG:
        return "PONG";
    }
    return "?";
}

/* What belongs to the flow of a stream would bury the rest; its end is of interest. */
static gboolean
is_flow(guint type, gsize length)
{
    return type == HB_FRAME_CREDIT ||
           (length > 0 && (type == HB_FRAME_STDOUT || type == HB_FRAME_STDERR ||
                           type == HB_FRAME_STDIN || type == HB_FRAME_DATA));
}

void
boot_log_frame(gboolean to_guest, guint type, guint channel, const guint8 *payload,
               gsize length, gpointer user_data)
{
    if (is_flow(type, length))
        return;
    /* Our own HELLO has a seed for random numbers in it, which is the host's alone. */
    gboolean has_text = (type == HB_FRAME_HELLO && !to_guest) ||
                        type == HB_FRAME_FAILED || type == HB_FRAME_RUN ||
                        type == HB_FRAME_PUT || type == HB_FRAME_GET;
    g_autofree char *text = has_text ? printable(payload, length, 2000) : NULL;
    log_file_line(user_data, "%s %s channel %u, %zu bytes%s%s", to_guest ? "->" : "<-",
                  frame_name(type), channel, length, text ? ": " : "", text ? text : "");
}
