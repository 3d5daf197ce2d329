/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "boot-warm.h"
#include "error.h"
#include "lab-boot-private.h"
#include "live-private.h"
#include "resources.h"
#include "schedule.h"

Host *
live_host_find(const LiveServer *server, const char *name)
{
    for (guint i = 0; i < server->hosts->len; i++) {
        Host *host = server->hosts->pdata[i];
        if (g_str_equal(host->plan->host_id, name))
            return host;
    }
    return NULL;
}

/* ---- what is wanted
 * --------------------------------------------------------------------------------- */

static void
tell_forwards(const Host *host)
{
    for (guint i = 0; i < host->plan->uplinks->len; i++) {
        const PlanUplink *uplink = host->plan->uplinks->pdata[i];
        for (guint j = 0; j < uplink->forwards->len; j++) {
            const PlanPassage *forward = uplink->forwards->pdata[j];
            if (g_str_equal(forward->host, host->plan->host_id))
                live_host_add_forward(host->told, forward->to, forward->port);
        }
    }
}

static void
want(Host *host)
{
    LiveLab *lab = host->server->lab;
    if (host->boot || host->wanted || host->standing)
        return;
    host->wanted = TRUE;
    if (!host->told) {
        host->told = live_host_new(host->plan->host_id);
        tell_forwards(host);
        g_ptr_array_add(lab->hosts, host->told);
    }
    live_host_set(host->told, LIVE_STARTING);
}

gboolean
live_host_want(LiveServer *server, const char *const *names, GError **error)
{
    for (const char *const *name = names; name && *name; name++) {
        if (live_host_find(server, *name))
            continue;
        g_set_error(error, HB_ERROR, HB_USAGE, "the lab '%s' has no host '%s'",
                    server->options->name, *name);
        return FALSE;
    }
    for (guint i = 0; i < server->hosts->len; i++) {
        Host *host = server->hosts->pdata[i];
        if (!names || !*names || g_strv_contains(names, host->plan->host_id))
            want(host);
    }
    return TRUE;
}

gboolean
live_host_any_wanted(const LiveServer *server)
{
    for (guint i = 0; i < server->hosts->len; i++)
        if (((Host *)server->hosts->pdata[i])->wanted)
            return TRUE;
    return FALSE;
}

/* ---- its end
 * ----------------------------------------------------------------------------------------
 */

void
live_host_stop(Host *host)
{
    g_clear_pointer(&host->boot, boot_free);
    host->is_clone = FALSE;
    live_change_forget(host);
    if (host->told)
        host->told->pid = 0;
}

static void
forget_consoles(const Host *host)
{
    for (guint i = 0; i < host->server->clients->len; i++) {
        Client *client = host->server->clients->pdata[i];
        if (client->console != host)
            continue;
        client->console = NULL;
        live_client_end(client);
    }
}

/* A disk outlives its power, and who has the console has that of the next start. */
void
live_host_cut(Host *host)
{
    g_autoptr(GArray) disk_fds = g_steal_pointer(&host->boot->disk_fds);
    live_host_stop(host);
    g_clear_pointer(&host->disk_fds, g_array_unref);
    host->disk_fds = g_steal_pointer(&disk_fds);
    live_host_set(host->told, LIVE_OFF);
    live_server_write(host->server);
}

gboolean
live_host_has_ended(const Host *host)
{
    return g_cancellable_is_cancelled(boot_cancellable(host->boot)) ||
           guest_ended(host->boot->guest);
}

static void
bury(Host *host)
{
    const GError *ended = guest_ended(host->boot->guest);
    g_autoptr(GError) reason =
        ended ? g_error_copy(ended)
              : g_error_new(HB_ERROR, HB_EMULATOR_DIED, "the host has ended");
    boot_explain(host->boot, &reason);
    live_host_fail(host->told, reason);
    g_message("%s: %s", host->plan->host_id, reason->message);
    forget_consoles(host);
    live_host_stop(host);
}

void
live_host_bury(LiveServer *server)
{
    gboolean any = FALSE;
    for (guint i = 0; i < server->hosts->len; i++) {
        Host *host = server->hosts->pdata[i];
        if (!host->boot || host->told->state == LIVE_STARTING ||
            !live_host_has_ended(host))
            continue;
        bury(host);
        any = TRUE;
    }
    if (any)
        live_server_write(server);
    live_request_deferred(server);
}

/* Any turn of the main loop lets the supervisor look. */
static void
on_end(gpointer user_data)
{
    g_main_context_wakeup(NULL);
}

void
live_host_drop(Host *host)
{
    live_host_stop(host);
    g_hash_table_unref(host->deleted);
    g_hash_table_unref(host->leaving);
    g_hash_table_unref(host->out);
    g_hash_table_unref(host->accepted);
    g_hash_table_unref(host->refused);
    g_hash_table_unref(host->torn);
    g_hash_table_unref(host->unlinked);
    g_hash_table_unref(host->disk_faults);
    g_clear_pointer(&host->disk_fds, g_array_unref);
    g_ptr_array_unref(host->saved);
    g_free(host->log_dir);
    g_free(host);
}

