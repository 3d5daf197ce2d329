/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * One agent for several who speak with it. Each has the protocol for himself, with
 * channels as he numbers them; a request of his has one of ours, and frames go to and fro
 * between the two. Windows are between the two ends, so that what waits here is bounded
 * by them, and one who does not read holds up nobody else.
 */
#include "guest-call.h"

#include <signal.h>
#include <string.h>

#include "wire.h"

/* Who speaks with the agent beside us. */
typedef struct {
    Guest *guest;
    Wire *wire;
    guint leaving; /* source: he has left */
} Sharer;

/* A request of his. */
typedef struct {
    Sharer *sharer;     /* NULL: he has left, and the request's end is awaited */
    guint theirs, ours; /* its channel on either side */
    gboolean is_command;
    gsize room;    /* bytes of STDIN that he may send */
    gsize held[3]; /* bytes that he has and did not give back: held_index() */
} Lane;

static int
held_index(guint stream)
{
    return stream == HB_FRAME_STDOUT   ? 0
           : stream == HB_FRAME_STDERR ? 1
           : stream == HB_FRAME_DATA   ? 2
                                       : -1;
}

static const HbFrame held_streams[] = {HB_FRAME_STDOUT, HB_FRAME_STDERR, HB_FRAME_DATA};

static Lane *
find_lane(Sharer *sharer, guint theirs)
{
    GHashTableIter iter;
    gpointer value;
    g_hash_table_iter_init(&iter, sharer->guest->lanes);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        Lane *lane = value;
        if (lane->sharer == sharer && lane->theirs == theirs)
            return lane;
    }
    return NULL;
}

/* ---- one leaves
 * ------------------------------------------------------------------------------------ */

/* What is left of a request of his ends, which it could not without credit. */
static void
abandon(Lane *lane)
{
    Wire *wire = lane->sharer->guest->wire;
    lane->sharer = NULL;
    if (lane->is_command)
        wire_send_u32(wire, HB_FRAME_SIGNAL, lane->ours, SIGKILL);
    for (gsize i = 0; i < G_N_ELEMENTS(held_streams); i++) {
        if (lane->held[i] > 0)
            wire_send_credit(wire, lane->ours, held_streams[i], lane->held[i]);
        lane->held[i] = 0;
    }
}

static void
sharer_free(Sharer *sharer)
{
    GHashTableIter iter;
    gpointer value;
    g_hash_table_iter_init(&iter, sharer->guest->lanes);
    while (g_hash_table_iter_next(&iter, NULL, &value))
        if (((Lane *)value)->sharer == sharer)
            abandon(value);
    g_clear_handle_id(&sharer->leaving, g_source_remove);
    wire_free(sharer->wire);
    g_free(sharer);
}

static gboolean
on_leaving(gpointer user_data)
{
    Sharer *sharer = user_data;
    sharer->leaving = 0;
    g_ptr_array_remove_fast(sharer->guest->sharers, sharer);
    sharer_free(sharer);
    return G_SOURCE_REMOVE;
}

static void
on_left(gpointer user_data)
{
    Sharer *sharer = user_data;
    if (!sharer->leaving)
        sharer->leaving = g_idle_add(on_leaving, sharer);
}

void
share_end(Guest *guest)
{
    for (guint i = 0; i < guest->sharers->len; i++)
        sharer_free(guest->sharers->pdata[i]);
    g_ptr_array_set_size(guest->sharers, 0);
    if (wire_ended(guest->wire))
        g_hash_table_remove_all(guest->lanes);
    guest_choose_watch(guest);
}

/* ---- from him to the agent
 * ------------------------------------------------------------------------- */

static void
refuse(Sharer *sharer, guint channel, const char *reason)
{
    wire_send(sharer->wire, HB_FRAME_FAILED, channel, reason, strlen(reason) + 1);
}

static void
begin(Sharer *sharer, guint type, guint channel, const guint8 *payload, gsize length)
{
    if (find_lane(sharer, channel)) {
        wire_fail(sharer->wire, HB_FAIL, "channel %u is in use", channel);
        return;
    }
    Guest *guest = sharer->guest;
    guint ours = guest_take_channel(guest);
    if (ours == 0) {
        refuse(sharer, channel, "as many commands run in the host as it can serve");
        return;
    }
    Lane *lane = g_new0(Lane, 1);
    *lane = (Lane){.sharer = sharer,
                   .theirs = channel,
                   .ours = ours,
                   .is_command = type == HB_FRAME_RUN,
                   .room = HB_WIRE_WINDOW};
    g_hash_table_insert(guest->lanes, GUINT_TO_POINTER(ours), lane);
    guest_choose_watch(guest);
    wire_send(guest->wire, (HbFrame)type, ours, payload, length);
}

