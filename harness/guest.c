/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest-call.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "error.h"
#include "printable.h"

/* Far above what any host says of itself: 4096 functions of some hundred bytes. */
#define OBSERVATION_MAX (16 * 1024 * 1024)
#define HELLO_WORDS_MAX 256

/* ---- one request
 * ----------------------------------------------------------------------------------- */

/* One stays free for a call of ours. */
guint
guest_take_channel(Guest *guest)
{
    if (g_hash_table_size(guest->abandoned) + g_hash_table_size(guest->lanes) >=
        HB_WIRE_CHANNELS - 1)
        return 0;
    gpointer channel;
    do {
        guest->last_channel = guest->last_channel % G_MAXUINT16 + 1;
        channel = GUINT_TO_POINTER(guest->last_channel);
    } while (g_hash_table_contains(guest->abandoned, channel) ||
             g_hash_table_contains(guest->lanes, channel) ||
             (guest->call && guest->call->channel == guest->last_channel));
    return guest->last_channel;
}

void
guest_choose_watch(Guest *guest)
{
    gboolean wanted = guest->call || g_hash_table_size(guest->lanes) > 0;
    if (wanted != guest->watched)
        wire_watch(guest->wire, wanted);
    guest->watched = wanted;
}

gboolean
call_begin(Call *call, Guest *guest, GError **error)
{
    g_return_val_if_fail(guest->call == NULL, FALSE);
    if (!guest->met) {
        g_set_error(error, HB_ERROR, HB_FAIL, "the host's agent has not said HELLO");
        return FALSE;
    }
    call->channel = guest_take_channel(guest);
    if (call->channel == 0) {
        g_set_error(error, HB_ERROR, HB_FAIL,
                    "the host's agent has left %u requests without an end",
                    g_hash_table_size(guest->abandoned));
        return FALSE;
    }
    call->guest = guest;
    call->room = HB_WIRE_WINDOW;
    guest->call = call;
    guest_choose_watch(guest);
    return TRUE;
}

void
call_done(Call *call, GError *error)
{
    if (call->done) {
        g_clear_error(&error);
        return;
    }
    call->done = TRUE;
    call->error = error;
}

void
call_broken(Call *call, const char *what)
{
    wire_fail(call->guest->wire, HB_FAIL, "the host's agent broke its protocol: %s",
              what);
}

void
call_send(Call *call, HbFrame type, const void *payload, gsize length)
{
    wire_send(call->guest->wire, type, call->channel, payload, length);
}

static gboolean
on_cancelled(GCancellable *cancellable, gpointer user_data)
{
    gboolean *cancelled = user_data;
    *cancelled = TRUE;
    return G_SOURCE_REMOVE;
}

/* Runs the main context until *DONE. Once the agent has said all about CALL (or NULL),
 * only we have something left to do, and the end of the conversation does not matter any
 * more. */
static gboolean
wait_until(Guest *guest, const gboolean *done, const Call *call,
           GCancellable *cancellable, GError **error)
{
    gboolean cancelled = FALSE;
    g_autoptr(GSource) source = g_cancellable_source_new(cancellable);
    g_source_set_callback(source, G_SOURCE_FUNC(on_cancelled), &cancelled, NULL);
    g_source_attach(source, NULL);
    while (!*done && !cancelled &&
           (!wire_ended(guest->wire) || (call && call->ended_by_agent)))
        g_main_context_iteration(NULL, TRUE);
    g_source_destroy(source);

    if (*done)
        return TRUE;
    if (cancelled || !wire_ended(guest->wire))
        g_set_error(error, HB_ERROR, HB_INTERRUPTED, "interrupted");
    else
        g_propagate_error(error, g_error_copy(wire_ended(guest->wire)));
    return FALSE;
}

gboolean
call_finish(Call *call, GCancellable *cancellable, GError **error)
{
    Guest *guest = call->guest;
    gboolean ok = wait_until(guest, &call->done, call, cancellable, error);
    if (ok && call->error) {
        g_propagate_error(error, g_steal_pointer(&call->error));
        ok = FALSE;
    }
    g_clear_error(&call->error);
    guest->call = NULL;
    guest_choose_watch(guest);
    if (!call->ended_by_agent)
        g_hash_table_add(guest->abandoned, GUINT_TO_POINTER(call->channel));
    return ok;
}

/* ---- windows
 * ---------------------------------------------------------------------------------------
 */