/* ---- its start
 * --------------------------------------------------------------------------------------
 */

void
live_host_step(const char *what, gpointer user_data)
{
    Host *host = user_data;
    g_autofree char *text = g_strdup_printf("%s: %s", host->plan->host_id, what);
    g_message("%s", text);
    live_client_tell(host->server, "step", text);
}

void
live_host_warn(Host *host, const char *event, const char *text)
{
    g_autofree char *whole = g_strdup_printf("%s: %s", host->plan->host_id, text);
    g_message("%s: %s", event, whole);
    live_client_tell(host->server, event, whole);
}

static void
on_warm(BootWarmKind kind, const char *text, gpointer user_data)
{
    live_host_warn(user_data, kind == BOOT_WARM_WARNING ? "warning" : "step", text);
}

gboolean
live_host_make_log_dir(Host *host, GError **error)
{
    host->starts++;
    g_autofree char *name =
        host->starts == 1 ? g_strdup(host->plan->host_id)
                          : g_strdup_printf("%s-%u", host->plan->host_id, host->starts);
    g_free(host->log_dir);
    host->log_dir = g_build_filename(host->server->options->logs, name, NULL);
    g_free(host->told->logs);
    host->told->logs = g_strdup(host->log_dir);
    if (mkdir(host->log_dir, 0700) == 0)
        return TRUE;
    g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE, "cannot make %s: %s", host->log_dir,
                g_strerror(errno));
    return FALSE;
}

BootOptions
live_host_boot_options(Host *host)
{
    const LiveServeOptions *options = host->server->options;
    return (BootOptions){
        .plan = host->plan,
        .emulator = options->emulator,
        .connect = options->connect,
        .persistent = options->persistent,
        .accel = options->accel,
        .kernel = options->kernel,
        .programs = options->programs,
        .copies = options->copies,
        .modules = options->modules,
        .tools = TRUE,
        .log_dir = host->log_dir,
        .interrupt = host->server->interrupt,
        .segments = host->server->segments,
        .disk_fds = host->disk_fds,
        .step = live_host_step,
        .user_data = host,
    };
}

gboolean
live_host_is_joined(const Host *host)
{
    g_autoptr(GPtrArray) nics = plan_joined(host->plan);
    return host->server->segments && nics->len > 0;
}

/* Hosts that a network joins are not frozen alone; what is frozen has another disk than
 * one that was written to. */
static gboolean
is_warm(const Host *host)
{
    return host->server->options->warm && !live_host_is_joined(host) && !host->disk_fds;
}

/* What libvirt starts is nobody's process here. */
static void
tell_pid(Host *host)
{
    const LiveServeOptions *options = host->server->options;
    host->told->pid = options->connect ? 0 : machine_pid(host->boot->machine);
}

static gboolean
begin(Host *host, GError **error)
{
    if (host->boot)
        return TRUE; /* it came with others */
    if (!live_host_make_log_dir(host, error))
        return FALSE;
    const BootOptions options = live_host_boot_options(host);
    host->is_clone = is_warm(host);
    host->boot = host->is_clone ? boot_warm(&options, on_warm, error)
                                : boot_begin(&options, error);
    if (!host->boot)
        return FALSE;
    tell_pid(host);
    return TRUE;
}

static gboolean
meet(Host *host, GError **error)
{
    const BootOptions options = live_host_boot_options(host);
    const char *trouble;
    if (!host->is_clone && !boot_meet(host->boot, &options, error))
        return FALSE;
    tell_pid(host);
    g_free(host->told->logs);
    host->told->logs = g_strdup(host->boot->log_dir);
    if (host->boot->retried) {
        g_autofree char *text = g_strdup_printf(
            "the host was started twice; the first time: %s", host->boot->retried);
        live_host_warn(host, "warning", text);
    }
    for (guint i = 0; (trouble = guest_hello_nth(host->boot->guest, "trouble", i)); i++)
        live_host_warn(host, "warning", trouble);
    return TRUE;
}

static gboolean
join(Host *host, GError **error)
{
    return host->is_clone || !live_host_is_joined(host) ||
           lab_boot_join(host->boot, error);
}

/* One that stands still would not answer. */
gboolean
live_host_let_in(const LiveServer *server, GError **error)
{
    g_autoptr(GPtrArray) boots = g_ptr_array_new();
    for (guint i = 0; i < server->hosts->len; i++) {
        Host *host = server->hosts->pdata[i];
        if (host->boot && live_host_is_joined(host) && host->told->state != LIVE_PAUSED &&
            !live_host_has_ended(host))
            g_ptr_array_add(boots, host->boot);
    }
    return boots->len == 0 || lab_boot_let_in(boots, error);
}

/* ---- several at once
 * -------------------------------------------------------------------------------- */

static gboolean
do_all(const GPtrArray *hosts, gboolean (*step)(Host *, GError **), GError **error)
{
    for (guint i = 0; i < hosts->len; i++) {
        Host *host = hosts->pdata[i];
        if (step(host, error))
            continue;
        if (host->server->hosts->len > 1)
            g_prefix_error(error, "host '%s': ", host->plan->host_id);
        return FALSE;
    }
    return TRUE;
}

