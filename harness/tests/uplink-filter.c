/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What may pass from a network to its uplink, and what may not. (vm-uplink.sh tries it
 * with hosts.)
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <string.h>

#include "uplink-order.h"

#define ORDER                                                                            \
    "{\"ipv4\":\"10.100.0.254/24\",\"ipv6\":\"fd00::fffe/64\",\"dns\":\"10.100.0.253\"," \
    "\"door\":\"10.100.0.252\",\"nat\":%s,\"services\":[{\"port\":5432}],"               \
    "\"forwards\":[{\"port\":22,\"guest\":\"10.100.0.1\"}]}"

#define FRAME_BYTES (14 + 40 + 20)

/* A frame, to whom libslirp is with that address. */
static gsize
frame4(guint8 *frame, const char *from, const char *to, int protocol, guint16 source,
       guint16 port)
{
    const guint16 ports[] = {htons(source), htons(port)};
    struct in_addr addresses[2];
    memset(frame, 0, FRAME_BYTES);
    inet_pton(AF_INET, from, &addresses[0]);
    inet_pton(AF_INET, to, &addresses[1]);
    memcpy(frame, "\x52\x55\x0a\x64\x00\xfe\x52\x54\x00\x00\x00\x01\x08\x00", 14);
    frame[14] = 0x45;
    frame[14 + 9] = (guint8)protocol;
    memcpy(frame + 14 + 12, addresses, 8);
    memcpy(frame + 34, ports, 4);
    if (protocol == IPPROTO_ICMP)
        frame[34] = 8;
    return 34 + 20;
}

static gsize
frame6(guint8 *frame, const char *from, const char *to, int next, guint8 first)
{
    struct in6_addr addresses[2];
    memset(frame, 0, FRAME_BYTES);
    inet_pton(AF_INET6, from, &addresses[0]);
    inet_pton(AF_INET6, to, &addresses[1]);
    memcpy(frame, "\x52\x56\x00\x00\xff\xfe\x52\x54\x00\x00\x00\x01\x86\xdd", 14);
    frame[14] = 0x60;
    frame[14 + 6] = (guint8)next;
    memcpy(frame + 14 + 8, addresses, 32);
    frame[54] = first;
    return FRAME_BYTES;
}

static void
read_policy(UplinkPolicy *policy, const char *nat)
{
    g_autofree char *text = g_strdup_printf(ORDER, nat);
    g_autoptr(JsonNode) node = json_from_string(text, NULL);
    struct in_addr own4;
    struct in6_addr own6;
    uplink_policy_init(policy);
    assert_true(uplink_order_policy(json_node_get_object(node), policy));
    inet_pton(AF_INET, "192.0.2.7", &own4);
    inet_pton(AF_INET6, "2001:db8::7", &own6);
    g_array_append_val(policy->own4, own4);
    g_array_append_val(policy->own6, own6);
}

typedef struct {
    gboolean restricted, nat; /* passes with that */
    const char *from, *to;
    int protocol;
    guint16 source, port;
} Case;

#define HOST "10.100.0.1"

static const Case cases[] = {
    /* services, and nothing else at their address */
    {TRUE, TRUE, HOST, "10.100.0.252", IPPROTO_TCP, 40000, 5432},
    {FALSE, FALSE, HOST, "10.100.0.252", IPPROTO_UDP, 40000, 5432},
    {FALSE, FALSE, HOST, "10.100.0.252", IPPROTO_TCP, 5432, 5433},
    {FALSE, FALSE, HOST, "10.100.0.254", IPPROTO_TCP, 40000, 5432},
    {FALSE, FALSE, HOST, "127.0.0.1", IPPROTO_TCP, 40000, 5432},
    /* answers to who was forwarded, of whom that was */
    {TRUE, TRUE, HOST, "10.100.0.254", IPPROTO_TCP, 22, 40000},
    {FALSE, FALSE, "10.100.0.2", "10.100.0.254", IPPROTO_TCP, 22, 40000},
    {FALSE, FALSE, HOST, "10.100.0.254", IPPROTO_TCP, 40000, 22},
    {TRUE, TRUE, HOST, "10.100.0.254", IPPROTO_ICMP, 0, 0},
    /* names */
    {FALSE, TRUE, HOST, "10.100.0.253", IPPROTO_UDP, 40000, 53},
    {FALSE, TRUE, HOST, "10.100.0.253", IPPROTO_TCP, 40000, 53},
    {FALSE, FALSE, HOST, "10.100.0.253", IPPROTO_UDP, 53, 80},
    /* outside */
    {FALSE, TRUE, HOST, "198.51.100.1", IPPROTO_TCP, 40000, 443},
    {FALSE, TRUE, HOST, "198.51.100.1", IPPROTO_UDP, 40000, 123},
    {FALSE, FALSE, HOST, "198.51.100.1", IPPROTO_GRE, 0, 0},
    /* the machine, by all that it may be called */
    {FALSE, FALSE, HOST, "192.0.2.7", IPPROTO_TCP, 40000, 22},
    {FALSE, FALSE, HOST, "127.0.0.1", IPPROTO_UDP, 40000, 53},
    {FALSE, FALSE, HOST, "127.8.8.8", IPPROTO_TCP, 40000, 22},
    {FALSE, FALSE, HOST, "0.0.0.0", IPPROTO_TCP, 40000, 22},
    {FALSE, FALSE, HOST, "0.1.2.3", IPPROTO_TCP, 40000, 22},
    {FALSE, FALSE, HOST, "169.254.169.254", IPPROTO_TCP, 40000, 80},
    {FALSE, FALSE, HOST, "255.255.255.255", IPPROTO_UDP, 68, 67},
    {FALSE, FALSE, HOST, "224.0.0.251", IPPROTO_UDP, 5353, 5353},
    /* what the real network may have by the network's own addresses; other senders */
    {FALSE, FALSE, HOST, "10.100.0.9", IPPROTO_TCP, 40000, 22},
    {FALSE, FALSE, "10.101.0.1", "198.51.100.1", IPPROTO_TCP, 40000, 443},
    {FALSE, FALSE, "10.101.0.1", "10.100.0.252", IPPROTO_TCP, 40000, 5432},
};

