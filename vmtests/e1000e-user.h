/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A driver of Intel's 82574 (e1000e) in user space: reset, a ring of descriptors each
 * way, loop-back inside the NIC, statistics. It knows registers and descriptors; whoever
 * uses it maps memory for the device, and gives the addresses that the device is to use,
 * right or wrong ones. One thread at a time. libc only.
 *
 * Names of registers and bits are those of the data sheet's chapter 10, as in e1000e.h;
 * descriptors are legacy ones (7.1.5 and 7.2.10).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "e1000e.h"

/* Statistics, cleared by reading. */
#define E1000E_GPRC 0x04074 /* good frames received */
#define E1000E_GPTC 0x04080 /* good frames transmitted */
#define E1000E_TPR 0x040d0  /* all received */
#define E1000E_TPT 0x040d4  /* all transmitted */

/* A page has both rings: transmit descriptors first, receive descriptors half a page
 * later; of each kind as many as this, and one less may be in use. */
#define E1000E_RINGS_BYTES 4096
#define E1000E_RING 16

/* What the NIC may write of a receive buffer at most; a longer frame would go on in the
 * next one. */
#define E1000E_BUFFER_BYTES 2048
/* Frames without their check sum, which the NIC adds and takes away. */
#define E1000E_FRAME_MIN 60
#define E1000E_FRAME_MAX 1514

typedef struct {
    volatile uint32_t *registers; /* BAR 0 */
    unsigned char *rings;         /* E1000E_RINGS_BYTES */
    uint64_t rings_iova;
    int ready_ms; /* so long a reset, and a link, may take */
    bool wired;   /* frames leave it and come from its network; else it is looped back */
    unsigned next_sent, sent;         /* transmit descriptors: next to use, next to end */
    unsigned next_offered, completed; /* receive descriptors, likewise */
} E1000e;

/* What a reset, and a link, may take: far longer than any machine does. */
#define E1000E_READY_MS 120000

/* Resets the NIC, and makes it ready to send and receive, looped back: what it sends it
 * receives, whatever the frame's address, and nothing leaves it. FALSE: the NIC stays in
 * reset or has no link. REGISTERS and RINGS stay the caller's. */
bool e1000e_start(E1000e *nic, volatile uint32_t *registers, void *rings,
                  uint64_t rings_iova, int ready_ms);
/* The same again, as .wired now says: descriptors that the NIC still had are forgotten.
 */
bool e1000e_restart(E1000e *nic);
/* After this it does no DMA. */
void e1000e_stop(E1000e *nic);

/* Offers the NIC a buffer of E1000E_BUFFER_BYTES to receive a frame to. */
void e1000e_offer(E1000e *nic, uint64_t iova);
/* Sends a frame of LENGTH bytes. */
void e1000e_send(E1000e *nic, uint64_t iova, size_t length);

/* Waits until the oldest frame is sent, or the oldest buffer has one. FALSE: not within
 * TIMEOUT_MS. *LENGTH: bytes received. */
bool e1000e_wait_sent(E1000e *nic, int timeout_ms);
bool e1000e_wait_received(E1000e *nic, int timeout_ms, size_t *length);

uint32_t e1000e_read(const E1000e *nic, unsigned offset);
void e1000e_write(const E1000e *nic, unsigned offset, uint32_t value);
