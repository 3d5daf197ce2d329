/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The agent: init of a host made by hostbed, and the one who answers the harness in the
 * frames of wire.h. One process, one thread, one poll loop, nothing that blocks; it must
 * not die, because the kernel panics when init does. So it allocates little and early,
 * every queue has a fixed size, and what may crash or hang (an observation) is done in a
 * child.
 *
 * What it finds in the initramfs, all of it optional:
 *   /etc/hostbed/modules    kernel modules to load, in this order, one a line: the path
 * of the file, then its parameters separated by blanks; # begins a comment and on the
 * kernel's command line what wire.h says.
 *
 * `hostbed-agent --service` is the same for a host that runs a distribution: a service of
 * its system (agent-service.c).
 *
 * `hostbed-agent --fd N` serves the same protocol over an inherited socket as an ordinary
 * process and touches nothing else: for tests. As an ordinary command of the host it does
 * what the harness asks for around another one: `/init --bind ADDRESS…`,
 * `/init --out FOLDER`, `/init --pack FOLDER`, `/init --join FILE`.
 */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "clock.h"
#include "wire.h"

/* ---- agent-wire.c: frames in and out over one descriptor that does not block
 * ------------------ */

typedef struct {
    uint16_t type, channel;
    const uint8_t *payload; /* in the Wire's own buffer until the next wire_read() */
    uint32_t length;
} Frame;

/* Room that must be left in the output queue for the small frames (CREDIT, EXIT, FAILED,
 * HELLO) before anything is done that might answer with some of them. */
#define WIRE_RESERVE (32 * 1024)
#define WIRE_OUT_SIZE (256 * 1024)
/* Room for a largest frame of a stream or a file, and the reserve behind it. */
#define WIRE_PUMP_ROOM (WIRE_RESERVE + HB_WIRE_HEADER + HB_WIRE_MAX)

typedef struct {
    int fd;
    size_t in_start, in_length;
    size_t out_start, out_length;
    uint8_t in[HB_WIRE_HEADER + HB_WIRE_MAX];
    uint8_t out[WIRE_OUT_SIZE];
} Wire;

void wire_init(Wire *wire, int fd);
/* Reads what is there: 1 something, 0 nothing now, -1 the other side is gone. */
int wire_read(Wire *wire);
/* The next whole frame: 1 yes, 0 not yet, -1 it is longer than allowed. */
int wire_next(Wire *wire, Frame *frame);
/* Appends a frame; FALSE, and nothing appended, if the queue has no room for it. */
bool
wire_send(Wire *wire, HbFrame type, uint16_t channel, const void *payload, size_t length);
size_t wire_room(const Wire *wire);
/* Writes what the other side takes now: 0, or -1 if it is gone. */
int wire_flush(Wire *wire);

void wire_put_u16(uint8_t *at, uint16_t value);
void wire_put_u32(uint8_t *at, uint32_t value);

/* Reads a payload from its beginning; after the first thing that is not there, `bad`
 * stays set. */
typedef struct {
    const uint8_t *at;
    size_t left;
    bool bad;
} Cursor;

uint16_t cursor_u16(Cursor *cursor);
uint32_t cursor_u32(Cursor *cursor);
const char *cursor_string(Cursor *cursor); /* "" when bad */

/* ---- channels
 * ---------------------------------------------------------------------------------- */

typedef enum {
    CHANNEL_FREE,
    CHANNEL_COMMAND,
    CHANNEL_WAITING, /* a command that stopped until somebody has it go on; it has no id
                      */
    CHANNEL_OBSERVE,
    CHANNEL_PUT,
    CHANNEL_GET,
} ChannelKind;

/* An output of a command on its way to the harness. */
typedef struct {
    int fd; /* -1: ended */
    HbFrame type;
    uint32_t credit; /* bytes the harness still takes */
    size_t last;     /* after the command's end: bytes still to be sent */
} Stream;

