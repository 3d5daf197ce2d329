/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tail.h"

void
tail_add(GString *tail, const void *bytes, gsize length, gsize most)
{
    g_string_append_len(tail, bytes, (gssize)length);
    if (tail->len > most)
        g_string_erase(tail, 0, (gssize)(tail->len - most));
}
