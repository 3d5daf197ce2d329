/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host-log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log-dir.h"

/* A file, as far as it was read. */
typedef struct {
    FILE *stream; /* NULL: it is not there yet */
    char *line;   /* of getline() */
    size_t size;
} Reader;

typedef struct {
    const char *file, *who;
    gboolean is_plain; /* its times stand beside it */
    Reader text, times;
    LogStamp time, next; /* of the line that is read; of what stands behind .next_at */
    guint64 at, next_at; /* G_MAXUINT64: that is not known yet */
} Source;

struct HostLog {
    char *dir;
    Source sources[5];
    guint lines;
};

static const Source all_sources[] = {
    {.file = "events.log", .who = "host"},
    {.file = "agent.log", .who = "agent"},
    {.file = "qmp.log", .who = "qmp"},
    {.file = "console.log", .who = "console", .is_plain = TRUE},
    {.file = "emulator.stderr", .who = "emulator", .is_plain = TRUE},
};

/* ---- lines of a file
 * --------------------------------------------------------------------------------- */

/* The next line of FILE in DIR, in READER->line; its length, 0: there is none. One
 * without an end waits for it, unless it is ALL that will come. */
static gsize
next_line(Reader *reader, const char *dir, const char *file, gboolean all)
{
    if (!reader->stream) {
        g_autofree char *path = g_build_filename(dir, file, NULL);
        reader->stream = fopen(path, "re");
    }
    if (!reader->stream)
        return 0;
    long at = ftell(reader->stream);
    ssize_t n = getline(&reader->line, &reader->size, reader->stream);
    if (n > 0 && (all || reader->line[n - 1] == '\n'))
        return (gsize)n;
    clearerr(reader->stream);
    fseek(reader->stream, at, SEEK_SET);
    return 0;
}

static void
reader_clear(Reader *reader)
{
    if (reader->stream)
        fclose(reader->stream);
    free(reader->line);
}

/* ---- times
 * ------------------------------------------------------------------------------------------
 */

/* "OFFSET STAMP": what stands from there on. */
static void
read_next_time(const HostLog *log, Source *source)
{
    char *end;
    const char *rest;
    g_autofree char *file = g_strconcat(source->file, LOG_TIMES, NULL);
    if (next_line(&source->times, log->dir, file, FALSE) == 0)
        return;
    guint64 at = g_ascii_strtoull(source->times.line, &end, 10);
    if (*end == ' ' && log_stamp_read(end + 1, &source->next, &rest))
        source->next_at = at;
}

/* The time of the line that begins at SOURCE->at. */
static void
time_beside(const HostLog *log, Source *source)
{
    for (;;) {
        if (source->next_at == G_MAXUINT64)
            read_next_time(log, source);
        if (source->next_at > source->at)
            return;
        source->time = source->next;
        source->next_at = G_MAXUINT64;
    }
}

/* ---- reading
 * ----------------------------------------------------------------------------------------
 */

static void
line_free(gpointer data)
{
    HostLogLine *line = data;
    g_free(line->text);
    g_free(line);
}

static void
add_line(HostLog *log, Source *source, gsize length, GPtrArray *lines)
{
    const char *text = source->text.line;
    if (source->is_plain)
        time_beside(log, source);
    else
        log_stamp_read(source->text.line, &source->time, &text);
    source->at += length;
    length -= (gsize)(text - source->text.line);
    while (length > 0 && (text[length - 1] == '\n' || text[length - 1] == '\r'))
        length--;
    HostLogLine *line = g_new(HostLogLine, 1);
    char *copy = g_malloc0(length + 1); /* there may be NULs in it */
    memcpy(copy, text, length);
    *line = (HostLogLine){source->time, source->who, copy, length, log->lines++};
    g_ptr_array_add(lines, line);
}

static int
compare_lines(gconstpointer a, gconstpointer b)
{
    const HostLogLine *x = *(HostLogLine *const *)a, *y = *(HostLogLine *const *)b;
    if (x->time.monotonic_us != y->time.monotonic_us)
        return x->time.monotonic_us < y->time.monotonic_us ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

GPtrArray *
host_log_read(HostLog *log, gboolean all)
{
    GPtrArray *lines = g_ptr_array_new_with_free_func(line_free);
    for (gsize i = 0; i < G_N_ELEMENTS(log->sources); i++) {
        Source *source = &log->sources[i];
        gsize length;
        while ((length = next_line(&source->text, log->dir, source->file, all)) > 0)
            add_line(log, source, length, lines);
    }
    g_ptr_array_sort(lines, compare_lines);
    return lines;
}

gboolean
host_log_is_one(const char *dir)
{
    g_autofree char *path = g_build_filename(dir, all_sources[0].file, NULL);
    return g_file_test(path, G_FILE_TEST_IS_REGULAR);
}

HostLog *
host_log_new(const char *dir)
{
    G_STATIC_ASSERT(G_N_ELEMENTS(all_sources) ==
                    G_N_ELEMENTS(((HostLog *)NULL)->sources));
    HostLog *log = g_new0(HostLog, 1);
    log->dir = g_strdup(dir);
    for (gsize i = 0; i < G_N_ELEMENTS(log->sources); i++) {
        log->sources[i] = all_sources[i];
        log->sources[i].next_at = G_MAXUINT64;
    }
    return log;
}

void
host_log_free(HostLog *log)
{
    if (!log)
        return;
    for (gsize i = 0; i < G_N_ELEMENTS(log->sources); i++) {
        reader_clear(&log->sources[i].text);
        reader_clear(&log->sources[i].times);
    }
    g_free(log->dir);
    g_free(log);
}
