/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Suite nested: what the host is for. It runs guests of its own, and gives them its
 * functions.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "e1000e.h"
#include "kvm-guest.h"
#include "nested-suite.h"
#include "net.h"
#include "networks.h"
#include "suite-state.h"
#include "vfio-device.h"
#include "vfio-use.h"

#define DRIVER "e1000e"
#define DRIVER_MS 100000
#define NICS 8
/* Of the guest that has them; its pages are as large as the usual huge ones. */
#define GUEST_MIB 32
#define HUGE_MIB 2
#define HUGE_POOL "/sys/devices/system/node/node%d/hugepages/hugepages-2048kB"

/* ---- what the cases need
 * --------------------------------------------------------------------- */

static void
needs_kvm(void)
{
    suite_needs_live();
    if (kvm_load())
        return;
    print_message("the host has no /dev/kvm: its CPUs have neither SVM nor VMX, or its "
                  "kernel has no KVM\n");
    skip();
}

const char *
any_nic(unsigned number)
{
    return vfio_choose(E1000E_ID, number);
}

static void
needs_programs(void)
{
    needs_kvm();
    if (!inner_is_possible()) {
        print_message("this machine has no qemu-system-x86_64 to put into the host\n");
        skip();
    }
    if (vfio_load() != 0) {
        print_message("the host has no VFIO\n");
        skip();
    }
}

/* What a host has, it keeps: who found it before it was copied need not look again. */
void
needs_guests(void)
{
    static bool has_them;
    if (!has_them)
        needs_programs();
    has_them = true;
    vfio_trust_interrupts();
}

void
needs_nic(void)
{
    if (!any_nic(0)) {
        print_message("no e1000e of the lab shares its IOMMU group with bridges only\n");
        skip();
    }
}

/* ---- the functions
 * ----------------------------------------------------------------------------------- */

static const char *taken[NICS];
static long taken_count;

static void
give_back(long number)
{
    pci_bind(taken[number], NULL);
    taken_count--;
}

void
take(const char *address)
{
    if (taken_count == NICS)
        fail_msg("a case takes %d functions at most", NICS);
    taken[taken_count] = address;
    suite_at_end(give_back, taken_count++);
    int result = pci_bind(address, "vfio-pci");
    if (result < 0)
        fail_msg("%s is not taken by vfio-pci: %s", address, strerror(-result));
}

void
leave_to_the_host(const char *address)
{
    int result = pci_return(address);
    if (result < 0)
        fail_msg("no driver of the host takes %s: %s", address, strerror(-result));
}

/* The MAC that a guest says of its only NIC. */
static const char *
mac_inside(Inner *inner)
{
    const char *answer = inner_ask(inner, "l");
    const char *line_end = strchr(answer, '\n');
    if (strncmp(answer, "nic ", 4) != 0 || !line_end || line_end[1] != '\0')
        fail_msg("the guest was to see one NIC; it sees \"%s\"", answer);
    static char mac[20];
    snprintf(mac, sizeof mac, "%.17s", line_end - 17);
    return mac;
}

/* ---- cases
 * -------------------------------------------------------------------------------------
 */

void
kvm_runs_guest_code(void **state)
{
    needs_kvm();
    const char *why = kvm_run_guest(!suite_has_fault("kvm_runs_guest_code"));
    if (why)
        fail_msg("%s", why);
}

void
guest_drives_its_function(void **state)
{
    needs_guests();
    needs_nic();
    const char *address = any_nic(0), *given = address;
    if (suite_has_fault("guest_drives_its_function"))
        given = any_nic(1);
    take(given);
    Inner *inner = inner_start(given, NULL);
    const char *mac = mac_inside(inner);
    if (strcmp(mac, suite_asked(address, "mac")) != 0)
        fail_msg("the guest's NIC has the address %s; %s was assigned, which has %s", mac,
                 address, suite_asked(address, "mac"));
}

static bool
driver_is_back(const char *address)
{
    const char *driver = pci_driver(address);
    return driver && strcmp(driver, DRIVER) == 0;
}

void
function_of_a_killed_guest_is_the_hosts_again(void **state)
{
    needs_guests();
    needs_nic();
    const char *address = any_nic(0);
    NetInterface before, after;
    leave_to_the_host(address);
    if (!net_of_function(address, &before))
        fail_msg("%s has no interface before", address);
    take(address);
    Inner *inner = inner_start(address, NULL);
    mac_inside(inner);
    inner_kill(inner);
    if (!suite_has_fault("function_of_a_killed_guest_is_the_hosts_again"))
        pci_bind(address, NULL);
    if (!driver_is_back(address))
        fail_msg("%s is driven by %s after its guest was killed, asked was " DRIVER,
                 address, pci_driver(address) ? pci_driver(address) : "none");
    if (!net_of_function(address, &after) || memcmp(before.mac, after.mac, 6) != 0)
        fail_msg("the interface of %s has not its address again", address);
}

/* ---- memory
 * -------------------------------------------------------------------------------------
 */

static long
free_pages(int node)
{
    const char *text = suite_read(HUGE_POOL "/free_hugepages", node);
    return text ? strtol(text, NULL, 10) : 0;
}

