/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * hostbed console: what a host prints on its console, and what is typed there. Ctrl-]
 * ends it, as with virsh and telnet.
 */
#include <errno.h>
#include <glib-unix.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include "cmd-live.h"

#define ESCAPE 0x1d /* Ctrl-] */
/* Of what was printed before. */
#define BEFORE_BYTES 4096

typedef struct {
    int fd;
    gboolean ended, left;
    guint typed; /* source of standard input, or 0 */
} Console;

static gboolean
write_all(int fd, const char *bytes, gsize length)
{
    while (length > 0) {
        ssize_t n = write(fd, bytes, length);
        if (n < 0 && errno != EINTR)
            return FALSE;
        bytes += MAX(n, 0);
        length -= (gsize)MAX(n, 0);
    }
    return TRUE;
}

/* The end of what was printed, from the beginning of a line. */
static void
print_before(const LiveHost *host)
{
    char bytes[BEFORE_BYTES];
    g_autofree char *path =
        host->logs ? g_build_filename(host->logs, "console.log", NULL) : NULL;
    FILE *file = path ? fopen(path, "re") : NULL;
    if (!file)
        return;
    gboolean cut = fseek(file, -(long)sizeof bytes, SEEK_END) == 0;
    if (!cut)
        rewind(file);
    gsize length = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    const char *newline = cut ? memchr(bytes, '\n', length) : NULL;
    gsize skip = newline ? (gsize)(newline - bytes) + 1 : 0;
    write_all(STDOUT_FILENO, bytes + skip, length - skip);
}

static gboolean
on_printed(int fd, GIOCondition condition, gpointer user_data)
{
    Console *console = user_data;
    char bytes[8192];
    ssize_t n = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return G_SOURCE_CONTINUE;
    console->ended = n <= 0 || !write_all(STDOUT_FILENO, bytes, (gsize)n);
    return G_SOURCE_CONTINUE;
}

static gboolean
on_typed(int fd, GIOCondition condition, gpointer user_data)
{
    Console *console = user_data;
    char bytes[1024];
    ssize_t n = read(fd, bytes, sizeof bytes);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return G_SOURCE_CONTINUE;
    if (n <= 0) { /* what is printed is still of interest */
        console->typed = 0;
        return G_SOURCE_REMOVE;
    }
    const char *escape = isatty(fd) ? memchr(bytes, ESCAPE, (gsize)n) : NULL;
    console->left = escape != NULL;
    if (!write_all(console->fd, bytes, escape ? (gsize)(escape - bytes) : (gsize)n))
        console->ended = TRUE;
    return G_SOURCE_CONTINUE;
}

/* Until the host or the person ends it. */
static void
relay(Console *console, gboolean read_only, const CliInterrupt *interrupt)
{
    struct termios before, raw;
    gboolean is_tty = !read_only && tcgetattr(STDIN_FILENO, &before) == 0;
    if (is_tty) {
        fprintf(stderr, "hostbed: Ctrl-] leaves the console\n");
        raw = before;
        cfmakeraw(&raw);
        tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
    }
    guint printed = g_unix_fd_add(console->fd, G_IO_IN | G_IO_HUP, on_printed, console);
    if (!read_only)
        console->typed =
            g_unix_fd_add(STDIN_FILENO, G_IO_IN | G_IO_HUP, on_typed, console);
    while (!console->ended && !console->left &&
           !g_cancellable_is_cancelled(g_cancellable_get_current()))
        g_main_context_iteration(NULL, TRUE);
    g_source_remove(printed);
    g_clear_handle_id(&console->typed, g_source_remove);
    if (is_tty)
        tcsetattr(STDIN_FILENO, TCSADRAIN, &before);
}

int
cmd_console(int argc, char **argv)
{
    int status;
    gboolean read_only = FALSE;
    const GOptionEntry entries[] = {
        {"read-only", 'r', 0, G_OPTION_ARG_NONE, &read_only, "Type nothing there", NULL},
        G_OPTION_ENTRY_NULL,
    };
    if (!cli_parse("console", &argc, &argv, entries, NULL, &status))
        return status;
    if (argc != 2)
        return cli_fail_with(HB_USAGE, "name a host that is up: hostbed console HOST");
    signal(SIGPIPE, SIG_IGN);
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) labs = NULL;
    LiveName name;
    if (!cmd_live_find(argv[1], &labs, &name, &error))
        return cli_fail(error);
    g_autoptr(CliInterrupt) interrupt = cli_interrupt_new();
    Console console = {
        .fd = cmd_live_ask(&name, live_call_request("console", NULL), NULL, &error)};
    if (console.fd < 0)
        return cli_fail(error);
    print_before(name.host);
    relay(&console, read_only, interrupt);
    close(console.fd);
    if (console.ended)
        fprintf(stderr, "hostbed: the host '%s' is not up any more\n", name.host->name);
    return console.ended ? HB_FAIL : HB_OK;
}
