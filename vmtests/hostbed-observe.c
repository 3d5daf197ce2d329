/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * hostbed-observe [ROOT]: what the agent answers to OBSERVE, as a program.
 */
#include "observe.h"

#include <stdio.h>

int
main(int argc, char **argv)
{
    if (argc > 2) {
        fputs("usage: hostbed-observe [ROOT]\n", stderr);
        return 2;
    }
    const char *root = argc == 2 ? argv[1] : "/";
    if (observe(root, stdout) == 0 && fflush(stdout) == 0)
        return 0;
    fprintf(stderr,
            "hostbed-observe: %s holds no /sys of a Linux kernel that can be read\n",
            root);
    return 1;
}
