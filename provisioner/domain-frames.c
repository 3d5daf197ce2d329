/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "domain-frames.h"

#include <string.h>

#define HEADER sizeof(guint32)

void
domain_frames_put(GByteArray *bytes, const void *frame, gsize length)
{
    guint32 header = GUINT32_TO_BE((guint32)length);
    g_byte_array_append(bytes, (const guint8 *)&header, HEADER);
    g_byte_array_append(bytes, frame, (guint)length);
}

gboolean
domain_frames_take(GByteArray *bytes, DomainFrameTaker take, gpointer user_data)
{
    gboolean is_well = TRUE;
    gsize done = 0;
    while (is_well && bytes->len - done >= HEADER) {
        guint32 header;
        memcpy(&header, bytes->data + done, HEADER);
        gsize length = GUINT32_FROM_BE(header);
        is_well = length <= DOMAIN_FRAME_MAX;
        if (!is_well || bytes->len - done - HEADER < length ||
            !take(bytes->data + done + HEADER, length, user_data))
            break;
        done += HEADER + length;
    }
    if (done > 0)
        g_byte_array_remove_range(bytes, 0, (guint)done);
    return is_well;
}
