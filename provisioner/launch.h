/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Owns one emulator from spawn to gone, whatever dies: the child is ended with us
 * (parent-death signal, the parent checked again after it is set), it is sandboxed, it
 * gets all its channels as inherited descriptors, and nothing is written outside its log
 * directory.
 *
 * What is seen from outside (QMP events, console, end of the process) decides the outcome
 * when the guest cannot: panic, reset, hang, emulator died.
 */
#pragma once

#include <gio/gio.h>

#include "emit.h"
#include "plan.h"
#include "qmp.h"

typedef struct Machine Machine;

typedef struct {
    const Plan *plan;
    const char *emulator;         /* path */
    const char *const *data_dirs; /* extra -L, or NULL */
    const char *connect;          /* address of the libvirt that starts it; or NULL */
    gboolean persistent;          /* libvirt keeps it defined after its end */
    const char *accel;            /* "kvm" or "tcg", decided by accel.h */
    const char *kernel, *initrd;  /* paths */
    const char *root_words;       /* of an image, as in EmitRuntime; or NULL */
    const char *cmdline_extra;    /* or NULL */
    /* Descriptors of the disk of an image: what it is based on first, to be read only;
     * the last is the host's own. Borrowed; NULL: the host has no image. */
    const GArray *disk_fds;
    gboolean capture; /* each network's frames go to emit_capture_file() there */
    /* Descriptors of the cells' memory, an int for each cell with memory; borrowed. NULL:
     * memory is the emulator's own, and the host cannot be frozen. */
    GArray *memory_fds;
    const GArray *port_fds;   /* as in EmitRuntime; borrowed, or NULL */
    gboolean clone;           /* of what is in memory_fds; then machine_thaw() */
    gboolean copy_on_write;   /* and it leaves that as it is */
    gboolean memory_readonly; /* a clone's; it may not be opened for writing */
    const char *log_dir;      /* exists, ours alone */
    const char *const
        *extra_args; /* tests: alter the machine behind the manifest's back; or NULL */
    GCancellable *interrupt; /* fires on SIGINT and the like; borrowed, or NULL */
} MachineOptions;

/* Starts the emulator and its QMP; the guest runs when this returns. The host's log
 * directory has from then on: command (line, environment), events (time-stamped),
 * console, qmp, emulator's stderr. */
Machine *machine_start(const MachineOptions *options, GError **error);
/* Ends the emulator (SIGKILL after asking by QMP) and waits until it is gone. */
void machine_free(Machine *machine);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Machine, machine_free)

/* Stops the guest and writes all of its state to STATE_FD, but for memory in descriptors
 * that it shares; then the machine is of no more use, unless the state carries memory
 * (machine_resume()). HB_UNSUPPORTED: it cannot be written, with the emulator's words. */
gboolean machine_freeze(Machine *machine, int state_fd, GError **error);
/* From now on the state that it writes, or takes, has all of its memory in it, shared or
 * not; both sides have to be told. */
void machine_carry_memory(Machine *machine);
/* What keeps the machine from being frozen, in the emulator's words, as far as it is
 * known beforehand (query-migrate's blocked-reasons); NULL: nothing. Owned by the caller.
 */
char *machine_freeze_obstacle(Machine *machine);
/* The first part of that, for several machines at one instant: the guest stands still. */
gboolean machine_pause(Machine *machine, GError **error);
/* Lets a machine go on that could not be frozen, or need not have been. */
gboolean machine_resume(Machine *machine, GError **error);
/* Whether clones can share memory that the emulator may not open for writing. */
gboolean machine_maps_readonly(Machine *machine);
/* Gives a clone the state that was frozen, read from the beginning of STATE_FD, and lets
 * it run. */
gboolean machine_thaw(Machine *machine, int state_fd, GError **error);
/* Its two parts, for several machines at one instant. */
gboolean machine_take_state(Machine *machine, int state_fd, GError **error);
gboolean machine_go(Machine *machine, GError **error);

/* The agent's channel; taken by the caller, once. */
int machine_take_agent_fd(Machine *machine);
Qmp *machine_qmp(Machine *machine);
/* HANDLER is told of every event, beside what the machine itself makes of them; its end
 * is not told. NULL: nobody is. */
void machine_set_listener(Machine *machine, QmpEvent handler, gpointer user_data);
/* What the console prints, as it comes; and what somebody types there. NULL: to nobody.
 */
void machine_set_console_listener(Machine *machine,
                                  void (*listener)(const char *bytes, gsize length,
                                                   gpointer user_data),
                                  gpointer user_data);
void machine_type(Machine *machine, const void *bytes, gsize length);
GPid machine_pid(const Machine *machine);

/* Fires when the host can no longer answer: panic, reset, power-off, emulator's end, the
 * interrupt. Then machine_failure() says why, in one sentence with what was seen last and
 * where the logs are; NULL before that. */
GCancellable *machine_gone(Machine *machine);
const GError *machine_failure(const Machine *machine);
/* For those who see a failure without knowing its cause: lets what the emulator said last
 * arrive (at most a second), then as machine_failure(). */
const GError *machine_settle(Machine *machine);

/* Signs of life: a number that grows with everything new that the guest does and is seen
 * from outside: console bytes, QMP events and, while machine_sample() is on and the
 * console is quiet, each page of code that its first CPU had not been seen in before. A
 * loop does not count, which executed time would. A deadline follows it. */
guint64 machine_progress(const Machine *machine);
void machine_sample(Machine *machine, gboolean on);
/* Time that the emulator has computed: how much of a standstill was the machine's own
 * doing. */
gint64 machine_cpu_time_us(const Machine *machine);
/* How long, since the last such call, that of its threads which waited longest for a
 * processor did so (proc(5), schedstat); 0 where the machine does not tell. */
gint64 machine_starved_us(Machine *machine);
/* Where the guest was seen last, for a person: "in the firmware (…)", or NULL. Owned by
 * the caller. */
char *machine_whereabouts(const Machine *machine);
/* The last line the console printed, made printable, or NULL. Owned by the machine. */
const char *machine_last_words(const Machine *machine);
/* A line in the events' log. */
void machine_note(Machine *machine, const char *format, ...) G_GNUC_PRINTF(2, 3);
