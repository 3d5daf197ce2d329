/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core-limit.h"

#include <sys/resource.h>

void
core_limit_to_none(void)
{
    struct rlimit core;
    if (getrlimit(RLIMIT_CORE, &core) != 0)
        return;
    core.rlim_cur = 0;
    setrlimit(RLIMIT_CORE, &core);
}
