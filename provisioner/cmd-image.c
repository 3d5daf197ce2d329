/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * hostbed image: what hosts are booted from. Each of its commands is a row here and a
 * file cmd-image-NAME.c.
 */
#include "cmd-image.h"

const Command image_commands[] = {
    {"build", "FROM|LAB…",
     "prepare the image of a recipe, disk, tarball or folder, or a lab's",
     cmd_image_build},
    {"fetch", "URL…|ID", "a file, or a system's image, from the network into the cache",
     cmd_image_fetch},
    {"info", "[--json] FILE", "the four sizes of a disk image, and what it is",
     cmd_image_info},
    {"kernel", "[PACKAGE…]", "the kernels that hosts can boot; unpack packages of them",
     cmd_image_kernel},
    {"list", "[--json]", "the images that are prepared", cmd_image_list},
    {"rm", "IMAGE…", "remove prepared images", cmd_image_rm},
    {NULL},
};

int
cmd_image(int argc, char **argv)
{
    return cli_run_command_of("image", argc, argv);
}
