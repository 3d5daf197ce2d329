/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * From a file name to plans: the way into every command.
 */
#include "cli-wait.h"
#include "cli.h"
#include "os-image.h"
#include "os-lookup.h"

Emulator *
cli_emulator(const CliMachine *machine, GError **error)
{
    g_autofree char *binary = emulator_find(machine->emulator, error);
    if (!binary)
        return NULL;
    g_autoptr(CliInterrupt) own =
        g_cancellable_get_current() ? NULL : cli_interrupt_new();
    g_autoptr(CliWait) wait = cli_wait_new("asking the emulator what it can do");
    g_autoptr(Emulator) emulator = emulator_probe(binary, NULL, error);
    if (own && emulator && cli_was_interrupted(own)) {
        g_set_error_literal(error, HB_ERROR, HB_INTERRUPTED, "interrupted by a signal");
        return NULL;
    }
    return g_steal_pointer(&emulator);
}

GPtrArray *
cli_plan_lab(const Lab *lab, const Emulator *emulator, PlanBackend backend,
             Findings *findings)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(CliWait) wait = cli_wait_new("planning the lab");
    g_autoptr(GHashTable) oses = os_lookup_lab(lab, &error);
    if (!error)
        return plan_checked_lab(lab, emulator, oses, backend, findings);
    findings_add(findings, FINDING_ERROR, lab->pos, "os", "%s", error->message);
    return NULL;
}

GPtrArray *
cli_plan_with(const char *filename, const Emulator *emulator, PlanBackend backend,
              Findings *findings, int *status)
{
    g_autoptr(Lab) lab = lab_parse_file(filename, findings);
    if (g_cancellable_is_cancelled(g_cancellable_get_current())) {
        *status = HB_INTERRUPTED;
        return NULL;
    }
    g_autoptr(GPtrArray) plans =
        lab ? cli_plan_lab(lab, emulator, backend, findings) : NULL;
    if (g_cancellable_is_cancelled(g_cancellable_get_current())) {
        *status = HB_INTERRUPTED;
        return NULL;
    }
    *status = cli_findings_status(findings);
    return findings_ok(findings) ? g_steal_pointer(&plans) : NULL;
}

void
cli_check_images(const GPtrArray *plans, FindingLevel level, Findings *findings)
{
    for (guint i = 0; i < plans->len; i++) {
        const Plan *plan = plans->pdata[i];
        if (plan->image)
            os_image_check(plan->image, level, findings);
    }
}

GPtrArray *
cli_plan(const char *filename, const Emulator *emulator, PlanBackend backend, int *status)
{
    g_autoptr(Findings) findings = findings_new();
    GPtrArray *plans = cli_plan_with(filename, emulator, backend, findings, status);
    if (*status != HB_INTERRUPTED)
        cli_findings(findings);
    return plans;
}
