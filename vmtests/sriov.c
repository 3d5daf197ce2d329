/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Suite sriov: virtual functions are where the manifest says, are made and removed, have
 * the address that their physical function gives them, each its own driver, and frames
 * pass between them.
 */
#include "cases.h"
#include "net-vf.h"
#include "net.h"
#include "vfio-device.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEVICES "/sys/bus/pci/devices"
/* Of the igb that QEMU has. */
#define VF_ID "8086:10ca"
#define VF_DRIVER "igbvf"
#define VF_BAR_BYTES 16384
#define DRIVER_MS 20000
#define FRAMES_MS 20000
/* So long no frame comes where none should. */
#define SILENCE_MS 500

/* ---- which functions
 * ----------------------------------------------------------------------- */

static const char *
asked(const char *address, const char *what)
{
    const Fact *fact = suite_fact("pci %s %s", address, what);
    return fact ? fact->word[3] : "";
}

static bool
is_vf(const Fact *fact)
{
    return fact->count == 4 && fact_is(fact, "pci") && strcmp(fact->word[2], "id") == 0 &&
           strcmp(fact->word[3], VF_ID) == 0;
}

/* The manifest's virtual function NUMBER of PF, or NULL: both are behind one port. */
static const char *
asked_vf(const char *pf, int number)
{
    for (const Fact *fact = suite_facts(); fact->count > 0; fact++)
        if (is_vf(fact) &&
            strcmp(asked(fact->word[1], "parent"), asked(pf, "parent")) == 0 &&
            number-- == 0)
            return fact->word[1];
    return NULL;
}

static int
asked_vfs(const char *pf)
{
    int count = 0;
    while (asked_vf(pf, count))
        count++;
    return count;
}

/* Calls EACH with each physical function that the manifest has virtual ones of. */
static void
for_each_pf(void (*each)(const char *pf))
{
    int seen = 0;
    for (const Fact *fact = suite_facts(); fact->count > 0; fact++)
        if (fact->count == 4 && fact_is(fact, "pci") &&
            strcmp(fact->word[2], "id") == 0 && !is_vf(fact) &&
            strcmp(asked(fact->word[1], "class"), "020000") == 0 &&
            asked_vfs(fact->word[1]) > 0) {
            each(fact->word[1]);
            seen++;
        }
    if (seen == 0) {
        print_message("the lab asks for no virtual functions\n");
        skip();
    }
}

static long
number_of(const char *address, const char *file)
{
    const char *text = suite_read(DEVICES "/%s/%s", address, file);
    return text ? strtol(text, NULL, 10) : -1;
}

static const char *
found_vf(const char *pf, int number)
{
    return suite_link(DEVICES "/%s/virtfn%d", pf, number);
}

/* ---- what the manifest says
 * ------------------------------------------------------------------ */

static void
count_is_as_asked(const char *pf)
{
    int found = 0;
    while (found_vf(pf, found))
        found++;
    if (number_of(pf, "sriov_numvfs") != asked_vfs(pf) || found != asked_vfs(pf))
        differs_msg("%s has %ld virtual functions and shows %d, asked were %d", pf,
                    number_of(pf, "sriov_numvfs"), found, asked_vfs(pf));
}

static void
functions_are_as_many_as_asked(void **state)
{
    for_each_pf(count_is_as_asked);
}

/* By the standard: the physical function's number on its bus, the first offset, and a
 * stride for each further one. */
