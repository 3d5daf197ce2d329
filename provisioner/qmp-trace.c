/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qmp-trace.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "error.h"
#include "json-line.h"

#define HIDDEN "(secret)"

static struct {
    int fd; /* 0: nowhere */
    QmpTraceLine listener;
    gpointer user_data;
    const char *lab; /* NULL: by its own name */
} sink;

/* ---- secrets
 * ----------------------------------------------------------------------------------------
 */

/* Members whose values are secret wherever they stand; a secret's id, as in
 * "password-secret", is none. */
static gboolean
is_secret_name(const char *name)
{
    static const char *const names[] = {"password", "passwd", "cookie", "proxy-password"};
    for (gsize i = 0; i < G_N_ELEMENTS(names); i++)
        if (g_str_equal(name, names[i]))
            return TRUE;
    return FALSE;
}

/* An object of QEMU's that keeps a secret, or what is set in one. */
static gboolean
holds_secret(JsonObject *object)
{
    const char *type = json_line_string(object, "qom-type");
    const char *property = json_line_string(object, "property");
    return (type && g_str_has_prefix(type, "secret")) ||
           g_strcmp0(property, "data") == 0 || g_strcmp0(property, "password") == 0;
}

/* What of the monitor's commands for people may have a secret in it. */
static gboolean
is_secret_command(const char *line)
{
    static const char *const words[] = {"password", "passwd", "secret"};
    for (gsize i = 0; line && i < G_N_ELEMENTS(words); i++)
        if (strstr(line, words[i]))
            return TRUE;
    return FALSE;
}

static void hide_in(JsonNode *node);

static void
hide_in_object(JsonObject *object)
{
    g_autoptr(GList) members = json_object_get_members(object);
    gboolean holds = holds_secret(object);
    for (const GList *at = members; at; at = at->next) {
        const char *name = at->data;
        gboolean is_line = g_str_equal(name, "command-line");
        if (is_secret_name(name) ||
            (holds && (g_str_equal(name, "data") || g_str_equal(name, "value"))) ||
            (is_line && is_secret_command(json_line_string(object, name))))
            json_object_set_string_member(object, name, HIDDEN);
        else
            hide_in(json_object_get_member(object, name));
    }
}

static void
hide_in(JsonNode *node)
{
    if (JSON_NODE_HOLDS_OBJECT(node))
        hide_in_object(json_node_get_object(node));
    if (!JSON_NODE_HOLDS_ARRAY(node))
        return;
    JsonArray *array = json_node_get_array(node);
    for (guint i = 0; i < json_array_get_length(array); i++)
        hide_in(json_array_get_element(array, i));
}

/* Most messages have none, and stay as they are to the byte. */
static gboolean
may_have_secrets(const char *message)
{
    static const char *const words[] = {"passw", "secret", "cookie", "\"property\""};
    for (gsize i = 0; i < G_N_ELEMENTS(words); i++)
        if (strstr(message, words[i]))
            return TRUE;
    return FALSE;
}

char *
qmp_trace_without_secrets(const char *message)
{
    g_autoptr(JsonNode) node =
        may_have_secrets(message) ? json_line_parse(message, strlen(message)) : NULL;
    if (!node)
        return g_strdup(message);
    hide_in(node);
    return json_to_string(node, FALSE);
}

/* ---- a line
 * ------------------------------------------------------------------------------------------
 */

static char *
id_of(const char *message)
{
    g_autoptr(JsonObject) object = json_line_parse_object(message, strlen(message));
    JsonNode *id = object ? json_object_get_member(object, "id") : NULL;
    return id ? json_to_string(id, FALSE) : g_strdup("null");
}

char *
qmp_trace_line(gint64 real_us, const char *host, GPid emulator, gboolean to_emulator,
               const char *message)
{
    g_autofree char *name = json_line_quoted(host);
    g_autofree char *id = id_of(message);
    g_autofree char *process =
        emulator > 0 ? g_strdup_printf("%d", emulator) : g_strdup("null");
    return g_strdup_printf("{\"time\":%" G_GINT64_FORMAT ".%06d,\"host\":%s,"
                           "\"emulator\":%s,\"direction\":\"%s\",\"id\":%s,"
                           "\"message\":%s}\n",
                           real_us / G_USEC_PER_SEC, (int)(real_us % G_USEC_PER_SEC),
                           name, process, to_emulator ? QMP_TRACE_TO : QMP_TRACE_FROM, id,
                           message);
}

/* ---- where it goes
 * ------------------------------------------------------------------------------------
 */

gboolean
qmp_trace_to_file(const char *path, gboolean begin, GError **error)
{
    const int flags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY;
    int fd = path ? open(path, flags | (begin ? O_TRUNC : 0), 0600) : STDERR_FILENO;
    if (fd < 0) {
        g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE,
                    "--trace-qmp: cannot write %s: %s", path, g_strerror(errno));
        return FALSE;
    }
    sink.fd = fd;
    return TRUE;
}

void
qmp_trace_to(QmpTraceLine listener, gpointer user_data)
{
    sink.listener = listener;
    sink.user_data = user_data;
}

/* Several processes may write to the same place (hostbed test): lines stay whole. */
static void
write_line(const char *line)
{
    gsize left = strlen(line);
    gboolean locked = flock(sink.fd, LOCK_EX) == 0;
    while (left > 0) {
        ssize_t n = write(sink.fd, line, left);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            break;
        line += n;
        left -= (gsize)n;
    }
    if (locked)
        flock(sink.fd, LOCK_UN);
}

void
qmp_trace_call_lab(const char *name)
{
    sink.lab = name;
}

void
qmp_trace(const char *lab, const char *host, GPid emulator, gboolean to_emulator,
          const char *message)
{
    if (sink.fd <= 0 && !sink.listener)
        return;
    g_autofree char *name = g_strdup_printf("%s/%s", sink.lab ? sink.lab : lab, host);
    g_autofree char *line =
        qmp_trace_line(g_get_real_time(), name, emulator, to_emulator, message);
    if (sink.fd > 0)
        write_line(line);
    if (sink.listener)
        sink.listener(line, sink.user_data);
}
