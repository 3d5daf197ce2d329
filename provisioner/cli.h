/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What the commands share: the table of commands, the options that mean the same
 * everywhere, and how they speak to people. Only main.c and cmd-*.c include it.
 */
#pragma once

#include <gio/gio.h>

#include "accel.h"
#include "error.h"
#include "findings.h"
#include "plan.h"

typedef struct Command {
    const char *name;
    const char *synopsis; /* what follows the name: "[OPTION…] LAB -- COMMAND…" */
    const char *summary;  /* one line for `hostbed --help` */
    int (*run)(int argc,
               char **argv); /* argv[0] is the command's name; returns the exit status */
    const struct Command *commands; /* its own, if each has a file; ends with name NULL */
    const char *words; /* for its --help: what its arguments can be; or NULL */
} Command;

extern const Command commands[];          /* ends with name NULL; in main.c */
extern const Command image_commands[];    /* in cmd-image.c */
extern const Command template_commands[]; /* in cmd-template.c */

/* The command of this name, "image" or "image kernel", or NULL. */
const Command *cli_command(const char *name);
/* Runs the one of its own commands that the first argument of command NAME names; returns
 * the exit status. */
int cli_run_command_of(const char *name, int argc, char **argv);

int cmd_check(int argc, char **argv);
int cmd_show(int argc, char **argv);
int cmd_run(int argc, char **argv);
int cmd_test(int argc, char **argv);
int cmd_up(int argc, char **argv);
int cmd_down(int argc, char **argv);
int cmd_list(int argc, char **argv);
int cmd_exec(int argc, char **argv);
int cmd_ssh(int argc, char **argv);
int cmd_ssh_config(int argc, char **argv);
int cmd_console(int argc, char **argv);
int cmd_log(int argc, char **argv);
int cmd_verify(int argc, char **argv);
int cmd_plug(int argc, char **argv);
int cmd_unplug(int argc, char **argv);
int cmd_pause(int argc, char **argv);
int cmd_resume(int argc, char **argv);
int cmd_nmi(int argc, char **argv);
int cmd_reset(int argc, char **argv);
int cmd_power(int argc, char **argv);
int cmd_link(int argc, char **argv);
int cmd_disk(int argc, char **argv);
int cmd_save(int argc, char **argv);
int cmd_restore(int argc, char **argv);
int cmd_qmp(int argc, char **argv);
int cmd_doctor(int argc, char **argv);
int cmd_image(int argc, char **argv);
int cmd_os(int argc, char **argv);
int cmd_template(int argc, char **argv);

/* Options that every command takes which starts or plans a host. */
typedef struct {
    char *emulator; /* --emulator PATH, else HOSTBED_EMULATOR, else NULL:
                       emulator_find()'s choice */
    char *accel;    /* --accel auto|kvm|tcg, or NULL */
    char *kernel;   /* --kernel PATH, or NULL */
} CliMachine;

void cli_machine_clear(CliMachine *machine);
/* --accel, which cli_parse() has checked; without it ACCEL_AUTO. */
Accel cli_accel(const CliMachine *machine);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(CliMachine, cli_machine_clear)

/* Parses ARGV of COMMAND with its own ENTRIES, and those of MACHINE if not NULL. A "--"
 * ends the options and stays out of ARGV. FALSE: *STATUS is the status to exit with
 * (--help, or a usage error that has been printed). */
gboolean cli_parse(const char *command, int *argc, char ***argv,
                   const GOptionEntry *entries, CliMachine *machine, int *status);
/* The same for who runs a command: *BEFORE is the number of words that are no options
 * before the "--", or -1 if there is none. */
gboolean cli_parse_divided(const char *command, int *argc, char **argv,
                           const GOptionEntry *entries, CliMachine *machine, int *before,
                           int *status);

/* Why GLib refused the first ARGC words of ARGV, given the options of TABLES (ends with
 * NULL), one sentence, owned by the caller: an option of COMMAND that there is not, or a
 * value that is no number. NULL: neither. */