static void
addresses_are_as_foretold(const char *pf)
{
    unsigned domain, bus, slot, function;
    long offset = number_of(pf, "sriov_offset"), stride = number_of(pf, "sriov_stride");
    if (sscanf(pf, "%x:%x:%x.%x", &domain, &bus, &slot, &function) != 4 || offset < 0 ||
        stride < 0)
        fail_msg("%s does not say where its virtual functions are", pf);
    if (suite_has_fault("functions_are_at_their_addresses"))
        offset += stride;
    for (int i = 0; found_vf(pf, i); i++) {
        long number = (long)(bus << 8 | slot << 3 | function) + offset + i * stride;
        char address[32];
        snprintf(address, sizeof address, "%04x:%02lx:%02lx.%lx", domain, number >> 8,
                 number >> 3 & 0x1f, number & 7);
        if (strcmp(found_vf(pf, i), address) != 0)
            fail_msg("virtual function %d of %s is at %s, by offset and stride at %s", i,
                     pf, found_vf(pf, i), address);
        const char *physical = suite_link(DEVICES "/%s/physfn", address);
        if (!physical || strcmp(physical, pf) != 0)
            fail_msg("%s is of %s, not of %s", address, physical ? physical : "none", pf);
        if (asked_vf(pf, i) && strcmp(asked_vf(pf, i), address) != 0)
            differs_msg("virtual function %d of %s is at %s, asked was %s", i, pf,
                        address, asked_vf(pf, i));
    }
}

static void
functions_are_at_their_addresses(void **state)
{
    for_each_pf(addresses_are_as_foretold);
}

static void
nodes_are_as_asked(const char *pf)
{
    for (int i = 0; asked_vf(pf, i); i++) {
        const char *vf = asked_vf(pf, i);
        const char *node = suite_read(DEVICES "/%s/numa_node", vf);
        if (node && strcmp(node, asked(vf, "node")) != 0)
            differs_msg("%s is on node %s, asked was %s", vf, node, asked(vf, "node"));
    }
}

static void
functions_are_on_their_node(void **state)
{
    for_each_pf(nodes_are_as_asked);
}

static void
count_one(const char *name, void *data)
{
    ++*(int *)data;
}

static int
group_size(const char *address)
{
    int size = 0;
    suite_list(count_one, &size, DEVICES "/%s/iommu_group/devices", address);
    return size;
}

/* The fact of the group that has ADDRESS in it, or NULL. */
static const Fact *
asked_group(const char *address)
{
    for (const Fact *fact = suite_facts(); fact->count > 0; fact++)
        for (int i = 1; fact_is(fact, "group") && i < fact->count; i++)
            if (strcmp(fact->word[i], address) == 0)
                return fact;
    return NULL;
}

static void
group_is_as_asked(const char *vf, const Fact *group)
{
    for (int i = 1; i < group->count; i++)
        if (access(suite_path(DEVICES "/%s/iommu_group/devices/%s", vf, group->word[i]),
                   F_OK) != 0)
            differs_msg("%s is not in the group of %s", group->word[i], vf);
    if (group_size(vf) != group->count - 1)
        differs_msg("the group of %s has %d members, asked were %d", vf, group_size(vf),
                    group->count - 1);
}

static void
groups_are_as_asked(const char *pf)
{
    for (int i = 0; asked_vf(pf, i); i++) {
        const Fact *group = asked_group(asked_vf(pf, i));
        if (group && suite_link(DEVICES "/%s/iommu_group", asked_vf(pf, i)))
            group_is_as_asked(asked_vf(pf, i), group);
    }
}

static void
functions_are_in_their_groups(void **state)
{
    for_each_pf(groups_are_as_asked);
}

/* ---- made and removed
 * -------------------------------------------------------------------------- */

static int
ask_for(const char *pf, long count)
{
    char text[32];
    snprintf(text, sizeof text, "%ld", count);
    return suite_write(text, DEVICES "/%s/sriov_numvfs", pf);
}

static void
too_many_are_refused(const char *pf)
{
    long total = number_of(pf, "sriov_totalvfs"), present = number_of(pf, "sriov_numvfs");
    bool faulty = suite_has_fault("impossible_numbers_are_refused");
    if (ask_for(pf, faulty ? present : total + 1) == 0)
        fail_msg("%s makes %ld virtual functions, and can have %ld", pf, total + 1,
                 total);
    if (errno != ERANGE)
        fail_msg("%s refuses %ld virtual functions, but so: %s", pf, total + 1,
                 strerror(errno));
    if (ask_for(pf, present + 1 > total ? present - 1 : present + 1) == 0)
        fail_msg("%s makes another number of virtual functions while there are %ld", pf,
                 present);
    if (errno != EBUSY && errno != ERANGE)
        fail_msg("%s refuses another number of virtual functions, but so: %s", pf,
                 strerror(errno));
    if (number_of(pf, "sriov_numvfs") != present)
        fail_msg("%s has %ld virtual functions after refusals, before were %ld", pf,
                 number_of(pf, "sriov_numvfs"), present);
}

