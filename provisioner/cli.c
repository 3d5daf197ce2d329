/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli.h"

#include <glib-unix.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli-wait.h"
#include "log-dir.h"
#include "nearest.h"

void
cli_machine_clear(CliMachine *machine)
{
    g_clear_pointer(&machine->emulator, g_free);
    g_clear_pointer(&machine->accel, g_free);
    g_clear_pointer(&machine->kernel, g_free);
}

Accel
cli_accel(const CliMachine *machine)
{
    Accel accel = ACCEL_AUTO;
    if (machine->accel)
        accel_from_name(machine->accel, &accel);
    return accel;
}

static const Command *
find_command(const Command *command, const char *name)
{
    while (command && command->name && strcmp(command->name, name) != 0)
        command++;
    return command && command->name ? command : NULL;
}

const Command *
cli_command(const char *name)
{
    g_auto(GStrv) words = g_strsplit(name, " ", 2);
    const Command *command = find_command(commands, words[0]);
    return command && words[1] ? find_command(command->commands, words[1]) : command;
}

/* "kernel, info or fetch"; owned by the caller. */
static char *
list_commands(const Command *command)
{
    GString *list = g_string_new(NULL);
    for (; command->name; command++)
        g_string_append_printf(list, "%s%s",
                               list->len == 0    ? ""
                               : command[1].name ? ", "
                                                 : " or ",
                               command->name);
    return g_string_free(list, FALSE);
}

int
cli_run_command_of(const char *name, int argc, char **argv)
{
    int status = HB_OK;
    const Command *all = cli_command(name)->commands;
    const Command *command = argc >= 2 ? find_command(all, argv[1]) : NULL;
    if (command)
        return command->run(argc - 1, argv + 1);
    if (!cli_parse(name, &argc, &argv, NULL, NULL, &status)) /* --help */
        return status;
    g_autofree char *list = list_commands(all);
    if (argc < 2)
        return cli_fail_with(HB_USAGE, "'hostbed %s' needs to know what to do: %s", name,
                             list);
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    for (command = all; command->name; command++)
        g_ptr_array_add(names, (gpointer)command->name);
    g_ptr_array_add(names, NULL);
    const char *meant = nearest_name(argv[1], (const char *const *)names->pdata);
    g_autofree char *otherwise = g_strdup_printf("it has %s", list);
    g_autofree char *hint = nearest_hint(meant, otherwise);
    return cli_fail_with(HB_USAGE, "there is no 'hostbed %s %s'; %s", name, argv[1],
                         hint);
}

/* Owned by the caller. */
static GOptionEntry *
machine_entries(CliMachine *machine)
{
    const GOptionEntry entries[] = {
        {"emulator", 0, 0, G_OPTION_ARG_FILENAME, &machine->emulator,
         "The emulator to use (default: qemu-system-x86_64, qemu-kvm)", "PATH"},
        {"accel", 0, 0, G_OPTION_ARG_STRING, &machine->accel,
         "auto (default), kvm (fail rather than run slowly), tcg", "NAME"},
        {"kernel", 0, 0, G_OPTION_ARG_FILENAME, &machine->kernel,
         "Kernel, kernel package or build tree to boot", "PATH"},
        G_OPTION_ENTRY_NULL,
    };
    return g_memdup2(entries, sizeof entries);
}

/* The index of the first "--", or ARGC. GOption would leave it in place before words with
 * a dash and take it away before others. */
static int
find_separator(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--") == 0)
            return i;
    return argc;
}

/* Where WORD is a short option of ENTRIES with its value behind it (-j2), which GOption
 * takes for several options: the long form of the same. Else WORD. */
static char *
divide_short(const GOptionEntry *entries, char *word)
{
    if (word[0] != '-' || word[1] == '-' || word[1] == '\0' || word[2] == '\0')
        return word;
    for (; entries && entries->long_name; entries++)
        if (entries->short_name == word[1] && entries->arg != G_OPTION_ARG_NONE) {
            g_autofree char *long_form =
                g_strdup_printf("--%s=%s", entries->long_name, word + 2);
            return (char *)g_intern_string(long_form); /* argv owns nothing */
        }
    return word;
}

/* Parses with CONTEXT what stands before the separator, and closes the gaps. */
static gboolean
parse_words(GOptionContext *context, int *argc, char **argv, int *before, GError **error)
{
    int separator = find_separator(*argc, argv), left = separator;
    if (!g_option_context_parse(context, &left, &argv, error))
        return FALSE;
    if (before)
        *before = separator < *argc ? left - 1 : -1;
    for (int i = separator + 1; i < *argc; i++)
        argv[left++] = argv[i];
    if (left < *argc)
        argv[left] = NULL;
    *argc = left;
    return TRUE;
}

