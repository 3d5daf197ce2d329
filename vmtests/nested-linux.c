/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Suite nested: guests with Linux, whose own drivers take what they were given.
 */
#include <string.h>
#include <unistd.h>

#include "kvm-guest.h"
#include "net-vf.h"
#include "net.h"
#include "nested-suite.h"
#include "networks.h"
#include "vfio-device.h"

#define VF_ID "8086:10ca"
/* What guest-init.c answers to a frame, before the address that it came from; a frame
 * that comes while an interface begins is lost. */
#define ANSWER_WORDS "guest hears "
#define ANSWER_MS 1000
#define FRAMES_MS 100000

static const unsigned char to_all[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

static void
needs_kernel(void)
{
    if (kvm_is_emulated() && sysconf(_SC_NPROCESSORS_CONF) > 1) {
        print_message("under plain emulation no guest with Linux lives long in a host "
                      "with several CPUs (docs/facts.rst)\n");
        skip();
    }
    if (!inner_has_linux()) {
        print_message("the host has no kernel for guests: this machine has no SeaBIOS "
                      "with QEMU's pvh.bin and linuxboot_dma.bin\n");
        skip();
    }
}

static void
needs_linux(void)
{
    static bool has_it;
    needs_guests();
    if (!has_it)
        needs_kernel();
    has_it = true;
}

/* The next function that a driver takes is taken by this one, and has the address. */
static void
expect_driver(Inner *inner, const char *driver, const char *mac)
{
    char expected[100];
    snprintf(expected, sizeof expected, "%s %s", driver, mac);
    const char *nic = inner_await(inner, "nic");
    if (strcmp(nic, expected) != 0)
        fail_msg("in the guest a NIC is \"%s\" (driver, address), asked was \"%s\"", nic,
                 expected);
}

static void
expect_event(Inner *inner, const char *word, const char *expected)
{
    const char *said = inner_await(inner, word);
    if (strcmp(said, expected) != 0)
        fail_msg("the guest says \"%s %s\", asked was \"%s\"", word, said, expected);
}

void
linux_drives_its_function(void **state)
{
    needs_linux();
    needs_nic();
    const char *address = any_nic(0), *given = address;
    if (suite_has_fault("linux_drives_its_function"))
        given = any_nic(1);
    take(given);
    Inner *inner = inner_start_linux(given, NULL);
    expect_driver(inner, "e1000e", suite_asked(address, "mac"));
    expect_event(inner, "link", suite_asked(address, "mac"));
}

void
reach_linux_guest(void)
{
    const char *given, *wired = NULL;
    NetInterface host;
    needs_linux();
    needs_nic();
    given = any_nic(0);
    for (unsigned i = 1; (wired = any_nic(i)) && !are_wired(given, wired); i++)
        ;
    if (wired)
        leave_to_the_host(wired);
    if (wired && net_of_function(wired, &host))
        net_up(&host);
    take(given);
    Inner *inner = inner_start_linux(given, NULL);
    inner_await(inner, "nic");
    inner_await(inner, "link");
    inner_leave(inner);
}

/* Both ways: the guest tells by a frame of its own of whom it received one. */
static void
frames_pass(const char *mac, const NetInterface *host, int forged)
{
    unsigned char from[6];
    char text[MAC_TEXT];
    const char *heard = NULL;
    int frames = net_socket(host);
    NetInterface sender = *host;
    sender.mac[5] = (unsigned char)(sender.mac[5] ^ forged);
    for (int64_t end = now_ms() + suite_ms(FRAMES_MS); !heard && now_ms() < end;) {
        net_send(frames, &sender, to_all, "host");
        heard = net_receive_answer(frames, ANSWER_WORDS, from, ANSWER_MS);
    }
    if (!heard)
        fail_msg("no frame of the guest came to %s for %d s", host->name,
                 suite_ms(FRAMES_MS) / 1000);
    mac_text(text, from);
    if (strcmp(text, mac) != 0)
        fail_msg("a frame of the guest is from %s, its NIC has %s", text, mac);
    mac_text(text, host->mac);
    if (strcmp(heard, text) != 0)
        fail_msg("the guest received a frame from %s, it was sent by %s", heard, text);
}

void
frames_pass_between_linux_and_the_host(void **state)
{
    needs_linux();
    needs_nic();
    const char *given, *kept;
    NetInterface host;
    choose_wired(&given, &kept);
    leave_to_the_host(kept);
    if (!net_of_function(kept, &host))
        fail_msg("%s has no interface", kept);
    net_up(&host);
    take(given);
    Inner *inner = inner_start_linux(given, NULL);
    expect_event(inner, "link", suite_asked(given, "mac"));
    frames_pass(suite_asked(given, "mac"), &host,
                suite_has_fault("frames_pass_between_linux_and_the_host"));
}

void
linux_takes_a_plugged_function(void **state)
{
    needs_linux();
    const char *first = any_nic(0), *second = any_nic(1), *given = second;
    if (!second) {
        print_message("the lab has not two NICs\n");
        skip();
    }
    if (suite_has_fault("linux_takes_a_plugged_function"))
        given = any_nic(2);
    take(first);
    take(given);
    Inner *inner = inner_start_linux(first, NULL);
    expect_driver(inner, "e1000e", suite_asked(first, "mac"));
    inner_monitor(inner, "device_add vfio-pci,host=%s,id=plugged,rombar=0\n", given);
    expect_driver(inner, "e1000e", suite_asked(second, "mac"));
    inner_monitor(inner, "device_del plugged\n");
    expect_event(inner, "gone", suite_asked(second, "mac"));
}

/* ---- virtual functions
 * -------------------------------------------------------------------------------- */

static NetInterface physical;

static void
forget_mac(long number)
{
    static const unsigned char none[6];
    net_vf_set_mac(physical.index, (unsigned)number, none);
}

static unsigned
number_of_vf(const char *pf, const char *vf)
{
    const char *found;
    for (unsigned i = 0; (found = suite_link(DEVICES "/%s/virtfn%u", pf, i)); i++)
        if (strcmp(found, vf) == 0)
            return i;
    fail_msg("%s does not know its virtual function %s", pf, vf);
}

/* Brings the physical function up, and has it give VF an address. */
static void
set_mac(const char *vf, const unsigned char mac[6])
{
    char pf[32];
    const char *link = suite_link(DEVICES "/%s/physfn", vf);
    snprintf(pf, sizeof pf, "%s", link ? link : "");
    if (!net_of_function(pf, &physical))
        fail_msg("the physical function of %s has no interface", vf);
    net_up(&physical);
    const unsigned number = number_of_vf(pf, vf);
    suite_at_end(forget_mac, number);
    int result = net_vf_set_mac(physical.index, number, mac);
    if (result < 0)
        fail_msg("%s gives its virtual function %u no address: %s", pf, number,
                 strerror(-result));
}

void
linux_drives_a_virtual_function(void **state)
{
    needs_linux();
    const char *vf = vfio_choose(VF_ID, 0);
    if (!vf) {
        print_message("no virtual function of an igb is alone in its group\n");
        skip();
    }
    unsigned char mac[6] = {0x02, 0, 0, 0, 2, 1};
    char text[MAC_TEXT];
    mac_text(text, mac);
    if (suite_has_fault("linux_drives_a_virtual_function"))
        mac[5]++;
    set_mac(vf, mac);
    take(vf);
    Inner *inner = inner_start_linux(vf, NULL);
    expect_driver(inner, "igbvf", text);
    expect_event(inner, "link", text);
    frames_pass(text, &physical, 0);
}
