/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * hostbed check: parse, validate and plan labs; say what they would need.
 */
#include <stdio.h>

#include "cli.h"
#include "resources.h"
#include "schedule.h"

static void
print_needs(const char *lab, const GPtrArray *plans)
{
    guint64 needed = 0; /* that of 4096 hosts of the largest kind still fits */
    guint cpus = 0;
    for (guint i = 0; i < plans->len; i++) {
        const Plan *plan = g_ptr_array_index(plans, i);
        needed += (guint64)plan_memory_needed(plan);
        cpus += plan->cpu_count;
    }
    g_autofree char *memory = g_format_size_full(needed, G_FORMAT_SIZE_IEC_UNITS);
    g_auto(GStrv) words = g_strsplit(memory, "\302\240", -1); /* no-break spaces */
    g_autofree char *plain = g_strjoinv(" ", words);
    printf("%s: ok, %u host%s with %u CPU%s, needs %s of memory\n", lab, plans->len,
           plans->len == 1 ? "" : "s", cpus, cpus == 1 ? "" : "s", plain);
}

/* Hosts run one at a time. A lab that is sound stays so on a machine too small for it. */
static void
warn_if_too_large(const GPtrArray *plans)
{
    g_autoptr(Resources) resources = resources_read("");
    const Schedule schedule = {.memory_bytes = resources->usable_bytes};
    for (guint i = 0; i < plans->len; i++) {
        const Plan *plan = g_ptr_array_index(plans, i);
        g_autoptr(GError) error = NULL;
        if (!schedule_admit(&schedule, plan->lab_name, plan_memory_needed(plan), &error))
            fprintf(stderr, "hostbed: warning: host %s cannot run here now: %s\n",
                    plan->host_id, error->message);
    }
}

/* A host that plain emulation cannot have: what would start it is tried only for that. */
static int
check_accel(const GPtrArray *plans, const Emulator *emulator, Accel asked)
{
    g_autoptr(AccelVerdict) verdict = NULL;
    g_autoptr(Findings) findings = findings_new();
    for (guint i = 0; asked != ACCEL_KVM && i < plans->len; i++) {
        const Plan *plan = g_ptr_array_index(plans, i);
        if (!plan->needs_kvm)
            continue;
        g_autoptr(GError) error = NULL;
        if (!verdict) {
            g_autoptr(CliInterrupt) interrupt = cli_interrupt_new();
            g_autoptr(AccelProof) proof = accel_begin(asked, emulator->binary);
            verdict = accel_end(proof, &error);
        }
        if (!verdict)
            return cli_fail(error);
        if (verdict->accel == ACCEL_TCG)
            findings_add(
                findings, FINDING_UNSUPPORTED, plan->needs_kvm_pos, "needs-kvm",
                "host %s cannot be emulated: %s; here there is only emulation: %s",
                plan->host_id, plan->needs_kvm, verdict->reason);
    }
    return cli_findings(findings);
}

static int
check_lab(const char *filename, const Emulator *emulator, Accel asked)
{
    int status = HB_OK;
    g_autoptr(GPtrArray) plans = cli_plan(filename, emulator, PLAN_FOR_QEMU, &status);
    if (plans)
        status = check_accel(plans, emulator, asked);
    if (!plans || status != HB_OK)
        return status;
    print_needs(filename, plans);
    warn_if_too_large(plans);
    return HB_OK;
}

int
cmd_check(int argc, char **argv)
{
    g_auto(CliMachine) machine = {NULL};
    const GOptionEntry entries[] = {G_OPTION_ENTRY_NULL};
    int status = HB_OK;
    if (!cli_parse("check", &argc, &argv, entries, &machine, &status))
        return status;
    if (argc < 2)
        return cli_fail_with(HB_USAGE, "check takes labs; see 'hostbed check --help'");
    Accel asked = ACCEL_AUTO;
    if (machine.accel && !accel_from_name(machine.accel, &asked))
        return cli_fail_with(HB_USAGE, "--accel %s: there are auto, kvm and tcg",
                             machine.accel);

    g_autoptr(GError) error = NULL;
    g_autoptr(Emulator) emulator = cli_emulator(&machine, &error);
    if (!emulator)
        return cli_fail(error);
    for (int i = 1; i < argc; i++) {
        int lab_status = check_lab(argv[i], emulator, asked);
        /* A lab that is wrong outweighs one that this emulator cannot do. */
        if (status == HB_OK || lab_status == HB_USAGE)
            status = lab_status;
    }
    return status;
}
