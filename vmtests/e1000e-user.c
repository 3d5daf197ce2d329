/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "e1000e-user.h"

#include "clock.h"

#include <string.h>
#include <unistd.h>

#define RCTL 0x00100
#define TCTL 0x00400
#define RDBAL 0x02800
#define RDBAH 0x02804
#define RDLEN 0x02808
#define RDH 0x02810
#define RDT 0x02818
#define TDBAL 0x03800
#define TDBAH 0x03804
#define TDLEN 0x03808
#define TDH 0x03810
#define TDT 0x03818

#define RXCSUM 0x05000
#define RFCTL 0x05008
#define MRQC 0x05818

#define CTRL_SLU (1u << 6) /* set link up */
#define CTRL_RST (1u << 26)
#define CTRL_VME (1u << 30) /* takes VLANs' tags out of frames */
#define STATUS_LU (1u << 1)

#define RCTL_EN (1u << 1)
#define RCTL_UPE (1u << 3)     /* takes unicast frames for others too */
#define RCTL_MPE (1u << 4)     /* and multicast */
#define RCTL_LBM_MAC (1u << 6) /* loop-back in the MAC */
#define RCTL_BAM (1u << 15)    /* takes broadcasts */
#define RCTL_SECRC (1u << 26)  /* strips the check sum, so lengths are those sent */

#define TCTL_EN (1u << 1)
#define TCTL_PSP (1u << 3)      /* pads short frames */
#define TCTL_CT (0x0fu << 4)    /* collisions, as the data sheet proposes */
#define TCTL_COLD (0x3fu << 12) /* the same of their distance */
#define TIPG_COPPER 0x00602006u /* gaps between frames, as the data sheet says */

#define COMMAND_EOP (1u << 0)
#define COMMAND_IFCS (1u << 1)
#define COMMAND_RS (1u << 3) /* the NIC sets DD when it is done */
#define STATUS_DD (1u << 0)

typedef struct {
    uint64_t address;
    uint16_t length;
    uint8_t checksum_offset, command;
    uint8_t status, checksum_start;
    uint16_t special;
} TransmitDescriptor;

typedef struct {
    uint64_t address;
    uint16_t length, checksum;
    uint8_t status, errors;
    uint16_t special;
} ReceiveDescriptor;

_Static_assert(sizeof(TransmitDescriptor) == 16 && sizeof(ReceiveDescriptor) == 16,
               "descriptors have 16 bytes");

static TransmitDescriptor *
transmit_ring(const E1000e *nic)
{
    return (TransmitDescriptor *)(void *)nic->rings;
}

static ReceiveDescriptor *
receive_ring(const E1000e *nic)
{
    return (ReceiveDescriptor *)(void *)(nic->rings + E1000E_RINGS_BYTES / 2);
}

uint32_t
e1000e_read(const E1000e *nic, unsigned offset)
{
    return nic->registers[offset / 4];
}

void
e1000e_write(const E1000e *nic, unsigned offset, uint32_t value)
{
    nic->registers[offset / 4] = value;
}

/* ---- waiting
 * ------------------------------------------------------------------------------------ */

/* Waits until the BITS of a register are WANTED. */
static bool
wait_for_register(const E1000e *nic, unsigned offset, uint32_t bits, uint32_t wanted)
{
    int64_t end_ms = now_ms() + nic->ready_ms;
    while ((e1000e_read(nic, offset) & bits) != wanted) {
        if (now_ms() > end_ms)
            return false;
        usleep(1000);
    }
    return true;
}

static bool
wait_for_done(const uint8_t *status, int timeout_ms)
{
    int64_t end_ms = now_ms() + timeout_ms;
    while (!(__atomic_load_n(status, __ATOMIC_ACQUIRE) & STATUS_DD)) {
        if (now_ms() > end_ms)
            return false;
        usleep(100);
    }
    return true;
}

/* ---- from reset to work
 * --------------------------------------------------------------------------- */

static void
set_ring(const E1000e *nic, unsigned base, uint64_t iova)
{
    e1000e_write(nic, base, (uint32_t)iova);
    e1000e_write(nic, base + (RDBAH - RDBAL), (uint32_t)(iova >> 32));
    e1000e_write(nic, base + (RDLEN - RDBAL), E1000E_RING * sizeof(ReceiveDescriptor));
    e1000e_write(nic, base + (RDH - RDBAL), 0);
    e1000e_write(nic, base + (RDT - RDBAL), 0);
}

