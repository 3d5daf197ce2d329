/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Has the hosts of a lab let each other in by ssh (lab-ssh.h).
 */
#include <string.h>

#include "boot-private.h"
#include "lab-boot-private.h"
#include "lab-ssh.h"

/* What SCRIPT says on its standard output, owned by the caller; NULL: it failed. */
static char *
run(Boot *boot, const char *script, GError **error)
{
    const char *const argv[] = {"sh", "-c", script, NULL};
    char *output = NULL;
    if (!lab_boot_run(boot, argv, &output, error) && error)
        g_prefix_error(error, "its keys for ssh: ");
    return output;
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