typedef struct {
    ChannelKind kind;
    uint16_t id;

    /* COMMAND and OBSERVE */
    pid_t pid;
    bool exited, tty, may_wait;
    bool
        stopped; /* it may wait, and has stopped itself; what it said may be on its way */
    int wait_status;
    Stream streams[2];
    int stdin_fd; /* -1: closed, or its reader is gone */
    bool stdin_ended;
    uint8_t *stdin_data; /* HB_WIRE_WINDOW bytes */
    size_t stdin_start, stdin_length;

    /* PUT and GET */
    int file_fd;
    char *path, *part; /* PUT: the name it will have, and has until it is whole; the path
                          of a command that may wait: what it is called */
    uint32_t mode;
    uint32_t credit;
} Channel;

typedef struct Agent Agent;
struct Agent {
    Wire wire;
    Channel channels[HB_WIRE_CHANNELS];
    sigset_t signals; /* what signal_fd tells instead */
    int signal_fd;
    bool broken; /* the harness broke the protocol: nothing is read from it until it
                    leaves */
    bool is_init;
    bool has_host;    /* as init or as its service: the host's own agent */
    const char *root; /* what an observation looks at: "/" */
    char nonce[33];
    char trouble[2048]; /* strings "trouble=…", each with its NUL */
    size_t trouble_length;
    /* What a clone's HELLO needs is at hand when the host is frozen, since each new piece
     * of the kernel that it would run costs the clone its translation. */
    char cmdline[4096]; /* the kernel's own limit is 2048; "": not asked yet */
    int random_fd;      /* the random numbers' device; -1: cannot be opened */
};

/* ---- agent.c
 * ----------------------------------------------------------------------------------- */

/* A line in the kernel's log; without being init, on standard error. LEVEL as syslog's.
 */
