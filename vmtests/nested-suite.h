/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What the files of the suite nested share: what its cases need, and functions that they
 * give to guests. All skip or fail the case themselves.
 */
#pragma once

#include "cases.h"
#include "inner.h"
#include "suite.h"

#define DEVICES "/sys/bus/pci/devices"

/* KVM, an emulator and VFIO. */
void needs_guests(void);
/* Number NUMBER of the NICs (e1000e) that can be assigned alone, or NULL. */
const char *any_nic(unsigned number);
void needs_nic(void);
/* Two of them that are on one network. */
void choose_wired(const char **first, const char **second);
/* Gives the function to vfio-pci until the case ends. */
void take(const char *address);
/* Has the host's driver have the function, where a state of the host has bound it. */
void leave_to_the_host(const char *address);
/* A guest with Linux runs with the first NIC and has driven it; the host's NIC that is
 * wired to it, if there is one, is up. */
void reach_linux_guest(void);

#define DECLARE_CASE(name) void name(void **state);
NESTED_CASES(DECLARE_CASE)
#undef DECLARE_CASE
