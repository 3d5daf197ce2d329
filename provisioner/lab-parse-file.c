/* SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A file name → its bytes, bounded. A pipe or a terminal has them when somebody writes,
 * and can give them once.
 */
#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <glib-unix.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lab-parse.h"

static void say(Findings *findings, const char *filename, const char *format, ...)
    G_GNUC_PRINTF(3, 4);

static void
say(Findings *findings, const char *filename, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    g_autofree char *message = g_strdup_vprintf(format, args);
    va_end(args);
    findings_add(findings, FINDING_ERROR, (FilePos){g_intern_string(filename), 0}, "file",
                 "%s", message);
}

static int
open_file(const char *filename, Findings *findings)
{
    int fd = open(filename, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat status;
    if (fd < 0 && errno == ENXIO && stat(filename, &status) == 0 &&
        S_ISSOCK(status.st_mode)) { /* as /dev/stdin may be */
        say(findings, filename,
            "the lab cannot be read: this is a socket; '-' reads from standard input, "
            "whatever it is");
        return -1;
    }
    if (fd < 0) {
        say(findings, filename, "the lab cannot be read: %s", g_strerror(errno));
        return -1;
    }
    if (fstat(fd, &status) != 0) {
        say(findings, filename, "the lab cannot be read: %s", g_strerror(errno));
        close(fd);
        return -1;
    }
    if (S_ISDIR(status.st_mode)) {
        say(findings, filename,
            "the lab cannot be read: this is a folder; name a file in it");
        close(fd);
        return -1;
    }
    return fd;
}

static gboolean
on_readable(int fd, GIOCondition condition, gpointer user_data)
{
    gboolean *came = user_data;
    *came = TRUE;
    return G_SOURCE_CONTINUE;
}

/* Until read() would not wait, or a signal came for those who hear of it in their main
 * context. A named pipe that nobody has opened yet is no empty one. */
static void
wait_readable(int fd)
{
    GCancellable *interrupt = g_cancellable_get_current();
    struct pollfd waiting = {.fd = fd, .events = POLLIN};
    gboolean came = FALSE;
    if (poll(&waiting, 1, interrupt ? 0 : -1) != 0)
        return;
    guint source = g_unix_fd_add(fd, G_IO_IN | G_IO_HUP | G_IO_ERR, on_readable, &came);
    while (!came && !g_cancellable_is_cancelled(interrupt))
        g_main_context_iteration(NULL, TRUE);
    g_source_remove(source);
}

/* At most one byte more than a lab may have: lab_xml_read() refuses it then. */
static GString *
read_bounded(int fd, const char *filename, Findings *findings)
{
    g_autoptr(GString) text = g_string_new(NULL);
    char buffer[64 * 1024];
    while (text->len <= LAB_XML_MAX_BYTES) {
        wait_readable(fd);
        if (g_cancellable_is_cancelled(g_cancellable_get_current())) {
            say(findings, filename, "interrupted while the lab was read");
            return NULL;
        }
        ssize_t got = read(fd, buffer, sizeof buffer);
        if (got == 0)
            break;
        if (got < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (got < 0) {
            say(findings, filename, "the lab cannot be read: %s", g_strerror(errno));
            return NULL;
        }
        g_string_append_len(text, buffer, got);
    }
    return g_steal_pointer(&text);
}

GString *
lab_read(const char *filename, Findings *findings)
{
    gboolean is_stdin = strcmp(filename, "-") == 0;
    int fd = is_stdin ? STDIN_FILENO : open_file(filename, findings);
    if (fd < 0)
        return NULL;
    GString *text = read_bounded(fd, filename, findings);
    if (!is_stdin)
        close(fd);
    return text;
}

Lab *
lab_parse_file(const char *filename, Findings *findings)
{
    g_autoptr(GString) text = lab_read(filename, findings);
    return text ? lab_parse_text(text->str, text->len, filename, findings) : NULL;
}