/* FALSE: he gives back what he never had, or sends without room; the agent would end its
 * conversation with everybody. */
static gboolean
keeps_to_windows(Lane *lane, guint type, const guint8 *payload, gsize length)
{
    if (type == HB_FRAME_STDIN) {
        if (length > lane->room)
            return FALSE;
        lane->room -= length;
    } else if (type == HB_FRAME_CREDIT) {
        int index =
            length == 8 ? held_index((guint)payload[0] | (guint)payload[1] << 8) : -1;
        gsize bytes = index < 0 ? 0 : wire_u32(payload + 4);
        if (index < 0 || bytes > lane->held[index])
            return FALSE;
        lane->held[index] -= bytes;
    }
    return TRUE;
}

static void
on_request(guint type, guint channel, const guint8 *payload, gsize length,
           gpointer user_data)
{
    Sharer *sharer = user_data;
    if (type == HB_FRAME_RUN || type == HB_FRAME_OBSERVE || type == HB_FRAME_GET) {
        begin(sharer, type, channel, payload, length);
        return;
    }
    /* One that was left half-way would stay for ever. */
    if (type == HB_FRAME_PUT) {
        refuse(sharer, channel, "files are put by those who own the host only");
        return;
    }
    Lane *lane = find_lane(sharer, channel);
    if (!lane || type == HB_FRAME_DATA)
        return;
    if (keeps_to_windows(lane, type, payload, length))
        wire_send(sharer->guest->wire, (HbFrame)type, lane->ours, payload, length);
    else
        wire_fail(sharer->wire, HB_FAIL, "more was sent than there was room for");
}

/* ---- from the agent to him
 * ------------------------------------------------------------------------- */

gboolean
share_frame(Guest *guest, guint type, guint channel, const guint8 *payload, gsize length)
{
    Lane *lane = g_hash_table_lookup(guest->lanes, GUINT_TO_POINTER(channel));
    if (!lane)
        return FALSE;
    int index = length > 0 ? held_index(type) : -1;
    if (type == HB_FRAME_CREDIT && length == 8)
        lane->room += wire_u32(payload + 4);
    if (index >= 0 && length > HB_WIRE_WINDOW - lane->held[index]) {
        wire_fail(
            guest->wire, HB_FAIL,
            "the host's agent broke its protocol: more output than it had room for");
        return TRUE;
    }
    if (index >= 0 && lane->sharer)
        lane->held[index] += length;
    else if (index >= 0)
        wire_send_credit(guest->wire, channel, (HbFrame)type, length);
    if (lane->sharer)
        wire_send(lane->sharer->wire, (HbFrame)type, lane->theirs, payload, length);
    if (type == HB_FRAME_EXIT || type == HB_FRAME_DONE || type == HB_FRAME_FAILED ||
        (type == HB_FRAME_OBSERVATION && length == 0)) {
        g_hash_table_remove(guest->lanes, GUINT_TO_POINTER(channel));
        guest_choose_watch(guest);
    }
    return TRUE;
}

gboolean
guest_is_shared(const Guest *guest)
{
    return g_hash_table_size(guest->lanes) > 0;
}

void
guest_share(Guest *guest, int fd)
{
    Sharer *sharer = g_new0(Sharer, 1);
    sharer->guest = guest;
    sharer->wire = wire_new(fd, on_request, sharer);
    wire_serve(sharer->wire);
    wire_set_end(sharer->wire, on_left, sharer);
    g_ptr_array_add(guest->sharers, sharer);
    g_autoptr(GByteArray) hello = g_byte_array_new();
    guint32 version_le = GUINT32_TO_LE(HB_WIRE_VERSION);
    g_byte_array_append(hello, (const guint8 *)&version_le, sizeof version_le);
    for (guint i = 0; i < guest->hello->len; i++) {
        const char *word = guest->hello->pdata[i];
        if (hello->len + strlen(word) + 1 <= HB_WIRE_MAX)
            g_byte_array_append(hello, (const guint8 *)word, (guint)strlen(word) + 1);
    }
    wire_send(sharer->wire, HB_FRAME_HELLO, 0, hello->data, hello->len);
    if (wire_ended(guest->wire))
        wire_fail(sharer->wire, HB_EMULATOR_DIED, "the conversation has ended");
}