/* The first NIC on a node with huge pages for a guest. */
static const char *
nic_by_pages(int *node)
{
    const char *address;
    for (unsigned i = 0; (address = any_nic(i)); i++) {
        *node = atoi(suite_asked(address, "node"));
        if (*suite_asked(address, "node") && *node >= 0 &&
            free_pages(*node) >= GUEST_MIB / HUGE_MIB)
            return address;
    }
    print_message("no node with a NIC has %d free huge pages of %d MiB\n",
                  GUEST_MIB / HUGE_MIB, HUGE_MIB);
    skip();
    return NULL;
}

void
guest_memory_is_huge_pages_of_the_nics_node(void **state)
{
    needs_guests();
    needs_nic();
    int node = -1;
    const char *address = nic_by_pages(&node);
    int bound = node;
    if (suite_has_fault("guest_memory_is_huge_pages_of_the_nics_node"))
        bound = node == 0 ? 1 : 0;
    char backend[200];
    snprintf(backend, sizeof backend,
             "memory-backend-file,id=ram,size=%dM,mem-path=/dev/hugepages,share=off,"
             "prealloc=on,host-nodes=%d,policy=bind",
             GUEST_MIB, bound);
    const char *const memory[] = {"-object", backend, "-machine", "memory-backend=ram",
                                  NULL};
    const long before = free_pages(node);
    take(address);
    Inner *inner = inner_start(address, memory);
    mac_inside(inner);
    const long used = before - free_pages(node);
    if (used != GUEST_MIB / HUGE_MIB)
        fail_msg("a guest with %s uses %ld huge pages of node %d, asked were %d", address,
                 used, node, GUEST_MIB / HUGE_MIB);
}

/* ---- frames
 * ---------------------------------------------------------------------------------------
 */

void
choose_wired(const char **first, const char **second)
{
    if (wired_pair(any_nic, first, second))
        return;
    print_message("no two NICs of the lab that can be assigned are on one network\n");
    skip();
}

static void
is_from(Inner *inner, const char *address)
{
    char expected[40];
    snprintf(expected, sizeof expected, "frame from %s\n", suite_asked(address, "mac"));
    const char *answer = inner_hear(inner);
    if (strcmp(answer, expected) != 0)
        fail_msg("the guest says \"%s\"; the other one has %s", answer,
                 suite_asked(address, "mac"));
}

void
frames_pass_between_guests(void **state)
{
    needs_guests();
    needs_nic();
    const char *first, *second;
    choose_wired(&first, &second);
    take(first);
    take(second);
    Inner *one = inner_start(first, NULL), *other = inner_start(second, NULL);
    inner_say(one, "f");
    /* One that does not send, and is heard to do something else. */
    inner_say(other, suite_has_fault("frames_pass_between_guests") ? "l" : "f");
    is_from(other, first);
    is_from(one, second);
    /* They send until both have heard the other. */
    inner_say(one, ".");
    inner_say(other, ".");
}

/* ---- plugging
 * -------------------------------------------------------------------------------------
 */

static int
nics_inside(Inner *inner)
{
    int count = 0;
    for (const char *at = inner_ask(inner, "l"); (at = strstr(at, "nic ")); at++)
        count++;
    return count;
}

static void
wait_for_nics(Inner *inner, int wanted, const char *what)
{
    const int64_t end_ms = now_ms() + suite_ms(DRIVER_MS);
    while (nics_inside(inner) != wanted)
        if (now_ms() > end_ms)
            fail_msg("the guest sees %d NICs after one was %s, asked were %d",
                     nics_inside(inner), what, wanted);
}

void
function_is_plugged_into_a_running_guest(void **state)
{
    needs_guests();
    needs_nic();
    const char *first = any_nic(0), *second = any_nic(1);
    if (!second) {
        print_message("the lab has one NIC\n");
        skip();
    }
    take(first);
    take(second);
    Inner *inner = inner_start(first, NULL);
    mac_inside(inner);
    inner_monitor(inner, "device_add vfio-pci,host=%s,id=plugged,rombar=0,addr=1d\n",
                  second);
    wait_for_nics(inner, 2, "plugged");
    if (!strstr(inner_ask(inner, "l"), suite_asked(second, "mac")))
        fail_msg("the guest sees \"%s\"; plugged was %s", inner->answer,
                 suite_asked(second, "mac"));
    if (!suite_has_fault("function_is_plugged_into_a_running_guest"))
        inner_monitor(inner, "device_del plugged\n");
    inner_ask(inner, "e29;");
    wait_for_nics(inner, 1, "unplugged");
}

/* ---- states
 * ----------------------------------------------------------------------------------------
 */

/* A guest runs with the first NIC, and answers. */
static void
reach_guest(void)
{
    needs_guests();
    needs_nic();
    take(any_nic(0));
    inner_leave(inner_start(any_nic(0), NULL));
}

static const SuiteState states[] = {
    {"guest", reach_guest}, {"linux-guest", reach_linux_guest}, {NULL, NULL}};

int
main(void)
{
    int status;
    if (!suite_reaches(states, &status))
        return status;
    const struct CMUnitTest tests[] = {NESTED_CASES(SUITE_CASE)};
    return suite_run("nested", tests);
}
