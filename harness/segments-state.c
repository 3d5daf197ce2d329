/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Segments at one instant, as bytes: what waits on them, and how losses go on.
 */
#include <string.h>

#include "error.h"
#include "segments-private.h"

/* Of each segment: its name, losses in a thousand, what the next depends on, its counts;
 * of each of its ports: its name, the frames that wait for it. */
#define STATE_TYPE "a(sut(ttttt)a(saay))"

/* What has come since is in the sockets. */
static void
take_all(const Segments *segments)
{
    for (guint i = 0; i < segments->list->len; i++) {
        const Segment *segment = segments->list->pdata[i];
        for (guint j = 0; j < segment->ports->len; j++)
            port_take(segment->ports->pdata[j], SEGMENT_QUEUE_FRAMES);
    }
}

static GVariant *
port_state(const Port *port)
{
    GVariantBuilder frames;
    g_variant_builder_init(&frames, G_VARIANT_TYPE("aay"));
    for (const GList *link = port->queue.head; link; link = link->next)
        g_variant_builder_add_value(
            &frames, g_variant_new_from_bytes(G_VARIANT_TYPE("ay"), link->data, TRUE));
    return g_variant_new("(saay)", port->name, &frames);
}

static GVariant *
segment_state(const Segment *segment)
{
    const SegmentCounts *counts = &segment->counts;
    GVariantBuilder ports;
    g_variant_builder_init(&ports, G_VARIANT_TYPE("a(saay)"));
    for (guint i = 0; i < segment->ports->len; i++)
        g_variant_builder_add_value(&ports, port_state(segment->ports->pdata[i]));
    return g_variant_new("(sut(ttttt)a(saay))", segment->name, segment->per_mille,
                         segment->random, counts->frames, counts->delivered, counts->lost,
                         counts->dropped, counts->refused, &ports);
}

GBytes *
segments_state(Segments *segments)
{
    GVariantBuilder list;
    g_variant_builder_init(&list, G_VARIANT_TYPE(STATE_TYPE));
    g_mutex_lock(&segments->lock);
    take_all(segments);
    for (guint i = 0; i < segments->list->len; i++)
        g_variant_builder_add_value(&list, segment_state(segments->list->pdata[i]));
    g_mutex_unlock(&segments->lock);
    g_autoptr(GVariant) state = g_variant_ref_sink(g_variant_builder_end(&list));
    return g_variant_get_data_as_bytes(state);
}

static Port *
find_port(const Segment *segment, const char *name)
{
    for (guint i = 0; i < segment->ports->len; i++) {
        Port *port = segment->ports->pdata[i];
        if (g_str_equal(port->name, name))
            return port;
    }
    return NULL;
}

static gboolean
restore_ports(const Segment *segment, GVariantIter *ports)
{
    const char *name;
    GVariantIter *frames;
    while (g_variant_iter_loop(ports, "(&saay)", &name, &frames)) {
        Port *port = find_port(segment, name);
        GVariant *frame;
        while (port && (frame = g_variant_iter_next_value(frames))) {
            g_autoptr(GBytes) bytes = g_variant_get_data_as_bytes(frame);
            port_enqueue(port, bytes);
            g_variant_unref(frame);
        }
        if (!port) {
            g_variant_iter_free(frames);
            return FALSE;
        }
    }
    return TRUE;
}

static gboolean
restore_segment(Segments *segments, GVariant *state)
{
    const char *name;
    guint per_mille;
    guint64 random;
    SegmentCounts counts;
    g_autoptr(GVariantIter) ports = NULL;
    g_variant_get(state, "(&sut(ttttt)a(saay))", &name, &per_mille, &random,
                  &counts.frames, &counts.delivered, &counts.lost, &counts.dropped,
                  &counts.refused, &ports);
    Segment *segment = segments_find(segments, name);
    if (!segment)
        return FALSE;
    segment->per_mille = per_mille;
    segment->random = random;
    segment->counts = counts;
    return restore_ports(segment, ports);
}

gboolean
segments_restore(Segments *segments, GBytes *state, GError **error)
{
    g_autoptr(GVariant) list = g_variant_ref_sink(
        g_variant_new_from_bytes(G_VARIANT_TYPE(STATE_TYPE), state, FALSE));
    gboolean fits = TRUE;
    g_mutex_lock(&segments->lock);
    segments->held = TRUE;
    for (gsize i = 0; i < g_variant_n_children(list) && fits; i++) {
        g_autoptr(GVariant) one = g_variant_get_child_value(list, i);
        fits = restore_segment(segments, one);
    }
    g_mutex_unlock(&segments->lock);
    if (!fits)
        g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE,
                    "what was frozen on the networks is not of these hosts");
    return fits;
}
