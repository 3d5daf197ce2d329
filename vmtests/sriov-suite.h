/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What the files of the suite sriov share: which virtual functions the manifest has, and
 * which the host.
 */
#pragma once

#include "cases.h"
#include "net.h"
#include "suite.h"

#define DEVICES "/sys/bus/pci/devices"
/* Of the igb that QEMU has. */
#define VF_ID "8086:10ca"

/* The manifest's virtual function NUMBER of PF, or NULL. */
const char *asked_vf(const char *pf, int number);
int asked_vfs(const char *pf);
/* Calls EACH with each physical function that the manifest has virtual ones of; skips the
 * case if there is none. */
void for_each_pf(void (*each)(const char *pf));

/* A number that the host tells of a function; -1 if it does not. */
long number_of(const char *address, const char *file);
/* The host's virtual function NUMBER of PF, or NULL. */
const char *found_vf(const char *pf, int number);
/* The functions in the IOMMU group of this one; 0: it has no group. */
int group_size(const char *address);
/* Until a driver has taken the function; fails the case where none does. */
void wait_for_interface(const char *vf, NetInterface *interface);

#define DECLARE_CASE(name) void name(void **state);
SRIOV_CASES(DECLARE_CASE)
#undef DECLARE_CASE
