/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Hosts that networks join: their addresses, names and peers. Labs are texts here, as
 * they have several hosts.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "plan-fixture.h"

#define HOST(name, nics)                                                                 \
    "<host name='" name "'><cell cpus='0' memory='1 GiB'/>" nics "</host>"
#define LAB(inside) "<lab xmlns='urn:hostbed:lab:1' name='lab'>" inside "</lab>"

/* NULL: *WHY, owned by the caller, says why not. */
static GPtrArray *
plan_text(const Emulator *emulator, const char *text, char **why)
{
    g_autoptr(Findings) findings = findings_new();
    g_autoptr(Lab) lab = lab_parse_text(text, strlen(text), "lab.xml", findings);
    GPtrArray *plans =
        lab ? plan_lab(lab, emulator, NULL, PLAN_FOR_QEMU, findings) : NULL;
    if (why)
        *why = findings_to_text(findings);
    return plans;
}

/* What PLAN's host calls ADDRESS; "": nothing. */
static const char *
names_of(const Plan *plan, const char *address)
{
    for (guint i = 0; i < plan->names->len; i++) {
        const PlanName *name = plan->names->pdata[i];
        if (g_str_equal(name->address, address))
            return name->names;
    }
    return "";
}

static const PlanFunction *
nic(const GPtrArray *plans, guint host, const char *id)
{
    return plan_function(plans->pdata[host], id);
}

static void
nics_are_numbered_by_network(void **state)
{
    g_autoptr(GPtrArray) plans =
        plan_text(*state,
                  LAB("<network id='a'/><network id='b'/>" HOST(
                      "x", "<nic network='a'/><nic network='b'/><nic network='a'/><nic/>")
                          HOST("y", "<nic network='b'/><nic network='a'/>")),
                  NULL);
    assert_non_null(plans);
    assert_string_equal(nic(plans, 0, "nic0")->ipv4, "10.100.0.1/24");
    assert_string_equal(nic(plans, 0, "nic2")->ipv4, "10.100.0.2/24");
    assert_string_equal(nic(plans, 1, "nic1")->ipv4, "10.100.0.3/24");
    assert_string_equal(nic(plans, 0, "nic1")->ipv4, "10.100.1.1/24");
    assert_string_equal(nic(plans, 1, "nic0")->ipv6, "fd00:6862:1::2/64");
    assert_null(nic(plans, 0, "nic3")->ipv4);
    g_autoptr(GPtrArray) joined = plan_joined(plans->pdata[0]);
    assert_int_equal(joined->len, 3);
}

/* A wire for tests: nothing is to pass on it by itself. */
static void
a_network_of_one_host_has_no_addresses(void **state)
{
    g_autoptr(GPtrArray) plans =
        plan_text(*state,
                  LAB("<network id='a' ipv4='10.9.0.0/16'/>" HOST(
                      "x", "<nic network='a'/><nic network='a'/>") HOST("y", "<nic/>")),
                  NULL);
    const Plan *plan = plans->pdata[0];
    assert_null(nic(plans, 0, "nic0")->ipv4);
    assert_int_equal(plan->names->len, 0);
    assert_int_equal(plan->peers->len, 0);
    assert_false(plan_joins_hosts(plan, "a"));
    g_autoptr(GPtrArray) own = plan_own_networks(plan);
    assert_int_equal(own->len, 1);
}

static void
hosts_know_those_they_can_reach(void **state)
{
    g_autoptr(GPtrArray) plans =
        plan_text(*state,
                  LAB("<network id='a'/><network id='b'/>" HOST("x", "<nic network='a'/>")
                          HOST("y", "<nic network='a'/><nic network='b'/>")
                              HOST("z", "<nic network='b'/>") HOST("alone", "<nic/>")),
                  NULL);
    const Plan *x = plans->pdata[0], *y = plans->pdata[1], *z = plans->pdata[2];
    assert_string_equal(names_of(x, "10.100.0.1"), "x.a x");
    assert_string_equal(names_of(x, "10.100.0.2"), "y.a y");
    assert_string_equal(names_of(x, "fd00:6862::2"), "y.a y");
    assert_string_equal(names_of(x, "10.100.1.2"), "");
    assert_string_equal(names_of(y, "10.100.1.1"), "y.b");
    assert_string_equal(names_of(z, "10.100.1.1"), "y.b y");
    /* They are started with it whom others need. */
    assert_int_equal(x->peers->len, 2);
    assert_string_equal(x->peers->pdata[1], "z");
    g_autoptr(GPtrArray) others = plan_peers(x, plans);
    assert_int_equal(others->len, 2);
    assert_ptr_equal(others->pdata[0], y);
    assert_ptr_equal(others->pdata[1], z);
    assert_int_equal(((const Plan *)plans->pdata[3])->peers->len, 0);
}

static void
written_prefixes_are_kept_free(void **state)
{
    g_autoptr(GPtrArray) plans = plan_text(
        *state,
        LAB("<network id='a'/><network id='b' ipv4='10.100.0.0/16' "
            "ipv6='fd00:7::/48'/>" HOST("x", "<nic network='a'/><nic network='b'/>")
                HOST("y", "<nic network='a'/><nic network='b'/>")),
        NULL);
    assert_string_equal(nic(plans, 0, "nic0")->ipv4, "10.101.0.1/24");
    assert_string_equal(nic(plans, 1, "nic1")->ipv4, "10.100.0.2/16");
    assert_string_equal(nic(plans, 1, "nic1")->ipv6, "fd00:7::2/48");
}

