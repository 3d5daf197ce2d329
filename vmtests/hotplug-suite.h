/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What the files of the suite hotplug share: registers of a function that is held through
 * VFIO, and what is to be gone when functions are.
 */
#pragma once

#include "cases.h"
#include "e1000e.h"
#include "plug.h"
#include "vfio-use.h"

#define DEVICES "/sys/bus/pci/devices"

/* The registers of the device have the MAC that the manifest says. */
void hotplug_has_its_mac(const VfioHeld *what);

/* What a function had while it was plugged. */
typedef struct {
    int group;     /* -ENOENT: none, as the lab has no IOMMU */
    int interface; /* the index, which no other gets */
} HotplugHad;

/* Of all that are plugged, into HAD[PLUGS_MAX]. */
void hotplug_note_all(HotplugHad *had);
/* Fails the case unless they are gone with what they HAD, and their ports are there.
 * CASE_NAME's fault fills the ports again before. */
void hotplug_all_are_gone(const char *case_name, const HotplugHad *had);

void a_torn_out_function_is_gone(void **state);
void cycles_leave_nothing_behind(void **state);
