/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * hostbed log: the logs of a host as one, in order of time. Most lines begin with the
 * time at which they were written; the kernel's have theirs since it started, which is
 * added to when the emulator was; others belong to the line before them.
 */
#include <errno.h>
#include <glib-unix.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "cmd-live.h"
#include "printable.h"

#define LINE_MOST 4000

/* A file of the folder, as far as it was read. */
typedef struct {
    const char *file, *who;
    FILE *stream; /* NULL: it is not there yet */
    double time;  /* of its last line, seconds of the day's clock since 1970 */
} Source;

typedef struct {
    double time;
    guint order; /* as it was read */
    const char *who;
    char *text;
} Line;

typedef struct {
    const char *dir;
    Source sources[5];
    double start;     /* of the emulator */
    GPtrArray *lines; /* Line: read, not printed yet */
} Log;

static void
line_free(gpointer data)
{
    Line *line = data;
    g_free(line->text);
    g_free(line);
}

/* ---- times
 * ------------------------------------------------------------------------------------------
 */

/* "2026-11-22T06:30:00.123 [12.345678] text": the time, or 0; *TEXT is behind it. */
static double
written_time(const char **text)
{
    g_autofree char *stamp = g_strndup(*text, strcspn(*text, " "));
    g_autoptr(GTimeZone) zone = g_time_zone_new_local();
    g_autoptr(GDateTime) time =
        strlen(stamp) == 23 ? g_date_time_new_from_iso8601(stamp, zone) : NULL;
    const char *behind = time ? strstr(*text, "] ") : NULL;
    if (!time)
        return 0;
    *text = behind ? behind + 2 : *text + strlen(stamp);
    return (double)g_date_time_to_unix(time) +
           (double)g_date_time_get_microsecond(time) / 1e6;
}

/* "[    1.234567] text" of the kernel: its seconds, or -1. */
static double
kernel_time(const char *text)
{
    char *end;
    if (*text != '[')
        return -1;
    double seconds = g_ascii_strtod(text + 1, &end);
    return end > text + 1 && *end == ']' && seconds >= 0 ? seconds : -1;
}

/* ---- lines
 * ------------------------------------------------------------------------------------------
 */

static void
add_line(Log *log, Source *source, char *text)
{
    const char *rest = g_strchomp(text);
    double kernel = kernel_time(text), written = kernel < 0 ? written_time(&rest) : 0;
    if (written > 0)
        source->time = written;
    else if (kernel >= 0)
        source->time = log->start + kernel;
    if (log->start == 0 && written > 0)
        log->start = written;
    Line *line = g_new(Line, 1);
    *line = (Line){source->time, log->lines->len, source->who,
                   printable(rest, strlen(rest), LINE_MOST)};
    g_ptr_array_add(log->lines, line);
}

/* What has come since; a line without an end waits for it. */
static void
read_source(Log *log, Source *source)
{
    char *text = NULL;
    size_t size = 0;
    if (!source->stream) {
        g_autofree char *path = g_build_filename(log->dir, source->file, NULL);
        source->stream = fopen(path, "re");
        source->time = log->start;
    }
    for (;;) {
        long at = source->stream ? ftell(source->stream) : 0;
        ssize_t n = source->stream ? getline(&text, &size, source->stream) : -1;
        if (n <= 0 || text[n - 1] != '\n') {
            if (source->stream) {
                clearerr(source->stream);
                fseek(source->stream, at, SEEK_SET);
            }
            break;
        }
        add_line(log, source, text);
    }
    free(text);
}

