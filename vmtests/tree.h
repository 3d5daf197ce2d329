/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A recorded tree: what suites and observation read of a host's /sys and /proc, as one
 * text that can be read, compared and unpacked again. libc only.
 *
 *     # comment
 *     f PATH              a file; each of its lines follows behind a blank
 *     b PATH              a file with other bytes: hexadecimal, behind a blank
 *     l PATH TARGET       a symbolic link
 */
#pragma once

#include <stdio.h>

/* Writes what is worth recording below ROOT. Returns 0, or -1 (errno). */
int tree_gather(const char *root, FILE *out);

/* Makes the tree below FOLDER, which exists. Returns 0, or the number of the line that is
 * not as it should be or could not be made (then errno is set). */
int tree_unpack(FILE *in, const char *folder);
