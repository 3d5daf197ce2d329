/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The agent is played by a child process at the other end of a socketpair: a function
 * that reads and writes frames, blocking. It ends with _exit(0) when it was treated as
 * the protocol says.
 */
#pragma once

#include <sys/types.h>

#include "guest.h"
#include "wire.h"

/* ---- the agent's side: what fails ends the process */

typedef struct {
    guint32 length;
    guint16 type, channel;
    guint8 payload[HB_WIRE_MAX];
} PlayedFrame;

void played_put(int fd, const void *data, gsize length);
void played_send(int fd, guint type, guint channel, const void *payload, gsize length);
/* FALSE: the other end is closed. */
gboolean played_get(int fd, void *data, gsize length);
/* The next frame, valid until the one after it; NULL: there is none. */
const PlayedFrame *played_receive(int fd);
/* The next frame, which must be of TYPE. */
const PlayedFrame *played_expect(int fd, guint type);
void played_hello(int fd);
void played_exit(int fd, guint channel, guint32 status, guint32 number);
void played_credit(int fd, guint channel, guint stream, guint32 bytes);
/* Greets, and waits for a command; its channel. */
guint played_begin(int fd);
/* An agent that greets, and then only listens. */
void played_keep_quiet(int fd);

/* ---- our side */

typedef struct {
    Guest *guest;
    pid_t child;
} Peer;

Peer peer_play(void (*agent)(int fd));
/* The same, and waits for its greeting. */
Peer peer_meet(void (*agent)(int fd));
/* The agent must have been content. */
void peer_part(Peer *peer);
void peer_part_by_force(Peer *peer);

extern const char *const played_argv[];
#define SOME_COMMAND .argv = played_argv, .stdin_fd = -1, .stdout_fd = -1, .stderr_fd = -1

/* AGENT's behaviour must end the conversation, or the command, with CODE; the message,
 * owned by the caller. */
char *peer_failure(void (*agent)(int fd), int code);
/* The same; the message has WORD. */
void assert_peer_fails(void (*agent)(int fd), int code, const char *word);
