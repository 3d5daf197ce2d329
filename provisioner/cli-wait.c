/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli-wait.h"

#include <stdio.h>
#include <unistd.h>

#include "cli.h"

#define PATIENCE_US (2 * G_USEC_PER_SEC)
#define TICK_US G_USEC_PER_SEC

struct CliWait {
    char *what;
    gint64 since_us, next_us; /* when the line is written anew */
    gboolean ended;
    GCond changed;
    GThread *thread;
    CliWait *outer; /* whose place this one has; or NULL */
};

/* Around all that follows, and what is written. */
static GMutex lock;
static CliWait *current;
static gboolean shown; /* a line is there, to be written over */

static void
clear_line(void)
{
    if (shown)
        fputs("\r\033[K", stderr);
    shown = FALSE;
}

static void
write_line(const CliWait *wait)
{
    gint64 passed_us = g_get_monotonic_time() - wait->since_us;
    fprintf(stderr, "\r\033[Khostbed: %s, %.0f s", wait->what,
            (double)passed_us / G_USEC_PER_SEC);
    fflush(stderr);
    shown = TRUE;
}

static gpointer
tick(gpointer user_data)
{
    CliWait *wait = user_data;
    g_mutex_lock(&lock);
    while (!wait->ended) {
        if (g_cond_wait_until(&wait->changed, &lock, wait->next_us))
            continue;
        if (g_get_monotonic_time() < wait->next_us)
            continue;
        if (wait == current)
            write_line(wait);
        wait->next_us = g_get_monotonic_time() + TICK_US;
    }
    g_mutex_unlock(&lock);
    return NULL;
}

CliWait *
cli_wait_new(const char *what)
{
    if (!cli_rewrites_lines(STDERR_FILENO))
        return NULL;
    CliWait *wait = g_new0(CliWait, 1);
    wait->what = g_strdup(what);
    wait->since_us = g_get_monotonic_time();
    wait->next_us = wait->since_us + PATIENCE_US;
    g_cond_init(&wait->changed);
    g_mutex_lock(&lock);
    wait->outer = current;
    current = wait;
    g_mutex_unlock(&lock);
    wait->thread = g_thread_new("wait", tick, wait);
    return wait;
}

void
cli_wait_free(CliWait *wait)
{
    if (!wait)
        return;
    g_mutex_lock(&lock);
    wait->ended = TRUE;
    current = wait->outer;
    clear_line();
    g_cond_signal(&wait->changed);
    g_mutex_unlock(&lock);
    g_thread_join(wait->thread);
    g_cond_clear(&wait->changed);
    g_free(wait->what);
    g_free(wait);
}

void
cli_wait_clear(void)
{
    g_mutex_lock(&lock);
    clear_line();
    if (current)
        current->next_us = g_get_monotonic_time() + PATIENCE_US;
    g_mutex_unlock(&lock);
}
