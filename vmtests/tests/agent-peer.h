/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The agent as an ordinary process at the other end of a socketpair; the harness is
 * played here. What the agent does not do fails the test.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "wire.h"

typedef struct {
    uint16_t type, channel;
    uint32_t length;
    uint8_t payload[HB_WIRE_MAX + 1]; /* and a NUL */
} Frame;

typedef struct {
    pid_t pid;
    int fd;
    uint16_t last_channel;
    uint16_t rows, columns; /* of the terminals that commands get */
    char folder[64];        /* the agent works there */
    Frame frame;            /* the last one received */
} Peer;

typedef struct {
    uint32_t status, signal_number;
    size_t lengths[2]; /* of stdout and stderr */
    char text[2][512]; /* their beginnings */
} Outcome;

/* Before any test of a program. */
void peer_prepare(void);
/* cmocka's set-up and tear-down of a test: *STATE is a Peer. */
int peer_start(void **state);
int peer_stop(void **state);
/* Leaves, and returns how the agent ended: its exit status, or the negative of a signal.
 */
int peer_leave(Peer *peer);

void put_u16(uint8_t *at, uint16_t value);
void put_u32(uint8_t *at, uint32_t value);
uint32_t get_u32(const uint8_t *at);
/* FALSE: the agent has left. */
bool peer_send_bytes(Peer *peer, const void *data, size_t length);
bool peer_send(Peer *peer, uint16_t type, uint16_t channel, const void *payload,
               size_t length);
/* The next frame, valid until the one after it. */
Frame *peer_receive(Peer *peer);
void peer_credit(Peer *peer, uint16_t channel, uint16_t type, uint32_t count);
/* Adds STRING with its end to a payload of LENGTH; how long it is then. */
size_t peer_add_string(uint8_t *payload, size_t length, const char *string);
/* Runs argv (ended by NULL) and returns its channel. */
uint16_t peer_run_argv(Peer *peer, uint32_t flags, const char *cwd, const char *env,
                       const char *const *argv);
/* The same with a line for a shell. */
uint16_t peer_run(Peer *peer, uint32_t flags, const char *script);
/* Takes all frames until the end of CHANNEL, the only one at work; gives all credit back.
 */
Outcome peer_finish(Peer *peer, uint16_t channel);
void peer_hello(Peer *peer);
/* Nothing else is on the way before the answer. */
void assert_peer_alive(Peer *peer);
