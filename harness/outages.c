/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "outages.h"

#include "error.h"
#include "outage-wire.h"

typedef struct Outages Outages;

typedef struct {
    Outages *outages;
    const char *name;   /* the plan's */
    gboolean is_awake;  /* as its emulator said last */
    gboolean ends;      /* by what was asked */
    const char *answer; /* once it has ended, or its emulator has done what was asked */
    guint busy;         /* commands that its emulator has not answered */
    GCancellable *gone; /* watched; NULL: not yet */
    gulong watch;
} Peer;

struct Outages {
    const SessionDriver *driver;
    void *host;
    GPtrArray *peers;   /* Peer */
    Requests *requests; /* which own it */
};

static void
peer_free(gpointer data)
{
    Peer *peer = data;
    if (peer->gone)
        g_cancellable_disconnect(peer->gone, peer->watch);
    g_clear_object(&peer->gone);
    g_free(peer);
}

static void
answer(const Peer *peer, const char *word, const char *more)
{
    requests_answer(peer->outages->requests, peer->name, word, more);
}

/* ---- what only stands still
 * ------------------------------------------------------------------------------------------
 */

static void
on_done(JsonNode *result, const GError *error, gpointer user_data)
{
    Peer *peer = user_data;
    peer->busy--;
    if (error) {
        answer(peer, "refused", error->message);
        return;
    }
    peer->is_awake = g_str_equal(peer->answer, "wakes");
    answer(peer, peer->answer, NULL);
}

static void
command(Peer *peer, const char *name, const char *word, QmpReply reply)
{
    const Outages *outages = peer->outages;
    peer->answer = word;
    peer->busy++;
    outages->driver->ask_peer(outages->host, peer->name, name, reply, peer);
}

/* ---- what ends
 * ------------------------------------------------------------------------------------------
 */

/* That it has ended is what counts. */
static void
on_asked(JsonNode *result, const GError *error, gpointer user_data)
{
    Peer *peer = user_data;
    peer->busy--;
}

static void
on_gone(GCancellable *gone, gpointer user_data)
{
    const Peer *peer = user_data;
    const Outages *outages = peer->outages;
    const GError *why = outages->driver->peer_failure(outages->host, peer->name);
    const gboolean panicked = g_error_matches(why, HB_ERROR, HB_GUEST_PANIC);
    if (g_str_equal(peer->answer, "panicked") && !panicked)
        answer(peer, "refused", why ? why->message : "it has ended otherwise");
    else
        answer(peer, peer->answer, NULL);
}

static void
end(Peer *peer, const char *name, const char *word)
{
    const Outages *outages = peer->outages;
    peer->ends = TRUE;
    peer->answer = word;
    peer->gone = g_object_ref(outages->driver->give_up_peer(outages->host, peer->name));
    peer->watch = g_cancellable_connect(peer->gone, G_CALLBACK(on_gone), peer, NULL);
    command(peer, name, word, on_asked);
}

/* ---- what is asked
 * ------------------------------------------------------------------------------------------
 */

static const struct {
    const char *request, *command, *answer;
    gboolean ends;
} acts[] = {
    {"hang", "stop", "hangs", FALSE},
    {"wake", "cont", "wakes", FALSE},
    {"panic", "inject-nmi", "panicked", TRUE},
    {"cut", "quit", "off", TRUE},
};

static Peer *
find(const Outages *outages, const char *name)
{
    for (guint i = 0; i < outages->peers->len; i++) {
        Peer *peer = outages->peers->pdata[i];
        if (g_str_equal(peer->name, name))
            return peer;
    }
    return NULL;
}

static gboolean
obey_for(Peer *peer, const char *word)
{
    for (gsize i = 0; i < G_N_ELEMENTS(acts); i++) {
        if (!g_str_equal(word, acts[i].request))
            continue;
        if (acts[i].ends)
            end(peer, acts[i].command, acts[i].answer);
        else
            command(peer, acts[i].command, acts[i].answer, on_done);
        return TRUE;
    }
    return FALSE;
}

static void
obey(const char *request, gpointer user_data)
{
    const Outages *outages = user_data;
    g_auto(GStrv) words = g_strsplit(request, " ", 3);
    Peer *peer = g_strv_length(words) == 2 ? find(outages, words[1]) : NULL;
    if (peer && (peer->ends || peer->busy > 0))
        answer(peer, "refused", "it has ended, or does not answer yet");
    else if (!peer || !obey_for(peer, words[0]))
        requests_answer(outages->requests, "?", "refused",
                        "one can say: hang HOST, wake HOST, panic HOST, cut HOST, of "
                        "the hosts that networks join with this one");
}

/* ---- its life
 * ------------------------------------------------------------------------------------------
 */

static gboolean
settle(gpointer state)
{
    const Outages *outages = state;
    for (guint i = 0; i < outages->peers->len; i++) {
        const Peer *peer = outages->peers->pdata[i];
        if (!peer->is_awake || peer->ends || peer->busy > 0)
            return FALSE;
    }
    return TRUE;
}

static void
free_state(gpointer state)
{
    Outages *outages = state;
    g_ptr_array_unref(outages->peers);
    g_free(outages);
}

static const RequestsKind kind = {.obey = obey, .settle = settle, .free = free_state};

Requests *
outages_requests(const Plan *plan, const SessionDriver *driver, void *host)
{
    Outages *outages = g_new0(Outages, 1);
    outages->driver = driver;
    outages->host = host;
    outages->peers = g_ptr_array_new_with_free_func(peer_free);
    for (guint i = 0; plan->peers && i < plan->peers->len; i++) {
        Peer *peer = g_new0(Peer, 1);
        *peer =
            (Peer){.outages = outages, .name = plan->peers->pdata[i], .is_awake = TRUE};
        g_ptr_array_add(outages->peers, peer);
    }
    outages->requests = requests_new(&kind, outages);
    return outages->requests;
}
