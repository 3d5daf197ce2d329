/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Networks within an emulator: the ports of its hubs, and what captures their frames.
 */
#include "emit-parts.h"
#include "emit.h"

char *
emit_netdev_id(const PlanFunction *nic)
{
    return g_strconcat("hostbed-net-", nic->id, NULL);
}

JsonObject *
emit_hub_port(const char *id, guint hub)
{
    JsonObject *netdev = json_object_new();
    json_object_set_string_member(netdev, "type", "hubport");
    json_object_set_string_member(netdev, "id", id);
    json_object_set_int_member(netdev, "hubid", hub);
    return netdev;
}

guint
emit_hub_of(const Plan *plan, const char *network)
{
    guint hub = 0;
    g_autoptr(GPtrArray) networks = plan_networks(plan);
    g_ptr_array_find_with_equal_func(networks, network, g_str_equal, &hub);
    return hub;
}

/* A port of the network's hub sees each frame once. It needs a peer that takes frames, or
 * gets none: a port of a hub of its own, on which another one leads nowhere. */
static void
write_capture(const EmitCapture *capture, const char *network, guint hub, guint sink)
{
    g_autofree char *end = g_strdup_printf("hostbed-sink-end-%u", hub);
    g_autofree char *peer = g_strdup_printf("hostbed-sink-%u", hub);
    g_autofree char *id = g_strdup_printf("hostbed-capture-%u", hub);
    g_autofree char *dump_id = g_strdup_printf("hostbed-dump-%u", hub);
    g_autofree char *file = emit_capture_file(capture->dir, network);
    capture->add(capture->writer, "-netdev", emit_hub_port(end, sink));
    capture->add(capture->writer, "-netdev", emit_hub_port(peer, sink));
    JsonObject *port = emit_hub_port(id, hub);
    json_object_set_string_member(port, "netdev", peer);
    capture->add(capture->writer, "-netdev", port);
    JsonObject *dump = json_object_new();
    json_object_set_string_member(dump, "qom-type", "filter-dump");
    json_object_set_string_member(dump, "id", dump_id);
    json_object_set_string_member(dump, "netdev", id);
    json_object_set_string_member(dump, "file", file);
    json_object_set_int_member(dump, "maxlen", EMIT_CAPTURE_MAX);
    capture->add(capture->writer, "-object", dump);
}

void
emit_captures(const Plan *plan, const EmitCapture *capture)
{
    g_autoptr(GPtrArray) networks = plan_networks(plan);
    for (guint hub = 0; capture->dir && hub < networks->len; hub++)
        if (!capture->has_ports || !plan_joins_hosts(plan, networks->pdata[hub]))
            write_capture(capture, networks->pdata[hub], hub, networks->len + hub);
}
