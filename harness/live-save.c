/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * States of a host that is up, by name, to which it can be returned. They are files
 * without names, which are gone with us.
 */
#include <string.h>

#include "error.h"
#include "json-line.h"
#include "live-private.h"
#include "printable.h"

#define NAME_MAX_BYTES 64
/* So long commands that run in the host may take to end; and who was connected may begin
 * one just when it is to stand still. */
#define IDLE_MS 5000

struct LiveSaved {
    char *name;
    Template *state;
    gint64 time_s;
    GStrv unlinked; /* ids of NICs whose link was down */
};

void
live_saved_free(LiveSaved *saved)
{
    g_free(saved->name);
    template_free(saved->state);
    g_strfreev(saved->unlinked);
    g_free(saved);
}

static gboolean
is_called(gconstpointer saved, gconstpointer name)
{
    return g_strcmp0(((const LiveSaved *)saved)->name, name) == 0;
}

static gboolean
find(const Host *host, const char *name, guint *index)
{
    return g_ptr_array_find_with_equal_func(host->saved, name, is_called, index);
}

/* HB_USAGE: there is none of that name; with those that there are. */
static LiveSaved *
take_name(const Host *host, JsonObject *request, guint *index, GError **error)
{
    const char *name = json_line_string(request, "name");
    if (find(host, name, index))
        return host->saved->pdata[*index];
    g_autoptr(GString) names = g_string_new(NULL);
    for (guint i = 0; i < host->saved->len; i++)
        g_string_append_printf(names, "%s%s", i > 0 ? ", " : "",
                               ((const LiveSaved *)host->saved->pdata[i])->name);
    g_set_error(error, HB_ERROR, HB_USAGE, "nothing is saved of %s as '%s'; there %s%s",
                host->plan->host_id, name ? name : "",
                host->saved->len > 0 ? "is: " : "is nothing", names->str);
    return NULL;
}

static JsonObject *
describe(const LiveSaved *saved)
{
    JsonObject *object = json_object_new();
    json_object_set_string_member(object, "name", saved->name);
    json_object_set_int_member(object, "time", saved->time_s);
    json_object_set_int_member(object, "bytes", template_saved_bytes(saved->state));
    return object;
}

/* ---- save
 * ------------------------------------------------------------------------------------------
 */

static gboolean
check_new_name(const Host *host, const char *name, GError **error)
{
    guint index;
    if (!name || !*name || strlen(name) > NAME_MAX_BYTES || *name == '-' ||
        strspn(name, G_CSET_A_2_Z G_CSET_a_2_z G_CSET_DIGITS "._-") != strlen(name)) {
        g_set_error(error, HB_ERROR, HB_USAGE,
                    "a saved state is called by at most %d letters, digits, dots, "
                    "hyphens and underscores, of which a hyphen is not the first",
                    NAME_MAX_BYTES);
        return FALSE;
    }
    if (!find(host, name, &index))
        return TRUE;
    g_set_error(error, HB_ERROR, HB_USAGE,
                "a state of %s is saved as %s already; 'hostbed save --remove %s %s' "
                "throws it away",
                host->plan->host_id, name, host->plan->host_id, name);
    return FALSE;
}

static gboolean
check_devices(const Host *host, GError **error)
{
    if (!host->changed)
        return TRUE;
    g_set_error(
        error, HB_ERROR, HB_UNSUPPORTED,
        "devices or memory came to %s or left it since it was started, and a saved "
        "state has those of the lab; 'hostbed reset %s' starts it as the lab is written",
        host->plan->host_id, host->plan->host_id);
    return FALSE;
}

static gboolean
is_idle(const Host *host, const char *unused)
{
    return !guest_is_shared(host->boot->guest);
}

/* Who comes meanwhile waits. */
static Template *
save(Host *host, GError **error)
{
    Template *state = NULL;
    GError *reason = NULL;
    const gint64 end_us = g_get_monotonic_time() + IDLE_MS * 1000LL;
    gint64 left_us;
    host->standing = TRUE;
    do {
        g_clear_error(&reason);
        left_us = end_us - g_get_monotonic_time();
        live_emulator_wait(host, (guint)MAX(left_us / 1000, 0), is_idle, NULL);
        state = template_save(host->boot, &reason);
    } while (!state && reason->code == HB_FAIL && left_us > 0);
    host->standing = FALSE;
    if (!state)
        g_propagate_error(error, reason);
    return state;
}

