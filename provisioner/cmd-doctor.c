/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * hostbed doctor: what this machine can do, and what is missing for more.
 */
#include <stdio.h>
#include <unistd.h>

#include "cli-wait.h"
#include "cli.h"
#include "doctor.h"

int
cmd_doctor(int argc, char **argv)
{
    gboolean json = FALSE;
    int status;
    const GOptionEntry entries[] = {
        {"json", 0, 0, G_OPTION_ARG_NONE, &json, "Write JSON", NULL},
        {NULL},
    };
    g_auto(CliMachine) machine = {NULL};
    if (!cli_parse("doctor", &argc, &argv, entries, &machine, &status))
        return status;
    if (argc > 1)
        return cli_fail_with(HB_USAGE, "doctor takes no arguments, but got '%s'",
                             argv[1]);
    g_autoptr(CliInterrupt) interrupt = cli_interrupt_new();
    CliWait *wait = cli_wait_new("trying what this machine can do");
    g_autoptr(GPtrArray) items =
        doctor_examine(machine.emulator, machine.kernel, cli_accel(&machine));
    cli_wait_free(wait);
    if (cli_was_interrupted(interrupt))
        return cli_fail_with(HB_INTERRUPTED, "interrupted by a signal");
    g_autofree char *text =
        json ? doctor_to_json(items) : doctor_to_text(items, cli_colour(STDOUT_FILENO));
    fputs(text, stdout);
    return doctor_status(items);
}