/* The option of ENTRIES that was given an empty name of a file, or NULL. */
static const char *
empty_file(const GOptionEntry *entries)
{
    for (; entries && entries->long_name; entries++) {
        char *const *one = entries->arg_data;
        char **const *several = entries->arg_data;
        if (entries->arg == G_OPTION_ARG_FILENAME && g_strcmp0(*one, "") == 0)
            return entries->long_name;
        if (entries->arg == G_OPTION_ARG_FILENAME_ARRAY && *several &&
            g_strv_contains((const char *const *)*several, ""))
            return entries->long_name;
    }
    return NULL;
}

/* What no command can make sense of. */
static gboolean
check_parsed(const GOptionEntry *entries, const CliMachine *machine, char *const *words,
             int *status)
{
    Accel accel;
    const char *empty = empty_file(entries);
    if (!empty && machine && g_strcmp0(machine->emulator, "") == 0)
        empty = "emulator";
    if (!empty && machine && g_strcmp0(machine->kernel, "") == 0)
        empty = "kernel";
    if (empty)
        *status =
            cli_fail_with(HB_USAGE, "--%s is empty; it takes the name of a file", empty);
    else if (machine && machine->accel && !accel_from_name(machine->accel, &accel))
        *status = cli_fail_with(HB_USAGE, "--accel %s: there are auto, kvm and tcg",
                                machine->accel);
    else if (words[0] && words[1] && *words[1] == '\0')
        *status =
            cli_fail_with(HB_USAGE, "the first argument is empty; it names nothing");
    else
        return TRUE;
    return FALSE;
}

gboolean
cli_parse(const char *command, int *argc, char ***argv, const GOptionEntry *entries,
          CliMachine *machine, int *status)
{
    return cli_parse_divided(command, argc, *argv, entries, machine, NULL, status);
}

/* The help of COMMAND, or what GLib's ERROR means. Returns the status. */
static int
end_parsing(GOptionContext *context, const char *command, const char *mistake,
            const GError *error)
{
    if (mistake)
        return cli_fail_with(HB_USAGE, "%s", mistake);
    if (error)
        return cli_fail_with(HB_USAGE, "%s (see 'hostbed %s --help')", error->message,
                             command);
    g_autofree char *program = g_strdup_printf("hostbed %s", command);
    g_set_prgname(program);
    g_autofree char *text = g_option_context_get_help(context, TRUE, NULL);
    g_set_prgname("hostbed");
    fputs(text, stdout);
    const Command *own = cli_command(command)->commands;
    for (const Command *one = own; one && one->name; one++)
        printf("%s  %-9s %s\n", one == own ? "Commands:\n" : "", one->name, one->summary);
    if (cli_command(command)->words)
        fputs(cli_command(command)->words, stdout);
    return HB_OK;
}

gboolean
cli_parse_divided(const char *command, int *argc, char **argv,
                  const GOptionEntry *entries, CliMachine *machine, int *before,
                  int *status)
{
    gboolean help = FALSE;
    const GOptionEntry none = G_OPTION_ENTRY_NULL;
    const GOptionEntry common[] = {
        {"help", 'h', 0, G_OPTION_ARG_NONE, &help, "Show this help", NULL},
        G_OPTION_ENTRY_NULL,
    };
    g_autofree GOptionEntry *of_machine = machine ? machine_entries(machine) : NULL;
    const GOptionEntry *const tables[] = {entries ? entries : &none,
                                          of_machine ? of_machine : &none, common, NULL};
    const Command *known = cli_command(command);
    g_autoptr(GOptionContext) context =
        g_option_context_new(known ? known->synopsis : "");
    if (known)
        g_option_context_set_summary(context, known->summary);
    g_option_context_set_help_enabled(context, FALSE);
    for (gsize i = 0; tables[i]; i++)
        g_option_context_add_main_entries(context, tables[i], NULL);
    g_option_context_set_strict_posix(context, FALSE);

    int separator = find_separator(*argc, argv);
    for (int i = 1; i < separator; i++)
        argv[i] = divide_short(entries, argv[i]);
    g_autoptr(GError) error = NULL;
    gboolean parsed = parse_words(context, argc, argv, before, &error);
    g_autofree char *mistake =
        parsed ? NULL : cli_option_mistake(tables, separator, argv, command);
    if (!parsed || help) {
        *status = end_parsing(context, command, mistake, error);
        return FALSE;
    }
    if (!check_parsed(entries, machine, argv, status))
        return FALSE;
    if (machine && !machine->emulator)
        machine->emulator = g_strdup(g_getenv("HOSTBED_EMULATOR"));
    return TRUE;
}