char *cli_option_mistake(const GOptionEntry *const *tables, int argc, char *const *argv,
                         const char *command);

/* A file that a command line names, to be read or written. */
typedef struct {
    const char *what; /* "the lab", "--junit" */
    const char *name; /* NULL: none; "-": a standard stream */
    gboolean is_output;
} CliFile;

/* FALSE, and *STATUS and a sentence: an output would overwrite another of the files. They
 * are compared as files where they are there, else by name. */
gboolean cli_check_files(const CliFile *files, guint count, int *status);

/* "hostbed: " and the message on standard error; returns the exit status of ERROR. */
int cli_fail(const GError *error);
/* The same for a sentence, with a status. */
int cli_fail_with(HbStatus status, const char *format, ...) G_GNUC_PRINTF(2, 3);
/* Prints FINDINGS on standard error; returns the exit status they mean. */
int cli_findings(const Findings *findings);
/* The status alone. */
int cli_findings_status(const Findings *findings);

/* Tells if the logs in the folder PATH are not whole. That is a failure
 * (HB_INFRASTRUCTURE) where they were ASKED for and STATUS, which is returned otherwise,
 * is that all is well. */
int cli_check_logs(const char *path, gboolean asked, int status);

/* Whether a line on FD can be written over: a terminal, TERM not dumb. */
gboolean cli_rewrites_lines(int fd);
/* Whether colour may be used on FD: a terminal, TERM not dumb, NO_COLOR not set
 * (no-color.org). */
gboolean cli_colour(int fd);

/* As g_unix_signal_add(), but 0 and nothing for a SIGHUP that nohup(1) had ignored. */
guint cli_watch_signal(int number, GSourceFunc function, gpointer user_data);

/* Until cli_interrupt_free(), SIGINT, SIGTERM and SIGHUP cancel the thread's current
 * GCancellable instead of ending us, so that what waits for a child can end it in order.
 * For those who have no handlers of their own. */
typedef struct CliInterrupt CliInterrupt;
CliInterrupt *cli_interrupt_new(void);
/* The same, and from DEADLINE_US (g_get_monotonic_time(); 0: never) on it is cancelled.
 */
CliInterrupt *cli_interrupt_new_until(gint64 deadline_us);
void cli_interrupt_free(CliInterrupt *interrupt);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CliInterrupt, cli_interrupt_free)
gboolean cli_was_interrupted(const CliInterrupt *interrupt);
/* Whether its deadline has passed, rather than that a signal came. */
gboolean cli_is_late(const CliInterrupt *interrupt);

/* Emulator facts for MACHINE's emulator, probed or from the cache. A signal ends it
 * (HB_INTERRUPTED). */
Emulator *cli_emulator(const CliMachine *machine, GError **error);
/* plan_checked_lab() with what is known of the hosts' operating systems. Where the
 * thread's current GCancellable was cancelled meanwhile, FINDINGS say so. */
GPtrArray *cli_plan_lab(const Lab *lab, const Emulator *emulator, PlanBackend backend,
                        Findings *findings);
/* Lab from FILENAME, checked and planned for BACKEND; all there is to say goes to
 * FINDINGS. NULL: they have an error, or the thread's current GCancellable was cancelled
 * while the lab was read (*STATUS is HB_INTERRUPTED, else what FINDINGS mean). */
GPtrArray *cli_plan_with(const char *filename, const Emulator *emulator,
                         PlanBackend backend, Findings *findings, int *status);
/* Adds what the images of PLANS are to be made from and is not there (os_image_check()).
 */
void cli_check_images(const GPtrArray *plans, FindingLevel level, Findings *findings);
/* The same; prints the findings, but none when it was cancelled. */
GPtrArray *cli_plan(const char *filename, const Emulator *emulator, PlanBackend backend,
                    int *status);
