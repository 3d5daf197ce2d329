/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The agent of one running host, seen from outside: a conversation in the frames of
 * vmtests/wire.h over a connected descriptor. It knows nothing of emulators or labs.
 * Everything the guest sends is hostile: bounded, checked, and never a format string.
 *
 * Calls run the default GMainContext until they have their answer, the deadline passes,
 * the CANCELLABLE fires (HB_INTERRUPTED), the descriptor ends (HB_EMULATOR_DIED), the
 * agent breaks the protocol (HB_FAIL) or does not answer a PING for
 * guest_set_silence_limit() (HB_GUEST_HANG). boot_explain() then knows more. One call at
 * a time.
 */
#pragma once

#include <gio/gio.h>

typedef struct Guest Guest;

/* Takes FD. */
Guest *guest_new(int fd);
void guest_free(Guest *guest);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Guest, guest_free)

/* Waits for HELLO. */
gboolean guest_wait_hello(Guest *guest, GCancellable *cancellable, GError **error);
/* Has the agent forget all that was, end its commands, and say HELLO again: then
 * everything that was sent before has been read, on both sides. RESTORED: the host is
 * told what time it is, and gets a seed of its own for its random numbers. */
gboolean
guest_greet(Guest *guest, gboolean restored, GCancellable *cancellable, GError **error);
/* A word of HELLO ("kernel", "nonce"), or NULL; of several with this key ("trouble") the
 * INDEXth. */
const char *guest_hello(const Guest *guest, const char *key);
const char *guest_hello_nth(const Guest *guest, const char *key, guint index);

/* Every frame as it passes, for the log; PAYLOAD is hostile if it comes from the guest.
 */
typedef void (*GuestTrace)(gboolean to_guest, guint type, guint channel,
                           const guint8 *payload, gsize length, gpointer user_data);
void guest_set_trace(Guest *guest, GuestTrace trace, gpointer user_data);
/* How long the agent may say nothing, not even PONG, while a call waits for it.
 * Default: 60. */
void guest_set_silence_limit(Guest *guest, guint seconds);

/* Where a command's output goes as it arrives. Called from the main loop. */
typedef void (*GuestOutput)(int stream /* 1 or 2 */, const guint8 *data, gsize length,
                            gpointer user_data);

typedef struct {
    const char *const *argv;  /* NULL-terminated */
    const char *const *env;   /* "NAME=VALUE" added to the guest's own, or NULL */
    const char *cwd;          /* or NULL: "/" */
    gboolean tty;             /* give it a terminal */
    guint16 rows, columns;    /* the terminal's first size; 0: not known */
    gboolean core_dumps;      /* let it leave core dumps of any size */
    gboolean may_wait;        /* it may stop itself in place of ending (HB_RUN_WAITS) */
    gboolean may_go_on;       /* it may be one that waits (HB_RUN_GOES_ON) */
    int stdin_fd;             /* read until its end; -1: empty */
    int stdout_fd, stderr_fd; /* output is copied there, blocking nothing else; -1: only
                                 OUTPUT. The caller ignores SIGPIPE */
    GuestOutput output;       /* or NULL */
    gpointer user_data;
    guint timeout_ms; /* 0: none. On time-out the group gets SIGTERM, then SIGKILL */
} GuestCommand;

typedef struct {
    int status; /* 0-255 */
    int signal; /* 0, or the one that ended it; SIGPIPE if nobody reads its output any
                   more */
    gboolean timed_out;
} GuestExit;

/* Runs one command to its end. SIGINT and SIGTERM of ours may be forwarded by
 * guest_signal(). */
gboolean guest_run(Guest *guest, const GuestCommand *command, GuestExit *result,
                   GCancellable *cancellable, GError **error);
/* To the command that is running; no effect if there is none. */
void guest_signal(Guest *guest, int signal_number);
/* As if its .timeout_ms had passed. */
void guest_time_out(Guest *guest);
/* The size of its terminal. */
void guest_resize(Guest *guest, guint rows, guint columns);

/* Somebody else speaks with the agent, too: FD (taken) is a socket at whose other end a
 * Guest of another process may run commands, observe and get files as if the agent were
 * its own; any number of them at once. What one of them leaves running is killed. Not
 * while the agent has not said HELLO. */
void guest_share(Guest *guest, int fd);

/* Whether a request of theirs is under way. */
gboolean guest_is_shared(const Guest *guest);

/* END is called once, from the main loop, when the conversation has ended and nobody
 * called for it; it may not free the Guest. guest_ended() then says why. */
typedef void (*GuestEnd)(gpointer user_data);
void guest_set_end(Guest *guest, GuestEnd end, gpointer user_data);
const GError *guest_ended(const Guest *guest);

/* What the host sees of itself, in the manifest's form. Owned by the caller. */
char *guest_observe(Guest *guest, GCancellable *cancellable, GError **error);

gboolean guest_put(Guest *guest, const char *path, guint mode, GBytes *content,
                   GCancellable *cancellable, GError **error);
GBytes *guest_get(Guest *guest, const char *path, gsize maximum,
                  GCancellable *cancellable, GError **error);
