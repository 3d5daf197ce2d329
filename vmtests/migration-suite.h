/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What the files of the suite migration share: two hosts, in each an emulator with the
 * guest of guest.c, and the talk with both. migration-serve.c runs an emulator for
 * whoever asks, in this host and, as the program that answers (--serve), in the others;
 * migration-side.c asks, and hears what both emulators and both guests say;
 * migration-move.c has them move the guest. What fails, fails the case.
 */
#pragma once

#include "cases.h"
#include "guest-tick.h"
#include "network-suite.h"
#include "suite.h"

/* ---- migration-serve.c */

/* Where the program answers: a connection is one emulator, which ends with it. What is
 * asked are lines:
 *
 *     option WORD     for the emulator's command line
 *     key DIGITS      the key of TLS, which "dir=" MIGRATION_KEYS finds then
 *     nic             gives vfio-pci a NIC of the host's until the end, and answers
 *                     "nic ADDRESS MAC", or "none" where none is to spare
 *     start           answers "port NUMBER": of two connections to it one is the guest's
 *                     serial line and one the emulator's QMP; the first byte says which
 *
 * or "refused REASON". What the emulator itself says comes after that. */
#define MIGRATION_PORT 7009
/* That byte. */
#define MIGRATION_SERIAL 's'
#define MIGRATION_MONITOR 'm'
#define MIGRATION_KEYS "/run/hostbed-migration"
#define MIGRATION_USER "hostbed"

/* Answers others; JOINED: LINK_JOINED's text. Returns the exit status once a process
 * does. */
int migration_serve(const char *joined);
/* Is such a connection, on FD, to its end; JOINED as above. */
void migration_serve_one(int fd, const char *joined);

/* ---- migration-side.c */

typedef enum {
    HERE,
    THERE, /* the other host */
    BESIDE /* the other host, too */
} Where;

/* An emulator with a guest. */
typedef struct {
    Where where;
    int control, serial, qmp; /* -1: not yet, or not any more */
    char heard[1000];         /* what the guest said, but for ticks */
    size_t heard_length;
    char said[8192]; /* what QMP said and was not yet read, and */
    size_t said_length;
    char answer[8192];    /* the last answer of it, "" once that was used */
    char status[40];      /* that of the last event MIGRATION, or "" */
    bool has_device_gone; /* the event DEVICE_DELETED came */
    bool has_come_first;  /* the guest ran here before all of its memory did */
    long ticks;           /* of the guest */
    int64_t first_tick_ms, last_tick_ms; /* of this clock */
} Side;

/* Skips the case unless guests can run here and there is another host. */
void needs_two_hosts(void);

/* Where its host is found by the other one. */
const char *side_host(const Side *side);

/* Something that will be an emulator, and ends with the case. One of each Where. */
Side *side_open(Where where);
void
side_option(Side *side, const char *format, ...) __attribute__((format(printf, 2, 3)));
void side_key(Side *side, const char *digits);
/* Gives it a NIC of its host. */
void side_take_nic(Side *side, char address[32], char mac[20]);
/* Starts the emulator; IS_WAITED_FOR: with a guest that comes from elsewhere. */
void side_start(Side *side, bool is_waited_for);
/* Ends the emulator as a crash would, and all that belongs to it. */
void side_end(Side *side);

/* The answer to a QMP command, which succeeds: one line of JSON. */
const char *
side_ask(Side *side, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same of one that is refused: the error. */
const char *side_ask_in_vain(Side *side, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* The number behind "NAME": in what QMP answered last; -1: there is none. */
long long side_number(const Side *side, const char *name);
/* The text behind it, in a static buffer; NULL: there is none. */
const char *side_text(const Side *side, const char *name);

/* Hears all until COME says so of SIDE; fails the case if it takes too long, with the
 * sentence WHAT. */
void side_await(Side *side, bool (*come)(const Side *side), const char *what);
/* Until the guest has said COUNT ticks more. */
void side_await_ticks(Side *side, long count);
/* Says something to the guest, and returns its answer without the last line. */
void side_say(Side *side, const char *text);
const char *side_hear(Side *side);

/* ---- migration-move.c */

/* What a move took: as the source's emulator tells it; as it was seen from outside; and
 * by the guest's own clock. */
typedef struct {
    long long total_ms, downtime_ms, bytes, requests;
    long long gap_ms;
    long long guest_gap_us;
} Move;

/* Has the guest write and check PAGES pages of its memory. */
void guest_works(Side *side, int pages);
/* The destination listens; where, for MOVE_COMMAND. */
const char *move_address(Side *to);
#define MOVE_COMMAND "{\"execute\": \"migrate\", \"arguments\": {\"uri\": \"%s\"}}"
/* The same, and the source begins to send. */
void move_begin(Side *from, Side *to);
/* The migration's event has come to be STATUS; fails the case if it is another end. */
void move_await(Side *from, const char *status);
/* A whole one: begins, and is completed, and the guest goes on. */
void move_guest(Side *from, Side *to, Move *move);
/* What the source says of one that is completed. */
void move_measure(Side *from, Side *to, Move *move);
/* Ends the guest's work: it is to have lost nothing. */
void guest_has_all(Side *side, Move *move);
/* Tells the harness the numbers (harness/measure.h). */
void move_tell(const Move *move);

#define DECLARE_CASE(name) void name(void **state);
MIGRATION_CASES(DECLARE_CASE)
#undef DECLARE_CASE
