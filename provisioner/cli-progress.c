/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli-progress.h"

#include <langinfo.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli.h"
#include "json-line.h"
#include "printable.h"
#include "units.h"

#define WHAT_MOST 400
#define BAR_CELLS 20
#define STEP_LEAST_US (2 * G_USEC_PER_SEC)

struct CliProgress {
    gboolean rewrites, is_utf8;
    char *what; /* is being done, or NULL */
    gint64 began_us;
    gint64 least_us; /* what took less leaves no line */
    gboolean shown;  /* a line that is to be written over */
};

CliProgress *
cli_progress_new(void)
{
    CliProgress *progress = g_new0(CliProgress, 1);
    progress->rewrites = cli_rewrites_lines(STDERR_FILENO);
    progress->is_utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    return progress;
}

static void
clear_line(CliProgress *progress)
{
    if (progress->shown)
        fputs("\r\033[K", stderr);
    progress->shown = FALSE;
}

void
cli_progress_end(CliProgress *progress, gboolean well)
{
    gint64 took_us = g_get_monotonic_time() - progress->began_us;
    clear_line(progress);
    if (progress->what && progress->rewrites && well && took_us >= progress->least_us)
        fprintf(stderr, "hostbed: %s  %.0f s\n", progress->what, (double)took_us / 1e6);
    g_clear_pointer(&progress->what, g_free);
}

void
cli_progress_free(CliProgress *progress)
{
    if (!progress)
        return;
    cli_progress_end(progress, FALSE);
    g_free(progress);
}

static void
begin(CliProgress *progress, const char *what)
{
    if (g_strcmp0(progress->what, what) == 0)
        return;
    cli_progress_end(progress, TRUE);
    progress->what = g_strdup(what);
    progress->began_us = g_get_monotonic_time();
    progress->least_us = 0;
    if (!progress->rewrites)
        fprintf(stderr, "hostbed: %s\n", what);
}

static void
add_bar(const CliProgress *progress, GString *line, gint64 done, gint64 total)
{
    gint64 cells =
        CLAMP((gint64)((double)done / (double)total * BAR_CELLS), 0, BAR_CELLS);
    g_string_append(line, "  ");
    for (gint64 i = 0; i < BAR_CELLS; i++)
        g_string_append(line, i < cells ? (progress->is_utf8 ? "█" : "#")
                                        : (progress->is_utf8 ? "·" : "."));
    g_string_append_printf(line, " %3.0f %%",
                           CLAMP((double)done / (double)total, 0, 1) * 100);
}

static void
add_time(GString *line, gint64 seconds)
{
    if (seconds >= 90)
        g_string_append_printf(line, "  %" G_GINT64_FORMAT " min left",
                               (seconds + 59) / 60);
    else
        g_string_append_printf(line, "  %" G_GINT64_FORMAT " s left", seconds);
}

static char *
make_line(const CliProgress *progress, JsonObject *event)
{
    GString *line = g_string_new(NULL);
    gint64 done = json_line_int(event, "done", 0);
    gint64 total = json_line_int(event, "total", 0);
    gint64 rate = json_line_int(event, "rate", 0);
    gint64 left_s = json_line_int(event, "left_s", -1);
    g_string_append_printf(line, "hostbed: %s", progress->what);
    if (total > 0)
        add_bar(progress, line, done, total);
    if (done > 0 && g_strcmp0(json_line_string(event, "unit"), "bytes") == 0) {
        g_autofree char *of_done = units_about_text((guint64)done);
        g_autofree char *of_total = units_about_text((guint64)MAX(total, 0));
        g_autofree char *of_rate = units_about_text((guint64)MAX(rate, 0));
        g_string_append_printf(line, "  %s", of_done);
        if (total > 0)
            g_string_append_printf(line, " of %s", of_total);
        if (rate > 0)
            g_string_append_printf(line, "  %s/s", of_rate);
    }
    if (left_s >= 0)
        add_time(line, left_s);
    return g_string_free(line, FALSE);
}

static glong
terminal_columns(void)
{
    struct winsize size;
    gboolean is_known = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 10;
    return is_known ? size.ws_col : 80;
}

static void
show(CliProgress *progress, const char *line)
{
    g_autofree char *fitting =
        g_utf8_substring(line, 0, MIN(g_utf8_strlen(line, -1), terminal_columns() - 1));
    fprintf(stderr, "\r\033[K%s", fitting);
    fflush(stderr);
    progress->shown = TRUE;
}

void
cli_progress_step(CliProgress *progress, const char *what)
{
    if (!progress->rewrites)
        return;
    begin(progress, what);
    progress->least_us = STEP_LEAST_US;
    g_autofree char *line = g_strdup_printf("hostbed: %s", progress->what);
    show(progress, line);
}

void
cli_progress_event(JsonObject *event, gpointer user_data)
{
    CliProgress *progress = user_data;
    const char *said = json_line_string(event, "what");
    if (!said)
        return;
    g_autofree char *what = printable(said, strlen(said), WHAT_MOST);
    begin(progress, what);
    if (!progress->rewrites)
        return;
    g_autofree char *line = make_line(progress, event);
    show(progress, line);
}
