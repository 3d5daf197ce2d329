/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * `hostbed-agent --tear-out PORT [untold]`, `--await-gone PORT FUNCTION` and `--tell
 * FUNCTION`: what is behind a port vanishes without anybody being asked, as if a hand had
 * torn it out.
 *
 * No command of the emulator's does that, but its ports do: what is behind one is deleted
 * when power and power indicator of the slot are off. Here they go off and on again
 * behind the kernel's back, while the slot's interrupt is off. What remains is what a
 * real slot leaves: nothing is there, power is on, and "presence detect changed" waits
 * for the interrupt, with which the kernel learns of it. (With power off the kernel would
 * take the slot for one that it has emptied itself.)
 */
#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sysfs.h"

#define DEVICES "sys/bus/pci/devices"
#define SLOTS "sys/bus/pci/slots"
/* A driver whose device is gone waits for it, register by register: ten seconds and more
 * under plain emulation. */
#define GONE_MS 60000
#define TURN_MS 20
#define CAPABILITIES_MAX 48 /* more have no room in the first 256 bytes */
#define EVENTS                                                                           \
    (PCI_EXP_SLTSTA_ABP | PCI_EXP_SLTSTA_PFD | PCI_EXP_SLTSTA_MRLSC |                    \
     PCI_EXP_SLTSTA_PDC | PCI_EXP_SLTSTA_CC | PCI_EXP_SLTSTA_DLLSC)

typedef struct {
    const char *port;
    int fd;          /* its configuration */
    off_t registers; /* of its PCI Express capability */
} Slot;

static bool
complain(const char *address, const char *what)
{
    fprintf(stderr, "%s: %s\n", address, what);
    return false;
}

static bool
complain_why(const char *address, const char *what)
{
    fprintf(stderr, "%s: %s: %s\n", address, what, strerror(errno));
    return false;
}

/* ---- registers
 * -------------------------------------------------------------------------------------
 */

/* All ones where there is none, as the hardware says. */
static unsigned
get(int fd, off_t at, size_t length)
{
    uint8_t bytes[2] = {0xff, 0xff};
    if (pread(fd, bytes, length, at) != (ssize_t)length)
        return 0xffff;
    return length == 1 ? bytes[0] : bytes[0] | (unsigned)bytes[1] << 8;
}

static unsigned
slot_get(const Slot *slot, unsigned at)
{
    return get(slot->fd, slot->registers + at, 2);
}

static bool
slot_put(const Slot *slot, unsigned at, unsigned value)
{
    const uint8_t bytes[2] = {value & 0xff, value >> 8 & 0xff};
    return pwrite(slot->fd, bytes, 2, slot->registers + at) == 2 ||
           complain_why(slot->port, "its slot cannot be written");
}

/* 0: it has none. */
static off_t
find_capability(int fd, unsigned id)
{
    off_t at = get(fd, PCI_CAPABILITY_LIST, 1) & ~3u;
    for (int i = 0; i < CAPABILITIES_MAX && at >= PCI_STD_HEADER_SIZEOF; i++) {
        if (get(fd, at, 1) == id)
            return at;
        at = get(fd, at + PCI_CAP_LIST_NEXT, 1) & ~3u;
    }
    return 0;
}

/* FALSE: said why; nothing is open then. */
static bool
slot_open(int root, const char *port, Slot *slot)
{
    char path[80];
    snprintf(path, sizeof path, DEVICES "/%s/config", port);
    *slot = (Slot){.port = port, .fd = -1};
    if (strchr(port, '/') || strlen(port) > 32)
        return complain(port, "it is no port");
    slot->fd = openat(root, path, O_RDWR | O_CLOEXEC);
    if (slot->fd < 0)
        return complain_why(port, "its configuration cannot be opened");
    slot->registers = find_capability(slot->fd, PCI_CAP_ID_EXP);
    if (slot->registers > 0 && slot_get(slot, PCI_EXP_FLAGS) & PCI_EXP_FLAGS_SLOT)
        return true;
    close(slot->fd);
    return complain(port, "it has no slot");
}

/* ---- --tear-out
 * ------------------------------------------------------------------------------------ */

/* What is to be there afterwards: the same. But where the indicator was off although the
 * slot is full (QEMU 10.0 starts so) it goes on, so that is_dark() tells something. */
static unsigned
light(unsigned control)
{
    if ((control & PCI_EXP_SLTCTL_PIC) != PCI_EXP_SLTCTL_PWR_IND_OFF)
        return control;
    return (control & ~(unsigned)PCI_EXP_SLTCTL_PIC) | PCI_EXP_SLTCTL_PWR_IND_ON;
}

