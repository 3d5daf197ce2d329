/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Which image a system has of which the lab says only the name: that of the recipe that
 * is called so, by any of the names that libosinfo has for it; else the one that
 * libosinfo knows, fetched, or where that cannot be, as it was fetched before.
 */
#pragma once

#include "servant.h"

/* What an image of the system OS (Plan.os) is made from, as OsImageRequest.from has it;
 * owned by the caller. What is fetched is to be read soon (fetch.h). HB_UNSUPPORTED:
 * there is none. */
char *os_image_of_system(const char *os, ServantEvent event, gpointer user_data,
                         GCancellable *cancellable, GError **error);
