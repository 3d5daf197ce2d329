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
    printf("%s: ok, %u host%s with %u CPU%s, needs %s of memory\n", lab, plans->len,
           plans->len == 1 ? "" : "s", cpus, cpus == 1 ? "" : "s", memory);
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

    g_autoptr(GError) error = NULL;
    g_autoptr(Emulator) emulator = cli_emulator(&machine, &error);
    if (!emulator)
        return cli_fail(error);
    for (int i = 1; i < argc; i++) {
        int lab_status = HB_OK;
        g_autoptr(GPtrArray) plans =
            cli_plan(argv[i], emulator, PLAN_FOR_QEMU, &lab_status);
        if (plans) {
            print_needs(argv[i], plans);
            warn_if_too_large(plans);
        }
        /* A lab that is wrong outweighs one that this emulator cannot do. */
        else if (status == HB_OK || lab_status == HB_USAGE)
            status = lab_status;
    }
    return status;
}
