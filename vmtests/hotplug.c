/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Suite hotplug: NICs that come into empty ports while the host runs are where the
 * manifest says, are used, asked back and given back. Those that are torn out are in
 * hotplug-surprise.c, the cycles in hotplug-cycles.c; docs/suites.rst says what each case
 * proves and how it was seen to fail.
 */
#include "hotplug-suite.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net.h"
#include "vfio-use.h"

/* How long an interrupt may take under emulation on a busy machine. */
#define ARRIVAL_MS 60000
#define TURN_MS 20

/* ---- what the manifest says
 * -------------------------------------------------------------------- */

static void
is_at_its_address(int number)
{
    const char *address = plug_address(number);
    const Fact *id = suite_fact("pci %s id", address);
    const Fact *parent = suite_fact("pci %s parent", address);
    const Fact *mac = suite_fact("pci %s mac", address);
    if (!id || !parent || !mac)
        fail_msg("the manifest does not have %s", address);
    if (suite_has_fault("a_plugged_function_is_at_its_address"))
        plug_power_off(number);
    const char *vendor = suite_read(DEVICES "/%s/vendor", address);
    const char *device = suite_read(DEVICES "/%s/device", address);
    if (!vendor || !device)
        fail_msg("nothing is at %s, asked was %s", address, id->word[3]);
    char found[16];
    snprintf(found, sizeof found, "%.4s:%.4s", vendor + 2, device + 2);
    if (strcmp(found, id->word[3]) != 0)
        fail_msg("%s is a %s, asked was %s", address, found, id->word[3]);
    if (!suite_read(DEVICES "/%s/%s/vendor", parent->word[3], address))
        fail_msg("%s is not below %s", address, parent->word[3]);
    NetInterface interface;
    if (!net_of_function(address, &interface))
        fail_msg("%s has no interface", address);
    char text[MAC_TEXT];
    mac_text(text, interface.mac);
    if (strcmp(text, mac->word[3]) != 0)
        fail_msg("%s has the address %s, asked was %s", address, text, mac->word[3]);
}

static void
a_plugged_function_is_at_its_address(void **state)
{
    plug_all();
    for (int i = 0; i < plug_count(); i++)
        is_at_its_address(i);
}

static void
a_plugged_function_is_on_its_node(void **state)
{
    plug_all();
    for (int i = 0; i < plug_count(); i++) {
        const char *address = plug_address(i);
        const Fact *node = suite_fact("pci %s node", address);
        const Fact *cpus = suite_fact("pci %s local-cpus", address);
        const char *found = suite_read(DEVICES "/%s/numa_node", address);
        if (!node || !cpus || !found || strcmp(found, node->word[3]) != 0)
            differs_msg("%s is on node %s, asked was %s", address, found ? found : "none",
                        node ? node->word[3] : "none");
        const char *local = suite_read(DEVICES "/%s/local_cpulist", address);
        if (!local || strcmp(local, cpus->word[3]) != 0)
            differs_msg("%s is near to the CPUs %s, asked were %s", address,
                        local ? local : "none", cpus->word[3]);
    }
}

/* ---- groups
 * ------------------------------------------------------------------------------------ */

static bool
has_word(const Fact *fact, const char *word)
{
    for (int i = 1; i < fact->count; i++)
        if (strcmp(fact->word[i], word) == 0)
            return true;
    return false;
}

typedef struct {
    const char *of;
    const Fact *asked;
} Group;

static void
is_asked(const char *member, void *data)
{
    const Group *group = data;
    if (!has_word(group->asked, member))
        differs_msg("%s is in the group of %s, and was not asked to", member, group->of);
}

static void
is_in_its_group(const char *address)
{
    Group group = {.of = address};
    for (const Fact *fact = suite_facts(); fact->count > 0; fact++)
        if (fact_is(fact, "group") && has_word(fact, address))
            group.asked = fact;
    if (!group.asked)
        fail_msg("the manifest has no group of %s", address);
    int found = suite_list(is_asked, &group, DEVICES "/%s/iommu_group/devices", address);
    if (found != group.asked->count - 1)
        differs_msg("the group of %s has %d members, asked were %d", address, found,
                    group.asked->count - 1);
}

static void
a_plugged_function_is_in_its_group(void **state)
{
    plug_all();
    for (int i = 0; i < plug_count(); i++)
        is_in_its_group(plug_address(i));
}

/* ---- VFIO
 * --------------------------------------------------------------------------------------
 */

static VfioHeld held[PLUGS_MAX];

static void
release_held(long number)
{
    vfio_release(&held[number]);
}

/* All that were plugged, until the case ends or they are released. */
static int
hold_all(void)
{
    plug_all();
    int count = plug_count();
    for (int i = 0; i < count; i++) {
        held[i] = VFIO_HELD_NONE;
        suite_at_end(release_held, i);
        vfio_hold(&held[i], plug_address(i));
    }
    return count;
}

static void
write_register(const VfioHeld *what, unsigned offset, uint32_t value)
{
    int result =
        vfio_region_write(&what->device, VFIO_PCI_BAR0_REGION_INDEX, offset, &value, 4);
    if (result < 0)
        fail_msg("register %05x of %s cannot be written: %s", offset,
                 what->device.address, strerror(-result));
}

