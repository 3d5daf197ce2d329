/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * No core files of what hostbed starts: they would hold a guest's memory.
 */
#pragma once

/* This process and those that it starts leave none. Who must raise the limit can: a
 * libvirt that is started by its library does for its emulators, and fails with all of
 * them otherwise. Async-signal-safe: for between fork and exec, too. */
void core_limit_to_none(void);
