/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "emulator-ask.h"

#include <string.h>
#include <sys/socket.h>

#include "error.h"
#include "json-line.h"

/* ---- one emulator process
 * ------------------------------------------------------------------ */

void
probe_stop(Probe *probe)
{
    g_clear_pointer(&probe->qmp, qmp_free);
    g_clear_pointer(&probe->child, child_free);
}

/* What went wrong in the emulator's own words, if it said any. */
static void
probe_explain(Probe *probe, GError **error, const GError *failure)
{
    int code;
    gboolean ended = child_wait(probe->child, 200, &code);
    g_autofree char *words = child_complaint(probe->child);
    g_autofree char *end = ended ? g_strdup_printf(code < 0 ? "signal %d ended it"
                                                            : "it ended with status %d",
                                                   ABS(code))
                                 : g_strdup(failure->message);
    g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE,
                "%s did not answer as QEMU does: %s%s%s", probe->binary, end,
                *words ? ", saying: " : " and said nothing on standard error", words);
}

static GPtrArray *
probe_arguments(const Probe *probe, GPtrArray *devices)
{
    GPtrArray *argv = g_ptr_array_new();
    g_ptr_array_add(argv, (gpointer)probe->binary);
    for (guint i = 0; probe->data_dirs && probe->data_dirs[i]; i++) {
        g_ptr_array_add(argv, (gpointer) "-L");
        g_ptr_array_add(argv, (gpointer)probe->data_dirs[i]);
    }
    static const char *const fixed[] = {
        "-nodefaults",
        "-no-user-config",
        "-display",
        "none",
        "-machine",
        "q35,accel=tcg:kvm",
        "-m",
        "64",
        "-S",
        "-chardev",
        "socket,id=qmp,fd=3",
        "-mon",
        "chardev=qmp,mode=control",
    };
    for (guint i = 0; i < G_N_ELEMENTS(fixed); i++)
        g_ptr_array_add(argv, (gpointer)fixed[i]);
    for (guint i = 0; devices && i < devices->len; i++) {
        g_ptr_array_add(argv, (gpointer) "-device");
        g_ptr_array_add(argv, g_ptr_array_index(devices, i));
    }
    g_ptr_array_add(argv, NULL);
    return argv;
}

gboolean
probe_start(Probe *probe, GPtrArray *devices, GError **error)
{
    int pair[2];
    probe_stop(probe);
    if (g_cancellable_set_error_if_cancelled(g_cancellable_get_current(), error))
        return FALSE;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
        g_set_error_literal(error, HB_ERROR, HB_INFRASTRUCTURE,
                            "cannot make a pair of sockets");
        return FALSE;
    }
    g_autoptr(GPtrArray) argv = probe_arguments(probe, devices);
    probe->qmp = qmp_new(pair[0]);
    probe->child = child_start((const char *const *)argv->pdata, pair[1], FALSE, error);
    if (!probe->child)
        return FALSE;
    g_autoptr(GError) failure = NULL;
    if (qmp_connect(probe->qmp, probe->answer_ms, &failure))
        return TRUE;
    probe_explain(probe, error, failure);
    return FALSE;
}

JsonNode *
probe_ask(Probe *probe, const char *command, JsonObject *arguments, GError **error)
{
    g_autoptr(GError) failure = NULL;
    if (!probe->qmp) {
        if (arguments)
            json_object_unref(arguments);
        g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE,
                    "%s did not answer as QEMU does: it ended while it was asked",
                    probe->binary);
        return NULL;
    }
    JsonNode *result =
        qmp_call(probe->qmp, command, arguments, -1, probe->answer_ms, &failure);
    if (result)
        return result;
    if (g_error_matches(failure, HB_ERROR, HB_EMULATOR_DIED)) {
        probe->deaths++;
        probe_explain(probe, error, failure);
        probe_stop(probe);
        return NULL;
    }
    g_propagate_error(error, g_steal_pointer(&failure));
    return NULL;
}

JsonObject *
probe_argument(const char *name, const char *value)
{
    JsonObject *object = json_object_new();
    json_object_set_string_member(object, name, value);
    return object;
}

/* ---- JSON that we did not write
 * --------------------------------------------------------------- */

guint
reply_length(JsonArray *array)
{
    return array ? json_array_get_length(array) : 0;
}

static JsonNode *
find_member(JsonObject *object, const char *name)
{
    return object ? json_object_get_member(object, name) : NULL;
}

JsonArray *
reply_array(JsonObject *object, const char *name)
{
    return json_line_as_array(find_member(object, name));
}

JsonObject *
reply_object(JsonObject *object, const char *name)
{
    return json_line_as_object(find_member(object, name));
}

const char *
reply_string(JsonObject *object, const char *name)
{
    return object ? json_line_string(object, name) : NULL;
}

gint64
reply_int(JsonObject *object, const char *name)
{
    JsonNode *node = find_member(object, name);
    return node && JSON_NODE_HOLDS_VALUE(node) ? json_node_get_int(node) : 0;
}

gboolean
reply_bool(JsonObject *object, const char *name)
{
    JsonNode *node = find_member(object, name);
    return node && JSON_NODE_HOLDS_VALUE(node) && json_node_get_boolean(node);
}

gboolean
reply_is_name(const char *text)
{
    return text && *text && strlen(text) < 128 && !strpbrk(text, " =\t\r\n") &&
           g_utf8_validate(text, -1, NULL);
}

gboolean
probe_revive(Probe *probe, GPtrArray *devices)
{
    return probe->qmp ||
           (probe->deaths < PROBE_DEATHS_MAX && probe_start(probe, devices, NULL));
}

static int
compare_names(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

GPtrArray *
probe_sorted(GHashTable *names)
{
    GPtrArray *array = g_ptr_array_new();
    GHashTableIter iter;
    gpointer name;
    g_hash_table_iter_init(&iter, names);
    while (g_hash_table_iter_next(&iter, &name, NULL))
        g_ptr_array_add(array, name);
    g_ptr_array_sort(array, compare_names);
    return array;
}