int
cli_fail(const GError *error)
{
    cli_wait_clear();
    fprintf(stderr, "hostbed: %s\n", error->message);
    return hb_error_status(error);
}

int
cli_fail_with(HbStatus status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    g_autofree char *message = g_strdup_vprintf(format, args);
    va_end(args);
    cli_wait_clear();
    fprintf(stderr, "hostbed: %s\n", message);
    return status;
}

int
cli_findings(const Findings *findings)
{
    g_autofree char *text = findings_to_text(findings);
    cli_wait_clear();
    fputs(text, stderr);
    return cli_findings_status(findings);
}

int
cli_findings_status(const Findings *findings)
{
    if (findings_count(findings, FINDING_ERROR) > 0)
        return HB_USAGE;
    return findings_count(findings, FINDING_UNSUPPORTED) > 0 ? HB_UNSUPPORTED : HB_OK;
}

int
cli_check_logs(const char *path, gboolean asked, int status)
{
    g_autofree char *lost = log_dir_lost(path);
    if (!lost)
        return status;
    int failure = cli_fail_with(HB_INFRASTRUCTURE, "%sthe logs in %s are not whole: %s",
                                asked ? "" : "warning: ", path, lost);
    return asked && status == HB_OK ? failure : status;
}

gboolean
cli_rewrites_lines(int fd)
{
    return isatty(fd) && g_strcmp0(g_getenv("TERM"), "dumb") != 0;
}

gboolean
cli_colour(int fd)
{
    const char *no_color = g_getenv("NO_COLOR");
    return cli_rewrites_lines(fd) && (!no_color || !*no_color);
}

guint
cli_watch_signal(int number, GSourceFunc function, gpointer user_data)
{
    struct sigaction now;
    if (number == SIGHUP && sigaction(SIGHUP, NULL, &now) == 0 &&
        now.sa_handler == SIG_IGN)
        return 0;
    return g_unix_signal_add(number, function, user_data);
}

struct CliInterrupt {
    GCancellable *cancellable;
    guint sources[3];
    guint deadline;
    gboolean late;
};

static gboolean
on_interrupt(gpointer cancellable)
{
    g_cancellable_cancel(cancellable);
    return G_SOURCE_CONTINUE;
}

static gboolean
on_late(gpointer user_data)
{
    CliInterrupt *interrupt = user_data;
    interrupt->late = TRUE;
    interrupt->deadline = 0;
    g_cancellable_cancel(interrupt->cancellable);
    return G_SOURCE_REMOVE;
}

CliInterrupt *
cli_interrupt_new_until(gint64 deadline_us)
{
    CliInterrupt *interrupt = cli_interrupt_new();
    gint64 left_ms = (deadline_us - g_get_monotonic_time()) / 1000 + 1;
    if (deadline_us != 0)
        interrupt->deadline =
            g_timeout_add((guint)CLAMP(left_ms, 0, G_MAXINT), on_late, interrupt);
    return interrupt;
}

CliInterrupt *
cli_interrupt_new(void)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    CliInterrupt *interrupt = g_new0(CliInterrupt, 1);
    interrupt->cancellable = g_cancellable_new();
    for (guint i = 0; i < G_N_ELEMENTS(numbers); i++)
        interrupt->sources[i] =
            cli_watch_signal(numbers[i], on_interrupt, interrupt->cancellable);
    g_cancellable_push_current(interrupt->cancellable);
    return interrupt;
}

void
cli_interrupt_free(CliInterrupt *interrupt)
{
    if (!interrupt)
        return;
    g_cancellable_pop_current(interrupt->cancellable);
    for (guint i = 0; i < G_N_ELEMENTS(interrupt->sources); i++)
        g_clear_handle_id(&interrupt->sources[i], g_source_remove);
    g_clear_handle_id(&interrupt->deadline, g_source_remove);
    g_object_unref(interrupt->cancellable);
    g_free(interrupt);
}

gboolean
cli_was_interrupted(const CliInterrupt *interrupt)
{
    while (g_main_context_iteration(NULL, FALSE))
        ; /* a signal may have come that nobody heard of yet */
    return g_cancellable_is_cancelled(interrupt->cancellable);
}

gboolean
cli_is_late(const CliInterrupt *interrupt)
{
    return interrupt->late;
}
