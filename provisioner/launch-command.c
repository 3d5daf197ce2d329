/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launch-private.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "config.h"
#include "emit.h"
#include "json-line.h"
#include "log-stamp.h"
#include "qmp-trace.h"

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
    JsonObject *object = json_line_as_object(node);
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

/* Raw arguments may be anything. NULL: OBJECT (or NULL) has no such text. */
static const char *
text_member(JsonObject *object, const char *name)
{
    return object ? json_line_string(object, name) : NULL;
}

/* What ARGUMENT says of a file of an image's disk; NULL: it is about something else. */
static JsonNode *
layer_of(const char *argument)
{
    g_autoptr(JsonNode) node = *argument == '{' ? json_from_string(argument, NULL) : NULL;
    JsonObject *object = json_line_as_object(node);
    JsonObject *file = object ? json_line_object(object, "file") : NULL;
    const char *name = text_member(object, "node-name");
    const char *path = text_member(file, "filename");
    gboolean is_ours = name && g_str_has_prefix(name, EMIT_IMAGE_NODE) && path &&
                       g_str_has_prefix(path, "/proc/self/fd/");
    return is_ours ? g_steal_pointer(&node) : NULL;
}

static const char *
layer_file(JsonNode *layer)
{
    JsonObject *file = json_object_get_object_member(json_node_get_object(layer), "file");
    return json_object_get_string_member(file, "filename");
}

static gboolean
is_bottom(JsonNode *layer)
{
    return g_str_equal(
        json_object_get_string_member(json_node_get_object(layer), "node-name"),
        EMIT_IMAGE_NODE "0");
}

static gboolean
is_top(JsonNode *layer)
{
    return !json_object_get_boolean_member_with_default(json_node_get_object(layer),
                                                        "read-only", FALSE);
}

/* The image itself has a name; what a host writes gets one. */
static char *
layer_by_hand(JsonNode *layer, const char *log_dir)
{
    JsonObject *object = json_node_get_object(layer);
    JsonObject *file = json_object_get_object_member(object, "file");
    g_autofree char *own = g_build_filename(log_dir, MACHINE_DISK_BY_HAND, NULL);
    g_autofree char *image =
        is_bottom(layer) ? g_file_read_link(layer_file(layer), NULL) : NULL;
    json_object_set_string_member(file, "filename", image ? image : own);
    if (!is_bottom(layer))
        json_object_set_string_member(object, "backing", EMIT_IMAGE_NODE "0");
    return json_to_string(layer, FALSE);
}

void
machine_append_disk(GString *text, const char *image, const char *own)
{
    g_string_append(text, "qemu-img create -q -f qcow2 -F qcow2 -b ");
    append_word(text, image);
    g_string_append_c(text, ' ');
    append_word(text, own);
    g_string_append(text, " || exit\n");
}

/* The file that a host started by hand writes to. */
static void
append_disk(GString *text, const char *const *argv, const char *log_dir)
{
    for (; *argv; argv++) {
        g_autoptr(JsonNode) layer = layer_of(*argv);
        g_autofree char *image =
            layer && is_bottom(layer) ? g_file_read_link(layer_file(layer), NULL) : NULL;
        if (!image)
            continue;
        g_autofree char *own = g_build_filename(log_dir, MACHINE_DISK_BY_HAND, NULL);
        machine_append_disk(text, image, own);
        return;
    }
}

/* An argument as it works without us: no inherited descriptors; the console on the
 * terminal. */
static char *
by_hand(const char *argument, const char *log_dir)
{
    g_autoptr(JsonNode) layer = layer_of(argument);
    if (layer)
        return layer_by_hand(layer, log_dir);
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

/* Of a clone: what the host that was frozen has written has no name. */
static gboolean
is_nameless(const char *argument)
{
    g_autoptr(JsonNode) layer = argument ? layer_of(argument) : NULL;
    return layer && !is_bottom(layer) && !is_top(layer);
}

/* As it works by hand, in LOG_DIR; NULL: as it was. */
static void
append_command(GString *text, const char *const *argv, const char *log_dir)
{
    gboolean as_it_was = !log_dir;
    for (gsize i = 0; argv[i]; i++) {
        /* Of a clone: by hand it starts from the beginning. */
        if (!as_it_was && g_str_equal(argv[i], "-incoming") && argv[i + 1]) {
            i += g_strcmp0(argv[i + 2], "-S") == 0 ? 2 : 1;
            continue;
        }
        if (!as_it_was && g_str_equal(argv[i], "-blockdev") && is_nameless(argv[i + 1])) {
            i++;
            continue;
        }
        g_autofree char *word = as_it_was ? g_strdup(argv[i]) : by_hand(argv[i], log_dir);
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
    g_autofree char *stamp = log_stamp_text(log_stamp_now());
    g_autofree char *cwd = g_get_current_dir();
    g_autoptr(GString) text = g_string_new("#!/bin/sh\n");
    g_string_append_printf(text, "# %s %s started this as process %d\n", stamp,
                           PACKAGE_STRING, pid);
    append_affinity(text);
    g_string_append(text, "# as it was, with descriptors that it inherited:\n# ");
    gsize comment = text->len;
    append_command(text, argv, NULL);
    /* A newline inside of a word must not end the comment. */
    g_strdelimit(text->str + comment, "\n", ' ');
    g_string_append(text, "\n# the same machine by hand, its console on the terminal, "
                          "without an agent's peer:\n");
    append_disk(text, argv, options->log_dir);
    g_string_append(text, "cd ");
    append_word(text, cwd);
    g_string_append(text, " && exec env -i");
    for (gsize i = 0; envp[i]; i++) {
        g_string_append_c(text, ' ');
        append_word(text, envp[i]);
    }
    g_string_append(text, " \\\n  ");
    append_command(text, argv, options->log_dir);

    log_dir_put(options->log_dir, "command", text->str, 0700);
}

/* An object of the emulator's that keeps a secret: "secret,id=…,data=…". */
static char *
without_secret(const char *word)
{
    if (*word == '{')
        return qmp_trace_without_secrets(word);
    const char *data = g_str_has_prefix(word, "secret") ? strstr(word, ",data=") : NULL;
    return data ? g_strdup_printf("%.*s,data=(secret)", (int)(data - word), word)
                : g_strdup(word);
}

static void
log_words(LogFile *events, const char *what, const char *const *words)
{
    g_autoptr(GString) text = g_string_new(what);
    for (; *words; words++) {
        g_autofree char *word = without_secret(*words);
        g_string_append_c(text, ' ');
        append_word(text, word);
    }
    g_strdelimit(text->str, "\n", ' ');
    log_file_line(events, "%s", text->str);
}

void
machine_log_command(LogFile *events, const char *const *argv, const char *const *envp)
{
    log_words(events, "environment:", envp);
    log_words(events, "command:", argv);
}
