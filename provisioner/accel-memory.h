/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * That KVM was tried in vain, remembered across processes, because a KVM that hangs takes
 * the proof its whole time at each launch. Remembered for an hour at most, for one boot
 * of this machine, one emulator and one device: whatever changes, KVM is tried again.
 * That it works is never remembered. Private to accel.c and its test.
 */
#pragma once

#include <glib.h>

/* Seconds since this machine was booted, which nobody can set. */
gint64 accel_memory_clock(void);

/* Why EMULATOR could not use DEVICE, a sentence that says how long ago that was seen;
 * NULL: nothing is known. Owned by the caller. */
char *accel_recall(const char *emulator, const char *device, gint64 now_s);
/* A memory that cannot be written only costs time. */
void accel_remember(const char *emulator, const char *device, gint64 now_s,
                    const char *reason);
void accel_forget(const char *emulator, const char *device);
