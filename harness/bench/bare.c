/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * bare LOG-DIR [--kernel FILE] [--run SCRIPT]: starts the emulator as in LOG-DIR, waits
 * for the agent, has it run `true` or what is in the file SCRIPT, and prints the
 * milliseconds from spawn to the command's exit as seen outside.
 */
#include <stdio.h>
#include <string.h>

#include "bare-host.h"

static void
replace_kernel(char **command, const char *path)
{
    for (char **arg = command; *arg; arg++)
        if (strcmp(*arg, "-kernel") == 0 && arg[1]) {
            g_free(arg[1]);
            arg[1] = g_strdup(path);
        }
}

int
main(int argc, char **argv)
{
    g_autofree char *script = NULL;
    if (argc < 2 || argc % 2 != 0)
        bare_die("usage: bare LOG-DIR [--kernel FILE] [--run SCRIPT]");
    g_auto(GStrv) command = bare_command(argv[1]);
    for (char **option = argv + 2; *option; option += 2) {
        g_autoptr(GError) error = NULL;
        if (strcmp(*option, "--kernel") == 0)
            replace_kernel(command, option[1]);
        else if (!g_file_get_contents(option[1], &script, NULL, &error))
            bare_die(error->message);
    }
    g_autoptr(GArray) memory = bare_memory(command);
    gint64 started = g_get_monotonic_time();
    BareHost *host = bare_host_new(command, memory);
    bare_tell(host, "{\"execute\":\"cont\"}", -1);
    bare_wait_hello(host);
    bare_run(host, script);
    printf("%" G_GINT64_FORMAT "\n", (g_get_monotonic_time() - started) / 1000);
    bare_host_free(host);
    return 0;
}
