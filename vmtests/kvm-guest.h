/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The small 64-bit guest with which hostbed proves KVM on the outside (accel-guest.h),
 * run inside, by KVM's own calls and without an emulator.
 */
#pragma once

#include <stdbool.h>

/* Loads the modules of KVM that fit the host's CPUs. Whether there is /dev/kvm then. */
bool kvm_load(void);

/* Whether these CPUs are QEMU's own, emulated ones. */
bool kvm_is_emulated(void);

/* Runs the guest to its end, on a CPU that has long mode or (LONG_MODE false) does not
 * say so, which the guest takes amiss. NULL: it ended well; else why not, one sentence,
 * in a static buffer. */
const char *kvm_run_guest(bool long_mode);
