/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "domain-stream.h"

#include <stddef.h>

void
domain_stream_end(virStreamPtr *stream)
{
    if (!*stream)
        return;
    virStreamEventRemoveCallback(*stream);
    virStreamAbort(*stream);
    virStreamFree(*stream);
    *stream = NULL;
}
