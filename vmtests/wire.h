/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The protocol between the agent in the host and the harness outside: frames over one
 * virtio-serial port named HB_WIRE_PORT. Both sides include this file; it needs only
 * libc.
 *
 * A frame is a header of 8 bytes, then LENGTH bytes of payload. All numbers are
 * little-endian.
 *
 *     u32 length    of the payload, at most HB_WIRE_MAX
 *     u16 type      HbFrame
 *     u16 channel   which request it is about; 0 is the agent itself
 *
 * Lists of strings are strings each ended by a NUL. Neither side trusts the other: a
 * frame that is too long, of an unknown type, or malformed ends the conversation: the
 * agent answers FAILED on channel 0 with the reason, ends its commands and reads nothing
 * more that means something.
 *
 * Channels. The harness chooses a number that is not in use with each RUN, PUT, GET and
 * OBSERVE; at most HB_WIRE_CHANNELS are in use at once. EXIT, DONE, FAILED and the empty
 * OBSERVATION free it. STDIN, SIGNAL, RESIZE, DATA and CREDIT that cross those on the way
 * are dropped silently.
 *
 * Flow control: each side may have at most HB_WIRE_WINDOW bytes of a stream (STDIN,
 * STDOUT, STDERR, DATA of a channel, each for itself) on the way that the other has not
 * yet given back by CREDIT. So a flood never stops the frames that end it. Other frames
 * need no credit; both sides must always go on reading. Empty frames cost nothing.
 *
 * How a command ends. It runs in its own session and process group. When its main process
 * has ended, the agent sends what is then in its pipes, closes them, and sends the ends
 * of file and EXIT: a daemon left behind does not hold the channel open, and what it
 * writes later is lost. A command that cannot be run exits as in a shell, with the reason
 * on its standard error: 127 not found, 126 found but not runnable, 125 no such working
 * directory.
 *
 * When the harness closes the port, the commands that still run are killed. HELLO from
 * the harness does the same and begins a new conversation: it is how to meet a host that
 * was restored from a template, where the port has never been closed. It is also needed
 * by a harness that opens the port anew at once: the agent may not have seen that it was
 * closed, and goes on with the old conversation.
 */
#pragma once

#include <stdint.h>

#define HB_WIRE_VERSION 1
#define HB_WIRE_PORT "org.hostbed.agent.1"
#define HB_WIRE_HEADER 8
#define HB_WIRE_MAX (64 * 1024)
#define HB_WIRE_WINDOW (256 * 1024)
#define HB_WIRE_CHANNELS 64

/* clang-format off */
typedef enum {
    /* agent → harness */
    HB_FRAME_STDOUT = 2,      /* bytes; empty: end of file */
    HB_FRAME_STDERR = 3,      /* bytes; empty: end of file */
    HB_FRAME_EXIT = 4,        /* u32 status (0-255), u32 signal (0: none); the last of its channel */
    HB_FRAME_OBSERVATION = 5, /* a piece of the observation; empty: that was all */
    HB_FRAME_FAILED = 6,      /* a string: why a request could not be done; ends its channel */
    HB_FRAME_DONE = 7,        /* a PUT was written whole, or a GET was sent whole */

    /* harness → agent */
    HB_FRAME_RUN = 32,        /* u32 argc, u32 envc, u32 flags (HbRunFlags), u16 rows, u16 columns of its terminal (0: not known); strings: cwd, argv…, env… */
    HB_FRAME_STDIN = 33,      /* bytes; empty: end of file */
    HB_FRAME_SIGNAL = 34,     /* u32 number; sent to the command's process group */
    HB_FRAME_OBSERVE = 35,    /* asks for the observation in the manifest's form */
    HB_FRAME_PUT = 36,        /* u32 mode, string path; DATA … and an empty DATA follow. The file appears
                               * under its name when it is whole */
    HB_FRAME_GET = 37,        /* string path of a regular file; answered by DATA …, DONE */
    HB_FRAME_RESIZE = 38,     /* u16 rows, u16 columns of the command's terminal */

    /* both */
    HB_FRAME_HELLO = 1,       /* agent: u32 version, then strings "key=value", see below.
                               * harness: u32 version; forget all, take the strings "key=value"
                               * that follow as below, and say HELLO again */
    HB_FRAME_DATA = 8,        /* a piece of a file; empty, from the harness: end of file */
    HB_FRAME_CREDIT = 64,     /* u16 stream type (STDIN, STDOUT, STDERR, DATA), u16 0, u32 bytes consumed */
    HB_FRAME_PING = 65,       /* u64, sent back as PONG: a sign of life */
    HB_FRAME_PONG = 66,
} HbFrame;

