/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A host that is up stands still and goes on, gets an NMI, loses a link. Whether it
 * stands still is taken from the emulator's events, whoever had it do so.
 */
#include <string.h>

#include "error.h"
#include "live-private.h"

#define COMMAND_MS 30000

/* Takes ARGUMENTS. */
static gboolean
command(Host *host, const char *name, JsonObject *arguments, GError **error)
{
    g_autoptr(JsonNode) result = qmp_call(machine_qmp(host->boot->machine), name,
                                          arguments, -1, COMMAND_MS, error);
    return result != NULL;
}

/* {"already": …} */
static JsonObject *
answer_new(gboolean already)
{
    JsonObject *answer = json_object_new();
    json_object_set_boolean_member(answer, "already", already);
    return answer;
}

/* ---- standing still
 * ------------------------------------------------------------------------------------ */

static void
set_state(Host *host, LiveHostState from, LiveHostState to)
{
    if (host->told->state != from)
        return;
    live_host_set(host->told, to, NULL);
    live_server_write(host->server);
}

void
live_power_event(Host *host, const char *event)
{
    if (g_str_equal(event, "STOP"))
        set_state(host, LIVE_UP, LIVE_PAUSED);
    else if (g_str_equal(event, "RESUME"))
        set_state(host, LIVE_PAUSED, LIVE_UP);
}

/* The event comes before the answer to the command. */
static JsonObject *
bring(Host *host, LiveHostState state, const char *name, GError **error)
{
    const gboolean already = host->told->state == state;
    return already || command(host, name, NULL, error) ? answer_new(already) : NULL;
}

JsonObject *
live_power_pause(Host *host, JsonObject *request, GError **error)
{
    return bring(host, LIVE_PAUSED, "stop", error);
}

JsonObject *
live_power_resume(Host *host, JsonObject *request, GError **error)
{
    return bring(host, LIVE_UP, "cont", error);
}

/* ---- NMI
 * ------------------------------------------------------------------------------------ */

JsonObject *
live_power_nmi(Host *host, JsonObject *request, GError **error)
{
    return command(host, "inject-nmi", NULL, error) ? answer_new(FALSE) : NULL;
}
