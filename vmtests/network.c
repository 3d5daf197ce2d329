/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Suite network: hosts that networks of the lab join find each other by name, talk over
 * each network and over no other, and see what becomes of their links. It runs in one of
 * them; in the others its program answers (--serve).
 */
#include "network-suite.h"

#include "ask.h"
#include "cases.h"
#include "link-wire.h"
#include "suite-state.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#define ANSWER_MS 20000
/* So long nothing comes where nothing should. */
#define SILENCE_MS 500
#define DATA_BYTES (128 * 1024)
#define LOSS_FRAMES 600
#define LOSS_PER_MILLE 300
#define LOSS_LOOK_MS 50 /* so often the harness is asked whether all came out */
/* Five deviations of 600 throws with a probability of 0.3: sqrt(600 * 0.3 * 0.7) = 11.2
 */
#define LOSS_TOLERANCE 56

/* ---- asking the harness
 * ----------------------------------------------------------------------------- */

/* What is answered to "WORD ABOUT MORE", behind the ABOUT. */
static const char *
ask(const char *word, const char *about, const char *more)
{
    char request[256];
    const char *whom, *answer;
    snprintf(request, sizeof request, "%s%s%s", about, *more ? " " : "", more);
    ask_harness(word, request);
    if (!ask_answer(suite_ms(ANSWER_MS), &whom, &answer))
        fail_msg("the harness does not answer to '%s %s'", word, request);
    if (strcmp(whom, about) != 0 || strncmp(answer, "refused", 7) == 0)
        fail_msg("the harness was asked '%s %s' and said '%s %s'", word, request, whom,
                 answer);
    return answer;
}

/* ---- names
 * ------------------------------------------------------------------------------------------
 */