/* What the host's driver chose, which the reset of QEMU 7.2 leaves (docs/facts.rst):
 * descriptors of another form, several queues, frames without their tags. */
static void
forget_former_driver(const E1000e *nic)
{
    e1000e_write(nic, RFCTL, 0);
    e1000e_write(nic, MRQC, 0);
    e1000e_write(nic, RXCSUM, 0);
    e1000e_write(nic, E1000E_CTRL, e1000e_read(nic, E1000E_CTRL) & ~CTRL_VME);
}

bool
e1000e_restart(E1000e *nic)
{
    e1000e_stop(nic);
    e1000e_write(nic, E1000E_CTRL, e1000e_read(nic, E1000E_CTRL) | CTRL_RST);
    if (!wait_for_register(nic, E1000E_CTRL, CTRL_RST, 0))
        return false;
    e1000e_write(nic, E1000E_IMC, UINT32_MAX);
    forget_former_driver(nic);
    e1000e_write(nic, E1000E_CTRL, e1000e_read(nic, E1000E_CTRL) | CTRL_SLU);
    nic->next_sent = nic->sent = nic->next_offered = nic->completed = 0;
    memset(nic->rings, 0, E1000E_RINGS_BYTES);
    set_ring(nic, TDBAL, nic->rings_iova);
    set_ring(nic, RDBAL, nic->rings_iova + E1000E_RINGS_BYTES / 2);
    e1000e_write(nic, E1000E_TIPG, TIPG_COPPER);
    e1000e_write(nic, RCTL,
                 RCTL_EN | RCTL_UPE | RCTL_MPE | RCTL_BAM | RCTL_SECRC |
                     (nic->wired ? 0 : RCTL_LBM_MAC));
    e1000e_write(nic, TCTL, TCTL_EN | TCTL_PSP | TCTL_CT | TCTL_COLD);
    return wait_for_register(nic, E1000E_STATUS, STATUS_LU, STATUS_LU);
}

bool
e1000e_start(E1000e *nic, volatile uint32_t *registers, void *rings, uint64_t rings_iova,
             int ready_ms)
{
    *nic = (E1000e){.registers = registers,
                    .rings = rings,
                    .rings_iova = rings_iova,
                    .ready_ms = ready_ms};
    return e1000e_restart(nic);
}

void
e1000e_stop(E1000e *nic)
{
    e1000e_write(nic, RCTL, 0);
    e1000e_write(nic, TCTL, 0);
    e1000e_read(nic, E1000E_STATUS); /* the writes are there when the read returns */
}

/* ---- frames
 * -------------------------------------------------------------------------------------
 */

/* The descriptor is in memory before the NIC is told of it. */
static void
tell(const E1000e *nic, unsigned tail, unsigned next)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    e1000e_write(nic, tail, next);
}

void
e1000e_offer(E1000e *nic, uint64_t iova)
{
    receive_ring(nic)[nic->next_offered] = (ReceiveDescriptor){.address = iova};
    nic->next_offered = (nic->next_offered + 1) % E1000E_RING;
    tell(nic, RDT, nic->next_offered);
}

void
e1000e_send(E1000e *nic, uint64_t iova, size_t length)
{
    transmit_ring(nic)[nic->next_sent] = (TransmitDescriptor){
        .address = iova,
        .length = (uint16_t)length,
        .command = COMMAND_EOP | COMMAND_IFCS | COMMAND_RS,
    };
    nic->next_sent = (nic->next_sent + 1) % E1000E_RING;
    tell(nic, TDT, nic->next_sent);
}

bool
e1000e_wait_sent(E1000e *nic, int timeout_ms)
{
    if (!wait_for_done(&transmit_ring(nic)[nic->sent].status, timeout_ms))
        return false;
    nic->sent = (nic->sent + 1) % E1000E_RING;
    return true;
}

bool
e1000e_wait_received(E1000e *nic, int timeout_ms, size_t *length)
{
    const ReceiveDescriptor *descriptor = &receive_ring(nic)[nic->completed];
    if (!wait_for_done(&descriptor->status, timeout_ms))
        return false;
    *length = descriptor->length;
    nic->completed = (nic->completed + 1) % E1000E_RING;
    return true;
}
