/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What a host sees of itself, in the manifest's form (docs/manifest.rst), read from its
 * /sys and /proc. The root of these is an argument, so that recorded trees can stand in
 * for a host. What is read is not trusted: it is bounded, and what does not look as it
 * should has no line.
 */
#pragma once

#include <stdio.h>

/* Writes the sorted lines about the tree below ROOT ("/": this machine) to OUT. Returns
 * 0, or -1 when ROOT is no such tree or memory is short. */
int observe(const char *root, FILE *out);