gboolean
live_host_check_room(const char *name, gint64 bytes, GError **error)
{
    g_autoptr(Resources) resources = resources_read("");
    const Schedule schedule = {.memory_bytes = resources->usable_bytes};
    return schedule_admit(&schedule, name, bytes, error);
}

static gboolean
check_memory(const LiveServer *server, const GPtrArray *hosts, GError **error)
{
    gint64 needed = 0;
    for (guint i = 0; i < hosts->len; i++)
        needed += plan_memory_needed(((Host *)hosts->pdata[i])->plan);
    return live_host_check_room(server->options->name, needed, error);
}

gboolean
live_host_check_memory(Host *host, GError **error)
{
    g_autoptr(GPtrArray) one = g_ptr_array_new();
    g_ptr_array_add(one, host);
    return check_memory(host->server, one, error);
}

static GPtrArray *
take_wanted(LiveServer *server)
{
    GPtrArray *hosts = g_ptr_array_new();
    for (guint i = 0; i < server->hosts->len; i++) {
        Host *host = server->hosts->pdata[i];
        if (host->wanted)
            g_ptr_array_add(hosts, host);
        host->wanted = FALSE;
    }
    return hosts;
}

static void
answer_all(LiveServer *server, const GError *error)
{
    g_autoptr(GPtrArray) waiting = g_ptr_array_copy(server->clients, NULL, NULL);
    for (guint i = 0; i < waiting->len; i++) {
        Client *client = waiting->pdata[i];
        if (!client->waits_up)
            continue;
        JsonObject *answer = error ? NULL : json_object_new();
        if (error) {
            live_client_fail(client, error);
            continue;
        }
        json_object_set_boolean_member(answer, "already", FALSE);
        live_client_answer(client, answer);
    }
}

static void
on_event(const char *event, JsonObject *data, gpointer user_data)
{
    live_change_event(user_data, event, data);
    live_memory_event(user_data, event, data);
    live_power_event(user_data, event);
}

void
live_host_came(Host *host)
{
    host->was_up = TRUE;
    live_host_set(host->told, LIVE_UP);
    tell_pid(host);
    g_clear_pointer(&host->disk_fds, g_array_unref); /* its boot has it now */
    live_request_listen(host);
    machine_set_listener(host->boot->machine, on_event, host);
    guest_set_end(host->boot->guest, on_end, host);
    g_message("%s: up", host->plan->host_id);
}

static void
are_up(LiveServer *server, const GPtrArray *hosts)
{
    for (guint i = 0; i < hosts->len; i++)
        live_host_came(hosts->pdata[i]);
    live_server_write(server);
    if (!live_host_any_wanted(server))
        answer_all(server, NULL);
}

/* All or none: what this start has brought up goes again. One that was up before, and
 * may have states that are saved, is there to be started again. */
static void
are_not_up(LiveServer *server, GPtrArray *hosts, const GError *error)
{
    g_message("not up: %s", error->message);
    for (guint i = 0; i < server->hosts->len; i++) {
        Host *host = server->hosts->pdata[i];
        if (!host->wanted && !g_ptr_array_find(hosts, host, NULL))
            continue;
        host->wanted = FALSE;
        live_host_stop(host);
        if (host->log_dir)
            rmdir(host->log_dir); /* if nothing was written there */
        if (host->was_up) {
            live_host_fail(host->told, error);
            continue;
        }
        g_clear_pointer(&host->disk_fds, g_array_unref);
        g_ptr_array_remove(server->lab->hosts, host->told);
        host->told = NULL;
    }
    live_server_write(server);
    if (!server->down) /* else there are other words for it */
        answer_all(server, error);
    if (server->lab->hosts->len == 0)
        live_server_down(server);
}

/* One that has ended is started again with the next host. */
static gboolean
lead_out(LiveServer *server, GError **error)
{
    if (!uplinks_are_asked(server->options->plans) ||
        (server->uplinks && uplinks_live(server->uplinks)))
        return TRUE;
    g_clear_pointer(&server->uplinks, uplinks_free);
    server->uplinks =
        uplinks_start(server->segments, server->options->plans, TRUE, error);
    return server->uplinks != NULL;
}

void
live_host_start_wanted(LiveServer *server)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) hosts = take_wanted(server);
    guint pulse = g_timeout_add_seconds(LIVE_PULSE_S, live_work_pulse, server);
    server->starting = TRUE;
    live_server_write(server);
    gboolean ok = lead_out(server, &error) && check_memory(server, hosts, &error) &&
                  live_warm_joined(server, hosts, &error) && do_all(hosts, begin, &error);
    live_server_write(server);
    ok = ok && do_all(hosts, meet, &error) && do_all(hosts, join, &error) &&
         live_host_let_in(server, &error) && do_all(hosts, live_host_check, &error);
    server->starting = FALSE;
    g_source_remove(pulse);
    if (ok)
        are_up(server, hosts);
    else
        are_not_up(server, hosts, error);
}
