/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "played-emulator.h"

#include <glib/gstdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int
played_find_fd(char **argv, const char *id)
{
    g_autofree char *prefix = g_strdup_printf("socket,id=%s,fd=", id);
    for (; *argv; argv++)
        if (g_str_has_prefix(*argv, prefix))
            return atoi(*argv + strlen(prefix));
    exit(90);
}

void
played_say(int fd, const char *text)
{
    for (gsize left = strlen(text); left > 0;) {
        ssize_t n = write(fd, text, left);
        if (n <= 0)
            exit(91);
        text += n;
        left -= (gsize)n;
    }
}

void
played_hear_line(int fd)
{
    char c = 0;
    while (c != '\n')
        if (read(fd, &c, 1) != 1)
            exit(92);
}

void
played_say_event(int qmp, const char *event, const char *data)
{
    g_autofree char *line =
        g_strdup_printf("{\"event\": \"%s\", \"data\": {%s}}\n", event, data);
    played_say(qmp, line);
}

Plan *
played_plan(void)
{
    Plan *plan = g_new0(Plan, 1);
    plan->lab_name = g_strdup("lab");
    plan->host_id = g_strdup("host");
    plan->machine = g_strdup("pc-q35-7.2");
    plan->cpu_model = g_strdup("max");
    plan->cmdline = g_strdup("console=ttyS0");
    GPtrArray **lists[] = {&plan->machine_properties, &plan->cpu_features, &plan->cells,
                           &plan->iommu.properties,   &plan->functions,    &plan->roots,
                           &plan->interconnects,      &plan->groups,       &plan->modules,
                           &plan->optional_modules,   &plan->raw_args};
    for (gsize i = 0; i < G_N_ELEMENTS(lists); i++)
        *lists[i] = g_ptr_array_new_with_free_func(g_free);
    return plan;
}

int
played_remove_logs(const char *dir)
{
    static const char *const names[] = {"command",
                                        "events.log",
                                        "qmp.log",
                                        "console.log",
                                        "console.log.times",
                                        "emulator.stderr",
                                        "emulator.stderr.times"};
    for (gsize i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree char *path = g_build_filename(dir, names[i], NULL);
        g_unlink(path);
    }
    return g_rmdir(dir);
}
