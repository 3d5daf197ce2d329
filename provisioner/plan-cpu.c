/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The CPU model and its features: whether the emulator has them, and whether Linux will
 * see the threads of a core.
 */
#include <string.h>

#include "nearest.h"
#include "plan-steps.h"

static FilePos
position(const Planning *planning)
{
    const LabCpu *cpu = &planning->host->cpu;
    return cpu->pos.file != NULL ? cpu->pos : planning->host->pos;
}

/* "max", written or not, is what hostbed chooses, so hostbed may add words to it. */
static gboolean
is_default(const LabCpu *cpu)
{
    return cpu->model == NULL || g_str_equal(cpu->model, "max");
}

/* The emulator takes a feature's name with either dash. */
static gboolean
has_feature(const Emulator *emulator, const char *name)
{
    g_autofree char *dashed = g_strdelimit(g_strdup(name), "_", '-');
    return g_hash_table_contains(emulator->cpu_features, name) ||
           g_hash_table_contains(emulator->cpu_features, dashed);
}

static void
check_model(Planning *planning, const char *model)
{
    const Emulator *emulator = planning->emulator;
    if (g_hash_table_contains(emulator->cpu_models, model))
        return;
    g_autofree char *hint =
        nearest_hint(nearest_key(model, emulator->cpu_models, NULL),
                     "leave it out, or name one that '-cpu help' of the emulator lists");
    findings_add(planning->findings, FINDING_UNSUPPORTED, position(planning), "cpu-model",
                 "this emulator (%s) has no CPU model %s; %s", emulator->version, model,
                 hint);
}

static void
check_feature(Planning *planning, const LabCpuFeature *feature)
{
    const Emulator *emulator = planning->emulator;
    if (has_feature(emulator, feature->name))
        return;
    g_autofree char *hint = nearest_hint(
        nearest_key(feature->name, emulator->cpu_features, NULL), "leave it out");
    findings_add(planning->findings, FINDING_UNSUPPORTED, feature->pos, "cpu-feature",
                 "the CPUs of this emulator (%s) have no feature %s; %s",
                 emulator->version, feature->name, hint);
}

static void
check_names(Planning *planning)
{
    const LabCpu *cpu = &planning->host->cpu;
    if (!is_default(cpu))
        check_model(planning, cpu->model);
    for (guint i = 0; i < cpu->features->len; i++)
        check_feature(planning, g_ptr_array_index(cpu->features, i));
}

void
plan_cpu_model(Planning *planning)
{
    const LabCpu *cpu = &planning->host->cpu;
    Plan *plan = planning->plan;

    check_names(planning);
    plan->cpu_model = g_strdup(is_default(cpu) ? "max" : cpu->model);
    /* Linux clears and copies pages by "rep stosb" where a CPU says that this is fast,
     * which is a loop over bytes when emulated. */
    plan->tcg_cpu_features = is_default(cpu) ? "erms=off,fsrm=off" : NULL;
    for (guint i = 0; i < cpu->features->len; i++)
        g_ptr_array_add(plan->cpu_features,
                        lab_cpu_feature_copy(g_ptr_array_index(cpu->features, i)));
    if (g_str_equal(plan->cpu_model, "host"))
        planning_need_kvm(planning, position(planning),
                          "the CPU model host is this machine's own, which only KVM has; "
                          "use KVM, or another model, such as max");
}

/* Those whose CPUID says AMD or Hygon, by the beginning of their names. */
static gboolean
is_amd(const char *model)
{
    static const char *const families[] = {"EPYC",   "Opteron", "phenom", "athlon",
                                           "Dhyana", "qemu32",  "qemu64"};
    for (guint i = 0; i < G_N_ELEMENTS(families); i++) {
        if (g_str_has_prefix(model, families[i]))
            return TRUE;
    }
    return FALSE;
}

/* An AMD tells of threads in a leaf (TOPOEXT) that plain emulation cannot show, so Linux
 * takes them for cores. The largest model is an AMD there: told Intel, Linux looks
 * elsewhere and finds them. libvirt has no word for that beside the largest model: there
 * a named one is taken. */
void
plan_cpu_threads(Planning *planning)
{
    Plan *plan = planning->plan;

    if (plan->threads < 2)
        return;
    if (is_amd(plan->cpu_model)) {
        planning_need_kvm(
            planning, position(planning),
            "Linux takes the threads of the AMD model %s for cores under "
            "plain emulation, which lacks TOPOEXT; use KVM, leave the model "
            "out, name an Intel one, or write threads=\"1\"",
            plan->cpu_model);
    } else if (!is_default(&planning->host->cpu)) {
        return;
    } else if (plan->backend == PLAN_FOR_QEMU) {
        plan->tcg_cpu_vendor = "GenuineIntel";
    } else {
        g_free(plan->cpu_model);
        plan->cpu_model = g_strdup("Skylake-Server");
    }
}
