/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * hostbed log: the logs of a host as one, in order of time, for people or for programs.
 */
#include <errno.h>
#include <glib-unix.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "cmd-live.h"
#include "host-log.h"
#include "json-line.h"
#include "live-dir.h"
#include "printable.h"
#include "qmp-trace.h"

#define LINE_MOST (64 * 1024)

typedef struct {
    gboolean follow, json, trace;
} LogOptions;

typedef struct {
    const LogOptions *options;
    char *dir, *host; /* the host's name with its lab's */
    char *lab_dir;    /* where the state of its lab is; NULL: it is not up */
    HostLog *files;
    GPid emulator; /* 0: not known */
    int day;       /* which the last line was of */
} Log;

/* ---- for programs
 * --------------------------------------------------------------------------------------
 */

/* "-> {…}": its message; *TO whether it went to the emulator. NULL: it is cut. */
static const char *
qmp_message(const HostLogLine *line, gboolean *to)
{
    const char *message = line->length > 3 ? line->text + 3 : "";
    g_autoptr(JsonObject) object = json_line_parse_object(message, strlen(message));
    *to = line->text[0] == '-';
    return object ? message : NULL;
}

/* A line of qmp_trace_line(), owned by the caller; NULL: LINE is no message. */
static char *
trace_line(const Log *log, const HostLogLine *line)
{
    gboolean to;
    const char *message = g_str_equal(line->who, "qmp") ? qmp_message(line, &to) : NULL;
    return message
               ? qmp_trace_line(line->time.real_us, log->host, log->emulator, to, message)
               : NULL;
}

static void
print_json(const Log *log, const HostLogLine *line)
{
    g_autofree char *trace = trace_line(log, line);
    g_autofree char *shown = printable(line->text, line->length, LINE_MOST);
    g_autofree char *text = json_line_quoted(shown);
    g_autofree char *host = json_line_quoted(log->host);
    printf("{\"from\":\"%s\",\"monotonic\":%" G_GINT64_FORMAT ".%06d,", line->who,
           line->time.monotonic_us / G_USEC_PER_SEC,
           (int)(line->time.monotonic_us % G_USEC_PER_SEC));
    if (trace)
        fputs(trace + 1, stdout);
    else
        printf("\"time\":%" G_GINT64_FORMAT ".%06d,\"host\":%s,\"text\":%s}\n",
               line->time.real_us / G_USEC_PER_SEC,
               (int)(line->time.real_us % G_USEC_PER_SEC), host, text);
}

/* ---- for people
 * ----------------------------------------------------------------------------------------
 */

static void
print_text(Log *log, const HostLogLine *line)
{
    g_autofree char *text = printable(line->text, line->length, LINE_MOST);
    g_autoptr(GDateTime) time =
        g_date_time_new_from_unix_local(line->time.real_us / G_USEC_PER_SEC);
    g_autofree char *date = g_date_time_format(time, "%F");
    g_autofree char *clock = g_date_time_format(time, "%T");
    int day = g_date_time_get_year(time) * 366 + g_date_time_get_day_of_year(time);
    if (day != log->day && log->day != 0)
        printf("--- %s\n", date);
    log->day = day;
    printf("%s.%03d %-8s %s\n", clock, (int)(line->time.real_us % G_USEC_PER_SEC / 1000),
           line->who, text);
}

static void
print_line(Log *log, const HostLogLine *line)
{
    const char *process =
        g_str_equal(line->who, "host") && g_str_has_prefix(line->text, "spawned ")
            ? strstr(line->text, " as process ")
            : NULL;
    if (process)
        log->emulator = (GPid)g_ascii_strtoll(process + strlen(" as process "), NULL, 10);
    g_autofree char *trace = log->options->trace ? trace_line(log, line) : NULL;
    if (trace)
        fputs(trace, stdout);
    else if (log->options->json)
        print_json(log, line);
    else if (!log->options->trace)
        print_text(log, line);
}

static void
read_and_print(Log *log, gboolean all)
{
    g_autoptr(GPtrArray) lines = host_log_read(log->files, all);
    for (guint i = 0; i < lines->len; i++)
        print_line(log, lines->pdata[i]);
    fflush(stdout);
}

/* ---- following
 * --------------------------------------------------------------------------------------
 */

typedef struct {
    Log *log;
    int fd;      /* of inotify(7) */
    int of_logs; /* its watches: of the folder of logs, */
    int of_lab;  /* and of the lab's, whose state says where the logs are; -1: none */
    gboolean ended;
} Follow;

static gboolean
watch_logs(Follow *follow)
{
    follow->of_logs =
        inotify_add_watch(follow->fd, follow->log->dir,
                          IN_MODIFY | IN_CREATE | IN_DELETE_SELF | IN_MOVE_SELF);
    return follow->of_logs >= 0;
}

/* The host was started anew: its logs are in DIR from now on. */
static void
turn_to(Follow *follow, const char *dir)
{
    Log *log = follow->log;
    read_and_print(log, TRUE);
    inotify_rm_watch(follow->fd, follow->of_logs);
    host_log_free(log->files);
    g_free(log->dir);
    log->dir = g_strdup(dir);
    log->files = host_log_new(dir);
    follow->ended = !watch_logs(follow);
}

