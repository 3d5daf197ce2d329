/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Devices that leave a host that is up without its being asked: its agent tears them out
 * of their ports (vmtests/agent-slot.c), and the kernel finds them gone; or, where it is
 * not told, does not, until it is or finds out by itself.
 */
#include <string.h>

#include "error.h"
#include "image.h"
#include "lab-boot-private.h"
#include "live-private.h"

/* ---- out of the port
 * ------------------------------------------------------------------------------------------
 */

gboolean
live_surprise_tear_out(Host *host, const PlanFunction *function, gboolean untold,
                       GError **error)
{
    g_autofree LiveTorn *torn = g_new0(LiveTorn, 1);
    pci_address_text(function->parent->address, torn->port);
    pci_address_text(function->address, torn->function);
    torn->untold = untold;
    const char *const argv[] = {IMAGE_AGENT_PATH, "--tear-out", torn->port,
                                untold ? "untold" : NULL, NULL};
    if (!lab_boot_run(host->boot, argv, NULL, error))
        return FALSE;
    g_hash_table_insert(host->torn, g_strdup(function->id), g_steal_pointer(&torn));
    return TRUE;
}

/* ---- out of the kernel
 * ------------------------------------------------------------------------------------------
 */

static gboolean
tell(Host *host, LiveTorn *torn, GError **error)
{
    const char *const argv[] = {IMAGE_AGENT_PATH, "--tell", torn->function, NULL};
    if (torn->untold && !lab_boot_run(host->boot, argv, NULL, error))
        return FALSE;
    torn->untold = FALSE;
    return TRUE;
}

gboolean
live_surprise_await(Host *host, const char *id, GError **error)
{
    g_autofree char *said = NULL;
    LiveTorn *torn = g_hash_table_lookup(host->torn, id);
    if (!torn)
        return TRUE;
    const char *const argv[] = {IMAGE_AGENT_PATH, "--await-gone", torn->port,
                                torn->function, NULL};
    if (!tell(host, torn, error) || !lab_boot_run(host->boot, argv, &said, error))
        return FALSE;
    if (g_str_equal(g_strchomp(said), "gone")) {
        g_hash_table_remove(host->torn, id);
        return TRUE;
    }
    g_set_error(error, HB_ERROR, HB_TIMEOUT,
                "%s is gone, and the host still keeps %s; who uses it there, by VFIO "
                "perhaps, has to let go",
                id, torn->function);
    return FALSE;
}

/* ---- the port afterwards
 * ------------------------------------------------------------------------------------------
 */

GStrv
live_surprise_untold_ports(const Host *host)
{
    GHashTableIter iter;
    gpointer value;
    g_autoptr(GStrvBuilder) ports = g_strv_builder_new();
    g_hash_table_iter_init(&iter, host->torn);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        const LiveTorn *torn = value;
        if (torn->untold)
            g_strv_builder_add(ports, torn->port);
    }
    return g_strv_builder_end(ports);
}

static const char *
torn_out_of(const Host *host, const char *port)
{
    GHashTableIter iter;
    gpointer id, torn;
    g_hash_table_iter_init(&iter, host->torn);
    while (g_hash_table_iter_next(&iter, &id, &torn))
        if (g_str_equal(((const LiveTorn *)torn)->port, port))
            return id;
    return NULL;
}

/* Whether the kernel still has FUNCTION. */
static gboolean
is_kept(Host *host, const char *function)
{
    g_autofree char *said = NULL;
    const char *const argv[] = {
        "sh", "-c",     "[ ! -e \"/sys/bus/pci/devices/$1\" ] || echo kept",
        "sh", function, NULL,
    };
    return !lab_boot_run(host->boot, argv, &said, NULL) || *said;
}

GStrv
live_surprise_kept_ports(Host *host)
{
    guint count;
    g_autofree gpointer *ids = g_hash_table_get_keys_as_array(host->torn, &count);
    g_autoptr(GStrvBuilder) ports = g_strv_builder_new();
    for (guint i = 0; i < count; i++) {
        const LiveTorn *torn = g_hash_table_lookup(host->torn, ids[i]);
        if (is_kept(host, torn->function))
            g_strv_builder_add(ports, torn->port);
    }
    return g_strv_builder_end(ports);
}

gboolean
live_surprise_name_is_free(Host *host, const char *id, GError **error)
{
    LiveTorn *torn = g_hash_table_lookup(host->torn, id);
    if (!torn)
        return TRUE;
    if (is_kept(host, torn->function)) {
        g_set_error(error, HB_ERROR, HB_USAGE,
                    "the host still has %s, which has left the port at %s, and would "
                    "take what comes for it; 'hostbed unplug %s %s' tells it and waits, "
                    "and --port with another name takes another port",
                    id, torn->port, host->plan->host_id, id);
        return FALSE;
    }
    /* It has found out by itself, and may not have done with the slot. */
    torn->untold = FALSE;
    return live_surprise_await(host, id, error);
}

gboolean
live_surprise_port_is_empty(Host *host, const PlanFunction *port, const char *id,
                            GError **error)
{
    char address[PCI_ADDRESS_SIZE];
    g_autofree char *last =
        g_strdup(torn_out_of(host, pci_address_text(port->address, address)));
    return (!last || live_surprise_name_is_free(host, last, error)) &&
           (!id || live_surprise_name_is_free(host, id, error));
}