static void
impossible_numbers_are_refused(void **state)
{
    suite_needs_live();
    for_each_pf(too_many_are_refused);
}

static void
wait_for_interface(const char *vf, NetInterface *interface)
{
    for (int64_t end = net_now_ms() + DRIVER_MS; !net_of_function(vf, interface);
         usleep(10000))
        if (net_now_ms() > end)
            fail_msg("%s has no interface %d s after its driver was to take it", vf,
                     DRIVER_MS / 1000);
}

static void
expect_none(const char *pf)
{
    if (found_vf(pf, 0))
        fail_msg("%s still shows %s, and was to have none", pf, found_vf(pf, 0));
    for (int i = 0; asked_vf(pf, i); i++)
        if (access(suite_path(DEVICES "/%s", asked_vf(pf, i)), F_OK) == 0)
            fail_msg("%s is still there, and %s was to have none", asked_vf(pf, i), pf);
}

static void
make_again(long pf)
{
    const char *address = (const char *)(intptr_t)pf;
    if (number_of(address, "sriov_numvfs") == asked_vfs(address))
        return;
    ask_for(address, 0);
    ask_for(address, asked_vfs(address));
}

static void
functions_go_and_come(const char *pf)
{
    NetInterface interface;
    long count = asked_vfs(pf);
    suite_at_end(make_again, (long)(intptr_t)pf);
    if (ask_for(pf, 0) != 0)
        fail_msg("%s does not remove its virtual functions: %s", pf, strerror(errno));
    expect_none(pf);
    if (suite_has_fault("functions_go_and_come_back"))
        count--;
    if (ask_for(pf, count) != 0)
        fail_msg("%s does not make %ld virtual functions: %s", pf, count,
                 strerror(errno));
    for (int i = 0; asked_vf(pf, i); i++) {
        if (!found_vf(pf, i) || strcmp(found_vf(pf, i), asked_vf(pf, i)) != 0)
            fail_msg("virtual function %d of %s came back %s%s, asked was %s", i, pf,
                     found_vf(pf, i) ? "at " : "not", found_vf(pf, i) ?: "",
                     asked_vf(pf, i));
        wait_for_interface(asked_vf(pf, i), &interface);
    }
}

static void
functions_go_and_come_back(void **state)
{
    suite_needs_live();
    for_each_pf(functions_go_and_come);
}

/* ---- addresses, drivers, frames
 * --------------------------------------------------------------- */

#define VFS_USED 3

/* A physical function that is up, and some of its virtual ones, each with the address
 * 02:00:00:00:01:0N that the physical one gave it. */
typedef struct {
    NetInterface pf;
    int count;
    const char *address[VFS_USED];
    NetInterface vf[VFS_USED];
    unsigned char mac[VFS_USED][6];
} Nic;

static void
give_back(long address)
{
    pci_bind((const char *)(intptr_t)address, NULL);
}

static int pf_index;

static void
forget_mac(long number)
{
    static const unsigned char none[6];
    net_vf_set_mac(pf_index, (unsigned)number, none);
}

static void
set_mac(Nic *nic, int number, int last_byte)
{
    const unsigned char mac[6] = {0x02, 0, 0, 0, 1, (unsigned char)last_byte};
    unsigned char told[6] = {0};
    memcpy(nic->mac[number], mac, 6);
    pf_index = nic->pf.index;
    suite_at_end(forget_mac, number);
    int result = net_vf_set_mac(nic->pf.index, (unsigned)number, mac);
    if (result < 0)
        fail_msg("%s gives its virtual function %d no address: %s", nic->pf.name, number,
                 strerror(-result));
    result = net_vf_mac(nic->pf.index, (unsigned)number, told);
    if (result < 0 || memcmp(told, mac, 6) != 0)
        fail_msg("%s does not tell the address of its virtual function %d that was set",
                 nic->pf.name, number);
}