/* What has become of the host: its lab is gone, or it has other logs. */
static void
look_again(Follow *follow)
{
    LiveName found;
    g_autoptr(GPtrArray) labs = live_lab_read_all(NULL);
    if (!labs || !live_name_host(labs, follow->log->host, &found, NULL))
        follow->ended = TRUE;
    else if (found.host->logs && !g_str_equal(found.host->logs, follow->log->dir) &&
             host_log_is_one(found.host->logs))
        turn_to(follow, found.host->logs);
}

static gboolean
on_change(int fd, GIOCondition condition, gpointer user_data)
{
    Follow *follow = user_data;
    gboolean lab_changed = FALSE;
    const guint32 goes = IN_DELETE_SELF | IN_MOVE_SELF;
    char events[8192] __attribute__((aligned(__alignof__(struct inotify_event))));
    ssize_t n = read(fd, events, sizeof events);
    for (ssize_t at = 0; at < n;) {
        const struct inotify_event *event =
            (const struct inotify_event *)(const void *)(events + at);
        lab_changed |= event->wd == follow->of_lab;
        follow->ended |= event->wd == follow->of_logs && (event->mask & goes);
        at += (ssize_t)(sizeof *event + event->len);
    }
    if (lab_changed && !follow->ended)
        look_again(follow);
    read_and_print(follow->log, FALSE);
    return G_SOURCE_CONTINUE;
}

/* Until the lab goes, or the folder of which nothing else is known, or somebody ends us.
 */
static int
follow(Log *log)
{
    Follow state = {.log = log, .fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK)};
    if (state.fd < 0 || !watch_logs(&state))
        return cli_fail_with(HB_INFRASTRUCTURE, "cannot follow %s: %s", log->dir,
                             g_strerror(errno));
    g_autoptr(CliInterrupt) interrupt = cli_interrupt_new();
    state.of_lab = log->lab_dir
                       ? inotify_add_watch(state.fd, log->lab_dir,
                                           IN_MOVED_TO | IN_DELETE | IN_DELETE_SELF)
                       : -1;
    guint source = g_unix_fd_add(state.fd, G_IO_IN, on_change, &state);
    if (log->lab_dir)
        look_again(&state);
    read_and_print(log, FALSE);
    while (!state.ended && !ferror(stdout) &&
           !g_cancellable_is_cancelled(g_cancellable_get_current()))
        g_main_context_iteration(NULL, TRUE);
    g_source_remove(source);
    close(state.fd);
    return HB_OK;
}

/* ---- whose
 * ------------------------------------------------------------------------------------------
 */

/* A folder that run or test has left, or a host that is up. FALSE: *STATUS. */
static gboolean
find(Log *log, const char *name, int *status)
{
    g_autoptr(GError) error = NULL;
    if (strchr(name, '/') && host_log_is_one(name)) {
        log->dir = g_strdup(name);
        log->host = g_path_get_basename(name);
        return TRUE;
    }
    g_autoptr(GPtrArray) labs = live_lab_read_all(&error);
    LiveName found;
    if (!labs || !live_name_host(labs, name, &found, &error)) {
        *status = cli_fail(error);
        return FALSE;
    }
    if (!found.host->logs || !host_log_is_one(found.host->logs)) {
        *status = cli_fail_with(HB_FAIL, "the host '%s' has no logs", found.host->name);
        return FALSE;
    }
    log->dir = g_strdup(found.host->logs);
    log->host = g_strdup_printf("%s/%s", found.lab->name, found.host->name);
    g_autofree char *labs_dir = live_dir(FALSE, NULL);
    log->lab_dir = labs_dir ? g_build_filename(labs_dir, found.lab->name, NULL) : NULL;
    return TRUE;
}

int
cmd_log(int argc, char **argv)
{
    int status;
    LogOptions options = {FALSE};
    const GOptionEntry entries[] = {
        {"follow", 'f', 0, G_OPTION_ARG_NONE, &options.follow, "Go on with what comes",
         NULL},
        {"json", 0, 0, G_OPTION_ARG_NONE, &options.json, "Each line an object of JSON",
         NULL},
        {"trace-qmp", 0, 0, G_OPTION_ARG_NONE, &options.trace,
         "Only what passed between hostbed and the emulator, a line of JSON each", NULL},
        G_OPTION_ENTRY_NULL,
    };
    if (!cli_parse("log", &argc, &argv, entries, NULL, &status))
        return status;
    if (argc != 2)
        return cli_fail_with(HB_USAGE, "name a host that is up: hostbed log HOST");
    Log log = {.options = &options};
    if (!find(&log, argv[1], &status))
        return status;
    log.files = host_log_new(log.dir);
    status = HB_OK;
    if (options.follow)
        status = follow(&log);
    else
        read_and_print(&log, TRUE);
    host_log_free(log.files);
    g_free(log.dir);
    g_free(log.lab_dir);
    g_free(log.host);
    return status;
}
