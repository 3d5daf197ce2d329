/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The protocol between the agent in the host and the harness outside: frames over one
 * virtio-serial port named HB_WIRE_PORT. Both sides include this file; it needs only libc.
 *
 * A frame is a header of 8 bytes, then LENGTH bytes of payload. All numbers are little-endian.
 *
 *     u32 length    of the payload, at most HB_WIRE_MAX
 *     u16 type      HbFrame
 *     u16 channel   which command it is about; 0 is the agent itself
 *
 * Strings lists are strings each ended by a NUL. Neither side trusts the other: a frame that is
 * too long, of an unknown type, or about an unknown channel ends the conversation with an error.
 *
 * Flow control: each side may have at most HB_WIRE_WINDOW bytes of a stream (STDIN, STDOUT,
 * STDERR of a channel, each for itself) on the way that the other has not yet given back by
 * CREDIT. So a flood never stops the frames that end it.
 */
#pragma once

#include <stdint.h>

#define HB_WIRE_VERSION 1
#define HB_WIRE_PORT "org.hostbed.agent.1"
#define HB_WIRE_MAX (64 * 1024)
#define HB_WIRE_WINDOW (256 * 1024)

typedef enum {
    /* agent → harness */
    HB_FRAME_HELLO = 1,       /* u32 version, then strings: "key=value" (kernel, nonce, …) */
    HB_FRAME_STDOUT = 2,      /* bytes; empty: end of file */
    HB_FRAME_STDERR = 3,      /* bytes; empty: end of file */
    HB_FRAME_EXIT = 4,        /* u32 status (0-255), u32 signal (0: none); the last of its channel */
    HB_FRAME_OBSERVATION = 5, /* a piece of the observation; empty: that was all */
    HB_FRAME_FAILED = 6,      /* a string: why a request could not be done; ends its channel */
    HB_FRAME_DONE = 7,        /* a PUT was written whole, or a GET was sent whole */
    HB_FRAME_DATA = 8,        /* a piece of a file, both directions; empty: end of file */

    /* harness → agent */
    HB_FRAME_RUN = 32,        /* u32 argc, u32 envc, u32 flags (HbRunFlags), u32 0; strings: cwd, argv…, env… */
    HB_FRAME_STDIN = 33,      /* bytes; empty: end of file */
    HB_FRAME_SIGNAL = 34,     /* u32 number; sent to the command's process group */
    HB_FRAME_OBSERVE = 35,    /* asks for the observation in the manifest's form */
    HB_FRAME_PUT = 36,        /* u32 mode, string path; the file follows as DATA */
    HB_FRAME_GET = 37,        /* string path; answered by DATA …, DONE */

    /* both */
    HB_FRAME_CREDIT = 64,     /* u16 stream type (STDIN, STDOUT, STDERR, DATA), u16 0, u32 bytes consumed */
    HB_FRAME_PING = 65,       /* u64, sent back as PONG: a sign of life */
    HB_FRAME_PONG = 66,
} HbFrame;

typedef enum {
    HB_RUN_TTY = 1, /* give the command a pseudo-terminal; stdout and stderr are then one */
} HbRunFlags;