/* Its driver takes the function anew. */
static void
rebind(Nic *nic, int number)
{
    const char *vf = nic->address[number];
    suite_at_end(give_back, (long)(intptr_t)vf);
    pci_unbind(vf);
    int result = pci_bind(vf, NULL);
    if (result < 0)
        fail_msg("no driver takes %s: %s", vf, strerror(-result));
    wait_for_interface(vf, &nic->vf[number]);
}

/* The first physical function of the manifest with at least LEAST virtual ones. */
static const char *found_pf;
static int least_vfs;

static void
note_pf(const char *pf)
{
    if (!found_pf && asked_vfs(pf) >= least_vfs)
        found_pf = pf;
}

static void
bring_up(Nic *nic, int least)
{
    found_pf = NULL;
    least_vfs = least;
    for_each_pf(note_pf);
    if (!found_pf) {
        print_message("no NIC of the lab has %d virtual functions\n", least);
        skip();
    }
    *nic = (Nic){0};
    if (!net_of_function(found_pf, &nic->pf))
        fail_msg("%s has no interface", found_pf);
    net_up(&nic->pf);
    for (int i = 0; i < VFS_USED && asked_vf(found_pf, i); i++) {
        nic->address[i] = asked_vf(found_pf, i);
        set_mac(nic, i, i + 1);
        nic->count++;
    }
}

