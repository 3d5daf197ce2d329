/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "uplink.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "autoptr.h"
#include "child.h"
#include "error.h"
#include "json-line.h"
#include "libexec.h"
#include "printable.h"
#include "uplink-order.h"

#define PROGRAM "hostbed-uplink"
/* It does nothing that takes time; this is for a busy machine. */
#define START_MS 60000
#define LINE_MAX_BYTES 4096

struct Uplinks {
    GPtrArray *children; /* Child */
};

/* ---- one
 * -----------------------------------------------------------------------------------
 */

/* The line that it says, owned by the caller, or what of it came. */
static char *
read_line(int fd)
{
    GString *line = g_string_new(NULL);
    gint64 end_us = g_get_monotonic_time() + START_MS * (gint64)1000;
    char buffer[512];
    while (line->len < LINE_MAX_BYTES && !strchr(line->str, '\n')) {
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        gint64 left_ms = (end_us - g_get_monotonic_time()) / 1000;
        int ready = left_ms > 0 ? poll(&wait, 1, (int)left_ms) : 0;
        if (ready < 0 && errno == EINTR)
            continue;
        ssize_t got = ready > 0 ? read(fd, buffer, sizeof buffer) : 0;
        if (got <= 0)
            break;
        g_string_append_len(line, buffer, got);
    }
    return g_string_free(line, FALSE);
}

static gboolean
is_ready(const char *network, const char *line, GError **error)
{
    g_autoptr(JsonObject) said = json_line_parse_object(line, strlen(line));
    if (said && json_object_has_member(said, "ready"))
        return TRUE;
    const char *why = said ? json_line_string(said, "error") : NULL;
    g_autofree char *text = printable(why ? why : "", why ? strlen(why) : 0, 1000);
    if (why)
        g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE, "%s", text);
    else
        g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE,
                    "the uplink of network '%s' does not start", network);
    return FALSE;
}

static char *
find_program(const PlanUplink *uplink, GError **error)
{
    g_autofree char *path = libexec_path(PROGRAM);
    if (access(path, X_OK) == 0)
        return g_steal_pointer(&path);
    g_set_error(error, HB_ERROR, HB_UNSUPPORTED,
                "%s:%d: nothing leads out of networks or into them, since hostbed was "
                "built without libslirp; './quickstart' installs it and builds hostbed "
                "anew",
                uplink->pos.file, uplink->pos.line);
    return NULL;
}

static Child *
start(const char *path, const PlanUplink *uplink, gboolean forwards, int port, int said,
      GError **error)
{
    g_auto(AutoFd) null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    g_autofree char *order = json_line(uplink_order_new(uplink, forwards));
    const char *const argv[] = {path, order, NULL};
    const ChildStreams streams = {.input = port, .output = said, .errors = null};
    return child_start_talking(argv, &streams, error);
}

static Child *
start_one(Segments *segments, const PlanUplink *uplink, gboolean forwards, GError **error)
{
    int ends[2];
    g_autofree char *path = find_program(uplink, error);
    g_auto(AutoFd) port =
        path ? segments_connect(segments, uplink->network, PLAN_UPLINK_NAME, error) : -1;
    if (port < 0)
        return NULL;
    if (pipe2(ends, O_CLOEXEC) != 0) {
        g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE, "cannot make a pipe: %s",
                    g_strerror(errno));
        return NULL;
    }
    g_auto(AutoFd) output = ends[0];
    Child *child = start(path, uplink, forwards, port, ends[1], error);
    close(ends[1]);
    g_autofree char *line = child ? read_line(output) : NULL;
    if (child && !is_ready(uplink->network, line, error))
        g_clear_pointer(&child, child_free);
    return child;
}

/* ---- all
 * -----------------------------------------------------------------------------------
 */

gboolean
uplinks_are_asked(const GPtrArray *plans)
{
    for (guint i = 0; i < plans->len; i++)
        if (((const Plan *)plans->pdata[i])->uplinks->len > 0)
            return TRUE;
    return FALSE;
}

Uplinks *
uplinks_start(Segments *segments, const GPtrArray *plans, gboolean forwards,
              GError **error)
{
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);
    g_autoptr(Uplinks) uplinks = g_new0(Uplinks, 1);
    uplinks->children = g_ptr_array_new_with_free_func((GDestroyNotify)child_free);
    for (guint i = 0; i < plans->len; i++) {
        const GPtrArray *asked = ((const Plan *)plans->pdata[i])->uplinks;
        for (guint j = 0; j < asked->len; j++) {
            const PlanUplink *uplink = asked->pdata[j];
            if (!g_hash_table_add(seen, uplink->network))
                continue;
            Child *child = start_one(segments, uplink, forwards, error);
            if (!child)
                return NULL;
            g_ptr_array_add(uplinks->children, child);
        }
    }
    return g_steal_pointer(&uplinks);
}

gboolean
uplinks_live(const Uplinks *uplinks)
{
    int code;
    for (guint i = 0; i < uplinks->children->len; i++)
        if (child_wait(uplinks->children->pdata[i], 0, &code))
            return FALSE;
    return TRUE;
}

void
uplinks_free(Uplinks *uplinks)
{
    if (!uplinks)
        return;
    g_ptr_array_unref(uplinks->children);
    g_free(uplinks);
}