static void
only_what_is_named_passes(void **state)
{
    guint8 frame[FRAME_BYTES];
    g_auto(UplinkPolicy) restricted, nat;
    read_policy(&restricted, "false");
    read_policy(&nat, "true");
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        const Case *one = &cases[i];
        gsize length =
            frame4(frame, one->from, one->to, one->protocol, one->source, one->port);
        if (uplink_filter_in(&restricted, frame, length) != one->restricted ||
            uplink_filter_in(&nat, frame, length) != one->nat)
            fail_msg("%s to %s, protocol %d, %u to %u", one->from, one->to, one->protocol,
                     one->source, one->port);
    }
}

static void
ipv6_leads_out_with_nat_alone(void **state)
{
    static const struct {
        gboolean nat;
        const char *from, *to;
        int next;
        guint8 first;
    } list[] = {
        {TRUE, "fd00::1", "2001:db8::1", IPPROTO_TCP, 0},
        {TRUE, "fd00::1", "2001:db8::1", IPPROTO_UDP, 0},
        {TRUE, "fd00::1", "fd00::fffe", IPPROTO_ICMPV6, 128},
        {TRUE, "fe80::1", "fd00::fffe", IPPROTO_ICMPV6, 135},
        {FALSE, "fd00::1", "fd00::fffe", IPPROTO_TCP, 0},
        {FALSE, "fd00::1", "fd00::fffd", IPPROTO_UDP, 0},
        {FALSE, "fd00::1", "2001:db8::7", IPPROTO_TCP, 0},
        {FALSE, "fd00::1", "::1", IPPROTO_TCP, 0},
        {FALSE, "fd00::1", "::", IPPROTO_TCP, 0},
        {FALSE, "fd00::1", "::ffff:127.0.0.1", IPPROTO_TCP, 0},
        {FALSE, "fd00::1", "::127.0.0.1", IPPROTO_TCP, 0},
        {FALSE, "fd00::1", "64:ff9b::7f00:1", IPPROTO_TCP, 0},
        {FALSE, "fd00::1", "2002:7f00:1::", IPPROTO_TCP, 0},
        {FALSE, "fd00::1", "fe80::1", IPPROTO_TCP, 0},
        {FALSE, "fd00::1", "ff02::1", IPPROTO_UDP, 0},
        {FALSE, "fd00::1", "2001:db8::1", IPPROTO_FRAGMENT, 0},
        {FALSE, "fd00::1", "2001:db8::1", IPPROTO_ROUTING, 0},
        {FALSE, "fe80::1", "2001:db8::1", IPPROTO_TCP, 0},
        {FALSE, "fd01::1", "2001:db8::1", IPPROTO_TCP, 0},
    };
    guint8 frame[FRAME_BYTES];
    g_auto(UplinkPolicy) restricted, nat;
    read_policy(&restricted, "false");
    read_policy(&nat, "true");
    for (gsize i = 0; i < G_N_ELEMENTS(list); i++) {
        gsize length =
            frame6(frame, list[i].from, list[i].to, list[i].next, list[i].first);
        if (uplink_filter_in(&restricted, frame, length) ||
            uplink_filter_in(&nat, frame, length) != list[i].nat)
            fail_msg("%s to %s, next header %d", list[i].from, list[i].to, list[i].next);
    }
}