void agent_log(const Agent *agent, int level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The same, and it is told to the harness in HELLO. */
void agent_trouble(Agent *agent, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* ---- agent-serve.c
 * ------------------------------------------------------------------------------ */

/* Begins a conversation by HELLO, after the end of what is left of the last one. */
void serve_begin(Agent *agent);
/* Serves until the harness leaves (returns 0) or a signal says what to do with the
 * machine (returns its number; only when the agent is init). */
int serve(Agent *agent);
/* Takes the signals that wait: reaps children; returns another one's number, or 0. */
int serve_signals(Agent *agent);
/* Kills what runs, but for what waits, and forgets all channels. */
void serve_end(Agent *agent);

Channel *channel_find(Agent *agent, uint16_t id); /* NULL: not in use */
/* A free one with this id; NULL after a FAILED frame when there is none. */
Channel *channel_new(Agent *agent, uint16_t id, ChannelKind kind);
/* Releases all that it holds and kills its command, but sends nothing. */
void channel_free(Channel *channel);
void channel_failed(Agent *agent, uint16_t id, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Gives back COUNT bytes of TYPE. */
void channel_credit(Agent *agent, const Channel *channel, HbFrame type, size_t count);
/* The harness broke the protocol: says so and ends the conversation. */
void serve_violation(Agent *agent, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* ---- agent-command.c
 * ---------------------------------------------------------------------------- */

void command_run(Agent *agent, const Frame *frame);
void command_observe(Agent *agent, const Frame *frame);
void command_stdin(Agent *agent, Channel *channel, const Frame *frame);
void command_signal(Channel *channel, int number);
void command_resize(Channel *channel, uint16_t rows, uint16_t columns);
/* Its process has ended. */
void command_exited(Channel *channel, int wait_status);
/* Moves what can be moved without waiting; frees the channel when all is told. */
void command_pump_output(Agent *agent, Channel *channel, Stream *stream);
void command_pump_stdin(Agent *agent, Channel *channel);
/* Its standard input ends once it has all that was sent. */
bool command_closes_stdin(const Channel *channel);
void command_finish(Agent *agent, Channel *channel);

/* ---- agent-wait.c
 * --------------------------------------------------------------------------------- */

/* The process of CHANNEL has stopped. If it may wait it does once all is heard that it
 * said, in place of the one that did before. */
void command_stopped(Agent *agent, Channel *channel);
/* The same later, when more was heard. */
void command_wait(Agent *agent, Channel *channel);
/* Kills what waits. */
void command_end_waiting(Agent *agent);
/* The command called NAME that waits; NULL: none does. */
Channel *command_waiting(Agent *agent, const char *name);
/* Lets it go on, told ENV, strings that lie one behind the other and end with NULL.
 * FALSE: it does not take them all, and is of no use any more. */
bool command_go_on(Channel *channel, char *const *env);

/* ---- agent-file.c
 * --------------------------------------------------------------------------------- */

void file_put(Agent *agent, const Frame *frame);
void file_data(Agent *agent, Channel *channel, const Frame *frame);
void file_get(Agent *agent, const Frame *frame);
void file_pump(Agent *agent, Channel *channel); /* GET: sends as credit and room allow */

/* ---- agent-uevents.c: what wakes us when the kernel finds something
 * --------------------- */

int uevents_open(void);
/* Waits for the kernel to tell anything; FALSE when TIMEOUT_MS have passed without. */
bool uevents_wait(int fd, int timeout_ms);

/* ---- agent-pci.c
 * --------------------------------------------------------------------------------- */

/* Makes the virtual functions of LIST, as hostbed.vfs has it, and waits until their
 * drivers have them. UEVENTS has been opened before. */
void pci_make_vfs(Agent *agent, const char *list, int uevents);
/* Gives the network interfaces of PCI functions the names that interfaces.h says. They
 * must be down, as the kernel leaves them. */
void pci_name_interfaces(Agent *agent);

/* ---- agent-bind.c
 * --------------------------------------------------------------------------------- */

/* Gives the functions at ADDRESSES (NULL-terminated) below ROOT_PATH to vfio-pci and
 * prints their groups; an exit status, with the reason on standard error. */
int bind_main(const char *root_path, char **addresses);

/* ---- agent-slot.c
 * --------------------------------------------------------------------------------- */

/* What is behind the port WORDS[0] below ROOT_PATH vanishes; the kernel hears of it
 * unless WORDS[1] is "untold". An exit status, with the reason on standard error. */
int tear_out_main(const char *root_path, char **words);
/* Waits until the kernel has given up the function WORDS[1] behind the port WORDS[0], and
 * prints "gone"; or, after a minute, "kept". An exit status. */
int await_gone_main(const char *root_path, char **words);
/* Has the kernel power off the slot that leads to WORDS[0], and does not wait for it. */
int tell_main(const char *root_path, char **words);

/* ---- agent-join.c
 * --------------------------------------------------------------------------------- */

/* Obeys the file WORDS[0] (wire.h, HB_JOIN_PATH); an exit status, with the reason on
 * standard error. */
int join_main(const char *root_path, char **words);

/* ---- agent-route.c: the way out of the lab. FALSE: said why on standard error. */
bool join_route(const char *ipv4, const char *ipv6);
bool join_dns(int root, const char *address);

/* ---- agent-out.c
 * ---------------------------------------------------------------------------------- */

/* Makes the folder WORDS[0] for results, and lets core dumps go there; an exit status. */
int out_main(const char *root_path, char **words);
/* Writes what is in the folder WORDS[0] to standard output, in records of wire.h. */
int pack_main(const char *root_path, char **words);

/* ---- agent-init.c
 * --------------------------------------------------------------------------------- */

/* Makes the machine usable: mounts, modules, huge pages. Never fails; what goes wrong is
 * trouble. */
void init_machine(Agent *agent);
/* Parts of that for a service: mounts what suites rely on, where it is not; and what
 * comes once drivers are there. */
typedef void NameHost(Agent *agent, const char *name);
void init_mount_hugepages(Agent *agent);
void init_finish(Agent *agent, NameHost *name_it);
/* Waits for the port named HB_WIRE_PORT and opens it. */
int init_open_port(Agent *agent);
/* Waits until the harness has the port open. Orphans are reaped meanwhile; returns a
 * signal's number like serve(), or 0. */
int init_wait_harness(Agent *agent, int port);
/* Takes the words of the harness's HELLO. */
void init_resume(Agent *agent, const Frame *frame);
/* Ends the machine as SIGNAL_NUMBER says. Does not return. */
void init_shutdown(Agent *agent, int signal_number) __attribute__((noreturn));

/* ---- agent-service.c
 * ------------------------------------------------------------------------------- */

/* Makes of a machine that runs a distribution what init_machine() makes of its own. */
void service_machine(Agent *agent);
