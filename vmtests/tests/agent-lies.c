/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A harness that does not behave: what breaks the protocol ends the agent, with a reason,
 * and nothing that is sent ends it otherwise.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>

#include "agent-peer.h"

/* ---- violations
 * ---------------------------------------------------------------------------------------
 */

/* What was sent breaks the protocol: the reason comes on channel 0, and after that only
 * silence. */
static void
assert_broken(Peer *peer, const char *reason)
{
    do
        peer_receive(peer);
    while (peer->frame.type != HB_FRAME_FAILED);
    assert_int_equal(peer->frame.channel, 0);
    if (!strstr((char *)peer->frame.payload, reason))
        fail_msg("%s is not the reason expected", (char *)peer->frame.payload);
    peer_send(peer, HB_FRAME_PING, 0, "12345678", 8);
    struct pollfd wait = {.fd = peer->fd, .events = POLLIN};
    assert_int_equal(poll(&wait, 1, 50), 0);
    assert_int_equal(peer_leave(peer), 1);
}

static void
refuses_a_long_frame(void **state)
{
    static const uint8_t header[] = {1, 0, 1, 0, 65, 0, 0, 0};
    Peer *peer = *state;
    peer_hello(peer);
    peer_send_bytes(peer, header, sizeof header);
    assert_broken(peer, "longer than");
}

static void
refuses_an_unknown_type(void **state)
{
    Peer *peer = *state;
    peer_hello(peer);
    peer_send(peer, 999, 0, NULL, 0);
    assert_broken(peer, "999");
}

static void
refuses_a_run_that_lies(void **state)
{
    Peer *peer = *state;
    uint8_t payload[] = {255, 255, 255, 127, 0, 0, 0,   0, 0,   0,
                         0,   0,   0,   0,   0, 0, '/', 0, 'x', 0};
    peer_hello(peer);
    peer_send(peer, HB_FRAME_RUN, 1, payload, sizeof payload);
    assert_broken(peer, "RUN");
}

static void
refuses_a_terminal_that_waits(void **state)
{
    Peer *peer = *state;
    peer_hello(peer);
    peer_run(peer, HB_RUN_TTY | HB_RUN_WAITS, "true");
    assert_broken(peer, "RUN");
}

static void
refuses_a_channel_in_use(void **state)
{
    Peer *peer = *state;
    peer_hello(peer);
    peer_run(peer, 0, "sleep 1000");
    peer->last_channel = 0;
    peer_run(peer, 0, "true");
    assert_broken(peer, "in use");
}

static void
refuses_input_without_credit(void **state)
{
    Peer *peer = *state;
    static uint8_t piece[HB_WIRE_MAX];
    peer_hello(peer);
    uint16_t channel = peer_run(peer, 0, "sleep 1000");
    for (int i = 0; i < 6; i++)
        peer_send(peer, HB_FRAME_STDIN, channel, piece, sizeof piece);
    assert_broken(peer, "credit");
}

static void
refuses_a_short_ping(void **state)
{
    Peer *peer = *state;
    peer_hello(peer);
    peer_send(peer, HB_FRAME_PING, 0, "1", 1);
    assert_broken(peer, "PING");
}

/* ---- anything
 * -------------------------------------------------------------------------------------------
 */

static uint32_t
random_next(uint32_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 17;
    return *seed ^= *seed << 5;
}

/* Makes PAYLOAD what the type asks for, more often than not; else few frames would get
 * past the first look at them. */
static size_t
make_plausible(uint16_t type, uint8_t *payload, size_t length, uint32_t *seed)
{
    if (random_next(seed) % 4 == 0)
        return length;
    switch (type) {
    case HB_FRAME_PING:
    case HB_FRAME_CREDIT:
        return 8;
    case HB_FRAME_SIGNAL:
    case HB_FRAME_RESIZE:
        return 4;
    case HB_FRAME_PUT:
        return peer_add_string(payload, 4, random_next(seed) % 2 ? "file" : "no/such");
    case HB_FRAME_GET:
        return peer_add_string(payload, 0,
                               random_next(seed) % 2 ? "file" : "/proc/self/maps");
    case HB_FRAME_RUN:
        memset(payload, 0, 17);
        put_u32(payload, 1);
        put_u32(payload + 8, random_next(seed) % 2);
        return peer_add_string(payload, 17, random_next(seed) % 2 ? "cat" : "yes");
    default:
        return length;
    }
}

static void
send_noise(Peer *peer, uint32_t *seed)
{
    static const uint16_t types[] = {
        HB_FRAME_RUN, HB_FRAME_STDIN,  HB_FRAME_SIGNAL, HB_FRAME_OBSERVE, HB_FRAME_PUT,
        HB_FRAME_GET, HB_FRAME_RESIZE, HB_FRAME_DATA,   HB_FRAME_CREDIT,  HB_FRAME_PING,
        HB_FRAME_RUN, HB_FRAME_STDIN,  HB_FRAME_DATA,   HB_FRAME_HELLO,
    };
    uint8_t payload[64];
    uint16_t type = types[random_next(seed) % (sizeof types / sizeof types[0])];
    size_t length = random_next(seed) % sizeof payload;
    for (size_t i = 0; i < sizeof payload; i++)
        payload[i] = random_next(seed) % 3 ? (uint8_t)random_next(seed) : 0;
    length = make_plausible(type, payload, length, seed);
    peer_send(peer, type, (uint16_t)(random_next(seed) % 40), payload, length);
}

/* Whatever comes, the agent ends as it should: it says what is wrong or it goes on. */
static void
survives_anything(void **state)
{
    for (uint32_t round = 1; round <= 100; round++) {
        void *inner;
        uint32_t seed = round * 2654435761u;
        peer_start(&inner);
        Peer *peer = inner;
        peer_hello(peer);
        for (int i = 0; i < 60; i++)
            send_noise(peer, &seed);
        int status = peer_leave(peer);
        if (status != 0 && status != 1)
            fail_msg("round %u ended the agent with %d", round, status);
        peer_stop(&inner);
    }
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, peer_start, peer_stop)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(refuses_a_long_frame),     CASE(refuses_an_unknown_type),
        CASE(refuses_a_run_that_lies),  CASE(refuses_a_terminal_that_waits),
        CASE(refuses_a_channel_in_use), CASE(refuses_input_without_credit),
        CASE(refuses_a_short_ping),     cmocka_unit_test(survives_anything),
    };
    peer_prepare();
    return cmocka_run_group_tests_name("agent-lies", tests, NULL, NULL);
}
