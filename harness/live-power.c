/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A host that is up stands still and goes on, gets an NMI, loses its power and gets it
 * back. Whether it stands still is taken from the emulator's events, whoever had it do
 * so.
 */
#include <string.h>

#include "domain-place.h"
#include "error.h"
#include "json-line.h"
#include "live-private.h"

/* A distribution under emulation takes its time to stop its services. */
#define BUTTON_MS 180000

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
    if (host->told->state != from || host->standing)
        return;
    live_host_set(host->told, to);
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
    return already || live_emulator_command(host, name, NULL, error) ? answer_new(already)
                                                                     : NULL;
}

JsonObject *
live_power_pause(Host *host, JsonObject *request, GError **error)
{
    return live_disk_flows(host, NULL, error) ? bring(host, LIVE_PAUSED, "stop", error)
                                              : NULL;
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
    return live_emulator_command(host, "inject-nmi", NULL, error) ? answer_new(FALSE)
                                                                  : NULL;
}

/* ---- power
 * ------------------------------------------------------------------------------------ */

static JsonObject *
switch_on(Host *host, GError **error)
{
    const char *const names[] = {host->plan->host_id, NULL};
    if (host->boot)
        return answer_new(TRUE);
    return live_host_want(host->server, names, error) ? answer_new(FALSE) : NULL;
}

/* Of a disk that is where libvirt is nothing is left without the emulator. */
static gboolean
has_its_disk(const Host *host, GError **error)
{
    const char *connect = host->server->options->connect;
    if (!connect || !host->plan->image || domain_place_is_own(connect))
        return TRUE;
    g_set_error(error, HB_ERROR, HB_UNSUPPORTED,
                "the disk of %s is where libvirt at %s is, and would be lost with its "
                "power; 'hostbed down' and 'up' begin with a new one",
                host->plan->host_id, connect);
    return FALSE;
}

static JsonObject *
switch_off(Host *host, GError **error)
{
    if (!host->boot)
        return answer_new(TRUE);
    if (!has_its_disk(host, error))
        return NULL;
    live_host_cut(host);
    return answer_new(FALSE);
}

static JsonObject *
reset(Host *host, GError **error)
{
    if (host->boot && !has_its_disk(host, error))
        return NULL;
    if (host->boot)
        live_host_cut(host);
    return switch_on(host, error);
}

/* The emulator ends when the host has switched itself off. */
static gboolean
wait_end(Host *host, GError **error)
{
    if (live_emulator_wait(host, BUTTON_MS, NULL, NULL) == LIVE_WAIT_ENDED)
        return TRUE;
    g_set_error(error, HB_ERROR, HB_TIMEOUT,
                "the host has not switched itself off %d s after its power button was "
                "pressed; 'hostbed power %s off' cuts its power",
                BUTTON_MS / 1000, host->plan->host_id);
    return FALSE;
}

static JsonObject *
press_button(Host *host, GError **error)
{
    GError *obstacle = live_request_obstacle(host->plan->host_id, host, NULL);
    if (obstacle) {
        g_propagate_error(error, obstacle);
        return NULL;
    }
    if (!host->plan->image) {
        g_set_error_literal(error, HB_ERROR, HB_UNSUPPORTED,
                            "nothing in the micro image heeds a power button; 'hostbed "
                            "power HOST off' cuts its power, and hosts with an <image> "
                            "shut down");
        return NULL;
    }
    if (!has_its_disk(host, error))
        return NULL;
    if (!live_emulator_command(host, "system_powerdown", NULL, error) ||
        !wait_end(host, error))
        return NULL;
    live_host_cut(host);
    return answer_new(FALSE);
}

JsonObject *
live_power(Host *host, JsonObject *request, GError **error)
{
    static const struct {
        const char *name;
        JsonObject *(*act)(Host *host, GError **error);
    } actions[] = {
        {"on", switch_on},
        {"off", switch_off},
        {"reset", reset},
        {"button", press_button},
    };
    const char *name = json_line_string(request, "action");
    for (gsize i = 0; i < G_N_ELEMENTS(actions); i++)
        if (g_strcmp0(name, actions[i].name) == 0)
            return actions[i].act(host, error);
    g_set_error(error, HB_ERROR, HB_USAGE, "'%s' is nothing to do with power",
                name ? name : "");
    return NULL;
}
