/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "live-state.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "error.h"
#include "json-line.h"
#include "live-dir.h"

#define STATE_MAX (1024 * 1024)

static const char *const state_names[] = {"starting", "up", "failed", "paused", "off"};

const char *
live_host_state_name(LiveHostState state)
{
    return state_names[state];
}

/* ---- values
 * -----------------------------------------------------------------------------------------
 */

static gint64
now_s(void)
{
    return g_get_real_time() / G_USEC_PER_SEC;
}

static void
forward_free(gpointer data)
{
    LiveForward *forward = data;
    g_free(forward->to);
    g_free(forward);
}

LiveHost *
live_host_new(const char *name)
{
    LiveHost *host = g_new0(LiveHost, 1);
    host->name = g_strdup(name);
    host->since_s = now_s();
    host->forwards = g_ptr_array_new_with_free_func(forward_free);
    return host;
}

void
live_host_add_forward(LiveHost *host, const char *to, int port)
{
    LiveForward *forward = g_new0(LiveForward, 1);
    forward->to = g_strdup(to);
    forward->port = port;
    g_ptr_array_add(host->forwards, forward);
}

void
live_host_free(LiveHost *host)
{
    g_free(host->name);
    g_free(host->logs);
    g_free(host->reason);
    g_ptr_array_unref(host->forwards);
    g_free(host);
}

void
live_host_set(LiveHost *host, LiveHostState state)
{
    host->state = state;
    host->since_s = now_s();
    g_clear_pointer(&host->reason, g_free);
    host->status = HB_OK;
    if (state == LIVE_FAILED || state == LIVE_OFF)
        host->pid = 0;
}

void
live_host_fail(LiveHost *host, const GError *reason)
{
    live_host_set(host, LIVE_FAILED);
    host->reason = g_strdup(reason->message);
    host->status = hb_error_status(reason);
}

LiveLab *
live_lab_new(const char *name)
{
    LiveLab *lab = g_new0(LiveLab, 1);
    lab->name = g_strdup(name);
    lab->since_s = now_s();
    lab->hosts = g_ptr_array_new_with_free_func((GDestroyNotify)live_host_free);
    return lab;
}

void
live_lab_free(LiveLab *lab)
{
    if (!lab)
        return;
    g_free(lab->name);
    g_free(lab->file);
    g_free(lab->digest);
    g_free(lab->boot);
    g_free(lab->connect);
    g_free(lab->logs);
    g_free(lab->dead);
    g_ptr_array_unref(lab->hosts);
    g_free(lab);
}

LiveHost *
live_lab_host(const LiveLab *lab, const char *name)
{
    for (guint i = 0; i < lab->hosts->len; i++) {
        LiveHost *host = lab->hosts->pdata[i];
        if (g_str_equal(host->name, name))
            return host;
    }
    return NULL;
}

/* ---- as JSON
 * ----------------------------------------------------------------------------------------
 */

static void
set_string(JsonObject *object, const char *member, const char *value)
{
    if (value)
        json_object_set_string_member(object, member, value);
}

static JsonArray *
forwards_to_json(const LiveHost *host)
{
    JsonArray *array = json_array_new();
    for (guint i = 0; i < host->forwards->len; i++) {
        const LiveForward *forward = host->forwards->pdata[i];
        JsonObject *object = json_object_new();
        set_string(object, "to", forward->to);
        json_object_set_int_member(object, "port", forward->port);
        json_array_add_object_element(array, object);
    }
    return array;
}

static JsonObject *
host_to_json(const LiveHost *host)
{
    JsonObject *object = json_object_new();
    set_string(object, "host", host->name);
    set_string(object, "state", live_host_state_name(host->state));
    json_object_set_int_member(object, "since", host->since_s);
    if (host->pid > 0)
        json_object_set_int_member(object, "pid", host->pid);
    set_string(object, "logs", host->logs);
    set_string(object, "reason", host->reason);
    if (host->status != HB_OK)
        json_object_set_int_member(object, "status", host->status);
    if (host->forwards->len > 0)
        json_object_set_array_member(object, "forwards", forwards_to_json(host));
    return object;
}

JsonNode *
live_lab_to_json(const LiveLab *lab)
{
    JsonObject *object = json_object_new();
    JsonArray *hosts = json_array_new();
    set_string(object, "lab", lab->name);
    set_string(object, "file", lab->file);
    set_string(object, "digest", lab->digest);
    set_string(object, "boot", lab->boot);
    set_string(object, "connect", lab->connect);
    set_string(object, "logs", lab->logs);
    if (lab->pid > 0)
        json_object_set_int_member(object, "pid", lab->pid);
    json_object_set_int_member(object, "since", lab->since_s);
    set_string(object, "dead", lab->dead);
    for (guint i = 0; i < lab->hosts->len; i++)
        json_array_add_object_element(hosts, host_to_json(lab->hosts->pdata[i]));
    json_object_set_array_member(object, "hosts", hosts);
    JsonNode *node = json_node_new(JSON_NODE_OBJECT);
    json_node_take_object(node, object);
    return node;
}

static void
take_forwards(LiveHost *host, JsonObject *object)
{
    JsonArray *array = json_line_array(object, "forwards");
    for (guint i = 0; array && i < json_array_get_length(array); i++) {
        JsonObject *forward = json_line_element(array, i);
        const char *to = forward ? json_line_string(forward, "to") : NULL;
        if (to)
            live_host_add_forward(host, to, (int)json_line_int(forward, "port", 0));
    }
}

static HbStatus
status_of(gint64 number)
{
    return number > HB_OK && number <= HB_INTERRUPTED ? (HbStatus)number : HB_OK;
}

