/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The IOMMU: which one the kernel uses, what it can do, which functions it cannot tell
 * apart.
 */
#include "observer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GROUPS "sys/kernel/iommu_groups"

static void
observe_group(Observer *observer, const char *group)
{
    SysfsNames members = sysfs_names(observer->root, GROUPS "/%s/devices", group);
    char *line = NULL;
    size_t size;
    FILE *out = open_memstream(&line, &size);
    for (size_t i = 0; out && i < members.count; i++)
        fprintf(out, " %s", members.names[i]);
    if (!out || fclose(out) != 0)
        observer->failed = true;
    else if (members.count > 0)
        observer_add(observer, "group%s", line);
    free(line);
    sysfs_names_clear(&members);
}

static void
observe_groups(Observer *observer)
{
    SysfsNames groups = sysfs_names(observer->root, GROUPS);
    for (size_t i = 0; i < groups.count; i++)
        observe_group(observer, groups.names[i]);
    sysfs_names_clear(&groups);
}

/* Bits of Intel's capability registers (VT-d specification 4.1, 11.4.2 and 11.4.3). */
typedef struct {
    const char *fact;
    bool is_extended;
    uint64_t bits; /* all of them */
} Capability;

static const Capability capabilities[] = {
    {"caching-mode", false, UINT64_C(1) << 7},
    {"dma-drain", false, UINT64_C(3) << 54}, /* of writes and of reads */
    {"device-iotlb", true, UINT64_C(1) << 2},
    {"eim", true, UINT64_C(1) << 4},
    {"pass-through", true, UINT64_C(1) << 6},
    {"snoop-control", true, UINT64_C(1) << 7},
    {"scalable", true, UINT64_C(1) << 43},
};

/* The registers are hexadecimal without 0x. */
static bool
read_register(Observer *observer, const char *unit, const char *name, uint64_t *value)
{
    char *text =
        sysfs_read(observer->root, "sys/class/iommu/%s/intel-iommu/%s", unit, name);
    char *end = text;
    if (text)
        *value = strtoull(text, &end, 16);
    bool ok = text && end != text && *end == '\0';
    free(text);
    return ok;
}

static void
observe_intel(Observer *observer, const char *unit)
{
    uint64_t cap, ecap;
    if (!read_register(observer, unit, "cap", &cap) ||
        !read_register(observer, unit, "ecap", &ecap))
        return;
    unsigned width = (unsigned)(cap >> 16 & 0x3f) + 1;
    observer_add(observer, "iommu aw-bits %u", width);
    for (size_t i = 0; i < sizeof capabilities / sizeof capabilities[0]; i++) {
        const Capability *capability = &capabilities[i];
        if (((capability->is_extended ? ecap : cap) & capability->bits) ==
            capability->bits)
            observer_add(observer, "iommu %s", capability->fact);
    }
}

/* Interrupts that are remapped have a controller whose name says so ("IR-IO-APIC"), with
 * Intel's IOMMU as with AMD's. */
static bool
interrupts_are_remapped(Observer *observer)
{
    SysfsNames interrupts = sysfs_names(observer->root, "sys/kernel/irq");
    bool found = false;
    for (size_t i = 0; i < interrupts.count && !found; i++) {
        char *chip = sysfs_read(observer->root, "sys/kernel/irq/%s/chip_name",
                                interrupts.names[i]);
        found = chip && strncmp(chip, "IR-", 3) == 0;
        free(chip);
    }
    sysfs_names_clear(&interrupts);
    return found;
}

/* Each driver names its units in its own way: dmar0, ivhd0, and virtio the address of its
 * device. */
static const char *
model_of_unit(const char *unit)
{
    unsigned number;
    if (sysfs_numbered(unit, "dmar", &number))
        return "intel";
    if (sysfs_numbered(unit, "ivhd", &number))
        return "amd";
    return strchr(unit, ':') ? "virtio" : NULL;
}

void
observe_iommu(Observer *observer)
{
    SysfsNames units = sysfs_names(observer->root, "sys/class/iommu");
    const char *model = units.count > 0 ? model_of_unit(units.names[0]) : NULL;
    if (model)
        observer_add(observer, "iommu model %s", model);
    if (model && strcmp(model, "intel") == 0)
        observe_intel(observer, units.names[0]);
    if (interrupts_are_remapped(observer))
        observer_add(observer, "iommu intremap");
    sysfs_names_clear(&units);
    observe_groups(observer);
}
