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

/* ---- and back: STATE may come from anywhere
 * ------------------------------------------------------------------------ */

static gboolean
is_queue_of(const Port *port, GVariant *state)
{
    const char *name;
    gsize queued = 0;
    g_autoptr(GVariant) frames = NULL;
    g_variant_get(state, "(&s@aay)", &name, &frames);
    gsize count = g_variant_n_children(frames);
    if (!g_str_equal(name, port->name) || count > SEGMENT_QUEUE_FRAMES)
        return FALSE;
    for (gsize i = 0; i < count; i++) {
        g_autoptr(GVariant) frame = g_variant_get_child_value(frames, i);
        gsize length = g_variant_get_size(frame);
        if (length < SEGMENT_FRAME_MIN || length > SEGMENT_FRAME_MAX)
            return FALSE;
        queued += length;
    }
    return queued <= SEGMENT_QUEUE_BYTES;
}

static gboolean
is_state_of_segment(const Segment *segment, GVariant *state)
{
    const char *name;
    guint per_mille;
    g_autoptr(GVariant) ports = NULL;
    g_variant_get(state, "(&sut(ttttt)@a(saay))", &name, &per_mille, NULL, NULL, NULL,
                  NULL, NULL, NULL, &ports);
    if (!g_str_equal(name, segment->name) || per_mille > 1000 ||
        g_variant_n_children(ports) != segment->ports->len)
        return FALSE;
    for (guint i = 0; i < segment->ports->len; i++) {
        g_autoptr(GVariant) port = g_variant_get_child_value(ports, i);
        if (!is_queue_of(segment->ports->pdata[i], port))
            return FALSE;
    }
    return TRUE;
}

/* Segments and their ports come in the same order where the hosts do. */
static gboolean
is_state_of(const Segments *segments, GVariant *state)
{
    if (!g_variant_is_normal_form(state) ||
        g_variant_n_children(state) != segments->list->len)
        return FALSE;
    for (guint i = 0; i < segments->list->len; i++) {
        g_autoptr(GVariant) one = g_variant_get_child_value(state, i);
        if (!is_state_of_segment(segments->list->pdata[i], one))
            return FALSE;
    }
    return TRUE;
}

static void
restore_queue(Port *port, GVariant *state)
{
    g_autoptr(GVariant) frames = g_variant_get_child_value(state, 1);
    for (gsize i = 0; i < g_variant_n_children(frames); i++) {
        g_autoptr(GVariant) frame = g_variant_get_child_value(frames, i);
        g_autoptr(GBytes) bytes = g_variant_get_data_as_bytes(frame);
        port_enqueue(port, bytes);
    }
}

static void
restore_segment(Segment *segment, GVariant *state)
{
    SegmentCounts *counts = &segment->counts;
    g_autoptr(GVariant) ports = NULL;
    g_variant_get(state, "(&sut(ttttt)@a(saay))", NULL, &segment->per_mille,
                  &segment->random, &counts->frames, &counts->delivered, &counts->lost,
                  &counts->dropped, &counts->refused, &ports);
    for (guint i = 0; i < segment->ports->len; i++) {
        g_autoptr(GVariant) port = g_variant_get_child_value(ports, i);
        restore_queue(segment->ports->pdata[i], port);
    }
}

gboolean
segments_restore(Segments *segments, GBytes *state, GError **error)
{
    g_autoptr(GVariant) list = g_variant_ref_sink(
        g_variant_new_from_bytes(G_VARIANT_TYPE(STATE_TYPE), state, FALSE));
    g_mutex_lock(&segments->lock);
    segments->held = TRUE;
    gboolean fits = is_state_of(segments, list);
    for (guint i = 0; fits && i < segments->list->len; i++) {
        g_autoptr(GVariant) one = g_variant_get_child_value(list, i);
        restore_segment(segments->list->pdata[i], one);
    }
    g_mutex_unlock(&segments->lock);
    if (!fits)
        g_set_error(error, HB_ERROR, HB_FAIL,
                    "what was frozen on the networks is not of these hosts");
    return fits;
}
