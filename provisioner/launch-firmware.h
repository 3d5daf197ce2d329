/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Where distributions keep EFI firmware for virtual machines.
 */
#pragma once

#include <gio/gio.h>

/* *CODE is the path of the firmware, *VARS_FD a private copy of its empty variables in
 * memory. */
gboolean firmware_find_efi(char **code, int *vars_fd, GError **error);

/* The same files, which nobody owns. */
gboolean firmware_efi_paths(const char **code, const char **vars, GError **error);
