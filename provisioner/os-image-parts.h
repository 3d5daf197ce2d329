/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What the files of os-image.h share: the store's own form of an image, recipes, bases.
 */
#pragma once

#include <json-glib/json-glib.h>

#include "cache.h"
#include "os-base.h"
#include "os-image.h"

/* The program that prepares them. */
#define OS_IMAGE_SERVANT "hostbed-guestfs"
#define OS_IMAGE_ABOUT_FILE "image.json"
#define OS_IMAGE_DISK_FILE "disk.qcow2"
#define OS_IMAGE_KERNEL_FILE "kernel"
#define OS_IMAGE_INITRD_FILE "initrd"
#define OS_IMAGE_MODULES_FOLDER "modules"

/* Marks what is in FOLDER as whole, writes image.json with what ABOUT (the answer of
 * hostbed-guestfs) says of it, and makes it the entry KEY. */
gboolean os_image_commit(CacheFolder *folder, const char *key, const char *from,
                         JsonObject *about, GError **error);
/* "…/hostbed/images/NAME"; owned by the caller. */
char *os_image_folder(const char *name);
/* FALSE: less is free where FOLDER is than the base PATH (a recipe's too is a file by
 * now) and STEPS take at least. */
gboolean os_image_check_room(OsBaseKind kind, const char *path, const GPtrArray *steps,
                             const char *folder, GError **error);
/* Steps (LabStep) that put in the agent and, unless SUITES_DIR is NULL, the suites with
 * all that they need to start. */
GPtrArray *os_image_payload(const char *agent, const char *suites_dir, GError **error);
/* Whether there is a kernel for the appliance, or one was made in the folder APPLIANCE;
 * else ERROR says where kernels come from. */
gboolean os_image_has_kernel(const char *appliance, GError **error);
/* Names in the ORDER a kernel for libguestfs's appliance that starts quickly under
 * emulation, since it is unpacked, with its modules; without one supermin takes the
 * machine's, if any. */
void os_image_add_kernel(JsonObject *order);