gboolean
intake_take(Intake *intake, Call *call, gsize length)
{
    intake->taken += length;
    if (intake->taken <= HB_WIRE_WINDOW)
        return TRUE;
    call_broken(call, "more output than it had room for");
    return FALSE;
}

/* Gives back in large pieces: what is held back for it is at most a quarter of the
 * window. */
void
intake_give_back(Intake *intake, Call *call, gsize length)
{
    intake->moved += length;
    if (intake->moved < HB_WIRE_WINDOW / 4)
        return;
    wire_send_credit(call->guest->wire, call->channel, intake->stream, intake->moved);
    intake->taken -= intake->moved;
    intake->moved = 0;
}

static void
on_credit(Call *call, const guint8 *payload, gsize length)
{
    if (length != 8) {
        call_broken(call, "a CREDIT of another size than 8 bytes");
        return;
    }
    guint stream = (guint)payload[0] | (guint)payload[1] << 8;
    gsize bytes = wire_u32(payload + 4);
    if (stream != call->outgoing || bytes > HB_WIRE_WINDOW - call->room) {
        call_broken(call, "CREDIT for what was never sent");
        return;
    }
    call->room += bytes;
    if (call->more_room)
        call->more_room(call);
}

/* ---- HELLO, and frames to their requests
 * ------------------------------------------------------------ */

static void
on_hello(Guest *guest, const guint8 *payload, gsize length)
{
    if (guest->met) {
        wire_fail(guest->wire, HB_FAIL,
                  "the host's agent said HELLO twice: it was started anew");
        return;
    }
    if (length < 4 || wire_u32(payload) != HB_WIRE_VERSION ||
        (length > 4 && payload[length - 1] != '\0')) {
        wire_fail(guest->wire, HB_FAIL,
                  "the host's agent speaks another protocol than version %d",
                  HB_WIRE_VERSION);
        return;
    }
    const char *at = (const char *)payload + 4, *end = (const char *)payload + length;
    for (; at < end && guest->hello->len < HELLO_WORDS_MAX; at += strlen(at) + 1)
        g_ptr_array_add(guest->hello, printable(at, strlen(at), 4096));
    guest->met = TRUE;
}

static void
on_failed(Call *call, const guint8 *payload, gsize length)
{
    g_autofree char *reason = printable(payload, length, 300);
    call->ended_by_agent = TRUE;
    call_done(call, g_error_new(HB_ERROR, HB_FAIL, "the host's agent: %s", reason));
}

static void
on_frame(guint type, guint channel, const guint8 *payload, gsize length,
         gpointer user_data)
{
    Guest *guest = user_data;
    Call *call = guest->call;
    if (type == HB_FRAME_HELLO) {
        on_hello(guest, payload, length);
    } else if (call && call->channel == channel && !call->ended_by_agent) {
        if (type == HB_FRAME_CREDIT)
            on_credit(call, payload, length);
        else if (type == HB_FRAME_FAILED)
            on_failed(call, payload, length);
        else
            call->frame(call, type, payload, length);
    } else if (share_frame(guest, type, channel, payload, length)) {
        return;
    } else if (g_hash_table_contains(guest->abandoned, GUINT_TO_POINTER(channel))) {
        if (type == HB_FRAME_EXIT || type == HB_FRAME_DONE || type == HB_FRAME_FAILED ||
            (type == HB_FRAME_OBSERVATION && length == 0))
            g_hash_table_remove(guest->abandoned, GUINT_TO_POINTER(channel));
    } else if (type != HB_FRAME_CREDIT) {
        wire_fail(guest->wire, HB_FAIL,
                  "the host's agent broke its protocol: a frame of type %u about "
                  "a request that is none",
                  type);
    }
}

gboolean
guest_wait_hello(Guest *guest, GCancellable *cancellable, GError **error)
{
    return wait_until(guest, &guest->met, NULL, cancellable, error);
}

#define SEED_BYTES 64

static void
append_word(GByteArray *payload, const char *word)
{
    g_byte_array_append(payload, (const guint8 *)word, (guint)strlen(word) + 1);
}

