/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "requests.h"

#include <fcntl.h>
#include <glib-unix.h>
#include <string.h>
#include <unistd.h>

#include "ask-wire.h"

struct Requests {
    const RequestsKind *kind;
    gpointer state;
    int fds[2];
    char line[ASK_LINE_MAX];
    guint count;
    gsize used; /* of the line; more than fits: it is none of ours */
};

Requests *
requests_new(const RequestsKind *kind, gpointer state)
{
    Requests *requests = g_new0(Requests, 1);
    requests->kind = kind;
    requests->state = state;
    if (!g_unix_open_pipe(requests->fds, FD_CLOEXEC, NULL))
        requests->fds[0] = requests->fds[1] = -1;
    else
        g_unix_set_fd_nonblocking(requests->fds[1], TRUE, NULL);
    return requests;
}

void
requests_free(Requests *requests)
{
    requests->kind->free(requests->state);
    for (int i = 0; i < 2; i++)
        if (requests->fds[i] >= 0)
            close(requests->fds[i]);
    g_free(requests);
}

int
requests_fd(const Requests *requests)
{
    return requests->fds[0];
}

guint
requests_count(const Requests *requests)
{
    return requests->count;
}

void
requests_answer(Requests *requests, const char *about, const char *word, const char *more)
{
    char line[ASK_LINE_MAX];
    g_snprintf(line, sizeof line - 1, "%s %s%s%s", about, word, more ? " " : "",
               more ? more : "");
    g_strdelimit(line, "\r\n", ' ');
    strcat(line, "\n");
    if (write(requests->fds[1], line, strlen(line)) < 0)
        return;
}

void
requests_hear(Requests *requests, const guint8 *data, gsize length)
{
    for (gsize i = 0; i < length; i++) {
        if (data[i] != '\n') {
            if (requests->used < sizeof requests->line)
                requests->line[requests->used++] = (char)data[i];
            continue;
        }
        gboolean fits = requests->used < sizeof requests->line &&
                        !memchr(requests->line, '\0', requests->used);
        requests->line[fits ? requests->used : 0] = '\0';
        requests->used = 0;
        if (!g_str_has_prefix(requests->line, ASK_PREFIX))
            continue;
        requests->count++;
        requests->kind->obey(requests->line + strlen(ASK_PREFIX), requests->state);
    }
}

gboolean
requests_settle(const Requests *requests)
{
    return !requests->kind->settle || requests->kind->settle(requests->state);
}
