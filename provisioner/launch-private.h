/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What launch*.c share. A machine is started by launch.c, or by libvirt with
 * launch-domain.c, watched by launch-watch.c, frozen and thawed by launch-freeze.c, and
 * the command of its log written by launch-command.c.
 */
#pragma once

#include "launch-console.h"
#include "launch.h"
#include "log-dir.h"

/* What ended the host, as far as it was seen; the first that is seen stays. */
typedef enum {
    CAUSE_NONE,
    CAUSE_PANIC, /* the kernel told pvpanic */
    CAUSE_RESET, /* reboot or triple fault */
    CAUSE_POWER_OFF,
    CAUSE_IO_ERROR, /* a disk failed, and the emulator stopped the host */
    CAUSE_WATCHDOG,
    CAUSE_QMP,   /* its control channel ended or made no sense */
    CAUSE_ENDED, /* the emulator closed its channels: it is dead */
} Cause;

struct Machine {
    GPid pid;         /* 0: reaped */
    gboolean is_told; /* it is hostbed-domain, which says itself what went wrong, and has
                       * to end what is not its child */
    gboolean has_disk_elsewhere; /* if it has one, of an image */
    char *emulator, *log_dir;
    char *lab_name, *host_id;
    Qmp *qmp;
    int agent_fd; /* -1: taken */
    Console *console, *errors;
    LogFile *events, *qmp_log;
    GCancellable *gone, *interrupt;
    gulong interrupt_id;

    Cause cause;
    char *cause_detail; /* of CAUSE_IO_ERROR: the device */
    gboolean qmp_ended;
    QmpEvent listener; /* or NULL */
    gpointer listener_data;
    guint settling; /* source: after it, what has not arrived will not */
    GError *failure;

    gboolean migration_ended, migration_failed;
    gboolean carries_memory; /* its state does */

    guint sampler; /* source, or 0 */
    gboolean sample_pending;
    guint64 sampled_bytes; /* of the console at the last turn */
    GHashTable *pages;     /* set of guint64: pages of code the first CPU was seen in */
    guint64 events_seen;
    GHashTable *waits; /* thread → gint64 *: nanoseconds that it had waited, or NULL */
    guint64 instruction; /* where the first CPU was seen last */
    gboolean instruction_known;
};

/* launch-watch.c */
void machine_watch(Machine *machine);
void machine_unwatch(Machine *machine);
void machine_console_came(gsize bytes, gpointer user_data);
void machine_errors_came(gsize bytes, gpointer user_data);
/* The emulator is known not to work; why, with its standard error and what became of it.
 */
GError *machine_start_error(Machine *machine, const GError *reason);

/* launch-freeze.c: what the emulator says of the state that goes or comes. */
void machine_migration_came(Machine *machine, const char *status);

/* launch-command.c: the file `command`, a script that starts the same machine by hand. */
void machine_write_command(const MachineOptions *options, const char *const *argv,
                           const char *const *envp, GPid pid);
/* Below the logs, what a host with an image writes to that is started by hand. */
#define MACHINE_DISK_BY_HAND "by-hand.qcow2"
/* What makes that file, OWN, based on IMAGE, for such a script. */
void machine_append_disk(GString *text, const char *image, const char *own);
/* The same in EVENTS, without what is secret in it. */
void
machine_log_command(LogFile *events, const char *const *argv, const char *const *envp);

/* launch-domain.c: what is started where libvirt starts the emulator; *XML_FD, the
 * caller's, is to be inherited, too. NULL: it cannot, or may not, be. */
GStrv machine_domain_argv(const MachineOptions *options, const EmitRuntime *channels,
                          int *xml_fd, GError **error);
/* Instead of machine_write_command(). */
void machine_write_domain_command(const MachineOptions *options);
/* Names, NULL at the end. */
extern const char *const machine_domain_environment[];