static gboolean
append_resume(GByteArray *payload, GError **error)
{
    guint8 seed[SEED_BYTES];
    if (getrandom(seed, sizeof seed, 0) != sizeof seed) {
        g_set_error(error, HB_ERROR, HB_INFRASTRUCTURE, "no random numbers: %s",
                    g_strerror(errno));
        return FALSE;
    }
    g_autoptr(GString) seed_word = g_string_new("seed=");
    for (gsize i = 0; i < sizeof seed; i++)
        g_string_append_printf(seed_word, "%02x", seed[i]);
    append_word(payload, seed_word->str);
    gint64 now_us = g_get_real_time();
    g_autofree char *clock_word =
        g_strdup_printf("clock=%" G_GINT64_FORMAT ".%06" G_GINT64_FORMAT,
                        now_us / G_USEC_PER_SEC, now_us % G_USEC_PER_SEC);
    append_word(payload, clock_word);
    return TRUE;
}

gboolean
guest_greet(Guest *guest, gboolean restored, GCancellable *cancellable, GError **error)
{
    g_return_val_if_fail(guest->call == NULL, FALSE);
    share_end(guest);
    g_hash_table_remove_all(guest->lanes);
    guest->watched = FALSE;
    g_autoptr(GByteArray) payload = g_byte_array_new();
    guint32 version_le = GUINT32_TO_LE(HB_WIRE_VERSION);
    g_byte_array_append(payload, (const guint8 *)&version_le, sizeof version_le);
    if (restored && !append_resume(payload, error))
        return FALSE;
    guest->met = FALSE;
    g_ptr_array_set_size(guest->hello, 0);
    g_hash_table_remove_all(guest->abandoned);
    wire_watch(guest->wire, TRUE);
    wire_send(guest->wire, HB_FRAME_HELLO, 0, payload->data, payload->len);
    gboolean ok = wait_until(guest, &guest->met, NULL, cancellable, error);
    wire_watch(guest->wire, FALSE);
    return ok;
}

const char *
guest_hello_nth(const Guest *guest, const char *key, guint index)
{
    gsize length = strlen(key);
    for (guint i = 0; i < guest->hello->len; i++) {
        const char *word = guest->hello->pdata[i];
        if (strncmp(word, key, length) == 0 && word[length] == '=' && index-- == 0)
            return word + length + 1;
    }
    return NULL;
}

const char *
guest_hello(const Guest *guest, const char *key)
{
    return guest_hello_nth(guest, key, 0);
}

/* ---- OBSERVE
 * ------------------------------------------------------------------------------------------
 */

typedef struct {
    Call call;
    GString *text;
} Observe;

static void
on_observe_frame(Call *call, guint type, const guint8 *payload, gsize length)
{
    Observe *observe = (Observe *)call;
    if (type != HB_FRAME_OBSERVATION) {
        call_broken(call, "an observation was asked for, and something else came");
    } else if (length == 0) {
        call->ended_by_agent = TRUE;
        call_done(call, NULL);
    } else if (observe->text->len + length > OBSERVATION_MAX) {
        call_broken(call, "an observation of more than 16 MiB");
    } else {
        g_string_append_len(observe->text, (const char *)payload, (gssize)length);
    }
}

char *
guest_observe(Guest *guest, GCancellable *cancellable, GError **error)
{
    Observe observe = {.call = {.frame = on_observe_frame}};
    if (!call_begin(&observe.call, guest, error))
        return NULL;
    observe.text = g_string_new(NULL);
    call_send(&observe.call, HB_FRAME_OBSERVE, NULL, 0);
    gboolean ok = call_finish(&observe.call, cancellable, error);
    return g_string_free(observe.text, !ok);
}

/* ---- PUT and GET
 * ---------------------------------------------------------------------------------------
 */

typedef struct {
    Call call;
    const guint8 *data;
    gsize length, sent;
    gboolean ended;
} Put;

static void
put_more(Call *call)
{
    Put *put = (Put *)call;
    while (put->sent < put->length && call->room > 0) {
        gsize piece = MIN(MIN(put->length - put->sent, call->room), HB_WIRE_MAX);
        call_send(call, HB_FRAME_DATA, put->data + put->sent, piece);
        put->sent += piece;
        call->room -= piece;
    }
    if (put->sent == put->length && !put->ended) {
        call_send(call, HB_FRAME_DATA, NULL, 0);
        put->ended = TRUE;
    }
}

static void
on_put_frame(Call *call, guint type, const guint8 *payload, gsize length)
{
    if (type != HB_FRAME_DONE || !((Put *)call)->ended) {
        call_broken(call, "a file was being sent, and something else than its end came");
        return;
    }
    call->ended_by_agent = TRUE;
    call_done(call, NULL);
}

