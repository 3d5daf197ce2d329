/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "modprobe.h"

#include <sys/wait.h>
#include <unistd.h>

void
modprobe(const char *module)
{
    pid_t child = fork();
    if (child == 0) {
        execlp("modprobe", "modprobe", "-q", module, (char *)NULL);
        _exit(127);
    }
    if (child > 0)
        waitpid(child, NULL, 0);
}
