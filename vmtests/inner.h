/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Guests inside: QEMU with KVM, functions of the host by VFIO, and either the ROM of
 * guest.c or Linux with the program of guest-init.c. They end with the case that started
 * them, but for one that is left as a state of the host (suite-state.h). All fail the
 * case themselves where they cannot; what a guest does not answer within minutes is a
 * failure too.
 */
#pragma once

#include <sys/types.h>

#include "suite.h"

#define INNER_GUESTS 2

typedef struct {
    pid_t emulator; /* or 0: somebody else's */
    const char *kind, *function;
    int serial, monitor;
    int patience_ms;   /* so long may an answer take */
    char answer[2000]; /* the last one, without its last line */
    char heard[4000];  /* what came; the first TAKEN bytes of it were answers */
    size_t length, taken;
} Inner;

/* Whether the host has an emulator. */
bool inner_is_possible(void);

/* And a kernel for guests (provisioner/image.h). */
bool inner_has_linux(void);

/* Starts a guest and waits for its first word. FUNCTION: the address of the one that it
 * gets, which vfio-pci has already. MEMORY: further options of the emulator for the
 * guest's memory, ended by NULL; or NULL. Where such a guest was left with this function
 * it is that one, and of Linux all that it had said is heard again; any other that was
 * left is ended. */
Inner *inner_start(const char *function, const char *const *memory);
/* The same of a guest with Linux, which has come to its first program then. */
Inner *inner_start_linux(const char *function, const char *const *memory);
/* Waits until a guest with Linux says a line that begins with WORD, and returns what is
 * behind it and a blank. */
const char *inner_await(Inner *inner, const char *word);
/* A guest with the ROM that somebody else has started with function FUNCTION, and will
 * end; its serial port is the socket at PATH. */
Inner *inner_meet(const char *function, const char *path);
/* The ROM, to a file that others may read. */
void inner_write_rom(const char *path);
/* Ends the emulator as a crash would. */
void inner_kill(Inner *inner);
/* Has it stand still until a case starts such a one. */
void inner_leave(Inner *inner);

/* Says COMMAND and waits for the answer, which is also returned. */
const char *inner_ask(Inner *inner, const char *command);
/* The same in two parts, for two guests at a time. */
void inner_say(Inner *inner, const char *command);
const char *inner_hear(Inner *inner);
/* A command of QEMU's monitor. */
void inner_monitor(Inner *inner, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