gboolean
guest_put(Guest *guest, const char *path, guint mode, GBytes *content,
          GCancellable *cancellable, GError **error)
{
    Put put = {.call = {.frame = on_put_frame,
                        .more_room = put_more,
                        .outgoing = HB_FRAME_DATA}};
    put.data = g_bytes_get_data(content, &put.length);
    if (!call_begin(&put.call, guest, error))
        return FALSE;
    g_autoptr(GByteArray) request = g_byte_array_new();
    guint32 mode_le = GUINT32_TO_LE(mode);
    g_byte_array_append(request, (const guint8 *)&mode_le, sizeof mode_le);
    g_byte_array_append(request, (const guint8 *)path, (guint)strlen(path) + 1);
    call_send(&put.call, HB_FRAME_PUT, request->data, request->len);
    put_more(&put.call);
    gboolean ok = call_finish(&put.call, cancellable, error);
    if (!ok)
        g_prefix_error(error, "%s: ", path);
    return ok;
}

typedef struct {
    Call call;
    Intake intake;
    GByteArray *content;
    gsize maximum;
} Get;

static void
on_get_frame(Call *call, guint type, const guint8 *payload, gsize length)
{
    Get *get = (Get *)call;
    if (type == HB_FRAME_DONE) {
        call->ended_by_agent = TRUE;
        call_done(call, NULL);
    } else if (type != HB_FRAME_DATA) {
        call_broken(call, "a file was asked for, and something else came");
    } else if (intake_take(&get->intake, call, length)) {
        if (length > get->maximum - get->content->len) {
            call_done(call,
                      g_error_new(HB_ERROR, HB_FAIL, "the file is larger than %zu bytes",
                                  get->maximum));
            return;
        }
        g_byte_array_append(get->content, payload, (guint)length);
        intake_give_back(&get->intake, call, length);
    }
}

GBytes *
guest_get(Guest *guest, const char *path, gsize maximum, GCancellable *cancellable,
          GError **error)
{
    Get get = {.call = {.frame = on_get_frame},
               .intake = {.stream = HB_FRAME_DATA},
               .maximum = MIN(maximum, G_MAXUINT32 / 2)};
    if (!call_begin(&get.call, guest, error))
        return NULL;
    get.content = g_byte_array_new();
    call_send(&get.call, HB_FRAME_GET, path, strlen(path) + 1);
    if (call_finish(&get.call, cancellable, error))
        return g_byte_array_free_to_bytes(get.content);
    g_byte_array_unref(get.content);
    g_prefix_error(error, "%s: ", path);
    return NULL;
}

/* ---- life
 * ------------------------------------------------------------------------------------------------
 */

void
guest_set_trace(Guest *guest, GuestTrace trace, gpointer user_data)
{
    wire_set_trace(guest->wire, trace, user_data);
}

void
guest_set_silence_limit(Guest *guest, guint seconds)
{
    wire_set_silence_limit(guest->wire, seconds);
}

void
guest_set_end(Guest *guest, GuestEnd end, gpointer user_data)
{
    guest->end = end;
    guest->end_data = user_data;
}

const GError *
guest_ended(const Guest *guest)
{
    return wire_ended(guest->wire);
}

static void
on_end(gpointer user_data)
{
    Guest *guest = user_data;
    share_end(guest);
    if (guest->end)
        guest->end(guest->end_data);
}

Guest *
guest_new(int fd)
{
    Guest *guest = g_new0(Guest, 1);
    guest->wire = wire_new(fd, on_frame, guest);
    guest->abandoned = g_hash_table_new(g_direct_hash, g_direct_equal);
    guest->lanes = g_hash_table_new_full(g_direct_hash, g_direct_equal, NULL, g_free);
    guest->sharers = g_ptr_array_new();
    wire_set_end(guest->wire, on_end, guest);
    guest->hello = g_ptr_array_new_with_free_func(g_free);
    return guest;
}

void
guest_free(Guest *guest)
{
    if (!guest)
        return;
    wire_set_end(guest->wire, NULL, NULL);
    share_end(guest);
    wire_free(guest->wire);
    g_ptr_array_unref(guest->sharers);
    g_hash_table_unref(guest->lanes);
    g_hash_table_unref(guest->abandoned);
    g_ptr_array_unref(guest->hello);
    g_free(guest);
}
