/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The IOMMU: every option is written out, because the emulator's defaults differ by
 * version.
 */
#include "plan-steps.h"

#define DEFAULT_AW_BITS 48

/* One switch of the language: the emulator's property for it by model (NULL: has none),
 * and what hostbed chooses. */
typedef struct {
    const char *attribute;
    size_t lab_offset, plan_offset;
    const char *intel, *amd;
    LabSwitch intel_default;
} Option;

#define OFFSETS(field) G_STRUCT_OFFSET(LabIommu, field), G_STRUCT_OFFSET(PlanIommu, field)

static const Option options[] = {
    {"intremap", OFFSETS(intremap), "intremap", "intremap", LAB_ON},
    {"caching-mode", OFFSETS(caching_mode), "caching-mode", NULL, LAB_OFF},
    {"eim", OFFSETS(eim), "eim", "xtsup", LAB_OFF},
    {"iotlb", OFFSETS(iotlb), "device-iotlb", "device-iotlb", LAB_OFF},
    {"scalable", OFFSETS(scalable), "x-scalable-mode", NULL, LAB_OFF},
    {"snoop-control", OFFSETS(snoop_control), "snoop-control", NULL, LAB_OFF},
    {"dma-drain", OFFSETS(dma_drain), "dma-drain", NULL, LAB_ON},
    {"pass-through", OFFSETS(pass_through), "pt", "pt", LAB_ON},
};

static FilePos
position(const Planning *planning)
{
    const LabIommu *iommu = &planning->host->iommu;
    return iommu->pos.file != NULL ? iommu->pos : planning->host->pos;
}

static const char *
property_of(const Option *option, LabIommuModel model)
{
    switch (model) {
    case LAB_IOMMU_INTEL:
        return option->intel;
    case LAB_IOMMU_AMD:
        return option->amd;
    default:
        return NULL;
    }
}

static void
plan_option(Planning *planning, const Option *option)
{
    PlanIommu *iommu = &planning->plan->iommu;
    const LabSwitch asked =
        G_STRUCT_MEMBER(LabSwitch, &planning->host->iommu, option->lab_offset);
    LabSwitch *decided = &G_STRUCT_MEMBER(LabSwitch, iommu, option->plan_offset);
    const char *property = property_of(option, iommu->model);
    const EmulatorDevice *facts =
        property != NULL ? planning_device(planning, iommu->driver) : NULL;

    *decided = LAB_OFF;
    if (property == NULL) {
        if (asked == LAB_ON)
            findings_add(planning->findings, FINDING_ERROR, position(planning), "iommu",
                         "the %s IOMMU has no %s; leave it out",
                         lab_iommu_model_name(iommu->model), option->attribute);
        return;
    }
    if (!planning_device_takes(planning, iommu->driver, property)) {
        if (asked == LAB_ON)
            findings_add(
                planning->findings, FINDING_UNSUPPORTED, position(planning), "iommu",
                "%s of this emulator (%s) has no property %s, which %s needs",
                iommu->driver, planning->emulator->version, property, option->attribute);
        return;
    }
    *decided = asked;
    if (asked == LAB_UNSET)
        *decided = iommu->model == LAB_IOMMU_INTEL ? option->intel_default : LAB_OFF;
    plan_property_text(iommu->properties, property, *decided == LAB_ON ? "on" : "off",
                       g_hash_table_lookup(facts->properties, property));
}

/* Plain emulation got its own x2APIC, without which EIM is refused when the emulator
 * starts, together with amd-iommu's xtsup: that property tells. */
static void
check_eim(Planning *planning)
{
    Plan *plan = planning->plan;

    if (plan->iommu.model != LAB_IOMMU_INTEL || plan->iommu.eim != LAB_ON)
        return;
    if (plan->iommu.intremap != LAB_ON)
        findings_add(planning->findings, FINDING_ERROR, position(planning), "iommu",
                     "eim is a part of interrupt remapping; write intremap=\"on\" too, "
                     "or leave eim "
                     "out");
    if (!planning_device_takes(planning, "amd-iommu", "xtsup"))
        planning_need_kvm(planning, position(planning),
                          "eim=\"on\" needs KVM with this emulator (%s), which has no "
                          "x2APIC of its own; use KVM, or a newer emulator",
                          planning->emulator->version);
}

static void
plan_aw_bits(Planning *planning)
{
    PlanIommu *iommu = &planning->plan->iommu;
    const int asked = planning->host->iommu.aw_bits;

    if (iommu->model != LAB_IOMMU_INTEL) {
        if (asked != LAB_AUTO)
            findings_add(planning->findings, FINDING_ERROR, position(planning), "iommu",
                         "only the intel IOMMU has aw-bits; leave it out");
        return;
    }
    iommu->aw_bits = asked != LAB_AUTO ? asked : DEFAULT_AW_BITS;
    if (iommu->aw_bits != 39 && iommu->aw_bits != 48)
        findings_add(
            planning->findings, FINDING_ERROR, position(planning), "iommu",
            "aw-bits %d is no address width of the emulated unit; write 39 or 48",
            iommu->aw_bits);
    plan_property_int(iommu->properties, "aw-bits", iommu->aw_bits);
}

static void
add_written(Planning *planning)
{
    PlanIommu *iommu = &planning->plan->iommu;
    const LabIommu *asked = &planning->host->iommu;
    g_autofree char *owner =
        g_strdup_printf("the %s IOMMU", lab_iommu_model_name(iommu->model));

    for (guint i = 0; i < asked->properties->len; i++) {
        const LabProperty *written = g_ptr_array_index(asked->properties, i);
        const EmulatorDevice *facts =
            iommu->driver != NULL ? planning_device(planning, iommu->driver) : NULL;
        const char *type =
            facts != NULL ? g_hash_table_lookup(facts->properties, written->name) : NULL;
        if (type == NULL)
            plan_refuse_property(planning, written, facts, owner);
        else if (!plan_property_text(iommu->properties, written->name, written->value,
                                     type))
            findings_add(planning->findings, FINDING_ERROR, written->pos, "property",
                         "property %s of %s takes a value of type %s, not \"%s\"",
                         written->name, iommu->driver, type, written->value);
    }
}

void
plan_iommu(Planning *planning)
{
    PlanIommu *iommu = &planning->plan->iommu;

    iommu->model = planning->host->iommu.model;
    if (iommu->model == LAB_IOMMU_INTEL)
        iommu->driver = g_strdup("intel-iommu");
    else if (iommu->model == LAB_IOMMU_AMD)
        iommu->driver = g_strdup("amd-iommu");
    if (iommu->driver != NULL && planning_device(planning, iommu->driver) == NULL) {
        findings_add(planning->findings, FINDING_UNSUPPORTED, position(planning), "iommu",
                     "this emulator (%s) has no device %s", planning->emulator->version,
                     iommu->driver);
        return;
    }
    for (guint i = 0; i < G_N_ELEMENTS(options); i++)
        plan_option(planning, &options[i]);
    plan_aw_bits(planning);
    check_eim(planning);
    add_written(planning);
    /* The emulator remaps interrupts only where it models the I/O APIC itself. */
    if (iommu->intremap == LAB_ON)
        plan_property_string(planning->plan->machine_properties, "kernel-irqchip",
                             "split");
}
