/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launch-private.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "config.h"

/* A word as sh takes it; words that need no quotes have none. */
static void
append_word(GString *text, const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "0123456789@%+=:,./_-";
    g_autofree char *quoted = g_shell_quote(word);
    gboolean is_plain = *word && strspn(word, plain) == strlen(word);
    g_string_append(text, is_plain ? word : quoted);
}

/* Memory that is no inherited descriptor; or NULL: ARGUMENT is none. */
static char *
own_memory(const char *argument)
{
    g_autoptr(JsonNode) node = *argument == '{' ? json_from_string(argument, NULL) : NULL;
    JsonObject *object =
        node && JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL;
    const char *path =
        object ? json_object_get_string_member_with_default(object, "mem-path", NULL)
               : NULL;
    if (!path || !g_str_has_prefix(path, "/proc/self/fd/"))
        return NULL;
    json_object_set_string_member(object, "qom-type", "memory-backend-ram");
    json_object_remove_member(object, "mem-path");
    static const char *const of_files[] = {"share", "readonly", "rom", "reserve"};
    for (gsize i = 0; i < G_N_ELEMENTS(of_files); i++)
        json_object_remove_member(object, of_files[i]);
    return json_to_string(node, FALSE);
}

/* An argument as it works without us: no inherited descriptors; the console on the
 * terminal. */
static char *
by_hand(const char *argument)
{
    char *memory = own_memory(argument);
    if (memory)
        return memory;
    const char *fd = strstr(argument, ",fd=");
    if (!g_str_has_prefix(argument, "socket,id=") || !fd)
        return g_strdup(argument);
    g_autofree char *id = g_strndup(argument + strlen("socket,"),
                                    (gsize)(fd - argument) - strlen("socket,"));
    gboolean is_console = strstr(id, "console") != NULL;
    return g_strdup_printf(is_console ? "stdio,%s,signal=on" : "null,%s", id);
}

static void
append_command(GString *text, const char *const *argv, gboolean as_it_was)
{
    for (gsize i = 0; argv[i]; i++) {
        /* Of a clone: by hand it starts from the beginning. */
        if (!as_it_was && g_str_equal(argv[i], "-incoming") && argv[i + 1]) {
            i += g_strcmp0(argv[i + 2], "-S") == 0 ? 2 : 1;
            continue;
        }
        g_autofree char *word = as_it_was ? g_strdup(argv[i]) : by_hand(argv[i]);
        gboolean is_option = argv[i][0] == '-';
        g_string_append(text, i == 0 ? "" : is_option && !as_it_was ? " \\\n    " : " ");
        append_word(text, word);
    }
    g_string_append_c(text, '\n');
}

static void
append_affinity(GString *text)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    g_string_append(text, "# may run on CPUs:");
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        for (int i = 0; i < CPU_SETSIZE; i++)
            if (CPU_ISSET(i, &set))
                g_string_append_printf(text, " %d", i);
    g_autofree char *cgroup = NULL;
    if (g_file_get_contents("/proc/self/cgroup", &cgroup, NULL, NULL))
        g_string_append_printf(text, "\n# cgroup: %s",
                               g_strdelimit(g_strchomp(cgroup), "\n", ' '));
    g_string_append_c(text, '\n');
}

void
machine_write_command(const MachineOptions *options, const char *const *argv,
                      const char *const *envp, GPid pid)
{
    g_autoptr(GDateTime) now = g_date_time_new_now_local();
    g_autofree char *time = g_date_time_format_iso8601(now);
    g_autofree char *cwd = g_get_current_dir();
    g_autoptr(GString) text = g_string_new("#!/bin/sh\n");
    g_string_append_printf(
        text, "# %s started this at %s (monotonic %.6f) as process %d\n", PACKAGE_STRING,
        time, (double)g_get_monotonic_time() / G_USEC_PER_SEC, pid);
    append_affinity(text);
    g_string_append(text, "# as it was, with descriptors that it inherited:\n# ");
    gsize comment = text->len;
    append_command(text, argv, TRUE);
    /* A newline inside of a word must not end the comment. */
    g_strdelimit(text->str + comment, "\n", ' ');
    g_string_append(text, "\n# the same machine by hand, its console on the terminal, "
                          "without an agent's peer:\ncd ");
    append_word(text, cwd);
    g_string_append(text, " && exec env -i");
    for (gsize i = 0; envp[i]; i++) {
        g_string_append_c(text, ' ');
        append_word(text, envp[i]);
    }
    g_string_append(text, " \\\n  ");
    append_command(text, argv, FALSE);

    log_dir_put(options->log_dir, "command", text->str, 0700);
}
