/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cmd-live.h"

#include <unistd.h>

#include "live-dir.h"

/* A supervisor that says nothing for so long hangs, or was stopped. */
#define PATIENCE_MS 30000

gboolean
cmd_live_find(const char *name, GPtrArray **labs, LiveName *found, GError **error)
{
    *labs = live_lab_read_all(error);
    if (!*labs || !live_name_host(*labs, name, found, error))
        return FALSE;
    if (!found->lab->dead)
        return TRUE;
    g_set_error(error, HB_ERROR, HB_FAIL,
                "the lab '%s' is dead: %s; 'hostbed down %s' clears it", found->lab->name,
                found->lab->dead, found->lab->name);
    return FALSE;
}

int
cmd_live_ask(const LiveName *name, JsonObject *request, JsonObject **answer,
             GError **error)
{
    g_autofree char *dir = live_dir(FALSE, error);
    const LiveCall call = {.timeout_ms = PATIENCE_MS};
    int fd = dir ? live_connect(dir, name->lab->name, error) : -1;
    if (fd < 0) {
        json_object_unref(request);
        return -1;
    }
    json_object_set_string_member(request, "host", name->host->name);
    g_autoptr(JsonObject) reply = live_call(fd, request, &call, error);
    if (!reply) {
        close(fd);
        return -1;
    }
    if (answer)
        *answer = g_steal_pointer(&reply);
    return fd;
}