static void
what_has_no_room_is_refused(void **state)
{
    g_autofree char *why = NULL, *why_not = NULL;
    g_autoptr(GPtrArray) small = plan_text(
        *state,
        LAB("<network id='a' ipv4='10.0.0.0/30'/>" HOST(
            "x", "<nic network='a'/><nic network='a'/>") HOST("y", "<nic network='a'/>")),
        &why);
    assert_null(small);
    assert_non_null(strstr(why, "network 'a' has 3 NICs and virtual functions, and "
                                "addresses for 2"));
    g_autoptr(GPtrArray) many = plan_text(
        *state,
        LAB("<network id='a'/><host name='x+' count='33'><cell cpus='0' memory='1 GiB'/>"
            "<nic network='a'/></host>"),
        &why_not);
    assert_null(many);
    assert_non_null(strstr(why_not, "network 'a' joins 33 hosts; part them (at most 32"));
}

#define TEST(name)                                                                       \
    cmocka_unit_test_setup_teardown(name, fixture_emulator_setup,                        \
                                    fixture_emulator_teardown)

static void
what_has_all_addresses_leaves_none(void **state)
{
    g_autofree char *why = NULL;
    g_autoptr(GPtrArray) plans =
        plan_text(*state,
                  LAB("<network id='a'/><network id='b' ipv4='10.0.0.0/8'/>" HOST(
                      "x", "<nic network='a'/><nic network='b'/>")
                          HOST("y", "<nic network='a'/><nic network='b'/>")),
                  &why);
    assert_null(plans);
    assert_non_null(strstr(why, "other networks have all IPv4 addresses that network 'a' "
                                "could get; write ipv4 for it"));
}

/* With an uplink one host is enough; its addresses are the last three. */
static void
uplinks_have_the_last_addresses(void **state)
{
    g_autoptr(GPtrArray) plans = plan_text(
        *state,
        LAB("<network id='a'><uplink nat='on'/></network>"
            "<network id='b' ipv4='11.0.0.0/8' ipv6='fd00:1::/120'><uplink><service "
            "port='80' to='[::1]:8080'/></uplink>"
            "<forward host='x' port='22' to='127.0.0.1:2222'/></network>"
            "<network id='c'/>" HOST("x", "<nic network='a'/><nic network='b'/>")
                HOST("y", "<nic network='a'/><nic network='c'/>") HOST("z", "")),
        NULL);
    assert_non_null(plans);
    const Plan *x = plans->pdata[0], *y = plans->pdata[1], *z = plans->pdata[2];
    assert_string_equal(nic(plans, 0, "nic1")->ipv4, "11.0.0.1/8");
    assert_int_equal(x->uplinks->len, 2);
    const PlanUplink *wide = plan_uplink(x, "a"), *close = plan_uplink(x, "b");
    assert_string_equal(wide->ipv4, "10.100.0.254/24");
    assert_string_equal(wide->ipv6, "fd00:6862::fffe/64");
    assert_string_equal(wide->dns, "10.100.0.253");
    assert_string_equal(wide->door, "10.100.0.252");
    assert_true(wide->nat && wide->is_default && !wide->is_first);
    assert_string_equal(close->ipv4, "11.0.255.254/8");
    assert_string_equal(close->ipv6, "fd00:1::fe/120");
    assert_true(!close->nat && !close->is_default && close->is_first);
    const PlanPassage *forward = close->forwards->pdata[0];
    assert_string_equal(forward->guest, "11.0.0.1");
    assert_int_equal(y->uplinks->len, 1);
    assert_null(plan_uplink(y, "c"));
    assert_null(nic(plans, 1, "nic1")->ipv4); /* nobody else is there */
    assert_int_equal(z->uplinks->len, 0);
}

/* 8 addresses, of which the network, all, and the uplink's three are no hosts'. */
static void
uplinks_take_room(void **state)
{
#define NARROW(count)                                                                    \
    LAB("<network id='a' ipv4='10.0.0.0/29'><uplink nat='on'/></network>" HOST(          \
        "x", "<nic network='a' count='" count "'/>"))
    g_autofree char *why = NULL;
    g_autoptr(GPtrArray) three = plan_text(*state, NARROW("3"), NULL);
    g_autoptr(GPtrArray) four = plan_text(*state, NARROW("4"), &why);
    assert_non_null(three);
    assert_string_equal(plan_uplink(three->pdata[0], "a")->door, "10.0.0.4");
    assert_null(four);
    assert_non_null(strstr(why, "has 4 NICs and virtual functions, and addresses for 3"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nics_are_numbered_by_network),
        TEST(a_network_of_one_host_has_no_addresses),
        TEST(hosts_know_those_they_can_reach),
        TEST(written_prefixes_are_kept_free),
        TEST(what_has_no_room_is_refused),
        TEST(what_has_all_addresses_leaves_none),
        TEST(uplinks_have_the_last_addresses),
        TEST(uplinks_take_room),
    };
    return cmocka_run_group_tests_name("plan-addresses", tests, NULL, NULL);
}
