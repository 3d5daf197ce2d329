/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The files of an entry, by name: what each is of, and in which order they come.
 */
#include <string.h>

#include "template-store.h"

#define PEER_PREFIX "peer-"
#define MEMORIES_MAX 256 /* the emulator's slots for memory */
#define DISKS_MAX 32     /* layers */

static const char *const parts[] = {"state", "memory-", "disk-", "networks"};

char *
template_file_name(guint host, TemplatePart part, guint index)
{
    g_autofree char *peer = host > 0 && part != TEMPLATE_NETWORKS
                                ? g_strdup_printf(PEER_PREFIX "%u-", host)
                                : g_strdup("");
    return part == TEMPLATE_STATE || part == TEMPLATE_NETWORKS
               ? g_strconcat(peer, parts[part], NULL)
               : g_strdup_printf("%s%s%u", peer, parts[part], index);
}

TemplatePart
template_file_part(const char *name)
{
    TemplatePart part = TEMPLATE_NETWORKS;
    if (g_str_has_prefix(name, PEER_PREFIX)) {
        name += strlen(PEER_PREFIX);
        name += strspn(name, "0123456789-");
    }
    while (part > TEMPLATE_STATE && !g_str_has_prefix(name, parts[part]))
        part--;
    return part;
}

static gboolean
is_called(const char *name, guint host, TemplatePart part, guint index)
{
    g_autofree char *right = template_file_name(host, part, index);
    return g_str_equal(name, right);
}

/* A host is whole once it has memory; its disks are behind that. */
gboolean
template_order_take(TemplateOrder *order, guint peers, const char *name)
{
    gboolean whole = order->hosts == 0 || order->memories > 0;
    guint host = order->hosts - 1;
    if (order->networks)
        return FALSE;
    if (whole && order->hosts <= peers &&
        is_called(name, order->hosts, TEMPLATE_STATE, 0)) {
        *order = (TemplateOrder){.hosts = order->hosts + 1};
        return TRUE;
    }
    if (order->hosts == 0)
        return FALSE;
    if (order->disks == 0 && order->memories < MEMORIES_MAX &&
        is_called(name, host, TEMPLATE_MEMORY, order->memories))
        return ++order->memories;
    if (whole && order->disks < DISKS_MAX &&
        is_called(name, host, TEMPLATE_DISK, order->disks))
        return ++order->disks;
    order->networks = whole && peers > 0 && order->hosts == peers + 1 &&
                      is_called(name, 0, TEMPLATE_NETWORKS, 0);
    return order->networks;
}

gboolean
template_order_is_whole(const TemplateOrder *order, guint peers)
{
    return order->hosts == peers + 1 && order->memories > 0 &&
           order->networks == (peers > 0);
}

guint
template_about_files_of(const TemplateAbout *about, guint host, guint *first)
{
    const GPtrArray *files = about->files;
    guint begin = 0;
    while (begin < files->len &&
           !is_called(((const TemplateFile *)files->pdata[begin])->name, host,
                      TEMPLATE_STATE, 0))
        begin++;
    guint end = begin;
    while (end < files->len) {
        const TemplateFile *file = files->pdata[end];
        TemplatePart part = template_file_part(file->name);
        if (part == TEMPLATE_NETWORKS || (part == TEMPLATE_STATE && end > begin))
            break;
        end++;
    }
    *first = begin;
    return end - begin;
}