static void
find_address(const char *name, int family, const char *asked)
{
    const struct addrinfo hints = {.ai_family = family, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list;
    char found[INET6_ADDRSTRLEN] = "";
    int unknown = getaddrinfo(name, NULL, &hints, &list);
    if (unknown)
        fail_msg("%s is not found: %s", name, gai_strerror(unknown));
    getnameinfo(list->ai_addr, list->ai_addrlen, found, sizeof found, NULL, 0,
                NI_NUMERICHOST);
    freeaddrinfo(list);
    if (strcmp(found, asked) != 0)
        fail_msg("%s is found at %s, asked was %s", name, found, asked);
}

static void
find_peer(const Joined *peer)
{
    const char *other =
        suite_has_fault("hosts_are_found_by_name") ? "192.0.2.1" : peer->ipv4;
    find_address(peer->name, AF_INET, other);
    find_address(peer->name, AF_INET6, peer->ipv6);
    int fd = connect_to(peer->host, 0, ANSWER_PORT);
    if (fd < 0)
        fail_msg("%s is found, and does not answer: %s", peer->host, strerror(errno));
    close(fd);
}

static void
hosts_are_found_by_name(void **state)
{
    suite_needs_live();
    each_peer(find_peer);
}

/* ---- ICMP
 * -------------------------------------------------------------------------------------------
 */

static void
come_up(long function)
{
    ask("up", (const char *)(intptr_t)function, "");
}

/* The first questions may get lost while hosts look for each other. */
static bool
answers(const Joined *peer, int family)
{
    for (int64_t end = now_ms() + suite_ms(ANSWER_MS); now_ms() < end;)
        if (ping(peer, family, 1000))
            return true;
    return false;
}

static void
ask_peer(const Joined *peer)
{
    if (suite_has_fault("hosts_answer_on_each_network")) {
        const char *function = function_on(peer->network);
        suite_at_end(come_up, (long)(intptr_t)function);
        ask("down", function, "");
    }
    if (!answers(peer, AF_INET))
        fail_msg("%s does not answer at %s", peer->name, peer->ipv4);
    if (!answers(peer, AF_INET6))
        fail_msg("%s does not answer at %s", peer->name, peer->ipv6);
}

static void
hosts_answer_on_each_network(void **state)
{
    suite_needs_live();
    each_peer(ask_peer);
}

/* ---- connections
 * ------------------------------------------------------------------------------------ */

static void
send_to(const Joined *peer, int family)
{
    static unsigned char bytes[DATA_BYTES];
    for (size_t had = 0; had < sizeof bytes;)
        had += (size_t)getrandom(bytes + had, 256, 0);
    int fd = connect_to(peer->name, family, ANSWER_PORT);
    if (fd < 0)
        fail_msg("there is no connection to %s: %s", peer->name, strerror(errno));
    const char *first =
        suite_has_fault("connections_carry_data") ? "ex" : "e"; /* a byte too much */
    bool same =
        send(fd, first, strlen(first), MSG_NOSIGNAL) > 0 && echo(fd, bytes, sizeof bytes);
    close(fd);
    if (!same)
        fail_msg("%s gives back other data than it got", peer->name);
}

static void
carry_data(const Joined *peer)
{
    send_to(peer, AF_INET);
    send_to(peer, AF_INET6);
}

static void
connections_carry_data(void **state)
{
    suite_needs_live();
    each_peer(carry_data);
}

/* ---- networks
 * ----------------------------------------------------------------------------------------
 */

static const Joined *peers[256];
static int peer_count;

static void
add_peer(const Joined *peer)
{
    if (peer_count < (int)(sizeof peers / sizeof peers[0]))
        peers[peer_count++] = peer;
}

/* The network of the interface, if it is one by whose address this host is known. */
static const char *
network_behind(int index)
{
    NetInterface interface;
    for (int i = 0; i < peer_count; i++)
        if (interface_of(joined_self(peers[i]->network), &interface) &&
            interface.index == index)
            return peers[i]->network;
    return NULL;
}

/* How many "heard" are to come of one that was sent on NETWORK: each host there tells on
 * each network that both are on. */
static int
expected_on(const char *network)
{
    int count = 0;
    for (int i = 0; i < peer_count; i++)
        for (int j = 0; strcmp(peers[i]->network, network) == 0 && j < peer_count; j++)
            count += strcmp(peers[j]->host, peers[i]->host) == 0;
    return count;
}

static void
check_heard(const char *text, const char *token, const char *sent_on, int interface)
{
    char its[TOKEN_BYTES], host[NAME_MAX_BYTES], arrived[NAME_MAX_BYTES],
        leaves[NAME_MAX_BYTES];
    const char *here = network_behind(interface);
    if (sscanf(text, "heard %16s %64s %64s %64s", its, host, arrived, leaves) != 4 ||
        strcmp(its, token) != 0)
        fail_msg("'%s' came, which is no answer to what was asked", text);
    if (strcmp(arrived, sent_on) != 0)
        fail_msg("a frame that was sent on %s came to %s on %s", sent_on, host, arrived);
    if (here && strcmp(leaves, here) != 0)
        fail_msg("a frame that %s sent on %s came here on %s", host, leaves, here);
}

static void
ask_on(const char *network, const char *claimed)
{
    char token[TOKEN_BYTES], text[256], question[64];
    int interface, heard = 0;
    NetInterface own;
    if (!interface_of(joined_self(network), &own))
        fail_msg("no interface has this host's address on %s", network);
    int fd = frames_open(NULL);
    token_new(token);
    snprintf(question, sizeof question, "ask %s", token);
    frames_send(fd, &own, question);
    for (int expected = expected_on(network); heard < expected; heard++) {
        if (!frames_next(fd, text, &interface, suite_ms(ANSWER_MS)))
            fail_msg("of what was sent on %s, %d answers came; %d were expected", network,
                     heard, expected);
        if (network_behind(interface))
            check_heard(text, token, claimed, interface);
        else
            heard--; /* another NIC of this host hears the same */
    }
    while (frames_next(fd, text, &interface, suite_ms(SILENCE_MS)))
        if (network_behind(interface))
            fail_msg("'%s' came after all answers", text);
    close(fd);
}

static void
networks_do_not_mix(void **state)
{
    suite_needs_live();
    peer_count = 0;
    each_peer(add_peer);
    const char *last = "";
    for (int i = 0; i < peer_count; i++) {
        const char *network = peers[i]->network;
        if (strcmp(network, last) != 0)
            ask_on(network, suite_has_fault("networks_do_not_mix") ? "another" : network);
        last = network;
    }
}

/* ---- links
 * -------------------------------------------------------------------------------------------
 */

static void
wait_carrier(const char *name, char asked)
{
    for (int64_t end = now_ms() + suite_ms(ANSWER_MS); now_ms() < end; usleep(10000)) {
        const char *carrier = suite_read("/sys/class/net/%s/carrier", name);
        if (carrier && *carrier == asked)
            return;
    }
    fail_msg("%s has %s carrier, asked was that the link %s", name,
             asked == '1' ? "no" : "a", asked == '1' ? "comes back" : "goes down");
}

/* Not every emulator has an e1000e that tells Linux's driver (7.2's does not, 10.0's
 * does): with it only frames are asked for. */
static bool
tells_carrier(const char *name)
{
    const char *driver = suite_link("/sys/class/net/%s/device/driver", name);
    return driver && strcmp(driver, "e1000e") != 0;
}

static void
lose_link(const Joined *peer)
{
    NetInterface own;
    const char *function = function_on(peer->network);
    if (!interface_of(joined_self(peer->network), &own))
        fail_msg("no interface has this host's address on %s", peer->network);
    if (!answers(peer, AF_INET))
        fail_msg("%s does not answer at %s", peer->name, peer->ipv4);
    suite_at_end(come_up, (long)(intptr_t)function);
    if (!suite_has_fault("a_link_goes_down_and_comes_back"))
        ask("down", function, "");
    if (tells_carrier(own.name))
        wait_carrier(own.name, '0');
    if (ping(peer, AF_INET, suite_ms(SILENCE_MS)))
        fail_msg("%s answers over %s, whose link is down", peer->name, own.name);
    ask("up", function, "");
    if (tells_carrier(own.name))
        wait_carrier(own.name, '1');
    if (!answers(peer, AF_INET))
        fail_msg("%s does not answer after the link of %s came back", peer->name,
                 own.name);
}

static void
a_link_goes_down_and_comes_back(void **state)
{
    suite_needs_live();
    each_peer(lose_link);
}

/* ---- losses
 * ------------------------------------------------------------------------------------------
 */

static void
lose_none(long network)
{
    ask("lose", (const char *)(intptr_t)network, "0 0");
}

/* What the peer says that it has of the frames with TOKEN. */
static int
count_at(const Joined *peer, const char *token)
{
    char answer[16] = "";
    int fd = connect_to(peer->name, AF_INET, ANSWER_PORT);
    if (fd < 0)
        fail_msg("there is no connection to %s: %s", peer->name, strerror(errno));
    char question[TOKEN_BYTES + 1];
    snprintf(question, sizeof question, "c%s", token);
    (void)!send(fd, question, strlen(question), MSG_NOSIGNAL);
    for (int64_t end = now_ms() + suite_ms(ANSWER_MS);
         now_ms() < end && recv(fd, answer, sizeof answer - 1, 0) <= 0;)
        usleep(10000);
    close(fd);
    return *answer ? atoi(answer) : -1;
}

typedef struct {
    unsigned long long frames, delivered, lost, dropped, refused;
} Tally;

static Tally
tally(const char *network)
{
    Tally counts = {0};
    const char *answer = ask("tally", network, "");
    if (sscanf(answer, "tallied %llu %llu %llu %llu %llu", &counts.frames,
               &counts.delivered, &counts.lost, &counts.dropped, &counts.refused) != 5)
        fail_msg("the harness counts '%s' on %s", answer, network);
    return counts;
}

/* What there was when all had come out. */
static Tally
send_all(int fd, const NetInterface *own, const char *network, const char *text)
{
    unsigned long long before = tally(network).frames;
    for (int i = 0; i < LOSS_FRAMES; i++)
        frames_send(fd, own, text);
    for (int64_t end = now_ms() + suite_ms(ANSWER_MS);; usleep(LOSS_LOOK_MS * 1000)) {
        Tally after = tally(network);
        if (after.frames >= before + LOSS_FRAMES)
            return after;
        if (now_ms() > end)
            fail_msg("%d frames were sent on %s, and %llu came out", LOSS_FRAMES, network,
                     after.frames - before);
    }
}

static void
lose_frames(const Joined *peer)
{
    char token[TOKEN_BYTES], text[64];
    NetInterface own;
    const char *network = joined_self(peer->network)->network;
    if (!interface_of(joined_self(network), &own))
        fail_msg("no interface has this host's address on %s", network);
    int fd = frames_open(&own);
    token_new(token);
    snprintf(text, sizeof text, "count %s", token);
    suite_at_end(lose_none, (long)(intptr_t)network);
    snprintf(text, sizeof text, "%d 7",
             suite_has_fault("frames_are_lost_as_asked") ? 0 : LOSS_PER_MILLE);
    ask("lose", network, text);
    snprintf(text, sizeof text, "count %s", token);
    Tally before = tally(network);
    Tally after = send_all(fd, &own, network, text);
    close(fd);
    ask("lose", network, "0 0");
    int expected = LOSS_FRAMES * (1000 - LOSS_PER_MILLE) / 1000;
    int came = count_at(peer, token);
    if (abs(came - expected) > LOSS_TOLERANCE)
        fail_msg("of %d frames on %s, %d came to %s; about %d were to", LOSS_FRAMES,
                 network, came, peer->host, expected);
    if (after.dropped != before.dropped)
        fail_msg("%llu frames on %s were dropped, and nobody asked for that",
                 after.dropped - before.dropped, network);
}

static void
frames_are_lost_as_asked(void **state)
{
    suite_needs_live();
    each_peer(lose_frames);
}

/* ---- others
 * --------------------------------------------------------------------------------------------
 */

static void
listen_on(const Joined *peer)
{
    char token[TOKEN_BYTES], text[256], mine[64];
    int interface;
    NetInterface own;
    if (!interface_of(joined_self(peer->network), &own))
        fail_msg("no interface has this host's address on %s", peer->network);
    int fd = frames_open(&own);
    token_new(token);
    snprintf(mine, sizeof mine, "%s %s",
             suite_has_fault("nobody_else_is_heard") ? "ask" : "alone", token);
    for (int i = 0; i < 10; i++) {
        frames_send(fd, &own, mine);
        if (frames_next(fd, text, &interface, suite_ms(SILENCE_MS) / 5))
            fail_msg("'%s' came on %s, where only this lab's hosts should be", text,
                     peer->network);
    }
    close(fd);
}

/* Each copy of the lab says something of its own on its networks, and hears itself only.
 */
static void
nobody_else_is_heard(void **state)
{
    suite_needs_live();
    each_peer(listen_on);
}

/* ---- a checkpoint
 * ----------------------------------------------------------------------------------- */

static void
use_kept(void)
{
    if (use_connections() < 1)
        fail_msg("the connections that were kept are of no use any more");
    if (!suite_host_ends())
        drop_connections();
}

static void
connections_outlive_the_checkpoint(void **state)
{
    suite_needs_live();
    hold_connections();
    if (suite_has_fault("connections_outlive_the_checkpoint"))
        drop_connections();
    use_kept();
}

static void
interrupt_link(const Joined *peer)
{
    const char *function = function_on(peer->network);
    suite_at_end(come_up, (long)(intptr_t)function);
    ask("down", function, "");
    if (ping(peer, AF_INET, suite_ms(SILENCE_MS)))
        fail_msg("%s answers over %s, whose link is down", peer->name, function);
    ask("up", function, "");
}

static void
connections_outlive_a_lost_link(void **state)
{
    suite_needs_live();
    hold_connections();
    each_peer(interrupt_link);
    if (suite_has_fault("connections_outlive_a_lost_link"))
        drop_connections();
    use_kept();
}

static const SuiteState states[] = {{"connected", hold_connections}, {NULL, NULL}};

int
main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--serve") == 0)
        return serve_start(argv[2]);
    int status;
    if (!suite_reaches(states, &status))
        return status;
    const struct CMUnitTest tests[] = {NETWORK_CASES(SUITE_CASE)};
    return suite_run("network", tests);
}