static void
address_set_through_the_physical_function(void **state)
{
    Nic nic;
    suite_needs_live();
    bring_up(&nic, 1);
    if (suite_has_fault("address_set_through_the_physical_function"))
        set_mac(&nic, 0, 99);
    for (int i = 0; i < nic.count; i++) {
        rebind(&nic, i);
        const unsigned char *mac = nic.vf[i].mac;
        if (memcmp(mac, (const unsigned char[]){2, 0, 0, 0, 1, (unsigned char)(i + 1)},
                   6) != 0)
            fail_msg("%s has the address %02x:%02x:%02x:%02x:%02x:%02x, which its "
                     "physical function did not give it",
                     nic.address[i], mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
    }
}

/* A frame from FROM comes to TO with both addresses; the first may be lost while links
 * come up. */
static void
expect_passage(const NetInterface *from, int from_socket, const NetInterface *to,
               int to_socket, const char *text)
{
    unsigned char to_mac[6], from_mac[6];
    int64_t end = net_now_ms() + FRAMES_MS;
    bool came = false;
    while (!came && net_now_ms() < end) {
        net_send(from_socket, from, to->mac, text);
        came = net_receive(to_socket, text, to_mac, from_mac, SILENCE_MS);
    }
    if (!came)
        fail_msg("no frame of %s came to %s in %d s", from->name, to->name,
                 FRAMES_MS / 1000);
    if (memcmp(to_mac, to->mac, 6) != 0 || memcmp(from_mac, from->mac, 6) != 0)
        fail_msg("the frame of %s came to %s with other addresses", from->name, to->name);
}

static void
frames_pass_between_functions(void **state)
{
    Nic nic;
    int fd[VFS_USED];
    unsigned char to[6], from[6];
    suite_needs_live();
    bring_up(&nic, VFS_USED);
    for (int i = 0; i < VFS_USED; i++) {
        rebind(&nic, i);
        net_up(&nic.vf[i]);
        fd[i] = net_socket(&nic.vf[i]);
    }
    if (suite_has_fault("frames_pass_between_functions"))
        nic.vf[1].mac[5] ^= 0x80;
    expect_passage(&nic.vf[0], fd[0], &nic.vf[2], fd[2], "first to third");
    expect_passage(&nic.vf[0], fd[0], &nic.vf[1], fd[1], "first to second");
    expect_passage(&nic.vf[1], fd[1], &nic.vf[0], fd[0], "second to first");
    net_send(fd[0], &nic.vf[0], nic.vf[1].mac, "for the second");
    if (!net_receive(fd[1], "for the second", to, from, FRAMES_MS))
        fail_msg("no frame of %s came to %s", nic.vf[0].name, nic.vf[1].name);
    if (net_receive(fd[2], "for the second", to, from, SILENCE_MS))
        fail_msg("a frame of %s for %s came to %s, too", nic.vf[0].name, nic.vf[1].name,
                 nic.vf[2].name);
}

typedef struct {
    VfioContainer container;
    VfioDevice device;
} Opened;

static Opened opened;

static void
close_opened(long unused)
{
    if (opened.device.fd >= 0)
        vfio_device_close(&opened.device);
    if (opened.container.fd >= 0)
        vfio_container_close(&opened.container);
}

static void
open_by_vfio(const char *vf)
{
    opened = (Opened){.container.fd = -1, .device.fd = -1, .device.group = -1};
    suite_at_end(give_back, (long)(intptr_t)vf);
    int result = pci_bind(vf, "vfio-pci");
    if (result < 0)
        fail_msg("vfio-pci does not take %s: %s", vf, strerror(-result));
    suite_at_end(close_opened, 0);
    result = vfio_container_open(&opened.container);
    if (result < 0)
        fail_msg("/dev/vfio/vfio cannot be opened: %s", strerror(-result));
    result = vfio_device_open(&opened.device, &opened.container, vf);
    if (result < 0)
        fail_msg("%s cannot be opened by VFIO: %s", vf, strerror(-result));
}

/* Its configuration space has no id of its own (all ones): VFIO shows the right one. */
static void
expect_usable(const char *vf)
{
    struct vfio_region_info region = {.argsz = sizeof region};
    uint32_t status = 0;
    int result = vfio_region_info(&opened.device, VFIO_PCI_BAR0_REGION_INDEX, &region);
    if (result < 0 || region.size != VF_BAR_BYTES)
        fail_msg("register 0 of %s has %llu bytes by VFIO, and should have %d", vf,
                 (unsigned long long)region.size, VF_BAR_BYTES);
    result = vfio_region_read(&opened.device, VFIO_PCI_BAR0_REGION_INDEX, 8, &status, 4);
    if (result < 0 || status == UINT32_MAX)
        fail_msg("%s cannot be read by VFIO", vf);
    if (vfio_config16(&opened.device, 0) != 0x8086 ||
        vfio_config16(&opened.device, 2) != 0x10ca)
        fail_msg("%s is %04x:%04x by VFIO, asked was " VF_ID, vf,
                 vfio_config16(&opened.device, 0), vfio_config16(&opened.device, 2));
}

static void
drivers_take_functions_side_by_side(void **state)
{
    Nic nic;
    suite_needs_live();
    bring_up(&nic, 2);
    if (group_size(nic.address[0]) != 1) {
        print_message("%s is not alone in its IOMMU group\n", nic.address[0]);
        skip();
    }
    if (vfio_load() < 0) {
        print_message("the kernel or the image has no VFIO\n");
        skip();
    }
    open_by_vfio(nic.address[0]);
    expect_usable(nic.address[0]);
    rebind(&nic, 1);
    net_up(&nic.vf[1]);
    if (suite_has_fault("drivers_take_functions_side_by_side"))
        pci_unbind(nic.address[1]);
    const char *driver = pci_driver(nic.address[1]);
    if (!driver || strcmp(driver, VF_DRIVER) != 0)
        fail_msg("%s is driven by %s, while %s is VFIO's", nic.address[1],
                 driver ? driver : "none", nic.address[0]);
    int pf = net_socket(&nic.pf), vf = net_socket(&nic.vf[1]);
    expect_passage(&nic.pf, pf, &nic.vf[1], vf, "to the virtual one");
    expect_passage(&nic.vf[1], vf, &nic.pf, pf, "to the physical one");
    expect_usable(nic.address[0]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {SRIOV_CASES(SUITE_CASE)};
    return suite_run("sriov", tests);
}
