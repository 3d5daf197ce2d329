/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Registers of Intel's 82574 (e1000e), offsets in BAR 0, from its data sheet's
 * chapter 10.
 */
#pragma once

#define E1000E_ID "8086:10d3"

#define E1000E_CTRL 0x00000
#define E1000E_STATUS 0x00008
#define E1000E_CTRL_EXT 0x00018
#define E1000E_ICR 0x000c0   /* causes; reading acknowledges them, unless MSI-X is used */
#define E1000E_ITR 0x000c4   /* least time between interrupts; 0: none */
#define E1000E_ICS 0x000c8   /* sets causes, as if they had come */
#define E1000E_IMS 0x000d0   /* lets causes interrupt */
#define E1000E_IMC 0x000d8   /* and no more */
#define E1000E_IVAR 0x000e4  /* MSI-X vectors of the causes */
#define E1000E_EITR 0x000e8  /* of MSI-X vector 0; five, 4 bytes apart */
#define E1000E_FCTTV 0x00170 /* flow control's timer: stores what is written */
#define E1000E_TIPG 0x00410
#define E1000E_RAL0 0x05400 /* the MAC: first four bytes, … */
#define E1000E_RAH0 0x05404 /* … last two, and a bit that it is valid */

#define E1000E_CAUSE_LSC (1u << 2)
#define E1000E_CAUSE_RXQ0 (1u << 20)
#define E1000E_CAUSE_RXQ1 (1u << 21)
#define E1000E_CAUSE_TXQ0 (1u << 22)
#define E1000E_CAUSE_TXQ1 (1u << 23)
#define E1000E_CAUSE_OTHER (1u << 24)

/* IVAR has four bits for each of RXQ0, RXQ1, TXQ0, TXQ1 and OTHER, in that order. */
#define E1000E_IVAR_VECTOR(entry, vector) ((8u | (vector)) << 4 * (entry))