static int
compare_lines(gconstpointer a, gconstpointer b)
{
    const Line *x = *(Line *const *)a, *y = *(Line *const *)b;
    if (x->time != y->time)
        return x->time < y->time ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

static void
print_lines(Log *log)
{
    g_ptr_array_sort(log->lines, compare_lines);
    for (guint i = 0; i < log->lines->len; i++) {
        const Line *line = log->lines->pdata[i];
        g_autoptr(GDateTime) time = g_date_time_new_from_unix_local((gint64)line->time);
        g_autofree char *clock = time ? g_date_time_format(time, "%T") : g_strdup("");
        printf("%s.%03d %-8s %s\n", clock,
               (int)((line->time - (double)(gint64)line->time) * 1000), line->who,
               line->text);
    }
    g_ptr_array_set_size(log->lines, 0);
    fflush(stdout);
}

static void
read_and_print(Log *log)
{
    for (gsize i = 0; i < G_N_ELEMENTS(log->sources); i++)
        read_source(log, &log->sources[i]);
    print_lines(log);
}

/* ---- following
 * --------------------------------------------------------------------------------------
 */

typedef struct {
    Log *log;
    gboolean ended;
} Follow;

static gboolean
on_change(int fd, GIOCondition condition, gpointer user_data)
{
    Follow *follow = user_data;
    char events[8192] __attribute__((aligned(__alignof__(struct inotify_event))));
    ssize_t n = read(fd, events, sizeof events);
    for (ssize_t at = 0; at < n;) {
        const struct inotify_event *event =
            (const struct inotify_event *)(const void *)(events + at);
        follow->ended |= (event->mask & (IN_DELETE_SELF | IN_MOVE_SELF)) != 0;
        at += (ssize_t)(sizeof *event + event->len);
    }
    read_and_print(follow->log);
    return G_SOURCE_CONTINUE;
}

/* Until the folder goes, which it does with the lab, or somebody ends us. */
static int
follow(Log *log)
{
    Follow state = {.log = log};
    int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (fd < 0 ||
        inotify_add_watch(fd, log->dir,
                          IN_MODIFY | IN_CREATE | IN_DELETE_SELF | IN_MOVE_SELF) < 0)
        return cli_fail_with(HB_INFRASTRUCTURE, "cannot follow %s: %s", log->dir,
                             g_strerror(errno));
    g_autoptr(CliInterrupt) interrupt = cli_interrupt_new();
    guint source = g_unix_fd_add(fd, G_IO_IN, on_change, &state);
    read_and_print(log);
    while (!state.ended && !ferror(stdout) &&
           !g_cancellable_is_cancelled(g_cancellable_get_current()))
        g_main_context_iteration(NULL, TRUE);
    g_source_remove(source);
    close(fd);
    return HB_OK;
}

int
cmd_log(int argc, char **argv)
{
    int status;
    gboolean follows = FALSE;
    const GOptionEntry entries[] = {
        {"follow", 'f', 0, G_OPTION_ARG_NONE, &follows, "Go on with what comes", NULL},
        G_OPTION_ENTRY_NULL,
    };
    if (!cli_parse("log", &argc, &argv, entries, NULL, &status))
        return status;
    if (argc != 2)
        return cli_fail_with(HB_USAGE, "name a host that is up: hostbed log HOST");
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) labs = live_lab_read_all(&error);
    LiveName name;
    if (!labs || !live_name_host(labs, argv[1], &name, &error))
        return cli_fail(error);
    if (!name.host->logs || !g_file_test(name.host->logs, G_FILE_TEST_IS_DIR))
        return cli_fail_with(HB_FAIL, "the host '%s' has no logs", name.host->name);
    g_autoptr(GPtrArray) lines = g_ptr_array_new_with_free_func(line_free);
    Log log = {.dir = name.host->logs,
               .lines = lines,
               .sources = {{.file = "events.log", .who = "host"},
                           {.file = "agent.log", .who = "agent"},
                           {.file = "qmp.log", .who = "qmp"},
                           {.file = "console.log", .who = "console"},
                           {.file = "emulator.stderr", .who = "emulator"}}};
    status = HB_OK;
    if (follows)
        status = follow(&log);
    else
        read_and_print(&log);
    for (gsize i = 0; i < G_N_ELEMENTS(log.sources); i++)
        if (log.sources[i].stream)
            fclose(log.sources[i].stream);
    return status;
}
