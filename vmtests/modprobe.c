/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "modprobe.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* To start the program and have it find that there is nothing to do takes an emulated
 * host a tenth of a second. */
static bool
is_loaded(const char *module)
{
    char path[100];
    snprintf(path, sizeof path, "/sys/module/%s", module);
    for (char *dash = path; (dash = strchr(dash, '-'));)
        *dash = '_';
    return access(path, F_OK) == 0;
}

void
modprobe(const char *module)
{
    if (is_loaded(module))
        return;
    pid_t child = fork();
    if (child == 0) {
        execlp("modprobe", "modprobe", "-q", module, (char *)NULL);
        _exit(127);
    }
    if (child > 0)
        waitpid(child, NULL, 0);
}
