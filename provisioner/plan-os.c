/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A host beside what is known of its operating system: is there such a system, has the
 * host what it needs, and has it drivers for what the host has. Most of it is a warning,
 * since a database may know less than the system can do.
 */
#include <string.h>

#include "plan-steps.h"
#include "units.h"

/* Models named as a way out. */
#define MODELS_MAX 6

static const OsFacts *
facts_of(const Planning *planning)
{
    return planning->os ? planning->os->facts : NULL;
}

const char *
plan_os_word(const LabHost *host)
{
    return host->os ? host->os : host->image ? host->image->from : NULL;
}

void
plan_os(Planning *planning)
{
    const LabHost *host = planning->host;
    const OsAnswer *answer = planning->os;
    const FilePos pos = host->os ? host->os_pos : host->pos;
    const char *word = plan_os_word(host);
    Plan *plan = planning->plan;
    plan->os = g_strdup(host->os);
    if (!answer)
        return;
    if (answer->facts) {
        plan->os_id = g_strdup(answer->facts->id);
        plan->os_name = g_strdup(answer->facts->name);
    } else if (answer->nearest) {
        g_autofree char *hint = os_answer_hint(answer);
        if (host->os)
            findings_add(planning->findings, FINDING_ERROR, pos, "os",
                         "no operating system is called %s; %s", word, hint);
        else
            findings_add(planning->findings, FINDING_WARNING, pos, "os",
                         "no operating system is called as the recipe %s says; %s", word,
                         hint);
    } else {
        findings_add(planning->findings, FINDING_WARNING, pos, "os",
                     "what %s needs is not known here: %s", word, answer->reason);
    }
}

/* ---- what it needs ---------------------------------------------------------------- */

static void
compare_number(Planning *planning, const char *what, gint64 has, gint64 least,
               gint64 good, char *(*text)(gint64 number))
{
    const char *name = facts_of(planning)->name;
    const FilePos pos = planning->host->pos;
    g_autofree char *has_text = text(has);
    g_autofree char *least_text = text(least);
    g_autofree char *good_text = text(good);
    if (least != OS_UNKNOWN && has < least)
        findings_add(planning->findings, FINDING_WARNING, pos, "os-needs",
                     "host %s has %s %s, but %s needs at least %s",
                     planning->plan->host_id, has_text, what, name, least_text);
    else if (good != OS_UNKNOWN && has < good)
        findings_add(planning->findings, FINDING_NOTE, pos, "os-needs",
                     "host %s has %s %s; for %s %s are recommended",
                     planning->plan->host_id, has_text, what, name, good_text);
}

static char *
number_text(gint64 number)
{
    return g_strdup_printf("%" G_GINT64_FORMAT, number);
}

static char *
size_text(gint64 bytes)
{
    return units_size_text(MAX(bytes, 0));
}

void
plan_os_resources(Planning *planning)
{
    const OsFacts *facts = facts_of(planning);
    const Plan *plan = planning->plan;
    if (!facts)
        return;
    compare_number(planning, "of memory", plan->memory_bytes, facts->minimum.memory_bytes,
                   facts->recommended.memory_bytes, size_text);
    compare_number(planning, plan->cpu_count == 1 ? "CPU" : "CPUs", plan->cpu_count,
                   facts->minimum.cpus, facts->recommended.cpus, number_text);
}

/* ---- what it boots by ------------------------------------------------------------- */

void
plan_os_firmware(Planning *planning)
{
    const OsFacts *facts = facts_of(planning);
    gboolean is_efi = planning->plan->firmware == LAB_FIRMWARE_EFI;
    OsFirmware kind = is_efi ? OS_FIRMWARE_EFI : OS_FIRMWARE_BIOS;
    if (!facts || !(facts->firmware_lacking & kind))
        return;
    findings_add(planning->findings, FINDING_WARNING, planning->host->firmware_pos,
                 "os-firmware", "%s does not boot by %s; write <firmware type='%s'/>",
                 facts->name, is_efi ? "EFI" : "BIOS", is_efi ? "bios" : "efi");
}

/* ---- what it has drivers for ------------------------------------------------------ */

/* Whether A says less than B: longer names say how a device differs. */
static gboolean
is_plainer(const char *a, const char *b)
{
    gsize x = strlen(a), y = strlen(b);
    return x < y || (x == y && strcmp(a, b) < 0);
}

/* The plainest of the emulator's names for DEVICE; NULL: it has none. */
static const char *
model_of(const Planning *planning, const OsDevice *device)
{
    const char *model = NULL;
    GHashTableIter iter;
    gpointer name, value;
    g_hash_table_iter_init(&iter, planning->emulator->devices);
    while (g_hash_table_iter_next(&iter, &name, &value)) {
        const EmulatorDevice *each = value;
        if (each->is_probed && each->vendor == device->vendor &&
            each->device == device->product && (!model || is_plainer(name, model)))
            model = name;
    }
    return model;
}

/* Models of the emulator that the system has drivers for and that are of CLASS_NAME:
 * "e1000e, igb"; "" if there are none. Owned by the caller. */
static char *
models_like(const Planning *planning, const char *class_name)
{
    const GPtrArray *devices = facts_of(planning)->devices;
    GString *text = g_string_new(NULL);
    guint count = 0;
    for (guint i = 0; *class_name && i < devices->len && count < MODELS_MAX; i++) {
        const OsDevice *device = devices->pdata[i];
        const char *model = g_str_equal(device->class_name, class_name)
                                ? model_of(planning, device)
                                : NULL;
        if (model)
            g_string_append_printf(text, "%s%s", count++ ? ", " : "", model);
    }
    return g_string_free(text, FALSE);
}

/* What hostbed adds is there for the agent's sake, but for the IOMMU that the lab asks
 * for. */
static gboolean
is_asked_for(const PlanFunction *function)
{
    return function->role == PLAN_ENDPOINT &&
           (!function->is_own || g_strcmp0(function->driver, "virtio-iommu-pci") == 0);
}

static void
warn_of_device(Planning *planning, const PlanFunction *function, const OsDevice *device)
{
    const FilePos pos = function->is_own ? planning->host->iommu.pos : function->pos;
    g_autofree char *models = models_like(planning, device->class_name);
    findings_add(planning->findings, FINDING_WARNING, pos, "os-device",
                 "%s is not known to have a driver for %s, which is %s %04x:%04x%s%s",
                 facts_of(planning)->name, function->is_own ? "the IOMMU" : function->id,
                 function->driver, function->vendor, function->device,
                 *models ? "; it has them for " : "", models);
}

void
plan_os_devices(Planning *planning)
{
    const OsFacts *facts = facts_of(planning);
    const GPtrArray *functions = planning->plan->functions;
    for (guint i = 0; facts && i < functions->len; i++) {
        const PlanFunction *function = g_ptr_array_index(functions, i);
        const OsDevice *device =
            is_asked_for(function)
                ? os_find_device(facts->lacking, function->vendor, function->device)
                : NULL;
        if (device)
            warn_of_device(planning, function, device);
    }
}