static GStrv
keys_of(GHashTable *set)
{
    g_autofree gpointer *keys = g_hash_table_get_keys_as_array(set, NULL);
    return g_strdupv((GStrv)keys);
}

static gboolean
check_backend(const Host *host, GError **error)
{
    const char *connect = host->server->options->connect;
    if (!connect)
        return TRUE;
    g_set_error(error, HB_ERROR, HB_UNSUPPORTED,
                "%s was started by libvirt at %s, of whose hosts none can be saved; "
                "'hostbed up' without --connect starts one that can",
                host->plan->host_id, connect);
    return FALSE;
}

JsonObject *
live_save(Host *host, JsonObject *request, GError **error)
{
    const char *name = json_line_string(request, "name");
    if (!check_backend(host, error) || !check_new_name(host, name, error) ||
        !check_devices(host, error) || !live_disk_flows(host, NULL, error))
        return NULL;
    Template *state = save(host, error);
    if (!state)
        return NULL;
    LiveSaved *saved = g_new0(LiveSaved, 1);
    *saved = (LiveSaved){g_strdup(name), state, g_get_real_time() / G_USEC_PER_SEC,
                         keys_of(host->unlinked)};
    g_ptr_array_add(host->saved, saved);
    g_message("%s: saved as %s", host->plan->host_id, name);
    return describe(saved);
}

JsonObject *
live_saved_list(Host *host, JsonObject *request, GError **error)
{
    JsonArray *array = json_array_new();
    for (guint i = 0; i < host->saved->len; i++)
        json_array_add_object_element(array, describe(host->saved->pdata[i]));
    JsonObject *answer = json_object_new();
    json_object_set_array_member(answer, "states", array);
    return answer;
}

JsonObject *
live_saved_remove(Host *host, JsonObject *request, GError **error)
{
    guint index;
    const LiveSaved *saved = take_name(host, request, &index, error);
    if (!saved)
        return NULL;
    JsonObject *answer = describe(saved);
    g_ptr_array_remove_index(host->saved, index);
    return answer;
}

/* ---- restore
 * ------------------------------------------------------------------------------------------
 */

static Boot *
start(Host *host, const LiveSaved *saved, GError **error)
{
    const TemplateStart start = {.log_dir = host->log_dir,
                                 .interrupt = host->server->interrupt,
                                 .segments = host->server->segments};
    return template_restore(saved->state, &start, error);
}

/* What else was so: the emulator starts with all links up. */
static gboolean
pull_cables(Host *host, const LiveSaved *saved, GError **error)
{
    for (GStrv id = saved->unlinked; *id; id++)
        if (!live_link_set(host, *id, FALSE, error))
            return FALSE;
    return TRUE;
}

static gboolean
become(Host *host, const LiveSaved *saved, GError **error)
{
    if (host->boot)
        live_host_cut(host);
    live_host_set(host->told, LIVE_STARTING);
    live_server_write(host->server);
    host->boot = start(host, saved, error);
    if (!host->boot)
        return FALSE;
    host->is_clone = TRUE;
    live_host_came(host);
    live_server_write(host->server);
    return pull_cables(host, saved, error) && live_host_let_in(host->server, error);
}

JsonObject *
live_restore(Host *host, JsonObject *request, GError **error)
{
    guint index;
    g_autoptr(GError) reason = NULL;
    const LiveSaved *saved = take_name(host, request, &index, error);
    if (!saved || (!host->boot && !live_host_check_memory(host, error)) ||
        !live_host_make_log_dir(host, error))
        return NULL;
    host->standing = TRUE;
    const gboolean ok = become(host, saved, &reason);
    host->standing = FALSE;
    if (!ok) {
        live_host_stop(host);
        live_host_fail(host->told, reason);
        live_server_write(host->server);
        g_propagate_error(error, g_steal_pointer(&reason));
        return NULL;
    }
    g_message("%s: restored from %s", host->plan->host_id, saved->name);
    g_autoptr(GPtrArray) results = live_check_until_same(host, error);
    JsonObject *answer = results ? live_check_answer(results) : NULL;
    if (answer)
        json_object_set_string_member(answer, "name", saved->name);
    return answer;
}
