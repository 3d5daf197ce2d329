/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The commands of `hostbed image`: each is a row in cmd-image.c and a file
 * cmd-image-NAME.c.
 */
#pragma once

#include "cli.h"

int cmd_image_build(int argc, char **argv);
int cmd_image_fetch(int argc, char **argv);
int cmd_image_info(int argc, char **argv);
int cmd_image_kernel(int argc, char **argv);
int cmd_image_list(int argc, char **argv);
int cmd_image_rm(int argc, char **argv);
