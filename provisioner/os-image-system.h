/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Which image a system has of which the lab says only the name: the recipe that is called
 * so, by any of the names that libosinfo has for it.
 */
#pragma once

#include <glib.h>

/* What an image of the system OS (Plan.os) is made from, as OsImageRequest.from has it;
 * owned by the caller. HB_UNSUPPORTED: there is none. */
char *os_image_of_system(const char *os, GError **error);