/* NULL: it has no name, or a state that there is not. */
static LiveHost *
host_from_json(JsonObject *object)
{
    const char *name = json_line_string(object, "host");
    const char *state = json_line_string(object, "state");
    gint64 pid = json_line_int(object, "pid", 0);
    for (guint i = 0; name && state && i < G_N_ELEMENTS(state_names); i++) {
        if (!g_str_equal(state, state_names[i]))
            continue;
        LiveHost *host = live_host_new(name);
        host->state = (LiveHostState)i;
        host->since_s = json_line_int(object, "since", 0);
        host->pid = pid > 0 && pid <= G_MAXINT ? (int)pid : 0;
        host->logs = g_strdup(json_line_string(object, "logs"));
        host->reason = g_strdup(json_line_string(object, "reason"));
        host->status = status_of(json_line_int(object, "status", HB_OK));
        take_forwards(host, object);
        return host;
    }
    return NULL;
}

static gboolean
take_hosts(LiveLab *lab, JsonObject *object)
{
    JsonArray *hosts = json_line_array(object, "hosts");
    for (guint i = 0; hosts && i < json_array_get_length(hosts); i++) {
        JsonObject *element = json_line_element(hosts, i);
        LiveHost *host = element ? host_from_json(element) : NULL;
        if (!host)
            return FALSE;
        g_ptr_array_add(lab->hosts, host);
    }
    return hosts != NULL;
}

LiveLab *
live_lab_parse(const char *text, gsize length)
{
    g_autoptr(JsonObject) object = json_line_parse_object(text, length);
    const char *name = object ? json_line_string(object, "lab") : NULL;
    gint64 pid = object ? json_line_int(object, "pid", 0) : 0;
    if (!name)
        return NULL;
    g_autoptr(LiveLab) lab = live_lab_new(name);
    lab->file = g_strdup(json_line_string(object, "file"));
    lab->digest = g_strdup(json_line_string(object, "digest"));
    lab->boot = g_strdup(json_line_string(object, "boot"));
    lab->connect = g_strdup(json_line_string(object, "connect"));
    lab->logs = g_strdup(json_line_string(object, "logs"));
    lab->pid = pid > 0 && pid <= G_MAXINT ? (int)pid : 0;
    lab->since_s = json_line_int(object, "since", 0);
    return take_hosts(lab, object) ? g_steal_pointer(&lab) : NULL;
}

/* ---- in the folder
 * ---------------------------------------------------------------------------------- */

char *
live_boot_id(void)
{
    char *id = NULL;
    if (g_file_get_contents("/proc/sys/kernel/random/boot_id", &id, NULL, NULL))
        return g_strchomp(id);
    return g_strdup("");
}

gboolean
live_lab_write(const LiveLab *lab, const char *path, GError **error)
{
    g_autoptr(JsonNode) node = live_lab_to_json(lab);
    g_autofree char *text = json_to_string(node, TRUE);
    g_autofree char *file = g_build_filename(path, LIVE_STATE, NULL);
    g_autoptr(GError) reason = NULL;
    if (g_file_set_contents_full(file, text, -1, G_FILE_SET_CONTENTS_CONSISTENT, 0600,
                                 &reason))
        return TRUE;
    g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE, "the lab's state cannot be kept: %s",
                reason->message);
    return FALSE;
}

/* The text of the state, or NULL: there is none that could be one. */
static char *
read_state(const char *dir, const char *name, gsize *length)
{
    g_autofree char *path = g_build_filename(dir, name, LIVE_STATE, NULL);
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    g_autofree char *text = g_malloc(STATE_MAX);
    gsize come = 0;
    ssize_t n = -1;
    while (fd >= 0 && come < STATE_MAX &&
           (n = read(fd, text + come, STATE_MAX - come)) > 0)
        come += (gsize)n;
    if (fd >= 0)
        close(fd);
    *length = come;
    return n == 0 ? g_steal_pointer(&text) : NULL;
}

/* What became of a supervisor that does not hold its lock. */
static const char *
describe_death(const LiveLab *lab)
{
    g_autofree char *boot = live_boot_id();
    if (!lab->boot)
        return "its supervisor ended before it wrote down what it does";
    return g_str_equal(boot, lab->boot) ? "its supervisor was killed"
                                        : "the machine was restarted";
}

static LiveLab *
read_lab(const char *dir, const char *name)
{
    gsize length;
    gboolean held = live_is_held(dir, name);
    g_autofree char *text = read_state(dir, name, &length);
    LiveLab *lab = text ? live_lab_parse(text, length) : NULL;
    if (lab && !g_str_equal(lab->name, name))
        g_clear_pointer(&lab, live_lab_free);
    if (!lab)
        lab = live_lab_new(name);
    if (!held)
        lab->dead = g_strdup(describe_death(lab));
    return lab;
}

GPtrArray *
live_lab_read_all(GError **error)
{
    g_autoptr(GError) failure = NULL;
    g_autoptr(GPtrArray) labs =
        g_ptr_array_new_with_free_func((GDestroyNotify)live_lab_free);
    g_autofree char *dir = live_dir(FALSE, &failure);
    if (failure) {
        g_propagate_error(error, g_steal_pointer(&failure));
        return NULL;
    }
    g_auto(GStrv) names = dir ? live_labs(dir) : NULL;
    for (char **name = names; name && *name; name++) {
        g_autofree char *path = g_build_filename(dir, *name, NULL);
        g_autoptr(LiveLab) lab = read_lab(dir, *name);
        /* One that went down meanwhile never was dead. */
        if (!lab->dead || g_file_test(path, G_FILE_TEST_EXISTS))
            g_ptr_array_add(labs, g_steal_pointer(&lab));
    }
    return g_steal_pointer(&labs);
}
