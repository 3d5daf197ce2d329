/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Suite sriov: virtual functions have the address that their physical function gives
 * them, each its own driver, and frames pass between them.
 */
#include "net-vf.h"
#include "sriov-suite.h"
#include "vfio-device.h"
#include "vfio-use.h"

#include <stdio.h>
#include <string.h>

#define VF_DRIVER "igbvf"
#define VF_BAR_BYTES 16384
#define FRAMES_MS 20000
/* So long no frame comes where none should. */
#define SILENCE_MS 500

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

void
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
        char text[MAC_TEXT];
        if (memcmp(mac, (const unsigned char[]){2, 0, 0, 0, 1, (unsigned char)(i + 1)},
                   6) != 0) {
            mac_text(text, mac);
            fail_msg("%s has the address %s, which its physical function did not give it",
                     nic.address[i], text);
        }
    }
}

/* A frame from FROM comes to TO with both addresses; the first may be lost while links
 * come up. */
static void
expect_passage(const NetInterface *from, int from_socket, const NetInterface *to,
               int to_socket, const char *text)
{
    unsigned char to_mac[6], from_mac[6];
    int64_t end = now_ms() + suite_ms(FRAMES_MS);
    bool came = false;
    while (!came && now_ms() < end) {
        net_send(from_socket, from, to->mac, text);
        came = net_receive(to_socket, text, to_mac, from_mac, SILENCE_MS);
    }
    if (!came)
        fail_msg("no frame of %s came to %s in %d s", from->name, to->name,
                 suite_ms(FRAMES_MS) / 1000);
    if (memcmp(to_mac, to->mac, 6) != 0 || memcmp(from_mac, from->mac, 6) != 0)
        fail_msg("the frame of %s came to %s with other addresses", from->name, to->name);
}

void
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
    if (!net_receive(fd[1], "for the second", to, from, suite_ms(FRAMES_MS)))
        fail_msg("no frame of %s came to %s", nic.vf[0].name, nic.vf[1].name);
    if (net_receive(fd[2], "for the second", to, from, SILENCE_MS))
        fail_msg("a frame of %s for %s came to %s, too", nic.vf[0].name, nic.vf[1].name,
                 nic.vf[2].name);
}

static VfioHeld opened = VFIO_HELD_NOTHING;

static void
close_opened(long unused)
{
    vfio_release(&opened);
}

static void
open_by_vfio(const char *vf)
{
    suite_at_end(give_back, (long)(intptr_t)vf);
    suite_at_end(close_opened, 0);
    vfio_hold(&opened, vf);
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

void
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
