/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The hosts of a lab that networks join, as one: clones of the template that is kept of
 * them.
 */
#include "boot-private.h"
#include "boot-warm.h"
#include "lab-boot-private.h"
#include "live-private.h"

/* Why HOSTS, some of the lab's, cannot all come out of one template; NULL: they can. */
static const char *
why_not(const LiveServer *server, const GPtrArray *joined)
{
    const Host *first = joined->pdata[0];
    guint all = 0;
    for (guint i = 0; i < server->hosts->len; i++) {
        const Host *host = server->hosts->pdata[i];
        all += live_host_is_joined(host);
        if (host->boot && live_host_is_joined(host))
            return "hosts run that networks join it with";
        if (host->disk_fds && live_host_is_joined(host))
            return "hosts that networks join it with go on with their disks";
    }
    if (server->uplinks)
        return LAB_BOOT_LED_OUT;
    if (joined->len < all)
        return "not all hosts are wanted that networks join it with";
    if (first->plan->peers->len + 1 < all)
        return "the lab's networks join several groups of hosts";
    return NULL;
}

static GPtrArray *
joined_of(const GPtrArray *hosts)
{
    GPtrArray *joined = g_ptr_array_new();
    for (guint i = 0; i < hosts->len; i++)
        if (live_host_is_joined(hosts->pdata[i]))
            g_ptr_array_add(joined, hosts->pdata[i]);
    return joined;
}

static void
tell(BootWarmKind kind, const char *text, gpointer user_data)
{
    live_host_warn(user_data, kind == BOOT_WARM_WARNING ? "warning" : "step", text);
}

/* The lab's networks are those that the clones came with. */
static void
take(LiveServer *server, LabBoot *lab)
{
    g_clear_pointer(&server->segments, segments_free);
    server->segments = g_steal_pointer(&lab->segments);
    g_ptr_array_set_free_func(lab->boots, NULL);
    for (guint i = 0; i < lab->boots->len; i++) {
        Boot *boot = lab->boots->pdata[i];
        Host *host = live_host_find(server, boot->recipe->plan->host_id);
        host->boot = boot;
        host->is_clone = TRUE;
    }
    lab_boot_free(lab);
}

gboolean
live_warm_joined(LiveServer *server, const GPtrArray *hosts, GError **error)
{
    g_autoptr(GPtrArray) joined = joined_of(hosts);
    if (!server->options->warm || joined->len == 0)
        return TRUE;
    Host *first = joined->pdata[0];
    const char *reason = why_not(server, joined);
    if (reason) {
        g_autofree char *text = g_strconcat("no template, since ", reason, NULL);
        live_host_step(text, first);
        return TRUE;
    }
    g_autoptr(GPtrArray) peers = g_ptr_array_new();
    for (guint i = 1; i < joined->len; i++)
        g_ptr_array_add(peers, (gpointer)((Host *)joined->pdata[i])->plan);
    if (!live_host_make_log_dir(first, error))
        return FALSE;
    BootOptions options = live_host_boot_options(first);
    options.peers_alike = TRUE;
    options.segments = NULL; /* the template has its own */
    LabBoot *lab = lab_warm(&options, peers, tell, error);
    if (!lab)
        return FALSE;
    take(server, lab);
    return TRUE;
}
