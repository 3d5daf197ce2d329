/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * hostbed-observe: what the agent answers to OBSERVE, as a program; and recorded trees.
 */
#include "observe.h"
#include "tree.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int
usage(void)
{
    fputs(
        "usage: hostbed-observe [ROOT]            what is seen, in the manifest's form\n"
        "       hostbed-observe --gather [ROOT]   the tree that it is seen in, as a "
        "text\n"
        "       hostbed-observe --unpack FOLDER   makes the tree again, from standard "
        "input\n",
        stderr);
    return 2;
}

static int
print_observation(const char *root)
{
    if (observe(root, stdout) == 0 && fflush(stdout) == 0)
        return 0;
    fprintf(stderr,
            "hostbed-observe: %s has no /sys of a Linux kernel that can be read\n", root);
    return 1;
}

static int
gather(const char *root)
{
    if (tree_gather(root, stdout) == 0 && fflush(stdout) == 0)
        return 0;
    fprintf(stderr, "hostbed-observe: %s: %s\n", root, strerror(errno));
    return 1;
}

static int
unpack(const char *folder)
{
    int line = tree_unpack(stdin, folder);
    if (line == 0)
        return 0;
    fprintf(stderr, "hostbed-observe: line %d: %s\n", line,
            errno ? strerror(errno) : "not a line of a recorded tree");
    return 1;
}

int
main(int argc, char **argv)
{
    const char *first = argc > 1 ? argv[1] : "/";
    const char *second = argc > 2 ? argv[2] : "/";
    if (argc <= 3 && strcmp(first, "--gather") == 0)
        return gather(second);
    if (argc == 3 && strcmp(first, "--unpack") == 0)
        return unpack(second);
    if (argc > 2 || first[0] == '-')
        return usage();
    return print_observation(first);
}
