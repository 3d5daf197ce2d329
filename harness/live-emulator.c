/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What is asked of the emulator of a host that is up, and waited for.
 */
#include "error.h"
#include "live-private.h"

/* No command of the monitor waits for the guest; a busy machine is slow. */
#define COMMAND_MS 30000

static JsonNode *
call(Host *host, const char *name, JsonObject *arguments, int fd, GError **error)
{
    return qmp_call(machine_qmp(host->boot->machine), name, arguments, fd, COMMAND_MS,
                    error);
}

JsonNode *
live_emulator_ask(Host *host, const char *name, JsonObject *arguments, GError **error)
{
    return call(host, name, arguments, -1, error);
}

gboolean
live_emulator_hand_over(Host *host, const char *name, JsonObject *arguments, int fd,
                        GError **error)
{
    g_autoptr(JsonNode) result = call(host, name, arguments, fd, error);
    return result != NULL;
}

gboolean
live_emulator_command(Host *host, const char *name, JsonObject *arguments, GError **error)
{
    g_autoptr(JsonNode) result = live_emulator_ask(host, name, arguments, error);
    return result != NULL;
}

gboolean
live_emulator_has(Host *host, const char *id)
{
    JsonObject *arguments = json_object_new();
    g_autofree char *path = g_strconcat("/machine/peripheral/", id, NULL);
    json_object_set_string_member(arguments, "path", path);
    return live_emulator_command(host, "qom-list", arguments, NULL);
}

gboolean
live_emulator_is_free(Host *host, const char *id, GError **error)
{
    if (!live_emulator_has(host, id))
        return TRUE;
    g_set_error(error, HB_ERROR, HB_USAGE,
                "the emulator has a device '%s' already, which is none of the lab's; "
                "choose another id",
                id);
    return FALSE;
}

static gboolean
on_late(gpointer user_data)
{
    *(gboolean *)user_data = TRUE;
    return G_SOURCE_CONTINUE;
}

LiveWait
live_emulator_wait(Host *host, guint limit_ms, LiveCondition is_met, const char *id)
{
    gboolean late = FALSE;
    GCancellable *gone = boot_cancellable(host->boot);
    guint timer = g_timeout_add(limit_ms, on_late, &late);
    while (!late && !g_cancellable_is_cancelled(gone) && !(is_met && is_met(host, id)))
        g_main_context_iteration(NULL, TRUE);
    g_source_remove(timer);
    if (is_met && is_met(host, id))
        return LIVE_WAIT_MET;
    return g_cancellable_is_cancelled(gone) ? LIVE_WAIT_ENDED : LIVE_WAIT_LATE;
}
