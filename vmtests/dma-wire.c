/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Suite dma: frames that leave the host, by a network of the lab to another NIC, seen by
 * somebody else: the harness counts them outside (count-wire.h), with what is in them.
 */
#include "ask.h"
#include "count-wire.h"
#include "dma-bench.h"
#include "networks.h"

#include <stdlib.h>
#include <string.h>

/* The harness reads a file; it may not run for a while. */
#define COUNT_MS 60000
#define ARRIVAL_MS 20000
#define BLOCKED_MS 300
#define ROUNDS 4

/* What should have been seen on the network since the last look. */
typedef struct {
    unsigned frames;
    uint64_t sum;
} Sent;

static const Sent nothing = {0, COUNT_SUM_START};

/* Two NICs on one network, each with a page to send from and one to receive to. */
typedef struct {
    Bench *bench;
    char network[NETWORK_NAME_MAX];
    Nic *nic[2];
    Mapping from[2], to[2];
} Wire;

/* ---- the count outside
 * --------------------------------------------------------------------------- */

static Sent
count_outside(const Wire *wire)
{
    const char *about, *answer;
    unsigned long long sum;
    Sent counted;
    ask_harness("count", wire->network);
    if (!ask_answer(suite_ms(COUNT_MS), &about, &answer))
        fail_msg("the harness does not count within %d s", suite_ms(COUNT_MS) / 1000);
    if (strcmp(about, wire->network) != 0 ||
        sscanf(answer, "counted %u %llx", &counted.frames, &sum) != 2)
        fail_msg("the harness was to count, and says: %s %s", about, answer);
    counted.sum = sum;
    return counted;
}

static Sent
with_frame(Sent sent, const unsigned char *bytes, size_t length)
{
    return (Sent){sent.frames + 1, count_sum(sent.sum, bytes, length)};
}

static void
expect_counted(const Wire *wire, Sent sent, const char *what)
{
    Sent counted = count_outside(wire);
    if (counted.frames != sent.frames)
        fail_msg("%s: outside, %u frames were counted on %s; there were %u", what,
                 counted.frames, wire->network, sent.frames);
    if (counted.sum != sent.sum)
        fail_msg("%s: of %u frames outside, on %s, not all are as they were sent", what,
                 counted.frames, wire->network);
}

static bool
is_counted(const char *network)
{
    const char *counted = getenv(COUNT_ENVIRONMENT);
    for (size_t length = strlen(network); counted && *counted;) {
        size_t word = strcspn(counted, " ");
        if (word == length && strncmp(counted, network, length) == 0)
            return true;
        counted += word + (counted[word] == ' ');
    }
    return false;
}

/* ---- the wire
 * ------------------------------------------------------------------------------------ */

static void
choose_wired(const char *address[2])
{
    if (wired_pair(dma_choose, &address[0], &address[1]))
        return;
    print_message("no two e1000e that are alone in their IOMMU groups are on one network "
                  "of the lab\n");
    skip();
}

static void
open_end(Wire *wire, int end, const char *address)
{
    Nic *nic = open_nic_at(wire->bench, (unsigned)end, address);
    wire->nic[end] = nic;
    wire->from[end] = map_page(wire->bench, nic, VFIO_READ);
    wire->to[end] = map_page(wire->bench, nic, VFIO_WRITE);
}

static void
open_wire(Wire *wire, Bench *bench)
{
    const char *address[2] = {NULL, NULL};
    suite_needs_live();
    choose_wired(address);
    *wire = (Wire){.bench = bench};
    network_of(address[0], wire->network);
    if (!is_counted(wire->network)) {
        print_message("nobody is there who counts: %s does not name %s\n",
                      COUNT_ENVIRONMENT, wire->network);
        skip();
    }
    for (int end = 0; end < 2; end++)
        open_end(wire, end, address[end]);
    count_outside(wire); /* what was there before is not ours */
}

/* From inside each NIC to the network; what they still had to send or receive is
 * forgotten. */
static void
connect_wire(Wire *wire)
{
    for (int end = 0; end < 2; end++) {
        wire->nic[end]->driver.wired = true;
        if (!e1000e_restart(&wire->nic[end]->driver))
            fail_msg("%s has no link to %s", wire->nic[end]->address, wire->network);
    }
}

