/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launch-console.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "printable.h"

#define LINES_KEPT 32
#define LINE_MAX_BYTES 1024
#define MESSAGE_MAX_BYTES 200 /* of a line in a message */
#define READS_PER_TURN 16

struct Console {
    int fd;
    guint readable;
    LogFile *log;
    GString *line; /* that is being printed, its first LINE_MAX_BYTES */
    GQueue lines;  /* char *: printable, not empty, oldest first */
    char *last;    /* console_last_line()'s answer */
    char *panic;
    guint64 bytes;
    gsize most; /* of a line in a message */
    ConsoleCame came;
    gpointer user_data;
    ConsoleListener listener; /* or NULL */
    gpointer listener_data;
};

static void
keep_line(Console *console)
{
    char *text = printable(console->line->str, console->line->len, console->most);
    g_string_truncate(console->line, 0);
    if (*text == '\0') {
        g_free(text);
        return;
    }
    if (!console->panic && strstr(text, "Kernel panic - not syncing"))
        console->panic = g_strdup(strstr(text, "Kernel panic"));
    g_queue_push_tail(&console->lines, text);
    if (g_queue_get_length(&console->lines) > LINES_KEPT)
        g_free(g_queue_pop_head(&console->lines));
}

static void
take(Console *console, const char *bytes, gsize length)
{
    const char *end = bytes + length;
    while (bytes < end) {
        const char *newline = memchr(bytes, '\n', (gsize)(end - bytes));
        gsize piece = (gsize)((newline ? newline : end) - bytes);
        gsize room = LINE_MAX_BYTES - console->line->len;
        g_string_append_len(console->line, bytes, (gssize)MIN(piece, room));
        if (newline)
            keep_line(console);
        bytes += piece + (newline ? 1 : 0);
    }
}

static gboolean
on_readable(int fd, GIOCondition condition, gpointer user_data)
{
    Console *console = user_data;
    char bytes[8 * 1024];
    gsize came = 0;
    gboolean ended = FALSE;
    for (int i = 0; i < READS_PER_TURN; i++) {
        ssize_t n = read(fd, bytes, sizeof bytes);
        if (n < 0 && errno == EINTR)
            continue;
        ended = n == 0 || (n < 0 && errno != EAGAIN);
        if (n <= 0)
            break;
        log_file_write(console->log, bytes, (gsize)n);
        take(console, bytes, (gsize)n);
        if (console->listener)
            console->listener(bytes, (gsize)n, console->listener_data);
        came += (gsize)n;
    }
    console->bytes += came;
    if (ended)
        console->readable = 0;
    if (came > 0)
        console->came(came, console->user_data);
    if (ended)
        console->came(0, console->user_data);
    return ended ? G_SOURCE_REMOVE : G_SOURCE_CONTINUE;
}

void
console_set_listener(Console *console, ConsoleListener listener, gpointer user_data)
{
    console->listener = listener;
    console->listener_data = user_data;
}

void
console_type(Console *console, const void *bytes, gsize length)
{
    if (console->readable)
        (void)!send(console->fd, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL);
}

gboolean
console_ended(const Console *console)
{
    return console->readable == 0;
}

guint64
console_bytes(const Console *console)
{
    return console->bytes;
}

void
console_trust(Console *console)
{
    console->most = LINE_MAX_BYTES;
}

const char *
console_last_line(const Console *console)
{
    Console *own = (Console *)console; /* only the cache of the answer changes */
    g_clear_pointer(&own->last, g_free);
    own->last = printable(console->line->str, console->line->len, console->most);
    if (*own->last != '\0')
        return own->last;
    return g_queue_peek_tail(&own->lines);
}

/* Of a NIC without a cable, which a lab may well have: never why something ended. */
static gboolean
is_harmless(const char *line)
{
    return strstr(line, "warning: nic ") && g_str_has_suffix(line, " has no peer");
}

char *
console_tail(const Console *console, guint lines)
{
    g_autoptr(GPtrArray) kept = g_ptr_array_new();
    for (const GList *at = console->lines.head; at; at = at->next)
        if (!is_harmless(at->data))
            g_ptr_array_add(kept, at->data);
    GString *text = g_string_new(NULL);
    for (guint i = kept->len > lines ? kept->len - lines : 0; i < kept->len; i++)
        g_string_append_printf(text, "%s%s", text->len > 0 ? "; " : "",
                               (const char *)kept->pdata[i]);
    g_autofree char *rest =
        printable(console->line->str, console->line->len, console->most);
    if (*rest != '\0')
        g_string_append_printf(text, "%s%s", text->len > 0 ? "; " : "", rest);
    return g_string_free(text, FALSE);
}

const char *
console_panic(const Console *console)
{
    return console->panic;
}

Console *
console_new(int fd, LogFile *log, ConsoleCame came, gpointer user_data)
{
    Console *console = g_new0(Console, 1);
    g_unix_set_fd_nonblocking(fd, TRUE, NULL);
    console->fd = fd;
    console->log = log;
    console->line = g_string_new(NULL);
    console->most = MESSAGE_MAX_BYTES;
    g_queue_init(&console->lines);
    console->came = came;
    console->user_data = user_data;
    console->readable =
        g_unix_fd_add(fd, G_IO_IN | G_IO_HUP | G_IO_ERR, on_readable, console);
    return console;
}

void
console_free(Console *console)
{
    if (!console)
        return;
    g_clear_handle_id(&console->readable, g_source_remove);
    close(console->fd);
    log_file_free(console->log);
    g_string_free(console->line, TRUE);
    g_queue_clear_full(&console->lines, g_free);
    g_free(console->last);
    g_free(console->panic);
    g_free(console);
}