typedef enum {
    HB_RUN_TTY = 1, /* give the command a pseudo-terminal; stdout and stderr are then one */
    HB_RUN_CORES = 2, /* let it leave core dumps of any size */
    HB_RUN_WAITS = 4, /* when it stops itself (SIGSTOP) it waits; that is told as EXIT with status 0,
                       * without ends of file. It is nobody's then, and no HELLO ends it, but the next
                       * one that waits. Its standard input has no end. Not with a terminal */
    HB_RUN_GOES_ON = 8, /* if a command of this name (argv[0]) waits, there or in what the host is
                         * a copy of, it is this one: it goes on (SIGCONT), and its standard input begins with
                         * u32 the length of what follows, strings env…. All else (arguments, folder, core dumps) is as it was
                         * started. If none waits it is started. Not with a terminal */
} HbRunFlags;

/* Words of HELLO:
 *   kernel=RELEASE   of the host's kernel
 *   nonce=HEX        16 random bytes drawn when the agent started and kept in the host's memory:
 *                    the same nonce later proves that the host was not booted again
 *   cmdline=TEXT     the kernel's command line
 *   uptime=SECONDS   of the host, with two decimals
 *   trouble=TEXT     one for each thing that went wrong while the host came up (a module, huge
 *                    pages that the kernel did not give, …)
 */

/* Words of the harness's HELLO, for a host that was restored and does not know it:
 *   clock=SECONDS.MICROSECONDS   of the day, since 1970: what its clock is set to
 *   seed=HEX                     for the kernel's random numbers, which else would be those of
 *                                its twins
 * Unknown ones mean nothing.
 */

/* What `/init --pack FOLDER` writes to its standard output, and so into STDOUT frames:
 * records, each a header of HB_OUT_HEADER bytes, the name, and of a file its content.
 *
 *     u8 type      HbOutRecord
 *     u8 0
 *     u16 length   of the name, "folder/file" below FOLDER, without a NUL
 *     u32 mode     permissions
 *     u64 size     of a file's content
 *
 * A folder comes before what is in it, END after all.
 */
#define HB_OUT_HEADER 16
#define HB_OUT_FOLDER_PATH "/out" /* where a command leaves its results */

typedef enum {
    HB_OUT_FILE = 'f',
    HB_OUT_FOLDER = 'd',
    HB_OUT_LEFT = 'l', /* neither; it stays in the host */
    HB_OUT_END = 'e',
} HbOutRecord;

/* What `/init --join HB_JOIN_PATH` reads, which the harness has PUT there: of each NIC on a network
 * that joins the host with others its addresses, then what to call the hosts there.
 *
 *     nic ADDRESS IPV4/LENGTH IPV6/LENGTH      ADDRESS as of PCI: 0000:b5:00.0
 *     name ADDRESS NAME…                       as /etc/hosts has it
 *     route IPV4 IPV6                          where all else is to be sent, if anywhere
 *     dns ADDRESS                              whom to ask for other names
 */
#define HB_JOIN_PATH "/run/hostbed/joined"
/* The status that the script of <first-boot> ended with, if not 0. */
#define HB_FIRST_BOOT_FAILED_PATH "/run/hostbed-first-boot.failed"

/* What the agent is told on the kernel's command line:
 *   hostbed.hugepages=NODE:SIZE:COUNT[,…]   huge pages to reserve once the host runs, by Linux's
 *                    node and the size as the kernel writes it: hostbed.hugepages=0:2048kB:64
 *   hostbed.vfs=ADDRESS:COUNT[,…]   virtual functions to make: hostbed.vfs=0000:b5:00.0:2
 *   hostname=NAME    the kernel's own word (since 5.19); older kernels get it from the agent
 */
/* clang-format on */
