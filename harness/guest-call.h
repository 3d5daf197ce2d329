/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What the requests of guest.h share: a channel from its beginning to its end, waiting,
 * and the windows of flow control. Private to guest*.c.
 */
#pragma once

#include "guest-wire.h"

/* One request under way. The kinds of requests embed it as their first member. */
typedef struct Call Call;
struct Call {
    Guest *guest;
    guint channel;
    /* A frame of this channel other than CREDIT and FAILED. */
    void (*frame)(Call *call, guint type, const guint8 *payload, gsize length);
    /* BYTES of OUTGOING were given back; or NULL: nothing is sent that needs credit. */
    void (*more_room)(Call *call);
    HbFrame outgoing; /* the stream that is sent */
    gsize room;       /* bytes of it that may be sent now */
    gboolean done;
    gboolean ended_by_agent; /* EXIT, DONE, FAILED or the empty OBSERVATION came */
    GError *error;
};

struct Guest {
    Wire *wire;
    Call *call;            /* under way, or NULL */
    GHashTable *abandoned; /* channels whose end never came: their frames mean nothing */
    guint last_channel;
    GPtrArray *hello; /* char *: the words of HELLO */
    gboolean met, watched;
    GPtrArray *sharers; /* Sharer (guest-share.c) */
    GHashTable *lanes;  /* channel → Lane: their requests */
    GuestEnd end;       /* or NULL */
    gpointer end_data;
};

/* A channel that is free; 0: there is none. */
guint guest_take_channel(Guest *guest);
/* The agent's signs of life are watched while somebody waits for it. */
void guest_choose_watch(Guest *guest);

/* guest-share.c: a frame about a request that is not ours. FALSE: nor a sharer's. */
gboolean
share_frame(Guest *guest, guint type, guint channel, const guint8 *payload, gsize length);
/* Parts with all sharers. */
void share_end(Guest *guest);

/* What came of a stream and was not given back yet. */
typedef struct {
    HbFrame stream;
    gsize taken; /* came, not given back */
    gsize moved; /* of these, those that may be given back */
} Intake;

/* Gives CALL a channel. */
gboolean call_begin(Call *call, Guest *guest, GError **error);
/* Waits until CALL is done and ends it, however that may be. FALSE: ERROR is set. */
gboolean call_finish(Call *call, GCancellable *cancellable, GError **error);
/* CALL is over for us, whether its channel has ended or not. ERROR is taken, or NULL. */
void call_done(Call *call, GError *error);
/* The agent did what the protocol forbids: ends the whole conversation. */
void call_broken(Call *call, const char *what);
void call_send(Call *call, HbFrame type, const void *payload, gsize length);

/* FALSE: LENGTH bytes more are more than the window, and the conversation has ended. */
gboolean intake_take(Intake *intake, Call *call, gsize length);
void intake_give_back(Intake *intake, Call *call, gsize length);
