/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * An emulator and labs made by hand, for the tests of the planner.
 */
#pragma once

#include "plan.h"

/* What most tests begin with: the newer emulator, and a lab with one host without cells.
 * For cmocka_unit_test_setup_teardown(). */
typedef struct {
    Emulator *emulator;
    Lab *lab;
    LabHost *host; /* borrowed */
} Fixture;

int fixture_setup(void **state);
int fixture_teardown(void **state);

/* The same for tests that want the older emulator alone: *STATE is an Emulator. */
int fixture_emulator_setup(void **state);
int fixture_emulator_teardown(void **state);

/* The lab must be refused, with WORDS among what is said. */
void fixture_assert_refused(const Fixture *fixture, const char *words);

/* What the planner needs to know of a QEMU: the devices that the tests use. NEWER adds
 * igb, virtio-iommu-pci, generic initiators and an x2APIC for plain emulation. */
Emulator *fixture_emulator(gboolean newer);
/* The device that is the disk of an image, which that has not. */
void fixture_add_image_disk(Emulator *emulator);
void fixture_emulator_free(Emulator *emulator);

/* A lab with one host, "l1", with a place "test.xml:1". */
Lab *fixture_lab(void);
LabHost *fixture_host(const Lab *lab);
/* CPUs FIRST to FIRST + COUNT - 1. */
LabCell *fixture_cell(LabHost *host, guint first, guint count, gint64 memory_bytes);
/* Children of an element, or of a cell; each gets the id given. */
LabNode *fixture_root(GPtrArray *nodes, LabKind kind, const char *id);
LabNode *fixture_node(LabNode *parent, LabKind kind, const char *id);
/* COUNT ports of MODEL (NULL: the default) below PARENT with one NIC each. */
void fixture_ports(LabNode *parent, const char *model, int count, const char *prefix);
/* The machine of the 2017 article. */
Lab *fixture_article(void);

/* Plans LAB, which must be possible; the plan of its first host. */
Plan *fixture_plan(const Lab *lab, const Emulator *emulator);
/* Plans LAB, which must be refused; all findings as text. */
char *fixture_refused(const Lab *lab, const Emulator *emulator);
/* "0000:b5:00.0" of the function with this id. */
char *fixture_address(const Plan *plan, const char *id);
/* "b4:00.0 b5:00.0": the members of the group that the function with this id is in. */
char *fixture_group(const Plan *plan, const char *id);
/* The function with this id is at ADDRESS; its group has these members. */
void fixture_assert_address(const Plan *plan, const char *id, const char *address);
void fixture_assert_group(const Plan *plan, const char *id, const char *members);
/* PLAN in the form NAME ("tree"); owned by the caller. */
char *fixture_text(const Plan *plan, const char *name);
/* COMMANDS (GPtrArray of EmitCommand, taken), a line each: "device_del {…}"; owned by the
 * caller. */
char *fixture_commands(GPtrArray *commands);
