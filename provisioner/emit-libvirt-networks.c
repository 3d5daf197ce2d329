/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Networks of a domain that is started. libvirt's own join domains of its machine, as its
 * administrator says; ours are in the emulator, or lead to hostbed by channels, which
 * libvirt carries to wherever hostbed runs.
 *
 * A NIC has two channels, one for either direction, between which and its network's end
 * stand two filters of the emulator's. On a channel each frame has its length before it
 * (domain-frames.h). libvirt makes channels for ports of virtio-serial only, which the
 * guest would see: what it makes a port is made a device that no guest sees, and leaves
 * the channel to the filter.
 */
#include "emit-libvirt.h"
#include "emit-parts.h"
#include "libvirt-alias.h"

/* Without a controller that it belongs to it is nothing but a name. */
#define UNSEEN_DEVICE "nvme-subsys"

/* What comes to a filter does not get to the hub. */
char *
libvirt_write_netdev(LibvirtWriter *writer, const PlanFunction *function)
{
    guint hub = emit_hub_of(writer->plan, function->network);
    g_autofree char *id = emit_netdev_id(function);
    libvirt_write_json_arg(writer, "-netdev", emit_hub_port(id, hub));
    return g_steal_pointer(&id);
}

/* ---- channels
 * ---------------------------------------------------------------------------------- */

static void
write_unseen(LibvirtWriter *writer, const char *alias)
{
    static const char *const not_its[] = {"bus", "nr", "chardev", "name"};
    xmlNode *frontend = NULL;
    libvirt_write_alias_override(writer, &frontend, alias, "driver", "string",
                                 UNSEEN_DEVICE);
    for (gsize i = 0; i < G_N_ELEMENTS(not_its); i++)
        libvirt_write_alias_override(writer, &frontend, alias, not_its[i], "remove",
                                     NULL);
}

static void
write_channel(LibvirtWriter *writer, const char *alias)
{
    xmlNode *channel = libvirt_element(writer->devices, "channel");
    libvirt_attribute(channel, "type", "unix");
    xmlNode *target = libvirt_element(channel, "target");
    libvirt_attribute(target, "type", "virtio");
    libvirt_attribute(target, "name", alias);
    libvirt_attribute(libvirt_element(channel, "alias"), "name", alias);
    write_unseen(writer, alias);
}

/* QUEUE and END are the filter's: what the guest sends is what its network's end
 * receives ("rx"), and goes out ("outdev"). */
static void
write_filter(LibvirtWriter *writer, const PlanFunction *function, const char *alias,
             const char *queue, const char *end)
{
    g_autofree char *netdev = emit_netdev_id(function);
    g_autofree char *id = g_strconcat("hostbed-filter-", alias, NULL);
    g_autofree char *chardev = g_strconcat("char", alias, NULL);
    JsonObject *filter = json_object_new();
    json_object_set_string_member(filter, "qom-type", "filter-redirector");
    json_object_set_string_member(filter, "id", id);
    json_object_set_string_member(filter, "netdev", netdev);
    json_object_set_string_member(filter, "queue", queue);
    json_object_set_string_member(filter, end, chardev);
    libvirt_write_json_arg(writer, "-object", filter);
}

static void
write_ports(LibvirtWriter *writer)
{
    g_autoptr(GPtrArray) joined = plan_joined(writer->plan);
    for (guint i = 0; i < joined->len; i++) {
        g_autofree char *out = libvirt_alias_of_port(i, TRUE);
        g_autofree char *in = libvirt_alias_of_port(i, FALSE);
        write_channel(writer, out);
        write_channel(writer, in);
        write_filter(writer, joined->pdata[i], out, "rx", "outdev");
        write_filter(writer, joined->pdata[i], in, "tx", "indev");
    }
}

static void
add_captured(gpointer writer, const char *option, JsonObject *object)
{
    libvirt_write_json_arg(writer, option, object);
}

void
libvirt_write_networks(LibvirtWriter *writer)
{
    const EmitDomain *start = writer->start;
    if (!start)
        return;
    if (start->has_ports)
        write_ports(writer);
    const EmitCapture capture = {.dir = start->capture_dir,
                                 .has_ports = start->has_ports,
                                 .add = add_captured,
                                 .writer = writer};
    emit_captures(writer->plan, &capture);
}
