/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Has the hosts of a lab let each other in by ssh (lab-ssh.h).
 */
#include <string.h>

#include "boot-private.h"
#include "error.h"
#include "lab-boot-private.h"
#include "lab-ssh.h"
#include "printable.h"

/* Making keys takes seconds; this is for emulation on a busy machine. */
#define RUN_MS 180000
#define REASON_MAX 300

/* What a command says: standard output and errors. */
typedef struct {
    GString *text[2];
} Said;

static void
on_output(int stream, const guint8 *data, gsize length, gpointer user_data)
{
    GString *text = ((Said *)user_data)->text[stream - 1];
    gsize room = LAB_SSH_KEYS_MAX - text->len;
    g_string_append_len(text, (const char *)data, (gssize)MIN(length, room));
}

/* What SCRIPT says on its standard output, owned by the caller; NULL: it failed. */
static char *
run(Boot *boot, const char *script, GError **error)
{
    const char *const argv[] = {"sh", "-c", script, NULL};
    g_autoptr(GString) output = g_string_new(NULL);
    g_autoptr(GString) errors = g_string_new(NULL);
    g_autoptr(GError) reason = NULL;
    Said said = {{output, errors}};
    GuestExit end = {0};
    const GuestCommand command = {.argv = argv,
                                  .stdin_fd = -1,
                                  .stdout_fd = -1,
                                  .stderr_fd = -1,
                                  .output = on_output,
                                  .user_data = &said,
                                  .timeout_ms = RUN_MS};
    if (!guest_run(boot->guest, &command, &end, boot_cancellable(boot), &reason)) {
        boot_explain(boot, &reason);
        g_propagate_error(error, g_steal_pointer(&reason));
        return NULL;
    }
    if (end.status == 0 && end.signal == 0 && !end.timed_out)
        return g_strdup(output->str);
    g_strchomp(errors->str);
    g_autofree char *words = printable(errors->str, strlen(errors->str), REASON_MAX);
    g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE, "its keys for ssh %s: %s; logs: %s",
                end.timed_out ? "were not there in time" : "cannot be made",
                *words ? words : "without a word", boot->log_dir);
    return NULL;
}

static gboolean
put(Boot *boot, const char *path, char *text, GError **error)
{
    g_autoptr(GBytes) bytes = g_bytes_new_take(text, strlen(text));
    g_autoptr(GError) reason = NULL;
    if (guest_put(boot->guest, path, 0400, bytes, boot_cancellable(boot), &reason))
        return TRUE;
    boot_explain(boot, &reason);
    g_propagate_error(error, g_steal_pointer(&reason));
    return FALSE;
}

static gboolean
tell(Boot *boot, const GPtrArray *keys, GError **error)
{
    const Plan *plan = boot->recipe->plan;
    if (!put(boot, LAB_SSH_KNOWN_PATH, lab_ssh_known(plan, keys), error) ||
        !put(boot, LAB_SSH_USERS_PATH, lab_ssh_users(plan, keys), error) ||
        !put(boot, LAB_SSH_CONFIG_PATH, lab_ssh_config(plan, keys), error))
        return FALSE;
    g_autofree char *nothing = run(boot, lab_ssh_tell, error);
    return nothing != NULL;
}

static gboolean
add_keys(Boot *boot, GPtrArray *keys, GError **error)
{
    g_autofree char *text = run(boot, lab_ssh_ask, error);
    if (!text)
        return FALSE;
    g_ptr_array_add(keys, lab_ssh_keys(boot->recipe->plan->host_id, text));
    return TRUE;
}

/* The micro image has no ssh. */
static gboolean
takes_part(const Boot *boot)
{
    const Plan *plan = boot->recipe->plan;
    return plan->image && plan->names->len > 0;
}

gboolean
lab_boot_let_in(const GPtrArray *boots, GError **error)
{
    g_autoptr(GPtrArray) keys =
        g_ptr_array_new_with_free_func((GDestroyNotify)lab_ssh_keys_free);
    gboolean ok = TRUE;
    for (guint step = 0; step < 2; step++) {
        for (guint i = 0; ok && i < boots->len; i++) {
            Boot *boot = boots->pdata[i];
            ok = !takes_part(boot) ||
                 (step == 0 ? add_keys(boot, keys, error) : tell(boot, keys, error));
            if (!ok && error)
                g_prefix_error(error, "host '%s': ", boot->recipe->plan->host_id);
        }
    }
    return ok;
}
