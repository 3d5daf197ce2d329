/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What the files of the suite hotplug share: registers of a function that is held through
 * VFIO.
 */
#pragma once

#include "cases.h"
#include "e1000e.h"
#include "plug.h"
#include "vfio-use.h"

#define DEVICES "/sys/bus/pci/devices"

/* The registers of the device have the MAC that the manifest says. */
void hotplug_has_its_mac(const VfioHeld *what);

void cycles_leave_nothing_behind(void **state);
