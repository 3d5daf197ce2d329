/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What the files of the suite hotplug share: a function that is held through VFIO.
 */
#pragma once

#include "cases.h"
#include "e1000e.h"
#include "plug.h"
#include "vfio-device.h"

#define DEVICES "/sys/bus/pci/devices"

typedef struct {
    VfioContainer container;
    VfioDevice device;
    int event;
} Held;

/* Nothing is open. */
#define HELD_NOTHING                                                                     \
    {                                                                                    \
        .container = {.fd = -1}, .device = {.fd = -1, .group = -1}, .event = -1          \
    }
#define HELD_NONE ((Held)HELD_NOTHING)

/* Gives the function to vfio-pci and opens it; fails the case where that cannot be.
 * WHAT is always to be released. */
void hotplug_hold(Held *what, const char *address);
/* Closes what is open of it. */
void hotplug_release(Held *what);
/* The registers of the device have the MAC that the manifest says. */
void hotplug_has_its_mac(const Held *what);

void cycles_leave_nothing_behind(void **state);