static void
expect_received(Nic *nic, const Frame *frame, Spot at)
{
    size_t length = 0;
    if (!e1000e_wait_received(&nic->driver, suite_ms(ARRIVAL_MS), &length))
        fail_msg("%s received no frame within %d s", nic->address,
                 suite_ms(ARRIVAL_MS) / 1000);
    if (length != frame->length || memcmp(at.at, frame->bytes, length) != 0)
        fail_msg("%s received another frame, of %zu bytes; sent were %zu", nic->address,
                 length, frame->length);
}

/* A new frame, from one end to the other. */
static void
pass_frame(const Wire *wire, int from, Sent *sent)
{
    Nic *sender = wire->nic[from], *receiver = wire->nic[1 - from];
    Spot source = any_spot(wire->bench, &wire->from[from]);
    Spot target = any_spot(wire->bench, &wire->to[1 - from]);
    Frame frame;
    write_frame(&wire->bench->random, source, &frame);
    e1000e_offer(&receiver->driver, target.iova);
    e1000e_send(&sender->driver, source.iova, frame.length);
    if (!e1000e_wait_sent(&sender->driver, suite_ms(ARRIVAL_MS)))
        fail_msg("%s sent no frame within %d s", sender->address,
                 suite_ms(ARRIVAL_MS) / 1000);
    expect_received(receiver, &frame, target);
    *sent = with_frame(*sent, frame.bytes, frame.length);
}

static unsigned
some_frames(Wire *wire)
{
    return (unsigned)random_within(&wire->bench->random, 20, 50);
}

/* ---- the cases
 * ----------------------------------------------------------------------------------- */

void
frames_are_counted_outside(void **state)
{
    Wire wire;
    Sent sent = nothing, unwanted = nothing;
    open_wire(&wire, *state);
    for (unsigned left = some_frames(&wire); left > 0; left--)
        expect_moved(wire.bench, wire.nic[0], any_spot(wire.bench, &wire.from[0]),
                     any_spot(wire.bench, &wire.to[0]), "frames that stay inside");
    expect_counted(&wire, nothing, "looped back");
    connect_wire(&wire);
    for (unsigned left = some_frames(&wire); left > 0; left--)
        pass_frame(&wire, (int)random_within(&wire.bench->random, 0, 1), &sent);
    if (suite_has_fault(__func__))
        pass_frame(&wire, 0, &unwanted);
    expect_counted(&wire, sent, "sent");
}

/* QEMU's e1000e sends zeroes in place of what it cannot read. */
static void
expect_nothing_of(const Wire *wire, const Frame *frame)
{
    static const unsigned char zeroes[E1000E_FRAME_MAX];
    Sent counted = count_outside(wire);
    Sent emptied = with_frame(nothing, zeroes, frame->length);
    bool is_empty =
        counted.frames == 0 || (counted.frames == 1 && counted.sum == emptied.sum);
    if (!is_empty)
        fail_msg("blocked: outside, %u frames were counted on %s with something in them",
                 counted.frames, wire->network);
}

/* The control, and another frame from where nothing is mapped any more. */
static void
expect_blocked(Wire *wire, bool is_to_fail)
{
    Nic *sender = wire->nic[0];
    Mapping page = map_page(wire->bench, sender, VFIO_READ);
    Sent sent = nothing;
    Frame frame;
    wire->from[0] = page;
    pass_frame(wire, 0, &sent);
    expect_counted(wire, sent, "while it is mapped");
    Spot source = any_spot(wire->bench, &page);
    write_frame(&wire->bench->random, source, &frame);
    if (!is_to_fail)
        unmap(sender, &page);
    e1000e_send(&sender->driver, source.iova, frame.length);
    e1000e_wait_sent(&sender->driver, BLOCKED_MS);
    connect_wire(wire);
    expect_nothing_of(wire, &frame);
}

void
blocked_content_does_not_leave(void **state)
{
    Wire wire;
    open_wire(&wire, *state);
    connect_wire(&wire);
    for (int i = 0; i < ROUNDS; i++)
        expect_blocked(&wire, suite_has_fault(__func__));
}
