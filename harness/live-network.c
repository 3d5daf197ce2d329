/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The networks of NICs that come to a host that is up, or leave it. What joins hosts is a
 * port of the lab's segments, which an emulator that is ours is handed while it runs.
 * One of libvirt's has what its channels lead to, which all were made at its start: it
 * keeps the end of a NIC that left, for one of the same name on the same network.
 */
#include <unistd.h>

#include "boot.h"
#include "emit.h"
#include "error.h"
#include "live-private.h"

/* Hubs of networks that no NIC was on at the start. */
#define HUB_LATER 1000

static gboolean
is_libvirts(const Host *host)
{
    return host->server->options->connect != NULL;
}

static gboolean
refuse(const PlanFunction *nic, const char *why, GError **error)
{
    g_set_error(error, HB_ERROR, HB_UNSUPPORTED,
                "the network %s %s; write the <nic> into the lab, or choose another "
                "network",
                nic->network, why);
    return FALSE;
}

/* Whether the emulator has the end of NIC's network, of one of this name that left. */
static gboolean
was_there(const Host *host, const PlanFunction *nic)
{
    const PlanFunction *first = plan_function(host->start, nic->id);
    return first && plan_is_joined(first) && g_strcmp0(first->network, nic->network) == 0;
}

static gboolean
find(const Host *host, PlanFunction *nic, GError **error)
{
    Segments *segments = host->server->segments;
    const gboolean leads_out =
        nic->network && segments && segments_has(segments, nic->network);
    if (nic->joined && !leads_out)
        return refuse(nic, "joined no hosts when they came up", error);
    nic->joined = leads_out;
    if (!is_libvirts(host) || !nic->network || was_there(host, nic))
        return TRUE;
    const PlanFunction *first = plan_function(host->start, nic->id);
    if (first && plan_is_joined(first)) {
        g_set_error(error, HB_ERROR, HB_USAGE,
                    "the emulator has still what led the NIC %s, which left, to the "
                    "network %s; choose another id",
                    nic->id, first->network);
        return FALSE;
    }
    return !leads_out ||
           refuse(nic,
                  "joins hosts, and libvirt (--connect) gives a host what leads to "
                  "others only at its start",
                  error);
}

gboolean
live_network_find(const Host *host, Plan *plan, const char *id, GError **error)
{
    for (guint i = 0; i < plan->functions->len; i++) {
        PlanFunction *function = plan->functions->pdata[i];
        if (g_strcmp0(function->id, id) == 0)
            return find(host, function, error);
    }
    g_assert_not_reached();
}

/* Networks have the hubs that the command line gave them; later ones have others. */
static guint
hub_of(const Host *host, const char *network)
{
    guint index = 0;
    const Lab *lab = host->server->options->lab;
    g_autoptr(GPtrArray) names = plan_networks(host->start);
    if (g_ptr_array_find_with_equal_func(names, network, g_str_equal, &index))
        return index;
    while (index < lab->networks->len &&
           !g_str_equal(((const LabNetwork *)lab->networks->pdata[index])->id, network))
        index++;
    return HUB_LATER + index;
}

/* The emulator has the port under this name from here on, until a netdev takes it. */
static JsonObject *
hand_over_port(Host *host, const PlanFunction *nic, GError **error)
{
    g_autofree char *port = boot_port_name(host->plan, nic);
    JsonObject *arguments = json_object_new();
    int fd = segments_connect(host->server->segments, nic->network, port, error);
    json_object_set_string_member(arguments, "fdname", nic->id);
    gboolean has =
        fd >= 0 && live_emulator_hand_over(host, "getfd", arguments, fd, error);
    if (fd < 0)
        json_object_unref(arguments);
    else
        close(fd);
    if (has)
        return emit_qemu_port(nic, nic->id);
    segments_disconnect(host->server->segments, nic->network, port);
    return NULL;
}

gboolean
live_network_open(Host *host, const PlanFunction *nic, JsonObject **netdev,
                  GError **error)
{
    *netdev = NULL;
    if (!nic->network || (plan_is_joined(nic) && is_libvirts(host)))
        return TRUE;
    *netdev = plan_is_joined(nic) ? hand_over_port(host, nic, error)
                                  : emit_qemu_hub(nic, hub_of(host, nic->network));
    return *netdev != NULL;
}

void
live_network_abandon(Host *host, const PlanFunction *nic)
{
    if (plan_is_joined(nic) && !is_libvirts(host)) {
        JsonObject *arguments = json_object_new();
        json_object_set_string_member(arguments, "fdname", nic->id);
        live_emulator_command(host, "closefd", arguments, NULL);
    }
    live_network_close(host, nic);
}

gboolean
live_network_stays(const Host *host, const PlanFunction *nic)
{
    return plan_is_joined(nic) && is_libvirts(host);
}

void
live_network_close(const Host *host, const PlanFunction *nic)
{
    g_autofree char *port = boot_port_name(host->plan, nic);
    if (!plan_is_joined(nic))
        return;
    if (is_libvirts(host))
        segments_set_port_loss(host->server->segments, nic->network, port, 0, 0);
    else
        segments_disconnect(host->server->segments, nic->network, port);
}

void
live_network_forget(const Host *host)
{
    const GPtrArray *functions = host->plan->functions;
    for (guint i = 0; i < functions->len; i++) {
        const PlanFunction *function = functions->pdata[i];
        if (plan_is_joined(function) && !was_there(host, function))
            live_network_close(host, function);
    }
}
