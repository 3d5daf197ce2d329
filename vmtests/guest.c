/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The guest inside: a ROM for a PC, with no kernel, that runs as soon as its CPU does, on
 * the slowest machine too. It finds the NICs of its PCI bus, drives them, and is talked
 * to by a serial line. A command is a letter, its answer lines, the last of them ".".
 *
 *   l        list the NICs: "nic SLOT MAC"
 *   f        start the first NIC, send frames with it and wait for one of another guest:
 *            "frame from MAC"; it goes on sending until the next command, of which there
 *            is none but "." to end
 *   eSLOT;   when the machine asks for the function in the slot, let it go
 *   mPAGES,TICK;   write and check memory until told to end (guest-memory.c)
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/io.h>
#include <time.h>
#include <unistd.h>

#include "e1000e-user.h"
#include "guest-memory.h"
#include "guest-talk.h"

#define PCI_ADDRESS 0xcf8
#define PCI_DATA 0xcfc
/* Of the emulated PC's ACPI, a bit for each slot: what the guest is asked to let go, and
 * what it lets go. */
#define ASKED 0xae04
#define EJECT 0xae08
#define SLOTS 32
#define COMMAND 0x04
#define COMMAND_MEMORY_MASTER 0x06
#define BAR0 0x10
#define NIC_ID 0x10d38086
/* Where nothing else is on such a machine. */
#define REGISTERS 0xe0000000u
#define REGISTERS_BYTES 0x20000u
#define RCTL 0x00100
#define RCTL_LOOPBACK (3u << 6)
#define ETHERTYPE_HIGH 0x88 /* 88b5: for experiments */
#define ETHERTYPE_LOW 0xb5
#define FRAME_BYTES 64

void guest_main(void);

/* ---- what C and the driver take from a libc
 * -------------------------------------------------- */

void *
memset(void *memory, int byte, size_t length)
{
    volatile uint8_t *at = memory;
    while (length-- > 0)
        *at++ = (uint8_t)byte;
    return memory;
}

void *
memcpy(void *restrict to, const void *restrict from, size_t length)
{
    volatile uint8_t *at = to;
    for (size_t i = 0; i < length; i++)
        at[i] = ((const uint8_t *)from)[i];
    return to;
}

/* The clock is with who waits outside: here it stands still, and one waits for ever. */
int
clock_gettime(clockid_t clock, struct timespec *now)
{
    *now = (struct timespec){0};
    return 0;
}

int
usleep(useconds_t microseconds)
{
    __builtin_ia32_pause();
    return 0;
}

/* ---- NICs
 * ---------------------------------------------------------------------------------------
 */

static void
say_mac(const uint8_t *mac)
{
    for (int i = 0; i < 6; i++) {
        if (i > 0)
            say(":");
        say_hex(mac[i]);
    }
}

static void
select_config(unsigned slot, unsigned offset)
{
    outl(0x80000000u | slot << 11 | offset, PCI_ADDRESS);
}

static uint32_t
read_config(unsigned slot, unsigned offset)
{
    select_config(slot, offset);
    return inl(PCI_DATA);
}

static void
write_config(unsigned slot, unsigned offset, uint32_t value)
{
    select_config(slot, offset);
    outl(value, PCI_DATA);
}

static volatile uint32_t *
open_registers(unsigned slot)
{
    uint32_t base = REGISTERS + slot * REGISTERS_BYTES;
    write_config(slot, BAR0, base);
    write_config(slot, COMMAND, COMMAND_MEMORY_MASTER);
    return (volatile uint32_t *)(uintptr_t)base;
}

static void
read_mac(const volatile uint32_t *registers, uint8_t mac[6])
{
    const uint32_t low = registers[E1000E_RAL0 / 4], high = registers[E1000E_RAH0 / 4];
    for (int i = 0; i < 6; i++)
        mac[i] = (uint8_t)(i < 4 ? low >> 8 * i : high >> 8 * (i - 4));
}

static void
list_nics(void)
{
    for (unsigned slot = 0; slot < SLOTS; slot++) {
        if (read_config(slot, 0) != NIC_ID)
            continue;
        uint8_t mac[6];
        read_mac(open_registers(slot), mac);
        say("nic ");
        say_hex(slot);
        say(" ");
        say_mac(mac);
        say("\n");
    }
}

/* ---- frames
 * -------------------------------------------------------------------------------------
 */

static uint8_t rings[E1000E_RINGS_BYTES] __attribute__((aligned(4096)));
static uint8_t frame[FRAME_BYTES] __attribute__((aligned(64)));
static uint8_t buffer[E1000E_BUFFER_BYTES] __attribute__((aligned(4096)));

static void
make_frame(const uint8_t mac[6])
{
    memset(frame, 0xff, 6); /* to all */
    memcpy(frame + 6, mac, 6);
    frame[12] = ETHERTYPE_HIGH;
    frame[13] = ETHERTYPE_LOW;
}

/* One is offered at a time; others than those of a guest are dropped. */
static bool
receive(E1000e *nic)
{
    size_t length;
    if (!e1000e_wait_received(nic, -1, &length))
        return false;
    bool is_ours = buffer[12] == ETHERTYPE_HIGH && buffer[13] == ETHERTYPE_LOW;
    if (is_ours) {
        say("frame from ");
        say_mac(buffer + 6);
        say("\n.\n");
    }
    e1000e_offer(nic, (uintptr_t)buffer);
    return is_ours;
}

static void
exchange_frames(void)
{
    unsigned slot = 0;
    while (read_config(slot, 0) != NIC_ID)
        slot = (slot + 1) % SLOTS;
    E1000e nic;
    uint8_t mac[6];
    volatile uint32_t *registers = open_registers(slot);
    read_mac(registers, mac);
    make_frame(mac);
    e1000e_start(&nic, registers, rings, (uintptr_t)rings, E1000E_READY_MS);
    e1000e_write(&nic, RCTL, e1000e_read(&nic, RCTL) & ~RCTL_LOOPBACK);
    e1000e_offer(&nic, (uintptr_t)buffer);
    for (bool heard = false; !is_spoken_to();) {
        e1000e_send(&nic, (uintptr_t)frame, sizeof frame);
        e1000e_wait_sent(&nic, 0);
        if (!heard)
            heard = receive(&nic);
    }
    e1000e_stop(&nic);
}

/* ---- the slot
 * ----------------------------------------------------------------------------------- */

static void
eject(void)
{
    const unsigned slot = (unsigned)hear_number();
    while (!(inl(ASKED) & 1u << slot % SLOTS))
        __builtin_ia32_pause();
    outl(1u << slot % SLOTS, EJECT);
}

void
guest_main(void)
{
    begin_talk();
    say("guest\n.\n");
    for (;;) {
        switch (hear()) {
        case 'l':
            list_nics();
            say(".\n");
            break;
        case 'f':
            exchange_frames();
            break;
        case 'e':
            eject();
            say(".\n");
            break;
        case 'm':
            keep_memory();
            break;
        default:
            break;
        }
    }
}