void
hotplug_has_its_mac(const VfioHeld *what)
{
    const Fact *mac = suite_fact("pci %s mac", what->device.address);
    unsigned char bytes[8] = {0};
    char text[MAC_TEXT];
    for (unsigned i = 0; i < 2; i++)
        if (vfio_region_read(&what->device, VFIO_PCI_BAR0_REGION_INDEX,
                             E1000E_RAL0 + 4 * i, bytes + 4 * i, 4) < 0)
            fail_msg("the registers of %s cannot be read", what->device.address);
    mac_text(text, bytes);
    if (!mac || strcmp(text, mac->word[3]) != 0)
        fail_msg("%s has the address %s in its registers, asked was %s",
                 what->device.address, text, mac ? mac->word[3] : "none");
}

/* An MSI is a write of the device's, so it is a bus master, and remapping lets it pass.
 */
static void
interrupts(const VfioHeld *what)
{
    int result = vfio_irq_enable(&what->device, VFIO_PCI_MSI_IRQ_INDEX, &what->event, 1);
    if (result < 0)
        fail_msg("%s has no MSI: %s", what->device.address, strerror(-result));
    if (suite_has_fault("a_plugged_function_is_used_through_vfio"))
        vfio_config16_write(&what->device, PCI_COMMAND, PCI_COMMAND_MEMORY);
    write_register(what, E1000E_IMS, E1000E_CAUSE_LSC);
    write_register(what, E1000E_ICS, E1000E_CAUSE_LSC);
    if (vfio_eventfd_wait(what->event, suite_ms(ARRIVAL_MS)) == 0)
        fail_msg("no interrupt of %s arrives within %d s", what->device.address,
                 suite_ms(ARRIVAL_MS) / 1000);
}

static void
a_plugged_function_is_used_through_vfio(void **state)
{
    int count = hold_all();
    for (int i = 0; i < count; i++) {
        hotplug_has_its_mac(&held[i]);
        interrupts(&held[i]);
    }
}

static void
let_be_asked_back(int number)
{
    const VfioHeld *what = &held[number];
    int result = vfio_irq_enable(&what->device, VFIO_PCI_REQ_IRQ_INDEX, &what->event, 1);
    if (result < 0)
        fail_msg("%s cannot be asked back: %s", plug_address(number), strerror(-result));
    if (suite_has_fault("a_function_is_asked_back"))
        vfio_irq_disable(&what->device, VFIO_PCI_REQ_IRQ_INDEX);
}

/* The number of one that is. The kernel removes one function after the other and waits
 * for each to be released, so nobody knows which is the first. */
static int
wait_until_asked_back(int count)
{
    int64_t end = now_ms() + suite_ms(PLUG_LIMIT_MS);
    while (now_ms() < end)
        for (int i = 0; i < count; i++)
            if (held[i].event >= 0 && vfio_eventfd_wait(held[i].event, TURN_MS) > 0)
                return i;
    fail_msg("no function is asked back within %d s", suite_ms(PLUG_LIMIT_MS) / 1000);
}

static void
a_function_is_asked_back(void **state)
{
    int count = hold_all();
    for (int i = 0; i < count; i++) {
        let_be_asked_back(i);
        plug_ask("unplug", i);
    }
    for (int left = count; left > 0; left--) {
        int number = wait_until_asked_back(count);
        if (!plug_is_there(number))
            fail_msg("%s is gone before it was released", plug_address(number));
        hotplug_has_its_mac(&held[number]);
        vfio_release(&held[number]);
        plug_expect(number, "gone");
        plug_wait_gone(number);
    }
}

/* ---- its end
 * ----------------------------------------------------------------------------------- */

void
hotplug_all_are_gone(const char *case_name, const HotplugHad *had)
{
    for (int i = 0; i < plug_count(); i++) {
        const char *address = plug_address(i);
        if (suite_has_fault(case_name)) {
            plug_ask("plug", i);
            plug_expect(i, "there");
            plug_wait_there(i);
        }
        if (plug_is_there(i) || plug_slot(i, "adapter") != 0)
            fail_msg("%s is there, and should be gone", address);
        const Fact *parent = suite_fact("pci %s parent", address);
        if (!parent || !suite_read(DEVICES "/%s/vendor", parent->word[3]))
            fail_msg("the port of %s has gone with it", address);
        char name[IF_NAMESIZE];
        if (if_indextoname((unsigned)had[i].interface, name))
            fail_msg("%s is gone, and its interface %s is there", address, name);
        if (had[i].group >= 0 &&
            access(suite_path("/sys/kernel/iommu_groups/%d/devices/%s", had[i].group,
                              address),
                   F_OK) == 0)
            fail_msg("%s is gone, and its group still has it", address);
    }
}

void
hotplug_note_all(HotplugHad *had)
{
    NetInterface interface;
    for (int i = 0; i < plug_count(); i++) {
        if (!net_of_function(plug_address(i), &interface))
            fail_msg("%s has no interface", plug_address(i));
        had[i] = (HotplugHad){pci_group(plug_address(i)), interface.index};
    }
}

static void
an_unplugged_function_is_gone(void **state)
{
    HotplugHad had[PLUGS_MAX];
    plug_all();
    hotplug_note_all(had);
    plug_unplug_all();
    hotplug_all_are_gone("an_unplugged_function_is_gone", had);
}

static void
the_host_powers_the_slot_off(void **state)
{
    HotplugHad had[PLUGS_MAX];
    plug_all();
    hotplug_note_all(had);
    plug_power_all_off();
    hotplug_all_are_gone("the_host_powers_the_slot_off", had);
    plug_all();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {HOTPLUG_CASES(SUITE_CASE)};
    return vfio_suite_run("hotplug", tests);
}