/* UNTOLD: the kernel is not to learn of it. Only events that are there may be cleared:
 * the emulator takes more for a mistake, and clears none. */
static bool
tear_out(const Slot *slot, bool untold)
{
    const unsigned control = slot_get(slot, PCI_EXP_SLTCTL);
    const unsigned dark = (control & ~(unsigned)PCI_EXP_SLTCTL_HPIE) |
                          PCI_EXP_SLTCTL_PWR_OFF | PCI_EXP_SLTCTL_PWR_IND_OFF;
    if (!slot_put(slot, PCI_EXP_SLTCTL, dark))
        return false;
    const unsigned status = slot_get(slot, PCI_EXP_SLTSTA);
    const bool gone = !(status & PCI_EXP_SLTSTA_PDS);
    bool ok = !gone || !untold || slot_put(slot, PCI_EXP_SLTSTA, status & EVENTS);
    ok = slot_put(slot, PCI_EXP_SLTCTL, light(control)) && ok;
    return ok && (gone || complain(slot->port, "what is in its slot stays there"));
}

int
tear_out_main(const char *root_path, char **words)
{
    Slot slot;
    const bool untold = words[1] && strcmp(words[1], "untold") == 0;
    int root = sysfs_open(root_path);
    bool ok = root >= 0 && slot_open(root, words[0], &slot);
    if (ok) {
        ok = tear_out(&slot, untold);
        close(slot.fd);
    }
    if (root >= 0)
        close(root);
    return ok ? 0 : 1;
}

/* ---- --await-gone
 * ---------------------------------------------------------------------------------- */

/* What the kernel does last with an emptied slot, and no event tells. Until then it
 * forgets half of what comes: an attention button alone that ends what was just plugged.
 */
static bool
is_dark(const Slot *slot)
{
    return (slot_get(slot, PCI_EXP_SLTCTL) & PCI_EXP_SLTCTL_PIC) ==
           PCI_EXP_SLTCTL_PWR_IND_OFF;
}

static bool
wait_gone(int root, const Slot *slot, const char *function)
{
    bool there;
    int uevents = uevents_open();
    int64_t end = now_ms() + GONE_MS, left = GONE_MS;
    while ((there = sysfs_exists(root, DEVICES "/%s", function)) && left > 0) {
        uevents_wait(uevents, (int)left);
        left = end - now_ms();
    }
    while (!there && !is_dark(slot) && now_ms() < end)
        usleep(TURN_MS * 1000);
    if (uevents >= 0)
        close(uevents);
    return !there;
}

int
await_gone_main(const char *root_path, char **words)
{
    Slot slot;
    int root = sysfs_open(root_path);
    bool ok = root >= 0 && words[1] && slot_open(root, words[0], &slot);
    if (ok) {
        puts(wait_gone(root, &slot, words[1]) ? "gone" : "kept");
        close(slot.fd);
    }
    if (root >= 0)
        close(root);
    return ok && fflush(stdout) == 0 ? 0 : 1;
}

/* ---- --tell
 * ----------------------------------------------------------------------------------------
 */

/* The kernel has the slot that leads to FUNCTION powered off, which takes as long as the
 * driver takes to let go; nobody waits for that. */
static bool
power_off(int root, const char *slot)
{
    char path[300];
    snprintf(path, sizeof path, SLOTS "/%s/power", slot);
    int fd = openat(root, path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return complain_why(slot, "its slot cannot be powered off");
    pid_t child = fork();
    if (child == 0)
        _exit(write(fd, "0", 1) == 1 ? 0 : 1);
    close(fd);
    return child > 0 || complain_why(slot, "nobody can power its slot off");
}

/* "0000:22:00" is the address that a slot tells of its functions. */
static bool
leads_to(int root, const char *slot, const char *function)
{
    char *address = sysfs_read(root, SLOTS "/%s/address", slot);
    size_t length = address ? strlen(address) : 0;
    bool leads =
        length > 0 && strncmp(address, function, length) == 0 && function[length] == '.';
    free(address);
    return leads;
}

int
tell_main(const char *root_path, char **words)
{
    int root = sysfs_open(root_path);
    bool found = false, ok = true;
    SysfsNames slots = sysfs_names(root, SLOTS);
    for (size_t i = 0; i < slots.count && !found; i++) {
        found = leads_to(root, slots.names[i], words[0]);
        ok = !found || power_off(root, slots.names[i]);
    }
    if (!found)
        complain(words[0], "no slot leads to it");
    sysfs_names_clear(&slots);
    if (root >= 0)
        close(root);
    return found && ok ? 0 : 1;
}