static void
only_frames_for_the_uplink_are_its_business(void **state)
{
    guint8 frame[FRAME_BYTES], refusal[UPLINK_REFUSAL_BYTES];
    g_auto(UplinkPolicy) policy;
    read_policy(&policy, "true");
    gsize length = frame4(frame, HOST, "198.51.100.1", IPPROTO_TCP, 40000, 80);
    assert_true(uplink_filter_is_for(&policy, frame, length));
    frame[1] = 0x54; /* another host's */
    assert_false(uplink_filter_is_for(&policy, frame, length));
    assert_false(uplink_filter_in(&policy, frame, length));
    memset(frame, 0xff, 6); /* IPv4 is for one */
    assert_true(uplink_filter_is_for(&policy, frame, length));
    assert_false(uplink_filter_in(&policy, frame, length));
    assert_int_equal(uplink_filter_refuse(frame, length, refusal), 0);
    memcpy(frame + 12, "\x08\x06", 2); /* ARP is for all */
    assert_true(uplink_filter_in(&policy, frame, length));
    memcpy(frame + 12, "\x81\x00", 2); /* a VLAN */
    assert_false(uplink_filter_in(&policy, frame, length));
}

/* libslirp puts them together, and would look at the ports of the first only. */
static void
fragments_reach_no_named_port(void **state)
{
    guint8 frame[FRAME_BYTES];
    g_auto(UplinkPolicy) policy;
    read_policy(&policy, "false");
    gsize length = frame4(frame, HOST, "10.100.0.252", IPPROTO_TCP, 40000, 5432);
    assert_true(uplink_filter_in(&policy, frame, length));
    frame[14 + 6] = 0x40; /* don't fragment */
    assert_true(uplink_filter_in(&policy, frame, length));
    frame[14 + 6] = 0x20;
    assert_false(uplink_filter_in(&policy, frame, length));
    frame[14 + 6] = 0;
    frame[14 + 7] = 1;
    assert_false(uplink_filter_in(&policy, frame, length));
    frame[14 + 7] = 0;
    frame[14] = 0x46; /* options */
    assert_false(uplink_filter_in(&policy, frame, length));
}

/* Every beginning of a frame, with what is behind it not to be read. */
static void
short_frames_do_not_pass(void **state)
{
    g_auto(UplinkPolicy) policy;
    read_policy(&policy, "true");
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        guint8 frame[FRAME_BYTES], refusal[UPLINK_REFUSAL_BYTES];
        const Case *one = &cases[i];
        gsize length =
            frame4(frame, one->from, one->to, one->protocol, one->source, one->port);
        for (gsize cut = 0; cut <= length; cut++) {
            g_autofree guint8 *part = g_memdup2(frame, cut + !cut);
            if (cut < 34)
                assert_false(uplink_filter_in(&policy, part, cut));
            if (cut >= 14)
                uplink_filter_refuse(part, cut, refusal);
            uplink_filter_out(part, cut);
        }
    }
}

static guint32
sum(const guint8 *bytes, gsize length)
{
    guint32 value = 0;
    for (gsize i = 0; i < length; i += 2)
        value += (guint32)(bytes[i] << 8 | bytes[i + 1]);
    while (value >> 16)
        value = (value & 0xffff) + (value >> 16);
    return value;
}

static void
who_is_refused_is_told(void **state)
{
    guint8 frame[FRAME_BYTES], refusal[UPLINK_REFUSAL_BYTES];
    gsize length = frame4(frame, HOST, "10.100.0.252", IPPROTO_TCP, 40000, 80);
    assert_int_equal(uplink_filter_refuse(frame, length, refusal), 70);
    assert_memory_equal(refusal, frame + 6, 6);
    assert_memory_equal(refusal + 6, frame, 6);
    assert_memory_equal(refusal + 14 + 12, frame + 14 + 16, 4);
    assert_memory_equal(refusal + 14 + 16, frame + 14 + 12, 4);
    assert_int_equal(sum(refusal + 14, 20), 0xffff);
    assert_int_equal(sum(refusal + 34, 36), 0xffff);
    assert_memory_equal(refusal + 42, frame + 14, 28);
    length = frame4(frame, HOST, "10.100.0.252", IPPROTO_ICMP, 0, 0);
    assert_int_equal(uplink_filter_refuse(frame, length, refusal), 0);
}

static void
no_router_is_advertised(void **state)
{
    guint8 frame[FRAME_BYTES];
    gsize length = frame6(frame, "fe80::2", "ff02::1", IPPROTO_ICMPV6, 134);
    assert_false(uplink_filter_out(frame, length));
    length = frame6(frame, "fd00::fffe", "fd00::1", IPPROTO_ICMPV6, 136);
    assert_true(uplink_filter_out(frame, length));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_is_named_passes),
        cmocka_unit_test(ipv6_leads_out_with_nat_alone),
        cmocka_unit_test(only_frames_for_the_uplink_are_its_business),
        cmocka_unit_test(fragments_reach_no_named_port),
        cmocka_unit_test(short_frames_do_not_pass),
        cmocka_unit_test(who_is_refused_is_told),
        cmocka_unit_test(no_router_is_advertised),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
