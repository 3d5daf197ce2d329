/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What the suites share that use network interfaces: up while a case needs it, and raw
 * frames. All fail the case themselves where they cannot.
 */
#pragma once

#include "mac.h"
#include "suite.h"

#include <net/if.h>

/* The ethertype of frames for experiments, which no host sends by itself. */
#define NET_ETHERTYPE 0x88b5

typedef struct {
    char name[IF_NAMESIZE];
    int index;
    unsigned char mac[6];
} NetInterface;

/* The interface of the function at ADDRESS ("0000:b5:00.0"). Returns false if it has
 * none, or one that is still coming or already going. */
bool net_of_function(const char *address, NetInterface *interface);

/* Brings the interface up, until the case ends if it was down. Its driver then has its
 * interrupts; a carrier comes later: who needs several starts all, and then waits. */
void net_start(const NetInterface *interface);
/* The same, and waits until it has a carrier. */
void net_up(const NetInterface *interface);

/* A socket for frames of NET_ETHERTYPE on the interface, closed when the case ends. */
int net_socket(const NetInterface *interface);
/* Sends a frame with the payload TEXT (45 bytes at most) to the address MAC. */
void net_send(int socket, const NetInterface *from, const unsigned char mac[6],
              const char *text);
/* Waits for a frame with the payload TEXT; leaves its addresses in FROM and TO. Returns
 * false if there was none for MS milliseconds. Others are dropped. */
bool net_receive(int socket, const char *text, unsigned char to[6], unsigned char from[6],
                 int ms);
/* The same for a payload that begins with WORDS: what comes after them, until the next
 * call; NULL if there was none. */
const char *
net_receive_answer(int socket, const char *words, unsigned char from[6], int ms);
